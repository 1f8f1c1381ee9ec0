"""Parameters out of pickles that Theano's programs wrote.

``load_foreign`` is called on purpose, for a file one names; nothing else here reads such files. It makes containers,
numbers, texts and NumPy arrays. Objects of Theano's classes become :class:`ForeignObject`, which only keeps what stood
in the file; of these, shared variables become their values. Any other class, and any function, is refused, so that a
file cannot run code.
"""

from __future__ import annotations

import collections
import pickle
from pathlib import Path
from typing import Any, ClassVar

from tinygraph.errors import DataError

_BUILTINS = {"set", "frozenset", "complex", "list", "dict", "tuple", "object", "bytearray", "slice", "range", "int",
             "float", "bool", "str", "bytes"}  # fmt: skip
_PYTHON_2 = {"unicode": "str", "long": "int", "xrange": "range"}
_NUMPY = {"_reconstruct", "scalar", "ndarray", "dtype", "_frombuffer"}
_THEANO = ("theano", "pygpu")


class ForeignObject:
    """An object of one of Theano's classes: its name, the arguments it was made with and its state."""

    origin: ClassVar[str] = ""

    def __new__(cls, *args: Any, **kwargs: Any) -> ForeignObject:
        made = object.__new__(cls)
        made.args, made.state = args, None
        return made

    def __init__(self, *args: Any, **kwargs: Any):
        self.args: tuple[Any, ...] = args

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __repr__(self) -> str:
        return f"<{self.origin} of a pickle>"


def _array(value: Any, *args: Any) -> Any:
    """What Theano's back ends for GPUs pickle: the array, and where it lay."""
    return value


class _Unpickler(pickle.Unpickler):
    """Finds nothing but what the module's description lists."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("builtins", "__builtin__") and _PYTHON_2.get(name, name) in _BUILTINS:
            import builtins

            return getattr(builtins, _PYTHON_2.get(name, name))
        if module.partition(".")[0] == "numpy" and name in _NUMPY:
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        if module == "collections" and name in ("OrderedDict", "deque"):
            return getattr(collections, name)
        if (module, name) in (("copy_reg", "_reconstructor"), ("copyreg", "_reconstructor")):
            return _reconstructor
        if (module, name) == ("_codecs", "encode"):
            return _encode
        if module.partition(".")[0] in _THEANO:
            return _array if name.endswith("_unpickler") else _stand_in(f"{module}.{name}")
        raise DataError(f"the pickle holds {module}.{name}, neither data nor a part of Theano; nothing is read")


def _reconstructor(cls: Any, base: Any, state: Any) -> Any:
    if not (isinstance(cls, type) and issubclass(cls, ForeignObject)):
        raise DataError(f"the pickle makes an object of {cls!r}, which is no part of Theano; nothing is read")
    return cls()


def _encode(text: Any, encoding: Any = "latin1", *args: Any) -> bytes:
    """How Python 3 writes bytes for Python 2's readers."""
    if encoding != "latin1":
        raise DataError(f"the pickle holds text encoded as {encoding!r}; nothing is read")
    return text.encode("latin1")


def _stand_in(origin: str) -> type:
    return type(origin.rpartition(".")[2], (ForeignObject,), {"origin": origin})


def _values(found: Any) -> Any:
    """``found`` with shared variables as their values, in containers of the usual kinds."""
    if isinstance(found, ForeignObject) and isinstance(found.state, dict) and "container" in found.state:
        return _values(_contents(found.state["container"]))
    if type(found) in (list, tuple, set):
        return type(found)(_values(v) for v in found)
    if type(found) in (dict, collections.OrderedDict):
        return type(found)((k, _values(v)) for k, v in found.items())
    return found


def _contents(container: Any) -> Any:
    state = container.state if isinstance(container, ForeignObject) else container
    if isinstance(state, tuple):  # (attributes, slots)
        state = {**(state[0] or {}), **(state[1] or {})}
    if not isinstance(state, dict) or not isinstance(state.get("storage"), list) or len(state["storage"]) != 1:
        raise DataError(f"a shared variable of the pickle has no value that can be read: {container!r}")
    return state["storage"][0]


def load_foreign(file: Any) -> Any:
    """The data in a pickle written with Theano, under Python 2 or 3: containers, numbers, texts, arrays.

    ``file``: a path, or a file open for reading bytes. Shared variables come as arrays, other objects of Theano's as
    :class:`ForeignObject`. Raises DataError for a file that is no pickle or names anything else.
    """
    if isinstance(file, (str, Path)):
        with open(file, "rb") as opened:
            return load_foreign(opened)
    try:
        return _values(_Unpickler(file, encoding="latin1").load())
    except DataError:
        raise
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError, TypeError,
            ValueError) as error:  # fmt: skip
        raise DataError(f"{getattr(file, 'name', file)}: cannot be read as a pickle of data: {error}") from error


