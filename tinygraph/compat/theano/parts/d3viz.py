"""``theano.d3viz``: a graph as a page that opens in any browser, with nothing to load from elsewhere."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from tinygraph.compile.compiled import CompiledFunction
from tinygraph.graph import FunctionGraph
from tinygraph.printing.draw import draw
from tinygraph.printing.report import report_html

__all__ = ["d3viz", "d3write"]

_PAGE = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1>{picture}</body></html>
"""


def d3viz(fct: Any, outfile: Any, copy_deps: bool = True, *args: Any, **kwargs: Any) -> None:
    """Write a page on ``fct`` to ``outfile``: of a compiled function the report (graph, program, memory), of variables
    or a FunctionGraph the picture of the graph. The page stands alone: nothing is copied next to it."""
    if isinstance(fct, CompiledFunction):
        text = report_html(fct)
    else:
        what = fct.outputs if isinstance(fct, FunctionGraph) else fct
        text = _PAGE.format(title=html.escape(Path(outfile).stem), picture=draw(what))
    Path(outfile).write_text(text, encoding="utf-8")


def d3write(fct: Any, path: Any, *args: Any, **kwargs: Any) -> None:
    """Write the picture of a graph, in Graphviz' language, to ``path``."""
    from tinygraph.printing.draw import dot_text
    from tinygraph.printing.picture import picture_of

    Path(path).write_text(dot_text(picture_of(fct)), encoding="utf-8")
