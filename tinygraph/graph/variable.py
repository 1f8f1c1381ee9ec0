"""Variables: the edges of an expression graph."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from tinygraph.graph.origin import Origin, user_origin

if TYPE_CHECKING:
    from tinygraph.graph.op import Apply
    from tinygraph.graph.type import Type

_serials = itertools.count()


def next_serial() -> int:
    """A number that grows with every node made; it makes all orders reproducible."""
    return next(_serials)


class Scratchpad:
    """A bag of attributes that users and debug modes hang on a variable (``v.tag.test_value``)."""

    def __repr__(self) -> str:
        return f"scratchpad{self.__dict__}"


class Variable:
    """A symbolic value: a ``type``, and either an ``owner`` (the Apply node that computes it) or none (a leaf)."""

    def __init__(self, type: Type, owner: Apply | None = None, index: int | None = None, name: str | None = None):
        if name is not None and not isinstance(name, str):
            raise TypeError(f"a variable's name must be a string, got {name!r}")
        self.type = type
        self.owner = owner
        self.index = index
        self.name = name
        self.serial = next(_serials)
        self._origin = user_origin() if owner is None else None

    @property
    def origin(self) -> Origin | None:
        """The user's file and line that built this variable."""
        return self._origin if self.owner is None else self.owner.origin

    @property
    def tag(self) -> Scratchpad:
        pad = self.__dict__.get("_tag")
        if pad is None:
            pad = self.__dict__["_tag"] = Scratchpad()
        return pad

    @tag.setter
    def tag(self, pad: Scratchpad) -> None:
        self.__dict__["_tag"] = pad

    @property
    def auto_name(self) -> str:
        return f"auto_{self.serial}"

    def clone(self) -> Variable:
        """A fresh leaf of the same type and name (not the expression behind it)."""
        new = self.type.make_variable(self.name)
        if "_tag" in self.__dict__:
            new.tag.__dict__.update(self.tag.__dict__)
        return new

    def get_parents(self) -> list[Apply]:
        return [] if self.owner is None else [self.owner]

    def eval(self, inputs_to_values: dict | None = None) -> Any:
        """Compile and call this expression: ``(x + y).eval({x: 1, y: 2})``. The compiled function is kept."""
        from tinygraph.compile.evaluate import evaluate  # late: the compiler stands above the graph

        return evaluate(self, inputs_to_values or {})

    def __str__(self) -> str:
        if self.name is not None:
            return self.name
        if self.owner is not None:
            suffix = f".{self.index}" if len(self.owner.outputs) > 1 else ".0"
            return f"{self.owner.op}{suffix}"
        return f"<{self.type}>"

    def __repr__(self) -> str:
        return str(self)

    def _repr_svg_(self) -> str | None:
        """A picture of the expression, for notebooks."""
        from tinygraph.printing.notebook import svg_of  # late: pictures stand above the graph

        return svg_of(self)

    def _repr_html_(self) -> str:
        """The picture and the text of the expression, for notebooks."""
        from tinygraph.printing.notebook import html_of

        return html_of(self)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """A leaf is pickled as itself; a computed value as its node, after the nodes before it (no deep recursion)."""
        if self.owner is None:
            return super().__reduce_ex__(protocol)
        from tinygraph.graph.traversal import toposort

        return (_output_of, (toposort([self]), self.owner, self.index))

    def __getstate__(self) -> dict:
        return {k: v for k, v in self.__dict__.items() if k not in ("serial", "_eval_cache")}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self.serial = next(_serials)


def _output_of(earlier: Any, node: Apply, index: int) -> Variable:
    return node.outputs[index]


class Constant(Variable):
    """A leaf whose value is known while the graph is built. Its data must not be changed."""

    def __init__(self, type: Type, data: Any, name: str | None = None):
        super().__init__(type, name=name)
        self.data = type.filter(data)

    @property
    def value(self) -> Any:
        return self.data

    def signature(self) -> Any:
        """A hashable key, equal for constants that can be merged."""
        return (self.type, id(self.data))

    def equals(self, other: Any) -> bool:
        return isinstance(other, Constant) and self.signature() == other.signature()

    def clone(self) -> Constant:
        return self

    def __str__(self) -> str:
        if self.name is not None:
            return self.name
        text = str(self.data).replace("\n", "")
        return f"{type(self).__name__}{{{text[:40]}}}"
