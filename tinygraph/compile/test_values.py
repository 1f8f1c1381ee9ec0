"""``config.compute_test_value``: running each op on examples while the graph is built, so that errors show at once.

Leaves take their example from ``variable.tag.test_value``; constants and shared variables bring their own. With 'raise'
a missing example or a failing op raises at the user's line, with 'warn' it warns, with 'ignore' missing ones pass.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from tinygraph.config import config
from tinygraph.errors import InvalidValue
from tinygraph.graph.op import Apply, add_build_hook
from tinygraph.graph.variable import Constant, Variable


def get_test_value(v: Variable) -> Any:
    """The example value of a variable; AttributeError if it has none."""
    if isinstance(v, Constant):
        return v.data
    container = getattr(v, "container", None)
    if container is not None:
        return container.value
    pad = v.__dict__.get("_tag")
    if pad is None or not hasattr(pad, "test_value"):
        raise AttributeError(f"{v} of type {v.type} has no test value; set {v}.tag.test_value")
    return v.type.filter(pad.__dict__["test_value"], allow_downcast=True)


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
