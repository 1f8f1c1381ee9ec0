"""Modes that look at every value of a real call: MonitorMode, NanGuardMode, DebugMode.

Under them a function runs node by node through ``Op.evaluate`` instead of a printed program: slowly, but so that each
value can be seen and each error named.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygraph.compile.mode import Mode, register_mode
from tinygraph.errors import InvalidValue, RewriteError, TinygraphError
from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.graph.op import Apply
from tinygraph.graph.variable import Constant

if TYPE_CHECKING:
    from tinygraph.compile.compiled import CompiledFunction


class NanError(TinygraphError, AssertionError):
    """NanGuardMode met a nan, an infinity or a number that is too big."""


class DebugModeError(RewriteError):
    """DebugMode found an op or a rewrite that does not keep its word."""


@dataclass(frozen=True)
class WatchingMode(Mode):
    """Base: ``before(call, index, node, inputs)`` and ``after(call, index, node, inputs, outputs)`` see every node."""

    def caller(self, f: CompiledFunction) -> Callable[[Any], Any]:
        """What ``f`` runs for a call."""
        return WatchedCall(f, self)

    def start(self, call: WatchedCall, inputs: Sequence[Any]) -> None:
        """A call begins."""

    def before(self, call: WatchedCall, index: int, node: Apply, inputs: list[Any]) -> None:
        """A node is about to run."""

    def after(self, call: WatchedCall, index: int, node: Apply, inputs: list[Any], outputs: list[Any]) -> None:
        """A node has run."""


class WatchedCall:
    """A function's call, node by node."""

    def __init__(self, f: CompiledFunction, mode: WatchingMode):
        self.f = f
        self.mode = mode

    def __call__(self, args: Sequence[Any]) -> Any:
        f = self.f
        inputs = [x if f.trust_input else f._check_one(i, x) for i, x in enumerate(args)]
        known: dict[Any, Any] = dict(zip(f.fgraph.inputs, inputs, strict=True))
        self.mode.start(self, inputs)
        with np.errstate(all="ignore"):
            for index, node in enumerate(f.nodes):
                self._run(index, node, known)
        results = [self._value(v, known) for v in f.fgraph.outputs]
        fresh = [np.array(x) if isinstance(x, np.ndarray) else x for x in results]
        for container, value in zip(f.targets, fresh[f.n_outputs :], strict=True):
            container.value = value
        return _rebuilt(f.rebuild, fresh[: f.n_outputs])

    def _run(self, index: int, node: Apply, known: dict[Any, Any]) -> None:
        values = [self._value(v, known) for v in node.inputs]
        self.mode.before(self, index, node, values)
        try:
            outputs = node.op.evaluate(node, values)
        except Exception as error:
            error.add_note(describe(node, values))
            raise
        self.mode.after(self, index, node, values, outputs)
        known.update(zip(node.outputs, outputs, strict=True))

    @staticmethod
    def _value(v: Any, known: dict[Any, Any]) -> Any:
        if v in known:
            return known[v]
        return v.data if isinstance(v, Constant) else v.container.value


def _rebuilt(rebuild: Any, outputs: list[Any]) -> Any:
    if rebuild is None:
        return outputs[0]
    if rebuild is list:
        return outputs
    return dict(zip(rebuild, outputs, strict=True)) if rebuild else []


def describe(node: Apply, values: Sequence[Any]) -> str:
    """A node, its inputs with their ranges, and the user's line."""
    lines = [f"  in {node.op}"]
    for v, x in zip(node.inputs, values, strict=True):
        lines.append(f"    {v}: {_range(x)}")
    if node.origin is not None:
        lines.append(f"  built at {node.origin.text()}")
    return "\n".join(lines)


def _range(x: Any) -> str:
    if not isinstance(x, np.ndarray):
        return repr(x)
    text = f"{x.dtype}{x.shape}"
    if not x.size or x.dtype.kind not in "iuf":
        return text
    finite = x[np.isfinite(x)] if x.dtype.kind == "f" else x
    if finite.size:
        text += f" from {finite.min():.6g} to {finite.max():.6g}"
    if finite.size < x.size:
        text += f", {int(np.isnan(x).sum())} nan, {int(np.isinf(x).sum())} infinite"
    return text


class Cells:
    """A node's values as Theano hands them to monitors: ``inputs`` and ``outputs``, lists of one-element lists."""

    def __init__(self, inputs: Sequence[Any], outputs: Sequence[Any]):
        self.inputs = [[x] for x in inputs]
        self.outputs = [[x] for x in outputs]


@dataclass(frozen=True, init=False)
class MonitorMode(WatchingMode):
    """Calls ``pre_func(i, node, fn)`` before and ``post_func(i, node, fn)`` after each node ``i``."""

    pre_func: Callable[[int, Apply, Cells], Any] | None = None
    post_func: Callable[[int, Apply, Cells], Any] | None = None

    def __init__(self, pre_func: Any = None, post_func: Any = None, **mode: Any):
        super().__init__(**mode)
        self.__dict__.update(pre_func=pre_func, post_func=post_func)

    def before(self, call: WatchedCall, index: int, node: Apply, inputs: list[Any]) -> None:
        if self.pre_func is not None:
            self.pre_func(index, node, Cells(inputs, [None] * len(node.outputs)))

    def after(self, call: WatchedCall, index: int, node: Apply, inputs: list[Any], outputs: list[Any]) -> None:
        if self.post_func is not None:
            self.post_func(index, node, Cells(inputs, outputs))


