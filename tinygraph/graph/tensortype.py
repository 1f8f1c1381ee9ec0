"""The type of dense arrays: a dtype and a shape whose dimensions may be unknown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from tinygraph.errors import TypeMismatch
from tinygraph.graph.type import Type

DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64",
)  # fmt: skip
FLOAT_DTYPES = ("float16", "float32", "float64")
DISCRETE_DTYPES = tuple(d for d in DTYPES if d not in FLOAT_DTYPES)


class TensorType(Type):
    """Arrays of ``dtype`` and ``shape``, a tuple of sizes, ``None`` where a size is not known.

    For Theano's sake a shape may also be given as broadcastable flags: ``True`` is size 1, ``False`` unknown.
    """

    #: set by the tensor language: the classes of its variables and constants
    variable_class: ClassVar[Any] = None
    constant_class: ClassVar[Any] = None

    def __init__(
        self,
        dtype: Any,
        shape: Sequence[int | bool | None] | None = None,
        name: str | None = None,
        broadcastable: Sequence[bool] | None = None,
    ):
        if shape is None:
            shape = broadcastable if broadcastable is not None else ()
        dtype = _dtype_name(dtype)
        self.dtype: str = dtype
        self.shape: tuple[int | None, ...] = tuple(_dimension(d) for d in shape)
        self.ndim = len(self.shape)
        self.name = name
        self._hash = hash((dtype, self.shape))

    def __reduce__(self) -> Any:
        return (type(self), (self.dtype, self.shape))  # not the hash, which differs from process to process

    @property
    def broadcastable(self) -> tuple[bool, ...]:
        """Which dimensions are known to be of size 1."""
        return tuple(d == 1 for d in self.shape)

    @property
    def numpy_dtype(self) -> np.dtype:
        return np.dtype(self.dtype)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorType) and self.dtype == other.dtype and self.shape == other.shape

    def __hash__(self) -> int:
        return self._hash

    def accepts(self, other: Type) -> bool:
        """Whether every value of ``other`` fits: same dtype and rank, and no known size that differs."""
        return (
            isinstance(other, TensorType)
            and self.dtype == other.dtype
            and self.ndim == other.ndim
            and all(a is None or a == b for a, b in zip(self.shape, other.shape, strict=True))
        )

    def fits(self, other: Type) -> bool:
        """Like ``accepts``, but an unknown size in ``other`` is taken on trust and checked at the call."""
        return (
            isinstance(other, TensorType)
            and self.dtype == other.dtype
            and self.ndim == other.ndim
            and all(a is None or b is None or a == b for a, b in zip(self.shape, other.shape, strict=True))
        )

    is_super = accepts

    def fits_shape(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of ``shape`` is of this type, its rank known to be right."""
        return all(a is None or a == b for a, b in zip(self.shape, shape, strict=True))

    def clone(self, dtype: Any = None, broadcastable: Any = None, shape: Any = None) -> TensorType:
        if shape is None:
            shape = self.shape if broadcastable is None else broadcastable
        return type(self)(dtype or self.dtype, shape)

    def make_variable(self, name: str | None = None) -> Any:
        return self.variable_class(self, name=name)

    def make_constant(self, value: Any, name: str | None = None) -> Any:
        return self.constant_class(self, value, name=name)

    def filter(self, value: Any, strict: bool = False, allow_downcast: bool | None = None) -> np.ndarray:
        """``value`` as an array of this type.

        ``strict``: it must be one already. ``allow_downcast``: True converts whatever the loss; False refuses any
        loss of precision; None (default) lets Python floats become ``floatX``. Raises TypeError otherwise.
        """
        if isinstance(value, np.ndarray) and value.dtype == self.numpy_dtype:
            array = value
        elif strict:
            raise TypeMismatch(
                f"expected an array of {self.dtype}, got {_describe(value)}; strict=True allows no conversion"
            )
        else:
            array = self._convert(value, allow_downcast)
        self._check_shape(array)
        return array

    def _convert(self, value: Any, allow_downcast: bool | None) -> np.ndarray:
        from tinygraph.graph.variable import Variable

        if isinstance(value, Variable):
            raise TypeMismatch(
                f"expected an array, got the symbolic variable {value}; a compiled function takes numbers and arrays"
            )
        try:
            given = np.asarray(value)
        except Exception as error:
            raise TypeMismatch(f"expected an array of {self.dtype}, got {_describe(value)}: {error}") from error
        target = self.numpy_dtype
        if given.dtype == target:
            return given
        if given.dtype.kind not in "biuf":
            raise TypeMismatch(f"expected an array of {self.dtype}, got {_describe(value)}")
        if allow_downcast or np.can_cast(given.dtype, target, "safe"):
            return given.astype(target)
        if given.ndim == 0 or isinstance(value, (list, tuple, int, float)):
            # Python numbers carry no dtype of their own: take them where no information is lost
            if allow_downcast is None and target.kind == "f" and isinstance(value, (float, np.floating)):
                from tinygraph.config import config

                if type(value) is float and self.dtype == config.floatX:
                    return given.astype(target)
            if not isinstance(value, np.generic) and not isinstance(value, np.ndarray):
                cast = given.astype(target)
                if target.kind == "f" and given.dtype.kind in "iub" or np.array_equal(cast, given):
                    return cast
        raise TypeMismatch(
            f"expected {self.dtype}, got {_describe(value)}: the conversion could lose information; "
            f"convert it yourself (numpy.asarray(x, dtype={self.dtype!r})) or pass allow_input_downcast=True"
        )

    def _check_shape(self, array: np.ndarray) -> None:
        if array.ndim != self.ndim:
            raise TypeMismatch(
                f"expected {self.ndim} dimensions ({self}), got {array.ndim} (shape {array.shape}, {array.dtype})"
            )
        for axis, (want, got) in enumerate(zip(self.shape, array.shape, strict=True)):
            if want is not None and want != got:
                raise TypeMismatch(f"expected size {want} in dimension {axis} ({self}), got shape {array.shape}")

    def filter_variable(self, other: Any, allow_convert: bool = True) -> Any:
        from tinygraph.graph.variable import Variable

        if not isinstance(other, Variable):
            return self.make_constant(self.filter(other))
        if self.fits(other.type):
            return other
        raise TypeMismatch(f"cannot use {other} of type {other.type} as {self}")

    def values_eq(self, a: Any, b: Any) -> bool:
        return a.shape == b.shape and a.dtype == b.dtype and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))

    def values_eq_approx(self, a: Any, b: Any, rtol: float | None = None, atol: float | None = None) -> bool:
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        if a.dtype.kind != "f":
            return bool(np.array_equal(a, b))
        loose = {"float16": 5e-3, "float32": 1e-5, "float64": 1e-8}[self.dtype]
        rtol, atol = loose if rtol is None else rtol, loose if atol is None else atol
        return bool(np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True))

    def __repr__(self) -> str:
        dims = ", ".join("?" if d is None else str(d) for d in self.shape)
        return f"TensorType({self.dtype}, ({dims}{',' if self.ndim == 1 else ''}))"

    __str__ = __repr__


def _describe(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} with shape {value.shape}"
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) < 60 else text[:57] + '...'}"


def _dimension(d: int | bool | None) -> int | None:
    if isinstance(d, (bool, np.bool_)):
        return 1 if d else None
    if d is None:
        return None
    size = int(d)
    if size < 0:
        raise ValueError(f"a dimension cannot be negative, got {d}")
    return size


def _dtype_name(dtype: Any) -> str:
    if isinstance(dtype, str) and dtype in DTYPES:
        return str(dtype)  # not a str of NumPy's, whose repr is no literal
    if isinstance(dtype, str) and dtype == "floatX":
        from tinygraph.config import config

        return config.floatX
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = str(dtype)
    if name not in DTYPES:
        raise TypeMismatch(f"unsupported dtype {dtype!r}; supported are {', '.join(DTYPES)}")
    return name
