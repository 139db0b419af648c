"""The downloader against a server on this machine: what arrives, and the message when it does not."""

from __future__ import annotations

import hashlib
import http.server
import socket
import threading
import time
from contextlib import contextmanager

import pytest

from hwr_jax.core.errors import DataError, DataMissing
from hwr_jax.data import download
from hwr_jax.data.checksums import Registered
from hwr_jax.data.sources import IDX_FILES

BODY = {name: name.encode() * 5000 for name in IDX_FILES.values()}
FILES = {
    name: Registered(f"http://127.0.0.1:9/{name}", len(body), hashlib.sha256(body).hexdigest())
    for name, body in BODY.items()
}
FIRST = IDX_FILES["train_image"]


@contextmanager
def serve(behaviour: str):
    """A server that behaves so. Yields its address and the list of paths that were asked for."""
    asked: list[str] = []
    release = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = BODY[self.path.rsplit("/", 1)[-1]]
            if behaviour == "404":
                self.send_error(404)
                return
            if behaviour == "silent":
                release.wait(20)
                return
            sent = {"wrong": body[::-1], "longer": body + b"!"}.get(behaviour, body)
            self.send_response(200)
            if behaviour in ("log-in", "log-in without a type"):
                sent = b"  <!DOCTYPE html><html>Please log in</html>"
                self.send_header("Content-Type", "text/html; charset=utf-8" if behaviour == "log-in" else "binary")
            if behaviour != "endless":
                self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            while behaviour == "endless" and len(asked) < 1_000_000:
                try:
                    asked.append(self.wfile.write(bytes(1 << 16)))
                except OSError:
                    return
            self.wfile.write(sent[: len(sent) // 2] if behaviour in ("stalling", "truncated") else sent)
            if behaviour == "stalling":
                self.wfile.flush()
                release.wait(20)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/mnist/", asked
    finally:
        release.set()
        server.shutdown()
        thread.join()
        server.server_close()


def fetch(folder, base_url, **limits):
    lines = []
    return download.fetch("mnist", FILES, folder, log=lines.append, base_url=base_url, **limits), lines


def test_all_files_arrive_whole(tmp_path):
    with serve("well") as (url, asked):
        paths, lines = fetch(tmp_path / "downloads", url)
    assert {key: path.read_bytes() for key, path in paths.items()} == {k: BODY[name] for k, name in IDX_FILES.items()}
    assert asked == [f"/mnist/{name}" for name in IDX_FILES.values()]
    assert len(lines) == 4
    assert all(line.startswith(f"Downloading {url}") for line in lines)
    assert sorted(path.name for path in (tmp_path / "downloads").iterdir()) == sorted(IDX_FILES.values())


def test_a_file_that_is_there_is_not_downloaded_again(tmp_path):
    for name, body in BODY.items():
        (tmp_path / name).write_bytes(body)
    (tmp_path / FIRST).write_bytes(BODY[FIRST][::-1])
    with serve("well") as (url, asked):
        paths, _ = fetch(tmp_path, url)
    assert asked == [f"/mnist/{FIRST}"]
    assert paths["train_image"].read_bytes() == BODY[FIRST]


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("404", "the server answered 404 Not Found"),
        ("silent", r"no connection \(timed out\)"),
        ("stalling", rf"it broke off after \d{{5}} of {len(BODY[FIRST])} bytes \(timed out\)"),
        ("truncated", rf"it broke off after \d{{5}} of {len(BODY[FIRST])} bytes \(the connection was closed\)"),
    ],
)
def test_what_cannot_be_downloaded_is_missing_with_address_and_reason(tmp_path, behaviour, reason):
    start = time.monotonic()
    with serve(behaviour) as (url, asked), pytest.raises(DataMissing, match=f"download {url}{FIRST}: {reason}"):
        fetch(tmp_path / "downloads", url, stall_s=0.3)
    assert time.monotonic() - start < 5
    assert len(asked) == 1, "one failing host is not tried once for each file"
    assert not [*tmp_path.glob("downloads/*")], "nothing half done stays"


@pytest.mark.parametrize("behaviour", ["log-in", "log-in without a type"])
def test_the_page_of_a_network_that_wants_a_log_in_is_no_file(tmp_path, behaviour):
    with (
        serve(behaviour) as (url, _),
        pytest.raises(DataMissing, match=f"download {url}{FIRST}: a web page came instead"),
    ):
        fetch(tmp_path / "downloads", url)
    assert not [*tmp_path.glob("downloads/*")]


def test_an_answer_without_end_is_stopped_at_the_registered_size(tmp_path):
    with (
        serve("endless") as (url, asked),
        pytest.raises(DataError, match=f"sends more than the {len(BODY[FIRST])} bytes"),
    ):
        fetch(tmp_path / "downloads", url)
    assert sum(n for n in asked if isinstance(n, int)) < 50_000_000
    assert not [*tmp_path.glob("downloads/*")]


@pytest.mark.parametrize("behaviour", ["wrong", "longer"])
def test_a_wrong_file_is_an_error_that_names_both_checksums_and_is_removed(tmp_path, behaviour):
    with serve(behaviour) as (url, _), pytest.raises(DataError, match=f"{FIRST}.*SHA-256") as caught:
        fetch(tmp_path, url)
    assert not isinstance(caught.value, DataMissing)
    assert FILES[FIRST].sha256 in str(caught.value)
    assert not [*tmp_path.iterdir()]


def test_a_refused_connection_is_missing(tmp_path):
    with socket.socket() as taken:  # bound but not listening: nothing else can answer on this port
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(DataMissing, match=r"no connection \(.*refused.*\)"):
            fetch(tmp_path, url)


def test_an_unknown_host_is_missing(tmp_path, monkeypatch):
    def unknown(*arguments, **keywords):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(DataMissing, match=r"http://data.invalid/train-.*: no connection \(Name or service not known\)"):
        fetch(tmp_path, "http://data.invalid")


def test_a_hanging_look_up_of_the_name_is_given_up(tmp_path, monkeypatch):
    release = threading.Event()

    def hang(*arguments, **keywords):
        release.wait(20)
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    start = time.monotonic()
    with pytest.raises(DataMissing, match=r"no connection \(no answer within 0.3 s\)"):
        fetch(tmp_path, "http://data.invalid", answer_s=0.3)
    assert time.monotonic() - start < 3
    release.set()


def test_the_limits_find_out_within_fifteen_seconds_that_there_is_no_network():
    assert download.ANSWER_S <= 15
    assert download.CONNECT_S == 5


def test_a_folder_that_cannot_be_written_is_an_error_of_the_system(tmp_path):
    (tmp_path / "file").write_text("")
    with serve("well") as (url, _), pytest.raises(OSError, match="file"):
        fetch(tmp_path / "file", url)
