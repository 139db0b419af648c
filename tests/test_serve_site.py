"""scripts/serve_site.py shows a page as it is saved, from a copy in which no environment stops the builder."""

import contextlib
import http.client
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"
SITE = """[project]
site_name = "Two pages"
docs_dir = "."
site_dir = "build/site"
exclude_docs = \"\"\"
*
!/docs/
!/docs/**
\"\"\"
"""
SERVE = "import sys, pathlib, serve_site; sys.exit(serve_site.serve(pathlib.Path(sys.argv[1]), int(sys.argv[2])))"


@pytest.fixture
def root(tmp_path):
    for name, text in {"zensical.toml": SITE, "docs/index.md": "# Some words\n", ".venv/x.md": "# Not shown\n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_page_is_shown_and_shown_anew_when_it_is_saved(root):
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-c", SERVE, root, str(port)], cwd=SCRIPTS, start_new_session=True)
    try:
        shows(port, "Some words")
        (root / "docs" / "index.md").write_text("# Other words\n")
        shows(port, "Other words")
        assert ask(port, "/.venv/x/")[0] == 404
    finally:
        server.send_signal(signal.SIGINT)
    assert server.wait(30) == 130
    with pytest.raises(ConnectionRefusedError):
        ask(port, "/docs/")
    assert not (root / "build").exists()


def shows(port, words):
    """Waits until the page has these words."""
    end = time.monotonic() + 60
    while True:
        try:
            status, page = ask(port, "/docs/")
        except ConnectionError:  # also of a server that is about to begin
            status, page = 0, "no server"
        if status == 200 and words in page:
            return
        assert time.monotonic() < end, f"{status}: {page[:500]}"
        time.sleep(0.1)


def ask(port, path):
    """The status and the text of an answer."""
    with contextlib.closing(http.client.HTTPConnection("localhost", port, timeout=30)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_a_copy_follows_what_is_new_changed_and_removed_and_touches_nothing_else(root, tmp_path_factory, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from check_site import follow

    copy = tmp_path_factory.mktemp("copy")
    (root / "docs" / "old.md").write_text("old")
    has = follow(root, copy, {})
    assert sorted(map(str, has)) == ["docs/index.md", "docs/old.md", "zensical.toml"]
    (copy / "docs" / "index.md").write_text("kept")  # would be lost if it were written again
    (root / "docs" / "old.md").unlink()
    (root / "docs" / "new").mkdir()
    (root / "docs" / "new" / "page.md").write_text("new")
    has = follow(root, copy, has)
    assert sorted(path.name for path in copy.rglob("*.md")) == ["index.md", "page.md"]
    assert (copy / "docs" / "index.md").read_text() == "kept"
    (root / "docs" / "index.md").write_text("changed!")
    follow(root, copy, has)
    assert (copy / "docs" / "index.md").read_text() == "changed!"
