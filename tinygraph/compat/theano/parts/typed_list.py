"""``theano.typed_list``: lists of arrays of one type inside a graph. They run in Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.errors import TypeMismatch
from tinygraph.graph import Apply, Op, TensorType, Type, Variable
from tinygraph.tensor.basic import as_tensor_variable


class TypedListType(Type):
    """Lists whose elements are of type ``ttype``."""

    def __init__(self, ttype: Type, depth: int = 0):
        if not isinstance(ttype, Type):
            raise TypeMismatch(f"TypedListType: expected a type, got {ttype!r}")
        self.ttype = ttype if depth == 0 else TypedListType(ttype, depth - 1)

    def filter(self, value: Any, strict: bool = False, allow_downcast: bool | None = None) -> list[Any]:
        if not isinstance(value, list):
            raise TypeMismatch(f"expected a list of {self.ttype}, got {type(value).__name__}")
        return [self.ttype.filter(x, strict, allow_downcast) for x in value]

    def make_variable(self, name: str | None = None) -> TypedListVariable:
        return TypedListVariable(self, name=name)

    def values_eq(self, a: Any, b: Any) -> bool:
        return len(a) == len(b) and all(self.ttype.values_eq(x, y) for x, y in zip(a, b, strict=True))

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.ttype == other.ttype  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((type(self), self.ttype))

    def __repr__(self) -> str:
        return f"TypedList <{self.ttype}>"


class TypedListVariable(Variable):
    """A symbolic list."""

    def __getitem__(self, index: Any) -> Any:
        return GetItem()(self, index)

    def __len__(self) -> int:
        raise TypeMismatch("the length of a symbolic list is typed_list.length(x)")

    def append(self, toAppend: Any) -> Any:  # noqa: N803
        return append(self, toAppend)

    def extend(self, toAppend: Any) -> Any:  # noqa: N803
        return extend(self, toAppend)

    def insert(self, index: Any, toInsert: Any) -> Any:  # noqa: N803
        return insert(self, index, toInsert)

    def remove(self, toRemove: Any) -> Any:  # noqa: N803
        return remove(self, toRemove)

    def reverse(self) -> Any:
        return reverse(self)

    def count(self, elem: Any) -> Any:
        return count(self, elem)

    def ind(self, elem: Any) -> Any:
        return index_(self, elem)

    ttype = property(lambda self: self.type.ttype)


class _ListOp(Op):
    """Base: ``out(types) -> type`` and ``run(values)``."""

    __props__ = ()
    data_dependent_shape = True

    def out(self, x: Any, *others: Any) -> Type:
        return x.type

    def run(self, *values: Any) -> Any:
        raise NotImplementedError

    def make_node(self, x: Any, *others: Any) -> Apply:
        if not isinstance(getattr(x, "type", None), TypedListType):
            raise TypeMismatch(f"{type(self).__name__}: expected a typed list, got {x!r}")
        rest = [o if isinstance(o, Variable) else as_tensor_variable(o) for o in others]
        return Apply(self, [x, *rest], [self.out(x, *rest)()])

    def perform(self, node: Apply, inputs: Sequence[Any], output_storage: Any) -> None:
        output_storage[0][0] = self.run(*inputs)


class GetItem(_ListOp):
    """One element."""

    def out(self, x: Any, *others: Any) -> Type:
        return x.type.ttype

    def run(self, x: Any, i: Any) -> Any:
        return x[int(i)]


class Length(_ListOp):
    """How many elements there are."""

    def out(self, x: Any, *others: Any) -> Type:
        return TensorType("int64", ())

    def run(self, x: Any) -> Any:
        return np.asarray(len(x), "int64")


class Count(Length):
    """How many elements equal a value."""

    def run(self, x: Any, elem: Any) -> Any:  # type: ignore[override]
        return np.asarray(sum(np.array_equal(e, elem) for e in x), "int64")


class Index(Length):
    """The first place of a value."""

    def run(self, x: Any, elem: Any) -> Any:  # type: ignore[override]
        for i, e in enumerate(x):
            if np.array_equal(e, elem):
                return np.asarray(i, "int64")
        raise ValueError("the value is not in the list")


class Append(_ListOp):
    """A list with one element more."""

    def run(self, x: Any, y: Any) -> Any:
        return [*x, y]


class Extend(_ListOp):
    """One list after another."""

    def run(self, x: Any, y: Any) -> Any:
        return [*x, *y]


class Insert(_ListOp):
    """A list with one element more, in some place."""

    def run(self, x: Any, i: Any, y: Any) -> Any:
        return [*x[: int(i)], y, *x[int(i) :]]


class Remove(_ListOp):
    """A list without the first element that equals a value."""

    def run(self, x: Any, y: Any) -> Any:
        for i, e in enumerate(x):
            if np.array_equal(e, y):
                return [*x[:i], *x[i + 1 :]]
        raise ValueError("the value is not in the list")


class Reverse(_ListOp):
    """A list in reverse order."""

    def run(self, x: Any) -> Any:
        return x[::-1]


class MakeList(Op):
    """A list of given elements of one type."""

    __props__ = ()

    def make_node(self, elements: Any) -> Apply:
        made = [e if isinstance(e, Variable) else as_tensor_variable(e) for e in elements]
        if not made or any(e.type != made[0].type for e in made):
            raise TypeMismatch("make_list: expected elements of one type")
        return Apply(self, made, [TypedListType(made[0].type)()])

    def perform(self, node: Apply, inputs: Sequence[Any], output_storage: Any) -> None:
        output_storage[0][0] = [np.array(x) for x in inputs]


getitem, length, count, index_ = GetItem(), Length(), Count(), Index()
append, extend, insert, remove, reverse = Append(), Extend(), Insert(), Remove(), Reverse()
make_list = MakeList()
