"""Pictures of graphs: through Graphviz where it is there, else laid out here (a PNG then needs Matplotlib)."""

from __future__ import annotations

import shutil
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

from tinygraph.errors import InvalidValue, TargetUnavailable
from tinygraph.printing.picture import COLOURS, Picture, picture_of, short


def draw(what: Any, outfile: str | Path | None = None, constants: bool = True) -> str:
    """A picture of an expression, a graph or a compiled function as SVG text.

    ``outfile``: also write it there; a name that ends in ``.png`` needs Graphviz or Matplotlib, ``.dot`` writes
    Graphviz's source.
    """
    picture = picture_of(what, constants)
    path = None if outfile is None else Path(outfile)
    kind = "svg" if path is None else path.suffix.lstrip(".").lower() or "svg"
    if kind == "dot" and path is not None:
        path.write_text(dot_text(picture), encoding="utf-8")
        return svg_text(picture)
    if kind not in ("svg", "png"):
        raise InvalidValue(f"draw: the file must end in .svg, .png or .dot, got {str(outfile)!r}")
    if kind == "png" and path is not None:
        path.write_bytes(_graphviz(picture, "png") if _has_graphviz() else png_bytes(picture))
        return svg_text(picture)
    text = _graphviz(picture, "svg").decode() if _has_graphviz() else svg_text(picture)
    if path is not None:
        path.write_text(text, encoding="utf-8")
    return text


def pydotprint(fct: Any, outfile: str | Path | None = None, format: str | None = None, **_: Any) -> str:
    """Theano's name for :func:`draw`; writes ``outfile`` (SVG where its name has no ending we know)."""
    name = None if outfile is None else Path(outfile)
    if name is not None and format is not None:
        name = name.with_suffix(f".{format}")
    elif name is not None and name.suffix.lower() not in (".svg", ".png", ".dot"):
        name = name.with_suffix(".svg")
    return draw(fct, name)


def dot_text(picture: Picture) -> str:
    """The picture in Graphviz's language."""
    lines = ["digraph graph_ {", "  node [shape=box, style=\"filled,rounded\", fontname=\"sans-serif\", fontsize=10];"]
    for box in picture.boxes.values():
        label = box.label.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'  {box.id} [label="{label}", fillcolor="{COLOURS[box.kind]}"];')
    lines += [f'  {a} -> {b}{f" [label={label}, fontsize=8]" if label else ""};' for a, b, label in picture.arrows]
    return "\n".join([*lines, "}"]) + "\n"


def svg_text(picture: Picture) -> str:
    """The picture as SVG, without any other program."""
    w, h = picture.width + 20, picture.height + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w:.0f} {h:.0f}" width="{w:.0f}" height="{h:.0f}" '
        'font-family="sans-serif" font-size="11">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
        'markerUnits="userSpaceOnUse" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#666"/></marker></defs>',
    ]
    for a, b, _ in picture.arrows:
        p, q = picture.boxes[a], picture.boxes[b]
        middle = (p.y + q.y) / 2
        parts.append(
            f'<path d="M{p.x:.1f} {p.y + 13:.1f}C{p.x:.1f} {middle:.1f} {q.x:.1f} {middle:.1f} '
            f'{q.x:.1f} {q.y - 13:.1f}" fill="none" stroke="#888" marker-end="url(#tip)" '
            f'data-from="{a}" data-to="{b}"/>'
        )
    for box in picture.boxes.values():
        title = "\n".join(f"{k}: {v}" for k, v in box.details.items())
        parts.append(
            f'<g class="box" id="{box.id}"><title>{escape(title)}</title>'
            f'<rect x="{box.x - 65:.1f}" y="{box.y - 13:.1f}" width="130" height="26" rx="5" '
            f'fill="{COLOURS[box.kind]}" stroke="#777"/>'
            f'<text x="{box.x:.1f}" y="{box.y + 4:.1f}" text-anchor="middle">{escape(short(box.label, 22))}</text></g>'
        )
    return "\n".join([*parts, "</svg>"])


def png_bytes(picture: Picture) -> bytes:
    """The picture as laid out here, drawn by Matplotlib. Raises TargetUnavailable where it is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
    except ImportError as error:
        raise TargetUnavailable(
            "a PNG picture needs Graphviz (its program 'dot', and pip install tinygraph[viz]) or Matplotlib; "
            "SVG works without (draw(f, 'graph.svg'))"
        ) from error
    w, h = picture.width + 20, picture.height + 20
    dpi = min(100.0, 1_600_000 / max(w, h))  # the picture's units are hundredths of an inch; at most 16,000 pixels
    figure = Figure((w / 100, h / 100), dpi=dpi)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, w), ylim=(h, 0))
    axes.axis("off")
    for a, b, _ in picture.arrows:
        p, q = picture.boxes[a], picture.boxes[b]
        axes.add_patch(FancyArrowPatch((p.x, p.y + 13), (q.x, q.y - 13), arrowstyle="->", mutation_scale=7,
                                       color="#888", shrinkA=0, shrinkB=0, linewidth=0.8))  # fmt: skip
    for box in picture.boxes.values():
        axes.add_patch(FancyBboxPatch((box.x - 62, box.y - 10), 124, 20, boxstyle="round,pad=3", edgecolor="#777",
                                      facecolor=COLOURS[box.kind], linewidth=0.8))  # fmt: skip
        axes.text(box.x, box.y, short(box.label, 22), ha="center", va="center", fontsize=7, parse_math=False)
    file = BytesIO()
    FigureCanvasAgg(figure).print_png(file)
    return file.getvalue()


def _has_graphviz() -> bool:
    try:
        import graphviz  # noqa: F401
    except ImportError:
        return False
    return shutil.which("dot") is not None


def _graphviz(picture: Picture, kind: str) -> bytes:
    import graphviz

    return graphviz.Source(dot_text(picture)).pipe(format=kind)
