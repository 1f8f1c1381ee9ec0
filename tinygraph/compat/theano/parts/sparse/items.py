"""Entries and parts of sparse matrices by index: ``x[i, j]``, ``x[a:b, c:d]``, ``x[[1, 2]]``, ``x[[1, 2], [0, 3]]``."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygraph.tensor as T
from tinygraph.compat.theano.parts.sparse.op import apply, define, vector
from tinygraph.compat.theano.parts.sparse.types import SparseType, as_sparse_variable, scipy_sparse
from tinygraph.graph import TensorType, Variable


def _slices(bounds: Any, given: tuple[bool, ...]) -> tuple[slice, slice]:
    left = iter(bounds)
    values = [int(next(left)) if there else None for there in given]
    return slice(*values[:3]), slice(*values[3:])


def _part(x: Any, *bounds: Any, given: tuple[bool, ...]) -> Any:
    rows, columns = _slices(bounds, given)
    return x[rows, columns]


def _put_part(x: Any, g: Any, *bounds: Any, given: tuple[bool, ...]) -> Any:
    """``g`` at its place in a matrix of the shape of ``x``."""
    rows, columns = (np.arange(n)[s] for n, s in zip(x.shape, _slices(bounds, given), strict=True))
    part = g.tocoo()
    return scipy_sparse().coo_matrix((part.data, (rows[part.row], columns[part.col])), shape=x.shape)


def _put_rows(x: Any, g: Any, rows: Any) -> Any:
    part = g.tocoo()
    at = np.arange(x.shape[0])[rows]
    return scipy_sparse().coo_matrix((part.data, (at[part.row], part.col)), shape=x.shape)


def _put_entries(x: Any, g: Any, rows: Any, columns: Any) -> Any:
    at = (np.atleast_1d(np.arange(n)[k]) for n, k in zip(x.shape, (rows, columns), strict=True))
    return scipy_sparse().coo_matrix((np.atleast_1d(g), tuple(at)), shape=x.shape)


def _entries(x: Any, rows: Any, columns: Any) -> Any:
    return np.asarray(x[rows, columns]).reshape(np.shape(rows))


def _as_matrix(x: Any, *rest: Any, **settings: Any) -> SparseType:
    return SparseType(x.format, x.dtype)


define("part", _part, _as_matrix, lambda i, g, given: [apply("put_part", i[0], g, *i[1:], given=given)],
       disconnected=range(1, 7))  # fmt: skip
define("put_part", _put_part, lambda x, g, *rest, given: SparseType(x.format, g.dtype), disconnected=[0],
       grad=lambda i, g, given: [None, apply("part", g, *i[2:], given=given)])  # fmt: skip
define("take_rows", lambda x, rows: x[rows], _as_matrix, lambda i, g: [apply("put_rows", i[0], g, i[1])],
       disconnected=[1])  # fmt: skip
define("put_rows", _put_rows, lambda x, g, rows: SparseType(x.format, g.dtype), disconnected=[0, 2],
       grad=lambda i, g: [None, apply("take_rows", g, i[2])])  # fmt: skip
define("entries", _entries, lambda x, rows, columns: vector(x.dtype) if rows.ndim else TensorType(x.dtype, ()),
       lambda i, g: [apply("put_entries", i[0], g, *i[1:])], disconnected=[1, 2])  # fmt: skip
define("put_entries", _put_entries, lambda x, g, *at: SparseType(x.format, g.dtype), disconnected=[0, 2, 3],
       grad=lambda i, g: [None, apply("entries", g, *i[2:])])  # fmt: skip


def _is_scalar(key: Any) -> bool:
    if isinstance(key, Variable):
        return getattr(key.type, "ndim", None) == 0
    return isinstance(key, (int, np.integer)) or (isinstance(key, np.ndarray) and key.ndim == 0)


def _as_slice(key: Any) -> slice:
    if isinstance(key, slice):
        return key
    if _is_scalar(key):
        last = not isinstance(key, Variable) and int(key) == -1
        return slice(key, None if last else key + 1)
    raise TypeError(f"a sparse matrix takes integers, slices and lists as keys, got {key!r}")


def get_item(x: Any, key: Any) -> Any:
    """``x[key]``: an entry for two integers, a vector of entries for two lists, else a sparse matrix."""
    keys = key if isinstance(key, tuple) else (key,)
    if len(keys) > 2:
        raise ValueError(f"a sparse matrix has two dimensions, got {len(keys)} keys")
    lists = [not isinstance(k, slice) and not _is_scalar(k) for k in keys]
    if len(keys) == 2 and all(_is_scalar(k) for k in keys):
        return get_item_scalar(x, keys)
    if any(lists):
        return get_item_2lists(x, *keys) if len(keys) == 2 else get_item_list(x, keys[0])
    return get_item_2d(x, keys)


def get_item_2d(x: Any, index: Any) -> Any:
    """``x[rows, columns]`` for slices, whose bounds may be variables; an integer k stands for k : k + 1."""
    keys = index if isinstance(index, tuple) else (index,)
    both = [_as_slice(k) for k in (*keys, slice(None))[:2]]
    bounds = [b for s in both for b in (s.start, s.stop, s.step)]
    given = tuple(b is not None for b in bounds)
    return apply("part", as_sparse_variable(x), *(_index(b) for b in bounds if b is not None), given=given)


def _index(key: Any) -> Any:
    v = T.as_tensor_variable(key)
    if "int" not in v.dtype:
        raise TypeError(f"an index must be an integer, got {key} of {v.dtype}")
    return v


def get_item_list(x: Any, index: Any) -> Any:
    """The rows ``index`` of ``x``."""
    return apply("take_rows", as_sparse_variable(x), _index(index))


def get_item_2lists(x: Any, ind1: Any, ind2: Any) -> Any:
    """The entries at ``ind1`` and ``ind2``, as a vector."""
    return apply("entries", as_sparse_variable(x), _index(ind1), _index(ind2))


def get_item_scalar(x: Any, index: Any) -> Any:
    """One entry."""
    return apply("entries", as_sparse_variable(x), _index(index[0]), _index(index[1]))
