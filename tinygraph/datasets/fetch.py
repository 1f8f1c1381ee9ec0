"""Downloading MNIST: checked, resumed where it broke off, and never a broken file under a good name."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tinygraph.datasets import mnist
from tinygraph.errors import DataError

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
#: MD5 sums of the original archives.
CHECKSUMS = {
    "train-images-idx3-ubyte.gz": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "md5:d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "md5:ec29112dd5afa0611ce80d1b7f02629c",
}
_CHUNK = 1 << 16


def fetch_mnist(
    directory: str | os.PathLike[str] | None = None,
    mirrors: Sequence[str] = MIRRORS,
    checksums: Mapping[str, str] = CHECKSUMS,
    progress: bool = False,
    timeout: float = 30.0,
) -> Path:
    """Download MNIST's archives into ``directory`` (default: the per-user cache) and return it.

    Files already there with the right checksum are kept. The mirrors are tried in order. An interrupted download
    leaves a ``.part`` file, with which the next attempt goes on. Raises DataError if no mirror gives a file whose
    checksum is right, or if pooch (extra ``data``) is not installed.
    """
    root = Path(directory).expanduser() if directory is not None else mnist.cache_directory()
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{root}: expected a directory to write to: {error.strerror}") from error
    for name, checksum in checksums.items():
        _fetch_file(root, name, checksum, mirrors, progress, timeout)
    return root


def _fetch_file(
    root: Path, name: str, checksum: str, mirrors: Sequence[str], progress: bool, timeout: float
) -> None:
    pooch = _pooch()
    failures = []
    for mirror in mirrors:
        url = mirror.rstrip("/") + "/" + name
        download = Resume(root / f"{name}.part", progress, timeout)
        try:
            pooch.retrieve(url, known_hash=checksum, fname=name, path=root, downloader=download)
        except (OSError, HTTPException, ValueError) as error:
            failures.append(f"{url}: {_reason(error)}")
        else:
            return
    raise DataError(f"{root / name}: no mirror gave a file with checksum {checksum}: {'; '.join(failures)}")


class Resume:
    """A downloader for pooch that keeps what it has in a ``.part`` file and asks the server only for the rest.

    pooch checks the sum of what comes out and moves it to its final name; the ``.part`` file is gone by then, so
    a damaged one is not gone on with twice.
    """

    def __init__(self, part: Path, progress: bool = False, timeout: float = 30.0) -> None:
        self.part = part
        self.progress = progress
        self.timeout = timeout

    def __call__(
        self, url: str, output_file: str | os.PathLike[str], pooch: Any, check_only: bool = False
    ) -> bool:
        done = self.part.stat().st_size if self.part.exists() else 0
        request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as response:
                resumed = response.status == 206
                self._receive(response, done if resumed else 0)
        except urllib.error.HTTPError as error:
            if error.code != 416:  # 416: nothing is left to send; the checksum decides whether that is all
                raise
        os.replace(self.part, output_file)
        return True

    def _receive(self, response: Any, done: int) -> None:
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        with (
            self.part.open("ab" if done else "wb") as file,
            _bar(self.progress, self.part.stem, done, total) as bar,
        ):
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
            got = file.tell()
        if total is not None and got < total:
            raise OSError(
                f"the connection broke off after {got:,} of {total:,} bytes; the next attempt goes on there"
            )


def _reason(error: Exception) -> str:
    if isinstance(error, ValueError) and "does not match" in str(error):
        return "wrong checksum"
    return str(error).strip() or type(error).__name__


def _pooch() -> Any:
    try:
        import pooch
    except ImportError as error:
        raise DataError('downloading needs pooch: pip install "tinygraph[data]"') from error
    pooch.get_logger().setLevel("WARNING")
    return pooch


class _NoBar:
    def __enter__(self) -> _NoBar:
        return self

    def __exit__(self, *details: object) -> None:
        return None

    def update(self, amount: int) -> None:
        return None


def _bar(progress: bool, name: str, done: int, total: int | None) -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        return _NoBar()
    return tqdm(
        desc=name, initial=done, total=total, unit="B", unit_scale=True, disable=not progress, leave=False
    )
