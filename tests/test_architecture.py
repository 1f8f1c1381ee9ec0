"""The house's order: imports point one way, and optional packages are asked for only where they are used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tinygraph import cli

ROOT = Path(cli.__file__).parent
# Each level may import, when a module is loaded, from itself and from the levels before it.
LEVELS = [
    {"errors", "config", "arguments", "py"},
    {"graph", "program"},
    {"tensor", "random"},
    {"gradient"},
    {"scan"},
    {"passes"},
    {"lower"},
    {"targets"},
    {"compile"},
]
RANK = {name: rank for rank, names in enumerate(LEVELS) for name in names}
REQUIRED = {"numpy", "networkx"}
OPTIONAL_HOMES = {"llvmlite": "targets/llvm", "cupy": "targets/cuda"}
MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))


def imports_when_loaded(tree):
    """Names of modules that are imported at load time: not inside functions, not for type checkers only."""
    todo = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            yield node.module
            if node.module == "tinygraph":
                yield from (f"tinygraph.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo.extend(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            todo.extend(child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt))


# Parts of lowering that stand beside their op, and are imported when a graph is lowered.
LOWERING = {("scan", "lower"), ("scan", "relocate")}


def level(parts):
    """The rank of a module of ours; what has none (demos, compat ...) stands on top."""
    if tuple(part.removesuffix(".py") for part in parts[:2]) in LOWERING:
        return RANK["lower"]
    return RANK.get(parts[0].removesuffix(".py"), len(LEVELS))


def loaded(path):
    return set(imports_when_loaded(ast.parse((ROOT / path).read_text(encoding="utf-8"))))


@pytest.mark.parametrize("path", [path for path in MODULES if len(path.parts) > 1], ids=str)
def test_imports_point_one_way(path):
    own = level(path.parts)
    for name in loaded(path):
        top, *rest = name.split(".")
        if top == "tinygraph" and rest and level(rest) < len(LEVELS):
            assert level(rest) <= own, f"{path} imports {name}"
        if top == "tinygraph" and rest and level(rest) == len(LEVELS):
            assert own == len(LEVELS), f"{path} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_only_numpy_and_networkx_are_needed_to_load_a_module(path):
    for name in loaded(path):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in REQUIRED or top == "tinygraph":
            continue
        home = OPTIONAL_HOMES.get(top)
        assert home is not None and str(path).startswith(home), f"{path} imports {name} when it is loaded"


def test_the_check_sees_a_planted_import():
    tree = ast.parse(
        "if True:\n    try:\n        import llvmlite.ir\n    except ImportError:\n        pass\n"
    )
    assert list(imports_when_loaded(tree)) == ["llvmlite.ir"]
    hidden = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import cupy\ndef f():\n    import scipy\n"
    )
    assert list(imports_when_loaded(ast.parse(hidden))) == ["typing"]


def test_importing_the_package_loads_no_optional_package():
    code = (
        "import sys, tinygraph\n"
        "print(*sorted({'llvmlite', 'cupy', 'scipy', 'matplotlib', 'sklearn', 'tqdm', 'pooch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_packages_and_printers_need_no_import_of_their_own():
    code = """
import tinygraph as tg
tg.updates.sgd, tg.datasets, tg.printing.Print, tg.debugprint, tg.pp, tg.subgraph_grad
assert issubclass(tg.TensorType, object) and tg.Variable is tg.tensor.Variable and tg.Op and tg.Apply and tg.Constant
assert not hasattr(tg, "no_such_name")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
