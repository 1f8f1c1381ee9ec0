"""What every demo compiles: its graphs and programs compute nothing twice and keep nothing that is unused."""

import contextlib
import pkgutil

import pytest

import tinygraph
from tinygraph import cli, demos
from tinygraph.compile.compiled import CompiledFunction
from tinygraph.demos.harness import pictures
from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.graph.traversal import ancestors, toposort
from tinygraph.graph.variable import Constant
from tinygraph.lower.repeats import without_repeats
from tinygraph.passes.rewrite import Context
from tinygraph.program.instructions import Branch, Group, Loop, Nest
from tinygraph.scan.op import Scan

#: each demo with what makes it small
DEMOS = {
    "lenet": ["--epochs", "1"], "mlp": ["--epochs", "1"], "logistic": ["--epochs", "1"],
    "network3": ["--epochs", "1", "--batch-size", "10"], "moons": ["--steps", "2"], "numpy-cnn": ["--epochs", "1"],
    "tf-cnn": ["--epochs", "1", "--filters", "2"], "pytorch-mnist": ["--epochs", "1"],
    "char-rnn": ["--steps", "2", "--seq-length", "5"], "scan-examples": ["--steps", "3"],
}  # fmt: skip


class _EnoughError(BaseException):
    """A demo has called its functions often enough for each to have a program."""


@pytest.fixture(scope="module", params=DEMOS)
def compiled(request, tmp_path_factory):
    """The functions that a demo compiles, after a few calls."""
    folder = tmp_path_factory.mktemp("demo")
    found = []
    extra = []
    if request.param == "char-rnn":
        text = folder / "text.txt"
        text.write_text("She sells sea shells by the sea shore. " * 40)
        extra = ["--text", str(text)]
    with pytest.MonkeyPatch.context() as patch:
        function, call = tinygraph.function, CompiledFunction.__call__

        def keep(*args, **kwargs):
            found.append(function(*args, **kwargs))
            return found[-1]

        def count(self, *args, **kwargs):
            result = call(self, *args, **kwargs)
            count.calls += 1
            if count.calls > 3:
                raise _EnoughError
            return result

        count.calls = 0
        patch.setattr(tinygraph, "function", keep)
        patch.setattr(CompiledFunction, "__call__", count)
        patch.setattr(pictures, "draw_all", lambda *args: None)
        with contextlib.suppress(_EnoughError):
            out = [] if request.param in ("network3", "scan-examples") else ["--out", str(folder / "out")]
            cli.main(["demo", request.param, *DEMOS[request.param], *out, *extra])
    assert found
    return found


def test_every_demo_is_among_them():
    modules = {m.name.replace("_", "-") for m in pkgutil.iter_modules(demos.__path__) if not m.ispkg}
    assert set(DEMOS) == modules


def graphs(f):
    """The function's graph, and those of its loops' steps."""
    stack = [f.fgraph]
    while stack:
        g = stack.pop()
        yield g
        stack += [FunctionGraph(list(n.op.inner.inputs), list(n.op.inner.outputs))
                  for n in g.apply_nodes if isinstance(n.op, Scan)]  # fmt: skip


def test_no_node_is_computed_twice(compiled):
    for g in (g for f in compiled for g in graphs(f)):
        driver = Context(g).driver
        signatures = [driver.signature(n) for n in g.apply_nodes]
        assert len(set(signatures)) == len(signatures)
        constants = [(v.type, v.signature()) for v in g.clients if isinstance(v, Constant)]
        assert len(set(constants)) == len(constants)


def test_no_node_is_unused(compiled):
    for g in (g for f in compiled for g in graphs(f)):
        assert set(g.apply_nodes) == set(toposort(g.outputs))
        needed = set(ancestors(g.outputs))
        assert all(v in needed or v in g.inputs or v.owner is not None for v in g.clients)


def nests(block):
    """The nests of a block in order; nested blocks as they are."""
    return [n for i in block for n in (i.nests if isinstance(i, Group) else [i])]


def blocks(block):
    yield block
    for i in block:
        if isinstance(i, Loop):
            yield from blocks(i.body)
        elif isinstance(i, Branch):
            yield from blocks(i.then)
            yield from blocks(i.otherwise)


def test_no_loop_nest_is_computed_twice_and_no_temporary_is_written_for_nobody(compiled):
    programs = [p.program for f in compiled for p in f._programs.values()]
    assert programs
    for program in programs:
        every = [i for block in blocks(program.instructions) for i in nests(block)]
        writers, read = {}, set()
        for i in every:
            read |= {b for b in i.reads()}
            if isinstance(i, Nest):
                writers[i.out.buffer] = writers.get(i.out.buffer, 0) + 1
            if isinstance(i, Loop):
                read |= {r.buffer for r in (i.until, i.limit, i.steps_taken) if r is not None}
        kept = {r.buffer for r in (*program.outputs, *program.updates)}
        for block in blocks(program.instructions):
            flat = [i for i in nests(block) if isinstance(i, Nest)]
            assert len(without_repeats(flat, writers, kept)) == len(flat)
        unread = [n for n in every if isinstance(n, Nest) and n.out.buffer.kind == "temp"
                  and n.out.buffer not in read and n.out.buffer not in kept]  # fmt: skip
        assert not unread
