"""The works in PyTorch: for each, its variants (eager, channels-last, torch.compile) as callables of one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from tests.benchmarks import shapes

Step = Callable[[], Any]


def _trainer(model: nn.Module, x: Any, y: Any, optimiser: Any) -> Step:
    def step() -> float:
        optimiser.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return step


def _images(batch: int) -> tuple[Any, Any]:
    x, y = shapes.images(batch)
    return torch.from_numpy(x), torch.from_numpy(y).long()


def _lenet_model() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Tanh(), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.Tanh(),
        nn.Flatten(), nn.Linear(800, 500), nn.Tanh(), nn.Linear(500, 10),
    )  # fmt: skip


def _variants(make: Callable[[], nn.Module], x: Any, y: Any, rule: Any, last: bool = False) -> dict[str, Step]:
    """A training step run eagerly, by torch.compile, and for images also with the channels last."""
    eager, compiled = make(), make()
    out = {
        "eager": _trainer(eager, x, y, rule(eager.parameters())),
        "compile": _trainer(torch.compile(compiled), x, y, rule(compiled.parameters())),
    }
    if last:
        model = make().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        data = x.contiguous(memory_format=torch.channels_last)
        out["channels-last"] = _trainer(model, data, y, rule(model.parameters()))
    return out


def _descent(parameters: Any) -> Any:
    return torch.optim.SGD(parameters, 0.1)


def lenet(batch: int = shapes.LENET_BATCH) -> dict[str, Step]:
    x, y = _images(batch)
    return _variants(_lenet_model, x.reshape(batch, 1, 28, 28), y, _descent, last=True)


def network3(batch: int = shapes.NETWORK3_BATCH) -> dict[str, Step]:
    def model() -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Sigmoid(), nn.Flatten(), nn.Linear(2880, 100),
                             nn.Sigmoid(), nn.Linear(100, 10))  # fmt: skip

    x, y = _images(batch)
    return _variants(model, x.reshape(batch, 1, 28, 28), y, _descent, last=True)


def cnn(batch: int = shapes.CNN_BATCH) -> dict[str, Step]:
    def model() -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.ReLU(),
                             nn.MaxPool2d(2), nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10))  # fmt: skip

    x, y = _images(batch)
    return _variants(model, x.reshape(batch, 1, 28, 28), y, lambda p: torch.optim.SGD(p, 0.01, momentum=0.5), last=True)


def mlp(batch: int = shapes.MLP_BATCH) -> dict[str, Step]:
    def model() -> nn.Module:
        return nn.Sequential(nn.Dropout(0.2), nn.Linear(784, 625), nn.ReLU(), nn.Dropout(0.5), nn.Linear(625, 625),
                             nn.ReLU(), nn.Dropout(0.5), nn.Linear(625, 10))  # fmt: skip

    x, y = _images(batch)
    return _variants(model, x, y, lambda p: torch.optim.RMSprop(p, lr=0.001, alpha=0.9, eps=1e-6))


class _Recurrent(nn.Module):
    """One-hot letters in, logits of the next letters out."""

    def __init__(self, size: shapes.Recurrent, cell: Any):
        super().__init__()
        self.size, self.fused = size, cell is not nn.Linear
        self.embed = nn.Embedding(size.vocabulary, size.hidden)
        self.cell: Any = cell(size.hidden, size.hidden)
        self.out = nn.Linear(size.hidden, size.vocabulary)

    def forward(self, x: Any) -> Any:
        e = self.embed(x)
        if self.fused:
            hidden, _ = self.cell(e)
        else:
            h = torch.zeros(x.shape[1], self.size.hidden)
            states = []
            for t in range(x.shape[0]):
                h = torch.tanh(e[t] + self.cell(h))
                states.append(h)
            hidden = torch.stack(states)
        return self.out(hidden).reshape(-1, self.size.vocabulary)


def rnn(size: shapes.Recurrent) -> dict[str, Step]:
    return {**_recurrent(size, "eager", nn.Linear), **_recurrent(size, "nn.RNN", nn.RNN)}


def growing_rnn(size: shapes.Recurrent) -> dict[str, Step]:
    return _recurrent(size, "nn.RNN", nn.RNN)


def lstm(size: shapes.Recurrent) -> dict[str, Step]:
    return _recurrent(size, "nn.LSTM", nn.LSTM)


def gru(size: shapes.Recurrent) -> dict[str, Step]:
    return _recurrent(size, "nn.GRU", nn.GRU)


def _recurrent(size: shapes.Recurrent, name: str, cell: Any) -> dict[str, Step]:
    letters, following = (torch.from_numpy(v).long() for v in shapes.text(size))
    model = _Recurrent(size, cell)
    return {name: _trainer(model, letters, following.reshape(-1), _descent(model.parameters()))}


def _both(run: Step) -> dict[str, Step]:
    return {"eager": run, "compile": torch.compile(run)}


def elementwise(n: int = shapes.ELEMENTS) -> dict[str, Step]:
    x = torch.rand(n)

    def run() -> Any:
        return torch.exp(-x * x) * torch.sin(x) + torch.log1p(x) * torch.sqrt(x + 1)

    return _both(run)


def softmax_cross_entropy(shape: tuple[int, int] = shapes.SOFTMAX) -> dict[str, Step]:
    x = torch.randn(shape, requires_grad=True)
    y = torch.randint(0, shape[1], (shape[0],))

    def run() -> Any:
        x.grad = None
        loss = F.cross_entropy(x, y)
        loss.backward()
        return x.grad

    return _both(run)


def reduction(axis: int | None, shape: tuple[int, int] = shapes.REDUCED) -> dict[str, Step]:
    x = torch.rand(shape)
    return _both(lambda: x.sum() if axis is None else x.sum(axis))


def layer_norm(shape: tuple[int, int] = shapes.NORMALISED) -> dict[str, Step]:
    x, scale, shift = (torch.randn(s, requires_grad=True) for s in (shape, shape[1], shape[1]))
    above = torch.randn(shape)

    def run() -> Any:
        x.grad = scale.grad = shift.grad = None
        out = F.layer_norm(x, shape[1:], scale, shift, 1e-5)
        out.backward(above)
        return out

    return _both(run)
