"""Downloads against a real HTTP server: checksums, mirrors, resuming, and no broken file under a good name."""

import hashlib
import http.server
import threading

import numpy as np
import pytest

from tinygraph.datasets import fetch_mnist, mnist, write_idx
from tinygraph.errors import DataError

pytest.importorskip("pooch")


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``server.files``; understands ranges unless told not to; can break off a reply."""

    def do_GET(self):
        server = self.server
        name = self.path.lstrip("/")
        server.requests.append((name, self.headers.get("Range")))
        if name not in server.files:
            self.send_error(404)
            return
        data, start = server.files[name], 0
        if server.ranges and (wanted := self.headers.get("Range")):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(data):
                self.send_error(416)
                return
        body = data[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if name in server.break_after:
            body = body[: server.break_after.pop(name)]
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path):
    """A server with the four archives of a small MNIST."""
    rng = np.random.default_rng(0)
    source = tmp_path / "source"
    source.mkdir()
    for name, count in zip(mnist.FILES, (12, 12, 6, 6), strict=True):
        shape = (count, 28, 28) if "images" in name else (count,)
        write_idx(source / f"{name}.gz", rng.integers(0, 10, shape).astype(np.uint8))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.files = {path.name: path.read_bytes() for path in source.iterdir()}
        server.requests, server.break_after, server.ranges = [], {}, True
        server.url = f"http://127.0.0.1:{server.server_port}"
        server.sums = {name: "md5:" + hashlib.md5(data).hexdigest() for name, data in server.files.items()}
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fetch(server, root, **changes):
    return fetch_mnist(root, **({"mirrors": [server.url], "checksums": server.sums, "timeout": 5} | changes))


def test_what_is_fetched_loads(server, tmp_path):
    root = fetch(server, tmp_path / "to" / "mnist")
    assert {path.name: path.read_bytes() for path in root.iterdir()} == server.files
    assert [len(split) for split in mnist.load(root).splits] == [10, 2, 6]


def test_what_is_there_is_not_fetched_again(server, tmp_path):
    fetch(server, tmp_path)
    count = len(server.requests)
    fetch(server, tmp_path)
    assert len(server.requests) == count == 4


def test_a_damaged_file_is_replaced(server, tmp_path):
    name = "train-labels-idx1-ubyte.gz"
    (tmp_path / name).write_bytes(b"rubbish")
    fetch(server, tmp_path)
    assert (tmp_path / name).read_bytes() == server.files[name]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_is_resumed(server, tmp_path, ranges):
    name = "train-images-idx3-ubyte.gz"
    server.break_after[name] = 100
    server.ranges = ranges
    with pytest.raises(DataError, match=rf"{name}: no mirror gave .*broke off after 100 of [\d,]+ bytes"):
        fetch(server, tmp_path)
    assert not (tmp_path / name).exists() and (tmp_path / f"{name}.part").stat().st_size == 100
    fetch(server, tmp_path)
    assert (tmp_path / name).read_bytes() == server.files[name]
    assert (name, "bytes=100-") in server.requests
    assert not list(tmp_path.glob("*.part"))


def test_a_complete_part_needs_nothing_more(server, tmp_path):
    name = "train-images-idx3-ubyte.gz"
    (tmp_path / f"{name}.part").write_bytes(server.files[name])
    fetch(server, tmp_path)
    assert (tmp_path / name).read_bytes() == server.files[name]


def test_a_spoilt_part_is_not_gone_on_with_twice(server, tmp_path):
    name = "train-images-idx3-ubyte.gz"
    (tmp_path / f"{name}.part").write_bytes(b"x" * 50)
    with pytest.raises(
        DataError, match=f"{name}: no mirror gave a file with checksum md5:.*: wrong checksum"
    ):
        fetch(server, tmp_path)
    assert not (tmp_path / name).exists()
    fetch(server, tmp_path)
    assert (tmp_path / name).read_bytes() == server.files[name]


def test_wrong_bytes_are_never_kept(server, tmp_path):
    name = "train-images-idx3-ubyte.gz"
    server.files[name] = b"not what was asked for"
    with pytest.raises(DataError, match="wrong checksum"):
        fetch(server, tmp_path)
    assert not list(tmp_path.glob(f"{name}*"))


def test_the_next_mirror_is_tried(server, tmp_path):
    fetch(server, tmp_path, mirrors=[server.url + "/absent", server.url])
    assert sorted(server.sums) == sorted(path.name for path in tmp_path.glob("*.gz"))


def test_nobody_answers(server, tmp_path):
    with pytest.raises(DataError, match="no mirror gave a file .*127.0.0.1:1/.*refused"):
        fetch(server, tmp_path, mirrors=["http://127.0.0.1:1"])


def test_unwritable_directory(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file: expected a directory to write to"):
        fetch(server, tmp_path / "file")
