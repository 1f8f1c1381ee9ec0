"""``theano.misc.pkl_utils``: whole graphs and models in one zip file, arrays kept as ``.npy`` files.

``dump`` writes a format of its own (its version is in the archive). ``load`` unpickles, which runs code that the file
names: it is asked for explicitly, by calling it, and only for files one trusts. ``load_foreign`` reads parameters
out of pickles that Theano wrote, and refuses everything that could run code.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from typing import Any

import numpy as np

from tinygraph.compat.theano.parts.foreign import ForeignObject as ForeignObject
from tinygraph.compat.theano.parts.foreign import load_foreign as load_foreign
from tinygraph.errors import DataError

FORMAT = "tinygraph pickle 1"


def dump(obj: Any, file_handler: Any, protocol: int = pickle.HIGHEST_PROTOCOL, persistent_id: Any = None) -> None:
    """Write ``obj`` to an open binary file; its arrays become files ``array_N.npy`` of the archive."""
    with zipfile.ZipFile(file_handler, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        archive.writestr("format", FORMAT)
        body = io.BytesIO()
        _Pickler(body, protocol, archive).dump(obj)
        archive.writestr("pkl", body.getvalue())


class _Pickler(pickle.Pickler):
    def __init__(self, file: Any, protocol: int, archive: zipfile.ZipFile):
        super().__init__(file, protocol)
        self._archive = archive
        self._seen: dict[int, tuple[str, np.ndarray]] = {}

    def persistent_id(self, obj: Any) -> Any:
        if type(obj) is not np.ndarray or obj.dtype.hasobject:
            return None
        if id(obj) not in self._seen:
            name = f"array_{len(self._seen)}.npy"
            content = io.BytesIO()
            np.save(content, obj, allow_pickle=False)
            self._archive.writestr(name, content.getvalue())
            self._seen[id(obj)] = name, obj
        return self._seen[id(obj)][0]


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: Any, archive: zipfile.ZipFile):
        super().__init__(file)
        self._archive = archive
        self._arrays: dict[str, np.ndarray] = {}

    def persistent_load(self, pid: Any) -> Any:
        if pid not in self._arrays:
            self._arrays[pid] = np.load(io.BytesIO(self._archive.read(pid)), allow_pickle=False)
        return self._arrays[pid]


def load(f: Any, persistent_load: Any = None) -> Any:
    """What :func:`dump` wrote to the open binary file ``f``. Raises DataError for anything else."""
    try:
        archive = zipfile.ZipFile(f, "r")
        found = archive.read("format").decode("utf-8", "replace")
    except (zipfile.BadZipFile, KeyError) as error:
        raise DataError(f"{getattr(f, 'name', f)}: expected an archive written by dump: {error}") from error
    if found != FORMAT:
        raise DataError(f"{getattr(f, 'name', f)}: expected {FORMAT!r}, found {found[:40]!r}")
    return _Unpickler(io.BytesIO(archive.read("pkl")), archive).load()


class StripPickler(pickle.Pickler):
    """A pickler; what Theano's strips (traces) is small here."""

    def __init__(self, file: Any, protocol: int = pickle.HIGHEST_PROTOCOL, extra_tag_to_remove: Any = None):
        super().__init__(file, protocol)


CompatUnpickler = pickle.Unpickler