def detect_nan(i: int, node: Apply, fn: Cells) -> None:
    """A ``post_func``: prints the node whose output is the first to hold a nan."""
    for (value,) in fn.outputs:
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and np.isnan(value).any():
            print("*** NaN detected ***")
            print(describe(node, [x for (x,) in fn.inputs]))
            print(f"  outputs: {[_range(x) for (x,) in fn.outputs]}")
            return


#: numbers of at least this size are "big"
_BIG = 1e10


@dataclass(frozen=True, init=False)
class NanGuardMode(WatchingMode):
    """Raises NanError (or warns) at the first value that is nan, infinite, or at least 1e10 in size."""

    nan_is_error: bool = True
    inf_is_error: bool = True
    big_is_error: bool = True
    action: str = "raise"

    def __init__(
        self, nan_is_error: bool = True, inf_is_error: bool = True, big_is_error: bool = True, action: str = "raise",
        **mode: Any,
    ):  # fmt: skip
        super().__init__(**mode)
        kinds = {"nan_is_error": nan_is_error, "inf_is_error": inf_is_error, "big_is_error": big_is_error}
        self.__dict__.update(kinds, action=action)

    def start(self, call: WatchedCall, inputs: Sequence[Any]) -> None:
        for d, x in zip(call.f.declared, inputs, strict=True):
            self._guard(x, f"the input {d.name or d.variable}", None, ())

    def after(self, call: WatchedCall, index: int, node: Apply, inputs: list[Any], outputs: list[Any]) -> None:
        for out, x in zip(node.outputs, outputs, strict=True):
            self._guard(x, f"output {out.index} of {node.op}", node, inputs)

    def _guard(self, x: Any, what: str, node: Apply | None, inputs: Sequence[Any]) -> None:
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f" or not x.size:
            return
        found = []
        if self.nan_is_error and np.isnan(x).any():
            found.append("nan")
        if self.inf_is_error and np.isinf(x).any():
            found.append("infinity")
        if self.big_is_error and (np.abs(x[np.isfinite(x)]) >= _BIG).any():
            found.append("a big number")
        if not found:
            return
        message = f"{' and '.join(found)} in {what}: {_range(x)}"
        if node is not None:
            message += "\n" + describe(node, inputs)
        if self.action == "warn":
            warnings.warn(message, stacklevel=2)
        elif self.action == "raise":
            raise NanError(message)
        else:
            raise InvalidValue(f"NanGuardMode: action must be 'raise' or 'warn', got {self.action!r}")


@dataclass(frozen=True)
class DebugMode(WatchingMode):
    """Checks a real compilation and a real call.

    At the first call the passes run again with the caller's inputs, each replacement evaluated before and after: the
    first rule that changes a value is named. During the call every node must leave its inputs as they were (unless its
    ``destroy_map`` says otherwise), give the types it announced, and give the same again when asked twice.
    """

    def start(self, call: WatchedCall, inputs: Sequence[Any]) -> None:
        f = call.f
        if not getattr(f, "_debug_checked", False):
            self._check_rewrites(f, inputs)
            f._debug_checked = True  # type: ignore[attr-defined]

    def _check_rewrites(self, f: CompiledFunction, inputs: Sequence[Any]) -> None:
        from tinygraph.passes.pipeline import optimise

        plain: FunctionGraph = f.given.clone()  # type: ignore[union-attr]
        try:
            optimise(plain, Mode(self.optimizer), f.options, check=list(inputs))
        except RewriteError as error:
            raise DebugModeError(f"DebugMode: {error}") from error

    def before(self, call: WatchedCall, index: int, node: Apply, inputs: list[Any]) -> None:
        call.__dict__["copies"] = [np.array(x) if isinstance(x, np.ndarray) else x for x in inputs]

    def after(self, call: WatchedCall, index: int, node: Apply, inputs: list[Any], outputs: list[Any]) -> None:
        allowed = {i for which in node.op.destroy_map.values() for i in which}
        for i, (old, new) in enumerate(zip(call.__dict__["copies"], inputs, strict=True)):
            if i in allowed or not isinstance(old, np.ndarray):
                continue
            if not np.array_equal(old, new, equal_nan=_floats(old)):
                raise DebugModeError(
                    f"DebugMode: {node.op} changed its input {i} without saying so in destroy_map\n"
                    f"{describe(node, inputs)}"
                )
        for out, value in zip(node.outputs, outputs, strict=True):
            try:
                out.type.filter(value, strict=True)
            except TypeError as error:
                raise DebugModeError(
                    f"DebugMode: output {out.index} of {node.op} is not of its type {out.type}: {error}\n"
                    f"{describe(node, inputs)}"
                ) from error
        if node.op.pure:
            again = node.op.evaluate(node, call.__dict__["copies"])
            for out, a, b in zip(node.outputs, outputs, again, strict=True):
                if isinstance(a, np.ndarray) and not out.type.values_eq_approx(a, b):
                    raise DebugModeError(
                        f"DebugMode: {node.op} gave two different values for the same inputs\n{describe(node, inputs)}"
                    )


def _floats(x: np.ndarray) -> bool:
    return x.dtype.kind == "f"


for _name, _mode in (
    ("DEBUG_MODE", DebugMode()),
    ("DebugMode", DebugMode()),
    ("NanGuardMode", NanGuardMode()),
    ("NAN_GUARD", NanGuardMode()),
):
    register_mode(_name, _mode)
