"""What a picture of a graph shows: boxes with labels and details, arrows, and where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import networkx as nx

from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.graph.op import Apply
from tinygraph.graph.shared import SharedVariable
from tinygraph.graph.traversal import toposort
from tinygraph.graph.variable import Constant, Variable
from tinygraph.printing.ssa import type_text

COLOURS = {"input": "#cfe8cf", "shared": "#cfdcf0", "constant": "#eeeeee", "op": "#fdf3d0", "output": "#f3cfcf"}


@dataclass
class Box:
    """One node of the picture."""

    id: str
    kind: str
    label: str
    details: dict[str, str] = field(default_factory=dict)
    x: float = 0.0
    y: float = 0.0
    node: Apply | None = None


@dataclass
class Picture:
    """Boxes and the arrows between them (``(from, to, label)``)."""

    boxes: dict[str, Box]
    arrows: list[tuple[str, str, str]]
    width: float = 0.0
    height: float = 0.0


def outputs_of(what: Any) -> list[Variable]:
    """The expressions of a variable, several, a FunctionGraph, or a compiled function."""
    graph = getattr(what, "fgraph", what)
    if isinstance(graph, FunctionGraph):
        return list(graph.outputs)
    if isinstance(graph, Apply):
        return list(graph.outputs)
    return [graph] if isinstance(graph, Variable) else list(graph)


def picture_of(what: Any, constants: bool = True) -> Picture:
    """The picture of a graph, laid out in layers from inputs (top) to outputs."""
    outputs = outputs_of(what)
    picture = Picture({}, [])
    names: dict[Any, str] = {}

    def leaf(v: Variable) -> str:
        if v not in names:
            names[v] = f"v{len(names)}"
            kind = "constant" if isinstance(v, Constant) else "shared" if isinstance(v, SharedVariable) else "input"
            picture.boxes[names[v]] = Box(names[v], kind, short(_leaf_name(v)), _details(v))
        return names[v]

    for node in toposort(outputs):
        names[node] = f"v{len(names)}"
        details = {"op": str(node.op), "outputs": ", ".join(str(o.type) for o in node.outputs)}
        if node.origin is not None:
            details["line"] = node.origin.text()
        picture.boxes[names[node]] = Box(names[node], "op", short(_op_name(node)), details, node=node)
        for i, v in enumerate(node.inputs):
            if v.owner is not None:
                source = names[v.owner]
            elif constants or not isinstance(v, Constant):
                source = leaf(v)
            else:
                continue
            picture.arrows.append((source, names[node], str(i) if len(node.inputs) > 1 else ""))
    for i, v in enumerate(outputs):
        name = f"out{i}"
        picture.boxes[name] = Box(name, "output", short(v.name or f"output {i}"), _details(v))
        picture.arrows.append((names[v.owner] if v.owner is not None else leaf(v), name, ""))
    lay_out(picture)
    return picture


def _op_name(node: Apply) -> str:
    text = str(node.op)
    return text[9:-1] if text.startswith("Elemwise{") else text.replace("dtype=", "").replace("axis=", "")


def _leaf_name(v: Variable) -> str:
    if isinstance(v, Constant) and v.name is None:
        return str(v).partition("{")[2][:-1] or str(v)
    return v.name or type_text(v.type)


def short(text: str, limit: int = 28) -> str:
    """``text``, cut to ``limit`` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _details(v: Variable) -> dict[str, str]:
    details = {"name": str(v), "type": str(v.type)}
    if v.origin is not None:
        details["line"] = v.origin.text()
    return details


def lay_out(picture: Picture, step_x: float = 150.0, step_y: float = 70.0) -> None:
    """Place the boxes: layers by longest path, then sweeps that put each box near the middle of its neighbours."""
    graph = nx.DiGraph()
    graph.add_nodes_from(picture.boxes)
    graph.add_edges_from((a, b) for a, b, _ in picture.arrows)
    layers = _layers(graph)
    place = {n: float(i) for layer in layers for i, n in enumerate(layer)}
    for sweep in range(6):
        neighbours = graph.pred if sweep % 2 == 0 else graph.succ
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted = {n: _mean([place[m] for m in neighbours[n]], place[n]) for n in layer}
            layer.sort(key=wanted.__getitem__)
            place.update(_spread([wanted[n] for n in layer], layer))
    left = min(place.values(), default=0.0)
    for depth, layer in enumerate(layers):
        for n in layer:
            box = picture.boxes[n]
            box.x, box.y = (place[n] - left) * step_x + step_x / 2, depth * step_y + step_y / 2
    picture.width = max((b.x for b in picture.boxes.values()), default=0.0) + step_x / 2
    picture.height = len(layers) * step_y


def _layers(graph: nx.DiGraph) -> list[list[str]]:
    """Boxes by longest path from the top; what nothing leads to stands right above the first that reads it."""
    depth: dict[str, int] = {}
    for n in nx.topological_sort(graph):
        depth[n] = max((depth[m] + 1 for m in graph.pred[n]), default=0)
    for n in graph:
        if not graph.pred[n] and graph.succ[n]:
            depth[n] = min(depth[m] for m in graph.succ[n]) - 1
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for n in graph:  # in the order of the boxes
        layers[depth[n]].append(n)
    return layers


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _spread(wanted: Sequence[float], layer: Sequence[str]) -> dict[str, float]:
    """Positions at least 1 apart, in order, near where each box wants to be."""
    at: list[float] = []
    for w in wanted:
        at.append(max(w, at[-1] + 1) if at else w)
    shift = _mean([w - a for w, a in zip(wanted, at, strict=True)], 0.0)
    return {n: a + shift for n, a in zip(layer, at, strict=True)}
