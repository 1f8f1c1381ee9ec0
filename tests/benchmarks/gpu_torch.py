"""The GPU's works in PyTorch, each eager and compiled (default; with CUDA graphs by max-autotune)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tests.benchmarks import shapes
from tests.benchmarks.torch_steps import _lenet_model, _Recurrent

Step = Callable[[], Any]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def _variants(make: Callable[[Callable[[Any], Any]], Step], compiled: bool) -> dict[str, Step]:
    """``make(wrap)`` for each way to wrap a model or function."""
    ways: dict[str, Callable[[Any], Any]] = {"eager": lambda f: f}
    if compiled:
        ways["compile"] = torch.compile
        ways["max-autotune"] = lambda f: torch.compile(f, mode="max-autotune")
    return {name: make(wrap) for name, wrap in ways.items()}


def _training(model: Callable[[], nn.Module], x: Any, y: Any, rule: Callable[..., Any], compiled: bool) -> dict[str, Step]:
    x, y = x.to(DEVICE), y.to(DEVICE)

    def make(wrap: Callable[[Any], Any]) -> Step:
        network = model().to(DEVICE)
        forward, optimiser = wrap(network), rule(network.parameters())

        def step() -> float:
            optimiser.zero_grad(set_to_none=True)
            loss = F.cross_entropy(forward(x), y)
            loss.backward()
            optimiser.step()
            return float(loss.detach())

        return step

    return _variants(make, compiled)


def _descent(parameters: Any) -> Any:
    return torch.optim.SGD(parameters, 0.1)


def _images(batch: int) -> tuple[Any, Any]:
    x, y = shapes.images(batch)
    return torch.from_numpy(x), torch.from_numpy(y).long()


def lenet(batch: int, compiled: bool) -> dict[str, Step]:
    x, y = _images(batch)
    return _training(_lenet_model, x.reshape(batch, 1, 28, 28), y, _descent, compiled)


def network3(batch: int, compiled: bool) -> dict[str, Step]:
    x, y = _images(batch)

    def model() -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Sigmoid(), nn.Flatten(), nn.Linear(2880, 100),
                             nn.Sigmoid(), nn.Linear(100, 10))  # fmt: skip

    return _training(model, x.reshape(batch, 1, 28, 28), y, _descent, compiled)


def mlp(batch: int, compiled: bool) -> dict[str, Step]:
    def model() -> nn.Module:
        return nn.Sequential(nn.Dropout(0.2), nn.Linear(784, 625), nn.ReLU(), nn.Dropout(0.5), nn.Linear(625, 625),
                             nn.ReLU(), nn.Dropout(0.5), nn.Linear(625, 10))  # fmt: skip

    def rule(parameters: Any) -> Any:
        return torch.optim.RMSprop(parameters, lr=0.001, alpha=0.9, eps=1e-6)

    return _training(model, *_images(batch), rule, compiled)


def rnn(size: shapes.Recurrent, compiled: bool) -> dict[str, Step]:
    letters, following = (torch.from_numpy(v).long() for v in shapes.text(size))
    return _training(lambda: _Recurrent(size, nn.RNN), letters, following.reshape(-1), _descent, compiled)


def lstm(size: shapes.Recurrent, compiled: bool) -> dict[str, Step]:
    letters, following = (torch.from_numpy(v).long() for v in shapes.text(size))
    return _training(lambda: _Recurrent(size, nn.LSTM), letters, following.reshape(-1), _descent, compiled)


def elementwise(n: int, compiled: bool) -> dict[str, Step]:
    x = torch.rand(n, device=DEVICE)

    def work() -> Any:
        return torch.exp(-x * x) * torch.sin(x) + torch.log1p(x) * torch.sqrt(x + 1)

    return _variants(lambda wrap: wrap(work), compiled)


def softmax_cross_entropy(shape: tuple[int, int], compiled: bool) -> dict[str, Step]:
    x = torch.rand(shape, device=DEVICE, requires_grad=True)
    y = torch.randint(0, shape[1], (shape[0],), device=DEVICE)

    def make(wrap: Callable[[Any], Any]) -> Step:
        loss = wrap(lambda v: F.cross_entropy(v, y))
        return lambda: torch.autograd.grad(loss(x), x)

    return _variants(make, compiled)


def _convolved(batch: int, channels: int, size: int, filters: int, kernel: int, stride: int, padding: int) -> Any:
    """Input, filters, a gradient of the result, and the options of the convolution."""
    x = torch.rand(batch, channels, size, size, device=DEVICE)
    w = torch.rand(filters, channels, kernel, kernel, device=DEVICE)
    out = (size + 2 * padding - kernel) // stride + 1
    return x, w, torch.rand(batch, filters, out, out, device=DEVICE), {"stride": stride, "padding": padding}


def convolution(*sizes: int, compiled: bool) -> dict[str, Step]:
    x, w, _, options = _convolved(*sizes)
    return {"eager": lambda: F.conv2d(x, w, **options)}


def convolution_to_input(*sizes: int, compiled: bool) -> dict[str, Step]:
    x, w, g, options = _convolved(*sizes)
    return {"eager": lambda: torch.nn.grad.conv2d_input(x.shape, w, g, **options)}


def convolution_to_filters(*sizes: int, compiled: bool) -> dict[str, Step]:
    x, w, g, options = _convolved(*sizes)
    return {"eager": lambda: torch.nn.grad.conv2d_weight(x, w.shape, g, **options)}


def synchronize() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def seed() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True  # its best algorithm for each shape
