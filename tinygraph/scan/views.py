"""``map``, ``reduce``, ``foldl`` and ``foldr``: loops of one kind, by their usual names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygraph.errors import InvalidValue
from tinygraph.scan.build import scan
from tinygraph.scan.ordered_updates import OrderedUpdates


def map(  # noqa: A001 - Theano's name
    fn: Callable[..., Any],
    sequences: Any,
    non_sequences: Any = None,
    truncate_gradient: int = -1,
    go_backwards: bool = False,
    mode: Any = None,
    name: str | None = None,
) -> tuple[Any, OrderedUpdates]:
    """``fn`` of each element of ``sequences``; returns ``(results, updates)`` as ``scan`` does.

    Example
    -------
    >>> import tinygraph, tinygraph.tensor as T
    >>> x = T.vector("x")
    >>> squares, updates = tinygraph.map(lambda e: e * e, x)
    >>> tinygraph.function([x], squares)([1, 2, 3]).tolist()
    [1.0, 4.0, 9.0]
    """
    return scan(fn, sequences=sequences, outputs_info=None, non_sequences=non_sequences,
                truncate_gradient=truncate_gradient, go_backwards=go_backwards, mode=mode, name=name)  # fmt: skip


def reduce(
    fn: Callable[..., Any],
    sequences: Any,
    outputs_info: Any,
    non_sequences: Any = None,
    go_backwards: bool = False,
    mode: Any = None,
    name: str | None = None,
) -> tuple[Any, OrderedUpdates]:
    """The last value of ``fn(element, ..., value so far, ...)``; returns ``(result, updates)``.

    ``outputs_info`` gives the initial values: one for each output. Only the newest value of each is kept.
    Over sequences of no elements the result does not exist: ShapeMismatch at the call.

    Example
    -------
    >>> import tinygraph, tinygraph.tensor as T
    >>> x = T.vector("x")
    >>> total, updates = tinygraph.reduce(lambda e, so_far: so_far + e, x, 0.0)
    >>> float(tinygraph.function([x], total)([1, 2, 3]))
    6.0
    """
    for info in outputs_info if isinstance(outputs_info, (list, tuple)) else [outputs_info]:
        if isinstance(info, dict) and len(info.get("taps") or (-1,)) > 1:
            raise InvalidValue("reduce: outputs_info may look one step back only; use scan for more taps")
    outputs, updates = scan(fn, sequences=sequences, outputs_info=outputs_info, non_sequences=non_sequences,
                            go_backwards=go_backwards, mode=mode, name=name)  # fmt: skip
    if isinstance(outputs, list):
        return [x[-1] for x in outputs], updates
    return outputs[-1], updates


def foldl(fn: Callable[..., Any], sequences: Any, outputs_info: Any, non_sequences: Any = None, mode: Any = None,
          name: str | None = None) -> tuple[Any, OrderedUpdates]:  # fmt: skip
    """``reduce`` from the first element to the last."""
    return reduce(fn, sequences, outputs_info, non_sequences, go_backwards=False, mode=mode, name=name)


def foldr(fn: Callable[..., Any], sequences: Any, outputs_info: Any, non_sequences: Any = None, mode: Any = None,
          name: str | None = None) -> tuple[Any, OrderedUpdates]:  # fmt: skip
    """``reduce`` from the last element to the first."""
    return reduce(fn, sequences, outputs_info, non_sequences, go_backwards=True, mode=mode, name=name)
