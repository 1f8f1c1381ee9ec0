"""``verify_grad``: a symbolic gradient against finite differences along random projections of the output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygraph.errors import GradientError, TypeMismatch
from tinygraph.gradient.numeric import numeric_grad
from tinygraph.gradient.reverse import Lop
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.variable import Variable

#: largest absolute and relative error allowed by default; an error must exceed both to count
TOLERANCES = {"float64": 1e-4, "float32": 5e-4, "float16": 5e-2}


class VerifyGradError(GradientError):
    """A gradient that finite differences contradict.

    Attributes: ``arg`` (which argument), ``err_pos`` (flat position of the worst element), ``shape``, ``val1`` (finite
    difference), ``val2`` (symbolic gradient), ``abs_err``, ``rel_err``, ``abs_tol``, ``rel_tol``.
    """

    def __init__(self, arg: int, err_pos: int, shape: tuple[int, ...], val1: float, val2: float, abs_err: float,
                 rel_err: float, abs_tol: float, rel_tol: float, what: str = ""):  # fmt: skip
        self.arg, self.err_pos, self.shape = arg, err_pos, shape
        self.val1, self.val2 = val1, val2
        self.abs_err, self.rel_err, self.abs_tol, self.rel_tol = abs_err, rel_err, abs_tol, rel_tol
        position = tuple(int(i) for i in np.unravel_index(err_pos, shape)) if shape else ()
        super().__init__(
            f"verify_grad: the gradient{what} by argument {arg} is wrong at position {position} of shape {shape}: "
            f"finite differences give {val1:.9g}, the symbolic gradient {val2:.9g}\n"
            f"  absolute error {abs_err:.4g} (allowed {abs_tol:.4g}), "
            f"relative error {rel_err:.4g} (allowed {rel_tol:.4g})"
        )

    def __reduce__(self) -> Any:
        return (type(self), (self.arg, self.err_pos, self.shape, self.val1, self.val2, self.abs_err, self.rel_err,
                             self.abs_tol, self.rel_tol))  # fmt: skip


def verify_grad(
    fun: Callable[..., Any],
    pt: Sequence[Any],
    n_tests: int = 2,
    rng: Any = None,
    eps: float | None = None,
    out_type: str | None = None,
    abs_tol: float | None = None,
    rel_tol: float | None = None,
    mode: Any = None,
    cast_to_output_type: bool = False,
    no_debug_ref: bool = True,
) -> None:
    """Raise VerifyGradError unless the gradient of ``fun`` at ``pt`` agrees with finite differences.

    Each test weighs the outputs with random numbers in [0.5, 1.5), sums them up, and compares the gradient of that sum
    by every element of every argument.

    Parameters
    ----------
    fun : an op, or a function of symbolic variables; may return several float tensors
    pt : arrays of floats, one for each argument; dimensions of size 1 are declared to be so
    n_tests : how many random projections to try
    rng : ``numpy.random.RandomState`` or ``Generator``; by default one of fixed seed
    eps : step of the finite differences, by default one that suits the dtypes
    out_type : dtype whose tolerances apply, if it is less precise than those of ``pt``
    abs_tol, rel_tol : errors are reported if they exceed both; by default by dtype, see ``TOLERANCES``
    mode : how both functions are compiled
    cast_to_output_type : also give the random numbers the output's dtype (they have it in any case)
    no_debug_ref : compile the function under test for finite differences with the default mode if ``mode`` is a
        debugging one

    Raises
    ------
    VerifyGradError, TypeMismatch (arguments or outputs that are not floats)
    """
    from tinygraph.compile.function import function  # the compiler stands above

    points = [np.asarray(p) for p in pt]
    for i, p in enumerate(points):
        if p.dtype.name not in TOLERANCES:
            raise TypeMismatch(f"verify_grad: argument {i} must be of a float dtype, got {p.dtype}")
    if rng is None:
        rng = np.random.RandomState(87654)
    inputs = [_variable(p, f"input {i}") for i, p in enumerate(points)]
    outputs = _outputs(fun, inputs)
    run = function(inputs, outputs, mode=_reference_mode(mode, no_debug_ref), on_unused_input="ignore")
    shapes = [np.shape(v) for v in run(*points)]
    weights = [_variable(np.empty(s, o.type.dtype), f"weight {k}")
               for k, (s, o) in enumerate(zip(shapes, outputs, strict=True))]  # fmt: skip
    gradients = Lop(outputs, inputs, weights, disconnected_inputs="ignore")
    symbolic = function([*inputs, *weights], gradients, mode=mode, on_unused_input="ignore")

    dtypes = [p.dtype.name for p in points] + [o.type.dtype for o in outputs] + ([out_type] if out_type else [])
    loosest = max(TOLERANCES.get(d, 0.0) for d in dtypes)
    abs_tol = loosest if abs_tol is None else abs_tol
    rel_tol = loosest if rel_tol is None else rel_tol
    for test in range(n_tests):
        drawn = [_draw(rng, s).astype(o.type.dtype) for s, o in zip(shapes, outputs, strict=True)]
        _compare(run, symbolic, points, drawn, eps, out_type or outputs[0].type.dtype, abs_tol, rel_tol, test)


verify_grad.E_grad = VerifyGradError  # type: ignore[attr-defined]


def _compare(run: Any, symbolic: Any, points: Sequence[np.ndarray], weights: Sequence[np.ndarray], eps: float | None,
             out_type: str, abs_tol: float, rel_tol: float, test: int) -> None:  # fmt: skip
    def projected(*xs: np.ndarray) -> float:
        return sum(float(np.sum(np.float64(w) * v)) for w, v in zip(weights, run(*xs), strict=True))

    numeric = numeric_grad(projected, list(points), eps, out_type)
    found = symbolic(*points, *weights)
    for i, (g, p) in enumerate(zip(found, points, strict=True)):
        if g.shape != p.shape:
            raise GradientError(f"verify_grad: the gradient by argument {i} has shape {g.shape}, not {p.shape}")
        if g.dtype != p.dtype:
            raise GradientError(f"verify_grad: the gradient by argument {i} has dtype {g.dtype}, not {p.dtype}")
    worst = numeric.max_err(found, abs_tol, rel_tol)
    if worst.abs_err > abs_tol and worst.rel_err > rel_tol:
        i, k = worst.arg, worst.position
        values = float(numeric.gf[i].reshape(-1)[k]), float(found[i].reshape(-1)[k])
        raise VerifyGradError(i, k, points[i].shape, *values, worst.abs_err, worst.rel_err, abs_tol, rel_tol,
                              f" (test {test})")  # fmt: skip


def _variable(p: np.ndarray, name: str) -> Any:
    return TensorType(p.dtype, tuple(1 if d == 1 else None for d in p.shape))(name)


def _outputs(fun: Callable[..., Any], inputs: Sequence[Variable]) -> list[Any]:
    made = fun(*inputs)
    outputs = list(made) if isinstance(made, (list, tuple)) else [made]
    for o in outputs:
        if not isinstance(o, Variable) or not isinstance(o.type, TensorType):
            raise TypeMismatch(f"verify_grad: fun must return symbolic tensors, got {o!r}")
        if o.type.dtype not in TOLERANCES:
            raise TypeMismatch(f"verify_grad: the output must be of a float dtype, got {o} of type {o.type}")
    return outputs


def _reference_mode(mode: Any, no_debug_ref: bool) -> Any:
    """The mode for finite differences: a debugging mode's many checks would run once for each element."""
    name = mode if isinstance(mode, str) else type(mode).__name__
    return None if no_debug_ref and "debug" in name.lower() else mode


def _draw(rng: Any, shape: tuple[int, ...]) -> np.ndarray:
    draw = rng.random_sample if hasattr(rng, "random_sample") else rng.random
    return np.asarray(draw(shape)) + 0.5
