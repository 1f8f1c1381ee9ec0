"""``python -m tests.benchmarks.pytensor_compare``: the same graphs in PyTensor's FAST_RUN and in tinygraph.

For each work of ``pytensor_steps`` it prints instructions, bytes moved, peak memory and time of a call, and with
``--markdown FILE`` writes them as a page. Both sides are counted by one convention:

- an instruction is a node of PyTensor's compiled function that does work (views are none, a loop's body counts once), or
  an instruction of tinygraph's program;
- bytes: each instruction reads its operands and writes its results once; gathers read what they take; a loop's body
  counts for each of its steps;
- peak: the largest sum, over the run, of the memory that a call allocates for results, each freed after its last use;
- apart: memory of new values of shared variables, where these are not written over the old ones. tinygraph never does
  so, PyTensor where it can: a call of tinygraph that fails, or is interrupted, has changed nothing.

FAST_RUN means PyTensor's Numba linker unless configured otherwise; CVM is its C linker.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.benchmarks import pytensor_steps
from tests.benchmarks.timing import compare


class Figures(NamedTuple):
    """What a compiled function amounts to."""

    instructions: int
    moved: int
    peak: int
    apart: int = 0


def of_tinygraph(step: pytensor_steps.Step) -> Figures:
    """Counts of a tinygraph function's last program."""
    from tinygraph.lower.cost import bytes_moved
    from tinygraph.program.instructions import Branch, Loop

    def count(block: Any) -> int:
        return sum(
            1 + (count(i.body) if isinstance(i, Loop) else count([*i.then, *i.otherwise]) if isinstance(i, Branch) else 0)
            for i in block
        )

    function = step.function
    program = next(reversed(function._programs.values())).program
    outputs, updates = ({r.buffer for r in refs if r.buffer.kind == kind}
                        for refs, kind in ((program.outputs, "output"), (program.updates, "update")))  # fmt: skip
    peak = function.memory()["peak"] + sum(b.nbytes for b in outputs)
    return Figures(count(program.instructions), bytes_moved(program), peak, sum(b.nbytes for b in updates))


def of_pytensor(step: pytensor_steps.Step) -> Figures:
    """Counts of a PyTensor function's rewritten graph, run node by node to learn all sizes."""
    graph = step.function.maker.fgraph
    values: dict[Any, Any] = {}
    arguments = iter(step.arguments)
    for variable, given in zip(graph.inputs, step.function.maker.inputs, strict=True):
        held = getattr(given, "value", None)
        values[variable] = np.copy(held.storage[0] if hasattr(held, "storage") else next(arguments))
    return _walk(graph, values, [graph.outputs[k] for k in graph.update_mapping])


def _walk(graph: Any, values: dict[Any, Any], new: Sequence[Any] = ()) -> Figures:
    """Run a graph whose inputs have ``values``, adding up what its nodes cost; ``new``: of shared variables."""
    order = graph.toposort()
    last = {v: k for k, node in enumerate(order) for v in node.inputs}
    owner: dict[Any, Any] = {}  # the result whose memory a variable lies in; None for what came from outside
    live: dict[Any, int] = {}
    count = moved = 0
    history: list[dict[Any, int]] = []
    for k, node in enumerate(order):
        inputs = [values[v] if v in values else v.data for v in node.inputs]
        outputs, inner = _run(node, inputs)
        values.update(zip(node.outputs, outputs, strict=True))
        views = {i: [*at] for i, at in {**node.op.view_map, **node.op.destroy_map}.items()}
        for i, variable in enumerate(node.outputs):
            owner[variable] = owner.get(node.inputs[views[i][0]]) if i in views else variable
            if i not in views:
                live[variable] = _size(outputs[i])
        if not node.op.view_map:
            count += inner.instructions or 1
            moved += inner.moved or _moved(node, inputs, outputs)
        history.append({**live, node: inner.peak})
        held = {owner.get(v) for v in values if last.get(v, -1) > k or v in graph.outputs}
        live = {v: n for v, n in live.items() if v in held}
    kept = {owner.get(v) for v in new} - {None}
    peak = max((sum(n for v, n in then.items() if v not in kept) for then in history), default=0)
    return Figures(count, moved, peak, sum(_size(values[v]) for v in kept))


def _run(node: Any, inputs: list[Any]) -> tuple[list[Any], Figures]:
    """Results of a node, and what its inner graph costs: of a loop, with the loop itself, or of a composed op."""
    from pytensor.compile.builders import OpFromGraph
    from pytensor.scan.op import Scan

    if isinstance(node.op, OpFromGraph):
        values = {v: np.copy(x) for v, x in zip(node.op.fgraph.inputs, inputs, strict=True)}
        inner = _walk(node.op.fgraph, values)
        results = [values[v] for v in node.op.fgraph.outputs]
        return results, inner._replace(peak=inner.peak - sum(map(_size, results)))
    if isinstance(node.op, Scan):
        return _loop(node.op, inputs)
    storage = {v: [x.copy() if isinstance(x, np.ndarray) else x] for v, x in zip(node.inputs, inputs, strict=True)}
    storage.update({v: [None] for v in node.outputs})
    computed = {v: [True] for v in node.inputs} | {v: [False] for v in node.outputs}
    node.op.make_thunk(node, storage, computed, no_recycling=[], impl="py")()
    return [storage[v][0] for v in node.outputs], Figures(0, 0, 0)


