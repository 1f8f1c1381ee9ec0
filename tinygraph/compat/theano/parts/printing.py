"""``theano.printing``."""

from __future__ import annotations

from typing import Any

from tinygraph.printing.debugprint import debugprint
from tinygraph.printing.pp import pp, pprint
from tinygraph.tensor.checks import Print

__all__ = ["Print", "debugprint", "hex_digest", "min_informative_str", "pp", "pprint", "pydot_imported",
           "pydot_imported_msg", "pydotprint", "var_descriptor"]  # fmt: skip

pydot_imported = False
pydot_imported_msg = "pictures of graphs are drawn with the graphviz package"


def pydotprint(fct: Any, outfile: Any = None, compact: bool = True, format: str = "png", with_ids: bool = False,
               high_contrast: bool = True, var_with_name_simple: bool = False, return_image: bool = False,
               **kwargs: Any) -> Any:  # fmt: skip
    """Draw the graph of a compiled function, variable or list of them with graphviz, into ``outfile``."""
    from tinygraph.compat.theano.parts.absent import NotInTinygraph

    try:
        from tinygraph.printing import pydot  # type: ignore[attr-defined]
    except ImportError:
        raise NotInTinygraph(
            "theano's pydotprint: this version draws no pictures of graphs; "
            "theano.printing.debugprint shows them as text"
        ) from None
    return pydot.pydotprint(fct, outfile, compact=compact, format=format, return_image=return_image)


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
