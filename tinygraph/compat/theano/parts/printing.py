"""``theano.printing``."""

from __future__ import annotations

from typing import Any

from tinygraph.printing.debugprint import debugprint
from tinygraph.printing.draw import pydotprint as draw_into
from tinygraph.printing.pp import pp, pprint
from tinygraph.tensor.checks import Print

__all__ = ["Print", "debugprint", "hex_digest", "min_informative_str", "pp", "pprint", "pydot_imported",
           "pydot_imported_msg", "pydotprint", "var_descriptor"]  # fmt: skip

pydot_imported = False
pydot_imported_msg = "pictures of graphs are drawn with the graphviz package"


def pydotprint(fct: Any, outfile: Any = None, compact: bool = True, format: str = "png", with_ids: bool = False,
               high_contrast: bool = True, var_with_name_simple: bool = False, return_image: bool = False,
               **kwargs: Any) -> Any:  # fmt: skip
    """Draw the graph of a compiled function, variable or list of them into ``outfile``; the picture as SVG text.

    PNG needs Graphviz; ``format="svg"`` does not.
    """
    return draw_into(fct, outfile, format=format)


def min_informative_str(obj: Any, indent_level: int = 0, _prev_obs: Any = None, _tag_generator: Any = None) -> str:
    """The expression as a tree of ``A. op`` lines, shared parts once."""
    return str(debugprint(obj, file="str"))


def var_descriptor(obj: Any, _prev_obs: Any = None, _tag_generator: Any = None) -> str:
    """A text that is equal for expressions of equal structure."""
    return str(debugprint(obj, file="str"))


def hex_digest(x: Any) -> str:
    """A digest of an array's bytes, strides, dtype and shape."""
    import hashlib

    digest = hashlib.sha256(x.tobytes()).hexdigest()
    return f"{digest}|strides=[{','.join(map(str, x.strides))}]|shape=[{','.join(map(str, x.shape))}]"
