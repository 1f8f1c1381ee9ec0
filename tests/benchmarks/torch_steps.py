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


def lenet(batch: int = shapes.LENET_BATCH, compiled: bool = False) -> dict[str, Step]:
    x, y = _images(batch)
    x = x.reshape(batch, 1, 28, 28)
    out = {}
    for name, memory in (("eager", torch.contiguous_format), ("channels-last", torch.channels_last)):
        model = _lenet_model().to(memory_format=memory)
        data = x.contiguous(memory_format=memory)
        out[name] = _trainer(model, data, y, torch.optim.SGD(model.parameters(), 0.1))
    if compiled:
        model = _lenet_model()
        fast = torch.compile(model)
        out["compile"] = _trainer(fast, x, y, torch.optim.SGD(model.parameters(), 0.1))
    return out


def network3(batch: int = shapes.NETWORK3_BATCH) -> dict[str, Step]:
    x, y = _images(batch)
    model = nn.Sequential(nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Sigmoid(), nn.Flatten(), nn.Linear(2880, 100),
                          nn.Sigmoid(), nn.Linear(100, 10))  # fmt: skip
    return {"eager": _trainer(model, x.reshape(batch, 1, 28, 28), y, torch.optim.SGD(model.parameters(), 0.1))}


def mlp(batch: int = shapes.MLP_BATCH) -> dict[str, Step]:
    x, y = _images(batch)
    model = nn.Sequential(nn.Dropout(0.2), nn.Linear(784, 625), nn.ReLU(), nn.Dropout(0.5), nn.Linear(625, 625),
                          nn.ReLU(), nn.Dropout(0.5), nn.Linear(625, 10))  # fmt: skip
    rule = torch.optim.RMSprop(model.parameters(), lr=0.001, alpha=0.9, eps=1e-6)
    return {"eager": _trainer(model, x, y, rule)}


class _Recurrent(nn.Module):
    """One-hot letters in, logits of the next letters out."""

    def __init__(self, size: shapes.Recurrent, fused: bool):
        super().__init__()
        self.size, self.fused = size, fused
        self.embed = nn.Embedding(size.vocabulary, size.hidden)
        self.cell: Any = nn.RNN(size.hidden, size.hidden) if fused else nn.Linear(size.hidden, size.hidden)
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
    letters, following = (torch.from_numpy(v).long() for v in shapes.text(size))
    out = {}
    for name, fused in (("eager", False), ("nn.RNN", True)):
        model = _Recurrent(size, fused)
        out[name] = _trainer(model, letters, following.reshape(-1), torch.optim.SGD(model.parameters(), 0.1))
    return out


def elementwise(n: int = shapes.ELEMENTS) -> dict[str, Step]:
    x = torch.rand(n)

    def run() -> Any:
        return torch.exp(-x * x) * torch.sin(x) + torch.log1p(x) * torch.sqrt(x + 1)

    return {"eager": run}


def softmax_cross_entropy(shape: tuple[int, int] = shapes.SOFTMAX) -> dict[str, Step]:
    x = torch.randn(shape, requires_grad=True)
    y = torch.randint(0, shape[1], (shape[0],))

    def run() -> Any:
        loss = F.cross_entropy(x, y)
        return torch.autograd.grad(loss, x)

    return {"eager": run}
