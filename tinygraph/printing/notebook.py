"""What notebooks show of variables and compiled functions: a picture, and the same as text that can be unfolded."""

from __future__ import annotations

from html import escape
from typing import Any

from tinygraph.graph.traversal import toposort
from tinygraph.printing.debugprint import debugprint
from tinygraph.printing.draw import svg_text
from tinygraph.printing.picture import outputs_of, picture_of

#: graphs with more nodes than this are shown as text alone: a page cannot show them, and laying them out takes long
DRAWN = 400
#: lines of text shown at most
LINES = 400


def svg_of(what: Any) -> str | None:
    """The picture of an expression or a compiled function; None, for "no picture", where it would be too large."""
    if len(toposort(outputs_of(what))) > DRAWN:
        return None
    return svg_text(picture_of(what))


def html_of(what: Any) -> str:
    """The picture in a frame that scrolls, and the graph as text below it."""
    lines = str(debugprint(what, print_type=True, file="str")).splitlines()
    shown = lines[:LINES] + ([f"... {len(lines) - LINES} lines more"] if len(lines) > LINES else [])
    text = f"<pre>{escape(chr(10).join(shown))}</pre>"
    svg = svg_of(what)
    if svg is None:
        return f"<details><summary>{escape(repr(what))}</summary>{text}</details>"
    return (
        f'<div style="overflow:auto;max-height:600px">{svg}</div>'
        f"<details><summary>{escape(repr(what))}</summary>{text}</details>"
    )
