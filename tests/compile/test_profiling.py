"""Profiles: what is counted, the text, and the trace."""

import json
import re

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import Mode, function
from tinygraph.compile.profiling import Profile, cost
from tinygraph.program.instructions import Group


def profiled(target):
    if target == "llvm":
        pytest.importorskip("llvmlite", reason="the llvm target needs llvmlite")
    x = T.matrix("x")
    f = function([x], T.exp(T.dot(x, x)).sum(axis=1), profile=True, mode=Mode(target=target), name="demo")
    for _ in range(3):
        f(np.ones((20, 20)))
    return f


@pytest.mark.parametrize("target", ["numpy", "llvm"])
def test_instructions_calls_and_overhead_are_counted(target):
    f = profiled(target)
    assert f.profile.calls == 3
    assert all(e.calls == 3 for e in f.profile.entries.values())
    assert 0 < f.profile.instruction_seconds <= f.profile.call_seconds
    assert any(name == "merge" for name, _ in f.profile.passes)


def test_summary_names_ops_lines_and_the_roofline():
    text = profiled("numpy").profile.summary()
    for part in ("profile of demo: 3 calls", "by instruction", "by op class", "by line", "GFLOP/s in products of float32", "Dot",
                 "test_profiling.py", "pass merge"):  # fmt: skip
        assert part in text


@pytest.mark.parametrize("target", ["numpy", "llvm"])
def test_making_the_program_is_no_overhead_of_calls_and_shown_by_step(target):
    f = profiled(target)
    text = f.profile.summary()
    shown = {name: float(ms) for name, ms in re.findall(r"step (.+?) +([0-9.]+) ms", text)}
    assert {"lower", "fuse", "plan memory", "print code"} <= set(shown)
    assert sum(shown.values()) == pytest.approx(f.profile.lower_seconds * 1e3, abs=0.1)
    total, inside, overhead = (float(re.search(rf"{what} ([0-9.]+) s", text)[1]) for what in ("calls,", "instructions", "overhead"))
    assert inside + overhead == pytest.approx(total, abs=1e-5)
    assert total == pytest.approx(f.profile.call_seconds - f.profile.lower_seconds, abs=1e-5)


def test_flops_and_bytes_of_a_product():
    f = profiled("numpy")
    program = next(iter(f._programs.values())).program
    product = next(i for i in program.instructions if isinstance(i, Group) and i.label == "Dot")
    assert cost(product) == (2 * 20**3, 2 * 20 * 20 * 8)  # x is read once, the result written once


def test_the_trace_opens_as_chrome_trace_events(tmp_path):
    f = profiled("numpy")
    f.profile.chrome_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    events = [e for e in events if e["ph"] == "X"]
    assert len(events) == 3 * len(f.profile.entries)
    assert {"name", "ph", "ts", "dur", "pid", "tid"} <= set(events[0]) and events[0]["ph"] == "X"


@pytest.mark.parametrize("target", ["numpy", "llvm"])
def test_the_trace_keeps_to_the_format(tmp_path, target):
    """Google's "Trace Event Format": a JSON object, complete events in microseconds, nested or apart on each thread."""
    profiled(target).profile.chrome_trace(tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"), parse_constant=lambda name: pytest.fail(name))
    assert set(trace) <= {"traceEvents", "displayTimeUnit", "otherData", "systemTraceEvents", "stackFrames"}
    assert trace["displayTimeUnit"] in ("ms", "ns")
    for e in trace["traceEvents"]:
        assert e["ph"] in "BEXiICnbeSTFpPMNODstfvVR" and len(e["ph"]) == 1
        assert isinstance(e["name"], str) and isinstance(e["pid"], int) and isinstance(e["tid"], int)
        if e["ph"] == "X":
            assert e["ts"] >= 0 and e["dur"] >= 0 and isinstance(e["cat"], str) and isinstance(e["args"], dict)
        if e["ph"] == "M":
            assert e["name"] in ("process_name", "thread_name") and isinstance(e["args"]["name"], str)
    spans = sorted((e["ts"], e["ts"] + e["dur"]) for e in trace["traceEvents"] if e["ph"] == "X")
    assert all(end <= begin + 1e-3 for (_, end), (begin, _) in zip(spans, spans[1:], strict=False))


def test_functions_may_share_a_profile():
    shared_profile = Profile("both")
    x = T.vector("x")
    for k in (1, 2):
        function([x], x * k, profile=shared_profile)(np.ones(3))
    assert shared_profile.calls == 2


def test_without_profile_there_is_none():
    x = T.vector("x")
    assert function([x], x * 2).profile is None


def test_memory_reports_peak_and_lower_bound():
    memory = profiled("numpy").memory()
    assert 0 < memory["lower_bound"] <= memory["peak"]
