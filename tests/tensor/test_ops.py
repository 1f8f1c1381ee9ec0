"""Every op of the tensor language against NumPy, SciPy and finite differences; see op_cases.py."""

import importlib
import pkgutil

import pytest
from op_cases import CASES
from op_checks import check_gradient, check_layouts, check_value, outputs_of, variables

import tinygraph.tensor
from tinygraph.graph.op import Op
from tinygraph.graph.traversal import toposort


@pytest.mark.parametrize("case", CASES, ids=str)
def test_value_and_shape(case):
    check_value(case.build, case.arrays, case.expected)


@pytest.mark.parametrize("case", [c for c in CASES if c.name.endswith("-0")], ids=str)
def test_memory_layouts(case):
    check_layouts(case.build, case.arrays)


@pytest.mark.parametrize("case", [c for c in CASES if c.grad], ids=str)
def test_gradient(case):
    check_gradient(case.build, case.arrays, second=case.second, float32=case.name.endswith("-0"))


#: base classes, and ops that do not compute anything of their own (their tests are beside those of debugging)
ELSEWHERE = {"GatherIndex", "MatrixOp", "Assert", "Print", "IfElse", "LazyIfElse"}


def op_classes():
    """Every op class defined in the modules of ``tinygraph.tensor`` itself."""
    found = set()
    for info in pkgutil.iter_modules(tinygraph.tensor.__path__):
        module = importlib.import_module(f"tinygraph.tensor.{info.name}")
        found |= {
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, Op) and value.__module__ == module.__name__
        }
    return {c for c in found if c.__name__ not in ELSEWHERE}


def test_every_op_has_a_case():
    used = set()
    for case in CASES:
        outputs = outputs_of(case.build, variables(case.arrays, known=False))
        used |= {type(node.op) for node in toposort(outputs)}
    # Recurrence is made by the gradient of cumprod, whose cases differentiate it
    missing = {c.__name__ for c in op_classes() - used} - {"Recurrence"}
    assert not missing, f"no case in op_cases.py uses {sorted(missing)}"
