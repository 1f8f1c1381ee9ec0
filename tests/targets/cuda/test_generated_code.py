"""NVRTC compiles what the target prints, for every architecture; nothing spills."""

import sys
from pathlib import Path

import numpy as np
import pytest

import tinygraph
import tinygraph.tensor as T
from tinygraph.compile.mode import Mode
from tinygraph.config import config
from tinygraph.targets.cuda import modules, nvrtc
from tinygraph.targets.cuda.executable import CudaExecutable

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tensor"))

needs_nvrtc = pytest.mark.skipif(not nvrtc.available(), reason="NVRTC is not installed")
ARCHITECTURES = ["sm_75", "sm_80", "sm_90"]


class PrintingDevice:
    """A device that prints and compiles nothing: what its programs would run is kept."""

    name, blocks, threads, arch = "cuda:0", 528, 256, "sm_80"

    def __init__(self):
        self.sources = {}

    def compile(self, source, options=()):
        self.sources[source] = tuple(options)
        return self

    def function(self, name):
        return None

    def is_array(self, x):
        return False

    def routine(self, name):
        return None


def printed(inputs, outputs, *arrays, updates=()):
    """The sources of one function, with their options."""
    from tinygraph.compile.compiled import _layout
    from tinygraph.graph.shared import SharedVariable
    from tinygraph.lower.specialise import specialise

    f = tinygraph.function(inputs, outputs, updates=list(updates), mode=Mode(target="numpy"), on_unused_input="ignore")
    shared = [v.container.value for v in f.shared]
    assert all(isinstance(v, SharedVariable) for v in f.shared)
    args = [*arrays, *shared]
    runtime = f.sizes.resolve(f.sizes.key(args)) if f._has_runtime else {}
    program = specialise("printed", f.nodes, f.fgraph.inputs, f.shared, f.fgraph.outputs[: f.n_outputs],
                         f.fgraph.outputs[f.n_outputs :], [_layout(x) for x in args], runtime)  # fmt: skip
    device = PrintingDevice()
    modules.forget(device)
    e = CudaExecutable(program, device, f.options)
    modules.forget(device)
    return e, device.sources


def lenet():
    from tinygraph.demos.lenet import LeNet

    with config.change(floatX="float32"):
        x, y = T.matrix("x"), T.ivector("y")
        network = LeNet(np.random.RandomState(0), x)
        grads = T.grad(network.cost(y), network.params)
        changes = [(p, p - 0.1 * g) for p, g in zip(network.params, grads, strict=True)]
        return printed([x, y], [network.cost(y)], np.zeros((500, 784), "float32"), np.zeros(500, "int32"), updates=changes)


@needs_nvrtc
@pytest.mark.parametrize("arch", ["sm_80", *(pytest.param(a, marks=pytest.mark.slow) for a in ("sm_75", "sm_90"))])
def test_a_training_step_of_lenet_compiles_without_spills(arch):
    _, sources = lenet()
    assert len(sources) >= 2, "elementwise kernels, and contractions by tile"
    for source, options in sources.items():
        for name, usage in nvrtc.compile_source(source, arch, options).usage.items():
            assert not usage.spills, f"{name} on {arch}"


@needs_nvrtc
@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("part", range(10))
def test_every_op_compiles(arch, part):
    from cuda_suite.ops import BATCHES, graph_of

    if part >= len(BATCHES):
        pytest.skip("there are fewer batches of ops")
    graphs = [graph_of(case) for case in BATCHES[part]]
    arrays = [a for case in BATCHES[part] for a in case.arrays]
    _, sources = printed([x for xs, _ in graphs for x in xs], [y for _, ys in graphs for y in ys], *arrays)
    for source, options in sources.items():
        nvrtc.compile_source(source, arch, options)
