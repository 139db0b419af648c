"""Progress: one plain line where nobody watches, a bar on a terminal; the items pass through unchanged."""

from __future__ import annotations

import sys

import pytest

from hwr_jax.data.progress import track


@pytest.mark.parametrize("is_terminal", [False, True])
def test_items_pass_through_unchanged(is_terminal, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    lines = []
    items = [b"a", b"bc", b"def"]
    assert list(track(items, text="Reading", total=6, log=lines.append, size=len)) == items
    assert lines == ([] if is_terminal else ["Reading"])
    assert capsys.readouterr().out == ""
