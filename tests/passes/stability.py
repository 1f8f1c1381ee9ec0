"""Naive formulas and their errors, as written and as rewritten: ``python -m tests.passes.stability`` writes the table.

Errors are in units in the last place of float64 against the formula evaluated in 80-bit floats (or a closed form where
those overflow too), the largest over the result.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import tinygraph.tensor as T
from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.passes.pipeline import optimise
from tinygraph.passes.reference import evaluate
from tinygraph.printing.ssa import op_text

L = np.longdouble
PI = "3.14159265358979323846264338327950288"


class Formula(NamedTuple):
    """``text`` as a user writes it, ``make`` its graph, at ``x`` its value ``exact`` (of 80-bit floats)."""

    text: str
    make: Callable[[Any], Any]
    x: Any
    exact: Callable[[Any], Any]
    bound: float = 4.0


def _log_softmax(x):
    shifted = x - x.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _nll(x):
    return -T.mean(T.log(T.nnet.softmax(x))[T.arange(x.shape[0]), LABELS])


def _nll_exact(x):
    return -_log_softmax(x)[np.arange(len(x)), LABELS].mean()


def _nll_gradient(x):
    p = np.exp(_log_softmax(x))
    p[np.arange(len(x)), LABELS] -= 1
    return p / len(x)


def _naive_softmax(x):
    return T.exp(x) / T.exp(x).sum(axis=1, keepdims=True)


def _bce(x, sigmoid=T.sigmoid):
    p = sigmoid(x)
    return -(TARGETS * T.log(p) + (1 - TARGETS) * T.log(1 - p)).mean()


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _sigmoid(x):
    return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))


def _erfc(x):
    """erfc in 80-bit floats: a continued fraction (Abramowitz and Stegun 7.1.14), evaluated from its far end."""
    tail = L(0)
    for k in range(400, 0, -1):
        tail = (L(k) / 2) / (x + tail)
    return np.exp(-(x**2)) / (x + tail) / np.sqrt(L(PI))


LABELS = np.array([2, 1])
TARGETS = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.25]])
LOGITS = np.array([[1e4, 0.5, -1e4], [1.0, 2.0, 3.0]])
SCORES = np.array([[-800.0, 40.0, 0.3], [30.0, -40.0, 2.0]])
SMALL = np.array([[1e-10, -3e-9, 2e-17]])
LARGE = np.array([[1e200, -3e180, 2.0]])
TAILS = np.array([[2.0, 5.5, 40.0]])
OFFSET = np.array([[1e8, 1e8 + 1, 1e8 + 3]])

FORMULAS = [
    Formula("log(1 + x)", lambda x: T.log(1 + x), SMALL, np.log1p),
    Formula("log(1 - x)", lambda x: T.log(1 - x), SMALL, lambda x: np.log1p(-x)),
    Formula("exp(x) - 1", lambda x: T.exp(x) - 1, SMALL, np.expm1),
    Formula("log(1 - exp(x))", lambda x: T.log(1 - T.exp(x)), -np.abs(SMALL), lambda x: np.log(-np.expm1(x))),
    Formula("log(1 + exp(x))", lambda x: T.log(1 + T.exp(x)), SCORES, _softplus),
    Formula("log(exp(x) + exp(-x))", lambda x: T.log(T.exp(x) + T.exp(-x)), SCORES, lambda x: _softplus(-2 * np.abs(x)) + np.abs(x)),
    Formula("1 / (1 + exp(-x))", lambda x: 1 / (1 + T.exp(-x)), -np.array([[700.0, 30.0, -1.0]]), _sigmoid),
    Formula("1 - sigmoid(x)", lambda x: 1 - T.sigmoid(x), np.abs(SCORES), lambda x: _sigmoid(-x)),
    Formula("log(sigmoid(x))", lambda x: T.log(T.sigmoid(x)), SCORES, lambda x: -_softplus(-x)),
    Formula("log(1 - sigmoid(x))", lambda x: T.log(1 - T.sigmoid(x)), SCORES, lambda x: -_softplus(x)),
    Formula("binary cross-entropy of sigmoid(x)", _bce, SCORES,
            lambda x: (TARGETS * _softplus(-x) + (1 - TARGETS) * _softplus(x)).mean()),
    Formula("its gradient", lambda x: T.grad(_bce(x), x), SCORES, lambda x: (_sigmoid(x) - TARGETS) / 6, 40),
    Formula("... of 1 / (1 + exp(-x))", lambda x: T.grad(_bce(x, lambda z: 1 / (1 + T.exp(-z))), x), SCORES,
            lambda x: (_sigmoid(x) - TARGETS) / 6, 40),
    Formula("exp(x) / sum(exp(x))", _naive_softmax, LOGITS, lambda x: np.exp(_log_softmax(x))),
    Formula("log(softmax(x))", lambda x: T.log(T.nnet.softmax(x)), LOGITS, _log_softmax),
    Formula("x - log(sum(exp(x)))", lambda x: x - T.log(T.exp(x).sum(axis=1, keepdims=True)), LOGITS, _log_softmax),
    Formula("-mean(log(softmax(x))[arange(n), y])", _nll, LOGITS, _nll_exact),
    Formula("its gradient", lambda x: T.grad(_nll(x), x), LOGITS, _nll_gradient),
    Formula("... of exp(x) / sum(exp(x))",
            lambda x: T.grad(-T.mean(T.log(_naive_softmax(x))[T.arange(x.shape[0]), LABELS]), x), LOGITS, _nll_gradient),
    Formula("log(sum(exp(x)))", lambda x: T.log(T.exp(x).sum(axis=1)), LOGITS, lambda x: (x - _log_softmax(x))[:, 0]),
    Formula("its gradient", lambda x: T.grad(T.log(T.exp(x).sum(axis=1)).sum(), x), LOGITS,
            lambda x: np.exp(_log_softmax(x))),
    Formula("mean(x**2) - mean(x)**2", lambda x: T.mean(x**2) - T.mean(x) ** 2, OFFSET, lambda x: x.var()),
    Formula("sqrt(x**2)", lambda x: T.sqrt(x**2), LARGE, np.abs),
    Formula("gradient of sqrt(sum(x**2)) at 0", lambda x: T.grad(T.sqrt((x**2).sum()), x), LARGE * 0, lambda x: x * 0),
    Formula("x * log(x) at 0", lambda x: x * T.log(x), np.array([[0.0, 0.5, 3.0]]),
            lambda x: np.where(x == 0, 0, x * np.log(np.where(x == 0, 1, x)))),
    Formula("1 - erf(x)", lambda x: 1 - T.erf(x), TAILS, _erfc),
    Formula("log(erfc(x))", lambda x: T.log(T.erfc(x)), TAILS, lambda x: np.log(_erfc(x))),
    Formula("its gradient", lambda x: T.grad(T.log(T.erfc(x)).sum(), x), TAILS,
            lambda x: -2 / np.sqrt(L(PI)) * np.exp(-(x**2)) / _erfc(x)),
    Formula("log(cosh(x))", lambda x: T.log(T.cosh(x)), SCORES, lambda x: np.abs(x) + np.log1p(np.exp(-2 * np.abs(x))) - np.log(L(2))),
    Formula("log(x**2)", lambda x: T.log(x**2), LARGE, lambda x: 2 * np.log(np.abs(x))),
    Formula("log(prod(sigmoid(x)))", lambda x: T.log(T.prod(T.sigmoid(x))), SCORES, lambda x: -_softplus(-x).sum()),
    Formula("log(abs(det(x)))", lambda x: T.log(T.abs(T.nlinalg.det(x))), np.diag([1e200, 3e180, 2.0]),
            lambda x: np.log(np.diag(x)).sum()),
    Formula("log(exp(x))", lambda x: T.log(T.exp(x)), LOGITS, lambda x: x),
]  # fmt: skip


def ulp(got: Any, exact: Any) -> float:
    """The largest error in units in the last place; inf where ``got`` is not a number or infinite."""
    got, exact = np.asarray(got), np.asarray(exact)
    if not np.isfinite(got).all():
        return float("inf")
    spacing = np.spacing(np.maximum(np.abs(exact.astype("float64")), np.finfo("float64").tiny))
    return float(np.max(np.abs(got.astype(L) - exact) / spacing))


class Measured(NamedTuple):
    """The errors of one formula as written and as rewritten, and the functions it then consists of."""

    before: float
    after: float
    ops: str


def measure(f: Formula) -> Measured:
    """Evaluate a formula before and after the passes."""
    x = T.matrix("x")
    with np.errstate(all="ignore"):
        exact = f.exact(f.x.astype(L))
    graph = FunctionGraph([x], [f.make(x)])
    (before,) = evaluate(graph.outputs, {graph.inputs[0]: f.x})
    optimise(graph)
    (after,) = evaluate(graph.outputs, {graph.inputs[0]: f.x})
    plain = ("ShapeI", "MakeVector", "DimShuffle", "Alloc", "cast", "ARange")
    ops = dict.fromkeys(op_text(n.op).partition("{")[0] for n in graph.toposort())
    return Measured(ulp(before, exact), ulp(after, exact), ", ".join(o for o in ops if o not in plain) or "x")


def shown(error: float) -> str:
    """An error for the table: rounded up, as the last digits differ from machine to machine."""
    if error == float("inf"):
        return "not finite"
    return "at most 1" if error <= 1 else f"{error:.0f}" if error < 100 else f"{error:.0e}"


def markdown() -> str:
    """The document ``docs/stability.md``."""
    lines = [
        "# Formulas that would overflow or lose digits",
        "",
        "Written by `python -m tests.passes.stability`. Errors in units in the last place of float64, the largest over",
        "the values tried (logits of magnitude 1e4, scores up to 800, differences at 1e-17); tests hold the last column.",
        "",
        "| as written | becomes | error before | error after |",
        "| --- | --- | --- | --- |",
    ]
    for f in FORMULAS:
        m = measure(f)
        text = f.text.replace("*", "\\*")
        lines.append(f"| {text} | {m.ops} | {shown(m.before)} | {shown(m.after)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
