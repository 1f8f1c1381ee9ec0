"""Every kind of kernel: the same results with vectors of 128, 256 and 512 bits, code for aarch64, and a source to read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from tests.targets.llvm import kinds_of_kernels as kinds  # noqa: E402
from tinygraph import Mode, function  # noqa: E402
from tinygraph.targets.llvm import executable, printed  # noqa: E402
from tinygraph.targets.llvm import machine as vm  # noqa: E402
from tinygraph.targets.llvm.engine import Engine, Target, host_target  # noqa: E402


@dataclass(frozen=True)
class Narrow(Target):
    """A processor with registers of so many bits."""

    bits: int = 128

    @property
    def vector_bits(self) -> int:
        return self.bits


def use(monkeypatch, engine):
    """Let ``engine`` compile from here on, and nothing that another has compiled be taken."""
    engine.symbols.update(vm.machine().pool.symbols)
    monkeypatch.setattr(vm, "engine", lambda: engine)
    monkeypatch.setattr(printed, "_kernels", {})
    monkeypatch.setattr(executable, "_libraries", {})


def results(kind):
    """What a program returns, and its shared variables after the call."""
    f, values, shareds = kinds.KINDS[kind]()
    outs = f(*values)
    return [*(outs if isinstance(outs, list) else [outs]), *(s.get_value() for s in shareds)]


def expected(kind, monkeypatch):
    """The same from the numpy target."""

    def made(inputs, outputs, updates=()):
        return function(inputs, outputs, updates=updates, mode=Mode(target="numpy"), on_unused_input="ignore")

    with monkeypatch.context() as patch:
        patch.setattr(kinds, "made", made)
        return results(kind)


@pytest.mark.parametrize("bits", [128, 256, 512])
@pytest.mark.parametrize("kind", kinds.KINDS)
def test_results_are_those_of_the_numpy_target_in_every_width(kind, bits, monkeypatch):
    host = host_target()
    wanted = expected(kind, monkeypatch)
    use(monkeypatch, Engine(Narrow(host.triple, host.cpu, host.features, bits)))
    for a, b in zip(results(kind), wanted, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=3e-5 * max(1.0, float(np.abs(b).max(initial=0))))


class Printed(Exception):
    """All kernels of a program have been printed."""


class Foreign(Engine):
    """Compiles for a processor that is not this one, and links nothing."""

    def __init__(self, target):
        super().__init__(target)
        self.assemblies = []

    def load(self, source, exports, key=None):
        text = str(source() if callable(source) else source)
        self.assemblies.append(self.assembly(text))
        return Unlinked()


class Unlinked:
    def address(self, name):
        return 8


@pytest.mark.parametrize("checked", [False, True], ids=["", "checked"])
@pytest.mark.parametrize("kind", kinds.KINDS)
def test_code_for_aarch64_comes_of_every_kind(kind, checked, monkeypatch):
    engine = Foreign(Target("aarch64-unknown-linux-gnu", "neoverse-n1", "+neon"))
    use(monkeypatch, engine)
    start = executable.LlvmExecutable.__init__

    def printed_only(self, *args, **more):
        start(self, *args, **more)
        raise Printed

    monkeypatch.setattr(executable.LlvmExecutable, "__init__", printed_only)
    with kinds.config.change(bounds_check=checked, threads=2):
        f, values, _ = kinds.KINDS[kind]()
        with pytest.raises(Printed):
            f(*values)
    assert engine.assemblies
    for text in engine.assemblies:
        assert "kernel:" in text and "ret" in text
        assert "xmm" not in text and "zmm" not in text


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_the_source_has_every_kernel_as_it_was_printed_and_as_machine_code(kind):
    found = kinds.built(kind, bounds_check=False)
    source, assembly = found.f.source(), found.f.source("asm")
    assert all(text in source for text in found.texts)
    assert source.count("define void") >= len(found.texts) == assembly.count("kernel:\n")
    names = [line for line in source.splitlines() if line.startswith("; ") and not line.startswith("; ModuleID")]
    assert len(names) >= len(found.texts) and not any(name.strip() == ";" for name in names)
