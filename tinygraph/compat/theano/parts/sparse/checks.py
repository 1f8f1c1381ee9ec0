"""Comparing the gradients of sparse operations with finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygraph.compat.theano.parts.sparse import basic, entries
from tinygraph.compat.theano.parts.sparse.types import is_sparse
from tinygraph.errors import GradientError
from tinygraph.gradient import verify_grad


def verify_grad_sparse(op: Callable[..., Any], pt: Sequence[Any], structured: bool = False, *args: Any,
                       **kwargs: Any) -> None:  # fmt: skip
    """``theano.gradient.verify_grad`` for a function of sparse matrices (and arrays), the values ``pt``.

    ``structured``: only stored entries vary; otherwise all do. Raises GradientError where a gradient is wrong.
    """
    points, rebuild = [], []
    for value in pt:
        if not is_sparse(value):
            points.append(value)
            rebuild.append(lambda v: v)
        elif structured:
            points.append(value.data)
            csm = entries.CSM(value.format)
            fixed = (value.indices, value.indptr, np.array(value.shape, "int32"))
            rebuild.append(lambda v, csm=csm, fixed=fixed: csm(v, *fixed))
        else:
            points.append(value.toarray())
            rebuild.append({"csr": basic.csr_from_dense, "csc": basic.csc_from_dense}[value.format])

    def dense(*given: Any) -> Any:
        out = op(*(make(v) for make, v in zip(rebuild, given, strict=True)))
        return basic.dense_from_sparse(out, structured) if is_sparse(out) else out

    kwargs.setdefault("rng", np.random.RandomState(0))
    verify_grad(dense, points, *args, **kwargs)


verify_grad_sparse.E_grad = GradientError  # type: ignore[attr-defined]
