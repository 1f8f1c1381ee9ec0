"""``debugprint``: expressions as trees of text, in Theano's layout.

One line for each use of a variable: its op, ``[id A]``, its name; what it is computed from stands below, indented.
Parts that were shown already are named by their id only.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.graph.op import Apply
from tinygraph.graph.tensortype import TensorType
from tinygraph.graph.variable import Variable


def debugprint(
    obj: Any,
    depth: int = -1,
    print_type: bool = False,
    file: Any = None,
    ids: str = "CHAR",
    stop_on_name: bool = False,
    done: dict[Any, str] | None = None,
    print_storage: bool = False,
    print_clients: bool = False,
    used_ids: dict[Any, str] | None = None,
    print_shape: bool = False,
    print_destroy_map: bool = False,
    print_view_map: bool = False,
) -> Any:
    """Print the graph of ``obj``: a variable, node, compiled function, FunctionGraph, or a list of them.

    Parameters
    ----------
    depth : how many levels to show; -1 for all
    print_type : also show types
    file : an open file, ``"str"`` to get the text back, or None for standard output
    ids : how variables are told apart: "CHAR", "int", "id" (of the object) or "" for not at all
    stop_on_name : show nothing below a variable that has a name
    print_storage : also show the values of shared variables and constants
    print_clients : also show what uses a variable, where it appears again
    print_shape : also show what is known of shapes, as ``shape=(?, 10)``
    print_destroy_map, print_view_map : also show which inputs an op writes over, and of which its outputs are views

    Example
    -------
    >>> import tinygraph.tensor as T
    >>> x, y = T.dscalars("x", "y")
    >>> print(debugprint(x + y, file="str").replace("''   ", "''"))
    Elemwise{add} [id A] ''
     |x [id B]
     |y [id C]
    <BLANKLINE>
    """
    if ids not in ("CHAR", "int", "id", ""):
        raise ValueError(f"debugprint: ids must be 'CHAR', 'int', 'id' or '', got {ids!r}")
    printer = _Printer(depth, print_type, ids, stop_on_name, {} if done is None else done, print_storage, print_clients,
                       {} if used_ids is None else used_ids)  # fmt: skip
    printer.shapes, printer.destroys, printer.views = print_shape, print_destroy_map, print_view_map
    for outputs, order in _graphs(obj):
        printer.order = order
        for v in outputs:
            printer.tree(v)
    printer.inner_graphs()
    text = "\n".join(printer.lines) + "\n"
    if file == "str":
        return text
    out = sys.stdout if file is None else file
    out.write(text)
    return out


def _graphs(obj: Any) -> Iterator[tuple[Sequence[Variable], dict[Apply, int]]]:
    """Outputs to show, with the order in which nodes run where it is known."""
    if isinstance(obj, (list, tuple, set)):
        for one in obj:
            yield from _graphs(one)
    elif isinstance(obj, Variable):
        yield [obj], {}
    elif isinstance(obj, Apply):
        yield obj.outputs, {}
    else:
        graph = obj if isinstance(obj, FunctionGraph) else getattr(obj, "fgraph", None)
        if not isinstance(graph, FunctionGraph):
            raise TypeError(f"debugprint: expected a variable, a node, a function or a list of them, got {obj!r}")
        yield graph.outputs, {node: i for i, node in enumerate(graph.toposort())}


def char_from_number(number: int) -> str:
    """``A`` .. ``Z``, ``BA``: the number in base 26, in letters.

    >>> [char_from_number(n) for n in (0, 25, 26)]
    ['A', 'Z', 'BA']
    """
    letters = ""
    while True:
        number, digit = divmod(number, 26)
        letters = chr(ord("A") + digit) + letters
        if number == 0:
            return letters


class _Printer:
    def __init__(self, depth: int, types: bool, ids: str, stop_on_name: bool, done: dict[Any, str], storage: bool,
                 clients: bool, used: dict[Any, str]):  # fmt: skip
        self.depth, self.types, self.ids, self.stop_on_name = depth, types, ids, stop_on_name
        self.done, self.storage, self.clients, self.used = done, storage, clients, used
        self.shapes = self.destroys = self.views = False
        self.order: dict[Apply, int] = {}
        self.lines: list[str] = []
        self.scans: list[Variable] = []

    def id_of(self, thing: Any) -> str:
        if not self.ids:
            return ""
        if thing not in self.used:
            n = len(self.used)
            self.used[thing] = {"CHAR": char_from_number(n), "int": str(n), "id": str(id(thing))}[self.ids]
        return f" [id {self.used[thing]}]"

    def tree(self, root: Variable, prefix: str = "", below: str = "") -> None:
        """The lines of one expression; a stack instead of recursion, as graphs are deep."""
        stack = [(root, prefix, below, self.depth)]
        while stack:
            v, head, child, depth = stack.pop()
            if depth == 0:
                continue
            node = v.owner
            if node is None:
                self.lines.append(self._leaf(v, head))
                continue
            again = node in self.done
            self.lines.append(self._node(v, head, again))
            if again or (self.stop_on_name and v.name is not None):
                continue
            self.done[node] = ""
            if _inner(node) is not None:
                self.scans.append(v)
            last = len(node.inputs) - 1
            for i in reversed(range(last + 1)):
                stack.append((node.inputs[i], f"{child} |", child + ("  " if i == last else " |"), depth - 1))

    def _leaf(self, v: Variable, head: str) -> str:
        type_text = self._type(v)
        value = ""
        if self.storage:
            held = getattr(v, "container", None)
            found = held.value if held is not None else getattr(v, "data", None)
            value = "" if found is None else f" {found!r}"
        return f"{head}{v}{self.id_of(v)}{type_text}{value}"

    def _type(self, v: Variable) -> str:
        text = f" <{v.type}>" if self.types else ""
        if self.shapes and isinstance(v.type, TensorType):
            dims = ", ".join("?" if d is None else str(d) for d in v.type.shape)
            text += f" shape=({dims}{',' if v.type.ndim == 1 else ''})"
        return text

    def _node(self, v: Variable, head: str, again: bool) -> str:
        node = v.owner
        assert node is not None
        index = f".{v.index}" if len(node.outputs) > 1 else ""
        maps = [f"v={node.op.view_map}"] if self.views and node.op.view_map else []
        maps += [f"d={node.op.destroy_map}"] if self.destroys and node.op.destroy_map else []
        after = " ".join([*maps, str(self.order.get(node, ""))])
        line = f"{head}{node.op}{index}{self.id_of(node)}{self._type(v)} '{v.name or ''}'   {after}"
        if again and self.clients and self.used:
            line += " (shown above)"
        return line

    def inner_graphs(self) -> None:
        """What the loops found so far compute in each step."""
        shown = 0
        while shown < len(self.scans):
            if shown == 0:
                self.lines += ["", "Inner graphs of the scan ops:"]
            v = self.scans[shown]
            shown += 1
            assert v.owner is not None
            self.lines += ["", self._node(v, "", False)]
            for out in _inner(v.owner).outputs:
                self.tree(out, " >", "  ")


def _inner(node: Apply) -> Any:
    inner = getattr(node.op, "inner", None)
    return inner if hasattr(inner, "outputs") else None
