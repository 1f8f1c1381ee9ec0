"""Example values of variables (``variable.tag.test_value``), on which ``config.compute_test_value`` runs ops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tinygraph.config import config
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


def share_example(v: Variable, source: Variable, part: Callable[[Any], Any]) -> None:
    """Give ``v``, which stands for a part of ``source``, that part of its example value, if examples are in use."""
    if config.compute_test_value == "off":
        return
    try:
        v.tag.__dict__["test_value"] = part(get_test_value(source))
    except (AttributeError, IndexError, TypeError):
        return  # no example, or one without that part: whoever needs it says so


@contextmanager
def no_examples() -> Iterator[None]:
    """Inside, ops are not run on examples: for graphs made of parts of others."""
    if config.compute_test_value == "off":
        yield
        return
    with config.change(compute_test_value="off"):
        yield
