"""Theano's names for what tinygraph does: programs written for Theano run.

``import tinygraph.compat.theano as theano`` gives the package under Theano's names. :func:`install` lets a program's
own ``import theano`` find it. ``tinygraph run-theano SCRIPT.py`` installs it for one script, and
``pytest -p tinygraph.compat.theano.plugin`` for tests. ``docs/from-theano.md`` says what differs.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

from tinygraph.compat.theano import modules as _modules
from tinygraph.errors import InvalidValue as _InvalidValue

_modules.publish(__name__)


def install(force: bool = False) -> Any:
    """Let ``import theano`` find tinygraph, and return that module; ``THEANO_FLAGS`` and ``.theanorc`` are read.

    Raises InvalidValue where a real Theano is installed, unless ``force``.
    """
    root = _modules.MODULES[""]
    if sys.modules.get("theano") is not root:
        if not force and _real_theano():
            raise _InvalidValue(
                "theano: a real Theano is installed here; install(force=True) puts tinygraph in its place"
            )
        for name in [n for n in sys.modules if n == "theano" or n.startswith("theano.")]:
            del sys.modules[name]
        sys.modules["theano"] = root
        _modules.publish("theano")
    from tinygraph.compat.theano.parts.configuration import read_flags
    from tinygraph.tensor.variable import TensorOperators

    TensorOperators._true_unless_condition = True
    read_flags()
    return root


def uninstall() -> None:
    """Undo :func:`install`; modules that were imported keep working."""
    from tinygraph.tensor.variable import TensorOperators

    TensorOperators._true_unless_condition = False
    _modules.withdraw("theano")


def _real_theano() -> bool:
    if "theano" in sys.modules:
        return True
    spec = importlib.util.find_spec("theano")
    return spec is not None and spec.origin is not None  # without an origin: a mere directory of that name


def __getattr__(name: str) -> Any:
    if name.startswith("__") and name != "__version__":
        raise AttributeError(name)
    return getattr(_modules.MODULES[""], name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_modules.MODULES[""])})
