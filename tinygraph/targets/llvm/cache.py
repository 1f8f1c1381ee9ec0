"""Object code kept on disk between processes, named by the hash of what it was made from.

An entry is written to a temporary file and renamed, so readers see all of it or nothing and no lock is needed. It
carries a checksum over its name and content: a damaged, truncated or foreign file counts as absent and is replaced.
The directory may be deleted at any time. When it has grown past its bound, the entries not used for longest go; what
several processes write between two looks, a twentieth of the bound each, may exceed it for that long.
Trouble with the disk never stops a compilation; it is counted in the statistics and the code is made anew.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tinygraph.config import user_cache_dir

__all__ = ["CacheStatistics", "ObjectCache", "content_key"]

FORMAT = 1
MAGIC = b"TGOBJ\x00\x00" + bytes([FORMAT])
HEADER = struct.Struct("<8sd32s")  # magic, seconds it took to make, checksum
TRIM_TO = 0.8  # of the bound, so that trimming is rare
LOOK_AFTER = 0.05  # of the bound, written since: other processes write too, unseen by this one
STRAY_AGE = 3600.0  # seconds after which a temporary file has lost its writer


def content_key(*parts: object) -> str:
    """A file name that differs whenever one of the parts does: hexadecimal SHA-256 over their bytes or ``repr``."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, bytes):
            data = part
        else:
            data = (part if isinstance(part, str) else repr(part)).encode()
        digest.update(struct.pack("<cQ", type(part).__name__[:1].encode(), len(data)))
        digest.update(data)
    return digest.hexdigest()


@dataclass
class CacheStatistics:
    """What the cache did in this process."""

    hits: int = 0
    misses: int = 0
    rejected: int = 0  # damaged or foreign entries, also counted as misses
    stored: int = 0
    failures: int = 0  # errors of the file system
    seconds_saved: float = 0.0
    seconds_spent: float = 0.0


class ObjectCache:
    """A directory of entries, at most ``max_bytes`` of them; 0 bytes keeps nothing.

    ``directory`` defaults to the per-user cache directory. Code from it is run, so a directory that belongs to
    another user, or that others may write to, is not used.
    """

    def __init__(self, directory: Path | str | None = None, max_bytes: int = 512 << 20) -> None:
        base = Path(directory) if directory else user_cache_dir()
        self.directory = base / f"objects-{FORMAT}"
        self.max_bytes = max_bytes
        self.statistics = CacheStatistics()
        self._written: int | None = None  # bytes that this process has written since it looked at all entries
        self._usable = max_bytes > 0
        self._checked = False

    # ------------------------------------------------------------------ the two operations

    def get(self, key: str) -> bytes | None:
        """The content stored under the key, or None."""
        if not self._ready():
            self.statistics.misses += 1
            return None
        path = self._path(key)
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            raw = b""
        except OSError:
            self.statistics.failures += 1
            raw = b""
        entry = _unpack(key, raw)
        if entry is None:
            self.statistics.misses += 1
            self.statistics.rejected += bool(raw)
            return None
        content, seconds = entry
        self.statistics.hits += 1
        self.statistics.seconds_saved += seconds
        _touch(path)
        return content

    def put(self, key: str, content: bytes, seconds: float = 0.0) -> None:
        """Store the content, which took ``seconds`` to make."""
        self.statistics.seconds_spent += seconds
        if not self._ready() or len(content) + HEADER.size > self.max_bytes:
            return
        try:
            self._write(key, _pack(key, content, seconds))
            self.statistics.stored += 1
            self._grow(len(content) + HEADER.size)
        except OSError:
            self.statistics.failures += 1

    def clear(self) -> None:
        """Delete every entry."""
        for path in self._files():
            _delete(path)
        self._written = None

    # ------------------------------------------------------------------ files

    def _path(self, key: str) -> Path:
        return self.directory / key[:2] / key

    def _ready(self) -> bool:
        """Whether the directory may be used; made, and looked at, once."""
        if self._usable and not self._checked:
            self._checked = True
            try:
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._usable = _is_private(self.directory)
            except OSError:
                self._usable = False
            self.statistics.failures += not self._usable
        return self._usable

    def _write(self, key: str, data: bytes) -> None:
        path = self._path(key)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(temporary, path)
        except BaseException:
            _delete(Path(temporary))
            raise

    def _files(self) -> list[Path]:
        try:
            return [path for path in self.directory.glob("*/*") if path.is_file()]
        except OSError:
            return []

    def _grow(self, by: int) -> None:
        """Count the new bytes; look at the real sizes at first, and after every few."""
        if self._written is not None:
            self._written += by
        if self._written is None or self._written > self.max_bytes * LOOK_AFTER:
            self._trim()
            self._written = 0

    def _trim(self) -> None:
        """Delete the entries not used for longest, if all together are too large."""
        entries = []
        newest = 0.0
        for path in self._files():
            try:
                status = path.stat()
            except OSError:
                continue
            entries.append((status.st_mtime, status.st_size, path))
            newest = max(newest, status.st_mtime)
        for used, _, path in entries:
            if path.name.startswith(".new-") and used < newest - STRAY_AGE:
                _delete(path)
        total = sum(size for _, size, _ in entries)
        if total <= self.max_bytes:
            return
        for _, size, path in sorted(entries, key=lambda entry: entry[0]):
            if total <= self.max_bytes * TRIM_TO:
                break
            _delete(path)
            total -= size


def _pack(key: str, content: bytes, seconds: float) -> bytes:
    return HEADER.pack(MAGIC, seconds, _checksum(key, content, seconds)) + content


def _unpack(key: str, raw: bytes) -> tuple[bytes, float] | None:
    if len(raw) < HEADER.size:
        return None
    magic, seconds, checksum = HEADER.unpack_from(raw)
    content = raw[HEADER.size :]
    if magic != MAGIC or checksum != _checksum(key, content, seconds):
        return None
    return content, seconds


def _checksum(key: str, content: bytes, seconds: float) -> bytes:
    return hashlib.sha256(key.encode() + struct.pack("<d", seconds) + content).digest()


def _touch(path: Path) -> None:
    try:
        os.utime(path)
    except OSError:
        pass  # another process trimmed it, or the directory is read-only


def _delete(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        pass  # gone already


def _is_private(directory: Path) -> bool:
    if not hasattr(os, "getuid"):
        return True
    status = directory.stat()
    return status.st_uid == os.getuid() and not status.st_mode & 0o022
