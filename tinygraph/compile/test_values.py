"""``config.compute_test_value``: running each op on examples while the graph is built, so that errors show at once.

Leaves take their example from ``variable.tag.test_value``; constants and shared variables bring their own. With 'raise'
a missing example or a failing op raises at the user's line, with 'warn' it warns, with 'ignore' missing ones pass.
"""

from __future__ import annotations

import warnings

import numpy as np

from tinygraph.config import config
from tinygraph.errors import InvalidValue
from tinygraph.graph.examples import get_test_value
from tinygraph.graph.op import Apply, add_build_hook


def compute(node: Apply) -> None:
    """Give the node's outputs example values computed from its inputs'."""
    how = config.compute_test_value
    if how == "off":
        return
    values = []
    for v in node.inputs:
        try:
            values.append(get_test_value(v))
        except AttributeError as error:
            if v.owner is None:  # else a leaf was missing, or the op that made it cannot be run: said there
                _missing(node, error, how)
            return
        except TypeError as error:
            raise type(error)(f"the test value of {v} does not fit: {error}") from None
    try:
        with np.errstate(all="ignore"):
            outputs = node.op.evaluate(node, values)
    except NotImplementedError:
        return
    except Exception as error:
        shapes = ", ".join(str(getattr(x, "shape", "")) for x in values)
        error.add_note(f"  computing the test value of {node.op} on inputs of shapes {shapes}")
        if node.origin is not None:
            error.add_note(f"  built at {node.origin.text()}")
        raise
    for out, value in zip(node.outputs, outputs, strict=True):
        out.tag.__dict__["test_value"] = value


def _missing(node: Apply, error: Exception, how: str) -> None:
    message = f"compute_test_value: {error}" + (f"\n  needed by {node.op} at {node.origin}" if node.origin else "")
    if how == "warn":
        warnings.warn(message, stacklevel=6)
    elif how in ("raise", "pdb"):
        raise InvalidValue(message)


add_build_hook(compute)
