"""``theano.compat`` and ``theano.misc.strutil``: what bridged Python 2 and 3."""

from __future__ import annotations

import io
import pickle as cPickle
import queue
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from functools import partial, reduce
from typing import Any

PY3 = True
string_types = (str,)
integer_types = (int,)
StringIO = io.StringIO
BytesIO = io.BytesIO
xrange = range
izip = zip
imap = map
DefaultOrderedDict = defaultdict
Queue = queue


def iteritems(d: Mapping) -> Any:
    return iter(d.items())


def itervalues(d: Mapping) -> Any:
    return iter(d.values())


def iterkeys(d: Mapping) -> Any:
    return iter(d.keys())


def exc_message(e: BaseException) -> Any:
    return e


def render_string(string: str, sub: Any) -> str:
    """``string % sub``."""
    return string % sub


__all__ = [
    "PY3", "BytesIO", "Callable", "DefaultOrderedDict", "Iterable", "Mapping", "MutableMapping", "OrderedDict", "Queue",
    "StringIO", "cPickle", "defaultdict", "exc_message", "imap", "integer_types", "iteritems", "iterkeys", "itervalues",
    "izip", "partial", "reduce", "render_string", "string_types", "xrange",
]  # fmt: skip