def _loop(op: Any, inputs: list[Any]) -> tuple[list[Any], Figures]:
    """Arrays of the sizes of a loop's results, and its cost: one step is run, which has the sizes of all."""
    steps, of = int(inputs[0]), op.get_oinp_iinp_iout_oout_mappings()
    values = {}
    for k, variable in enumerate(op.fgraph.inputs):
        x = inputs[of["outer_inp_from_inner_inp"][k]]
        values[variable] = np.copy(x[0] if x.ndim > variable.type.ndim else x)
    inner = _walk(op.fgraph, values)
    outputs = []
    for k, source in of["outer_inp_from_outer_out"].items():
        made = of["inner_out_from_outer_out"][k][-1]
        one = values[op.fgraph.outputs[made]]
        state = source >= 0 and np.ndim(inputs[source]) > 0  # else every step's result, the input being their number
        outputs.append(np.copy(inputs[source]) if state else np.zeros((steps, *np.shape(one)), one.dtype))
    return outputs, Figures(inner.instructions + 1, inner.moved * steps, inner.peak)


def _size(x: Any) -> int:
    return int(getattr(x, "nbytes", 0))


def _moved(node: Any, inputs: list[Any], outputs: list[Any]) -> int:
    """Bytes that a node reads and writes."""
    name, destroys = type(node.op).__name__, bool(node.op.destroy_map)
    if name == "AllocEmpty":
        return 0
    if name in ("AdvancedSubtensor", "AdvancedSubtensor1"):
        return sum(map(_size, inputs[1:])) + 2 * _size(outputs[0])
    if name in ("IncSubtensor", "AdvancedIncSubtensor", "AdvancedIncSubtensor1"):
        setting = getattr(node.op, "set_instead_of_inc", False)
        copied = 0 if destroys else 2 * _size(outputs[0])
        return copied + sum(map(_size, inputs[2:])) + (2 if setting else 3) * _size(inputs[1])
    read = {v: _size(x) for v, x in zip(node.inputs, inputs, strict=True)}
    return sum(read.values()) + sum(map(_size, outputs))


def measure(work: str, targets: list[str], modes: list[str], seconds: float) -> dict[str, tuple[Figures, float]]:
    """Figures and the median time of a call, by implementation."""
    import tinygraph

    steps = {}
    for target in targets:
        library = pytensor_steps.Tinygraph()
        steps[f"tinygraph {target}"] = pytensor_steps.build(work, library, mode=tinygraph.Mode(target=target))
    for mode in modes:
        steps[f"PyTensor {mode}"] = pytensor_steps.build(work, pytensor_steps.PyTensor(), mode=mode)
    for step in steps.values():
        step()
    times = compare(steps, seconds) if seconds else dict.fromkeys(steps, 0.0)
    count = {"tinygraph": of_tinygraph, "PyTensor": of_pytensor}
    return {name: (count[name.split()[0]](step), times[name]) for name, step in steps.items()}


def page(results: dict[str, dict[str, tuple[Figures, float]]], versions: str) -> str:
    """The results as Markdown."""
    lines = [
        "# tinygraph and PyTensor on the same graphs", "",
        f"Printed by `python -m tests.benchmarks.pytensor_compare --markdown docs/pytensor.md` on "
        f"{time.strftime('%Y-%m-%d')}: {versions}, {platform.machine()}. Graphs are built by one text for both "
        "(`tests/benchmarks/pytensor_steps.py`), optimised by FAST_RUN; NUMBA is PyTensor's default, CVM its C linker. Both "
        "counted by one convention, which the script states; times are medians, all taking turns.", "",
        "| work | implementation | instructions | kB moved | kB at peak | kB apart | time |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for work, rows in results.items():
        for name, (f, t) in rows.items():
            duration = f"{t * 1e6:.1f} us" if t < 1e-3 else f"{t * 1e3:.2f} ms"
            sizes = " | ".join(f"{n / 1e3:.1f}" for n in f[1:])
            lines.append(f"| {work} | {name} | {f.instructions} | {sizes} | {duration} |")
    lines += [
        "", "An instruction is a node of PyTensor's function that does work, or an instruction of tinygraph's program; kB "
        "moved count each instruction's operands and results once; the peak is that of temporaries and outputs. Apart "
        "are new values of shared variables that are not written over the old ones: tinygraph keeps them apart until a call "
        "has succeeded, so that one that fails changes nothing; whoever compares memory as a whole adds the two columns. "
        "PyTensor's C linker writes a product over the parameter itself (`Gemm{inplace}`); the llvm target computes gradient "
        "and new value of a parameter in one pass, the numpy target, whose products are BLAS's, in two.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.pytensor_compare", description=__doc__)
    parser.add_argument("--only", help="works whose name contains this")
    parser.add_argument("--seconds", type=float, default=2.0, help="time spent on each candidate; 0 only counts")
    parser.add_argument("--modes", default=",".join(pytensor_steps.MODES), help="PyTensor's modes (default %(default)s)")
    parser.add_argument("--markdown", type=Path, help="write the results to this file as a page of the documentation")
    args = parser.parse_args()
    import pytensor

    from tests.benchmarks.__main__ import targets

    results = {}
    for work in pytensor_steps.WORKS:
        if args.only and args.only not in work:
            continue
        results[work] = measure(work, targets(), args.modes.split(","), args.seconds)
        for name, (f, t) in results[work].items():
            print(f"{work:20s} {name:18s} {f.instructions:4d} instructions {f.moved:12,} bytes moved {f.peak:11,} at peak "
                  f"{f.apart:11,} apart {t * 1e6:10.1f} us", flush=True)  # fmt: skip
    if args.markdown:
        versions = f"PyTensor {pytensor.__version__}, NumPy {np.__version__}, Python {platform.python_version()}"
        args.markdown.write_text(page(results, versions), encoding="utf-8")


if __name__ == "__main__":
    main()
