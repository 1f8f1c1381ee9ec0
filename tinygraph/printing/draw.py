"""Pictures of graphs: SVG or PNG through Graphviz where it is installed, else SVG laid out here."""

from __future__ import annotations

import shutil
from html import escape
from pathlib import Path
from typing import Any

from tinygraph.errors import InvalidValue, TargetUnavailable
from tinygraph.printing.picture import COLOURS, Picture, picture_of


def draw(what: Any, outfile: str | Path | None = None, constants: bool = True) -> str:
    """A picture of an expression, a graph or a compiled function as SVG text.

    ``outfile``: also write it there; a name that ends in ``.png`` needs Graphviz, ``.dot`` writes its source.
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
        path.write_bytes(_graphviz(picture, "png"))
        return svg_text(picture)
    text = _graphviz(picture, "svg").decode() if shutil.which("dot") and _has_graphviz() else svg_text(picture)
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
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
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
            f'<text x="{box.x:.1f}" y="{box.y + 4:.1f}" text-anchor="middle">{escape(box.label[:22])}</text></g>'
        )
    return "\n".join([*parts, "</svg>"])


def _has_graphviz() -> bool:
    try:
        import graphviz  # noqa: F401
    except ImportError:
        return False
    return True


def _graphviz(picture: Picture, kind: str) -> bytes:
    if not _has_graphviz() or shutil.which("dot") is None:
        raise TargetUnavailable(
            "a PNG picture needs Graphviz: install its program 'dot' and pip install tinygraph[viz]; "
            "SVG works without (draw(f, 'graph.svg'))"
        )
    import graphviz

    return graphviz.Source(dot_text(picture)).pipe(format=kind)
