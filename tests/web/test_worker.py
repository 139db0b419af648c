"""A process that reads: readings as they come, hostile pictures as sentences, and a limit of memory."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from hwr_jax.web import frames, worker

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from faults import mutants

ALLOWED = {"pixels": 10**6, "pages": 5}
OPTIONS = {"predict": {"best": 2}, "scan": {"mode": "auto", "reject_below": 0.0}}


def items(model, kind, *contents):
    named = [(str(i), content) for i, content in enumerate(contents)]
    return [one for some in worker.items(model, kind, OPTIONS[kind], named, ALLOWED) for one in some]


@pytest.mark.parametrize("kind", ["predict", "scan"])
def test_damaged_pictures_are_read_or_become_one_sentence_each(model, kind):
    contents = [mutants.mutant(number)[1] for number in range(70) if mutants.mutant(number)[0] != "PDF"]
    found = items(model, kind, *contents)
    assert {index for index, _, _ in found} == set(range(len(contents)))
    for index, is_read, text in found:
        said = json.loads(text)
        assert is_read == ("error" not in said)
        assert said["image"] == str(index)
        assert is_read or (len(said["error"].splitlines()) == 1 and said["error"].startswith(str(index)))
    assert {is_read for _, is_read, _ in found} == {True, False}


def test_no_memory_is_a_sentence(model, monkeypatch, digit):
    from hwr_jax.pictures import decode

    def out_of_memory(*_):
        raise MemoryError

    monkeypatch.setattr(decode, "grey_of", out_of_memory)
    [(_, is_read, text)] = items(model, "predict", digit)
    assert not is_read
    assert json.loads(text)["error"] == "0: reading it needs more memory than is allowed"


def test_requests_on_a_stream_are_answered_in_order_until_it_ends(model, digit):
    heads = [{"kind": kind, "options": OPTIONS[kind], "pictures": [["a", len(digit)]]} for kind in OPTIONS]
    stdout = io.BytesIO()
    worker.serve(model, io.BytesIO(b"".join(frames.packed(head, [digit]) for head in heads)), stdout, ALLOWED)
    stdout.seek(0)
    found = list(iter(lambda: frames.read(stdout), None))
    assert found[0][0]["ready"]["classes"][:10] == list("0123456789")
    texts = [text for _, blobs in found[1:] for text in blobs]
    assert [json.loads(text).get("label", json.loads(text).get("text")) for text in texts] == ["1", "1"]
    assert found[-1][0]["done"]


def test_each_page_is_sent_before_the_next_is_read(model, pages):
    head = {"kind": "scan", "options": OPTIONS["scan"], "pictures": [["a", len(pages)]]}
    stdout = io.BytesIO()
    worker.serve(model, io.BytesIO(frames.packed(head, [pages])), stdout, ALLOWED)
    stdout.seek(0)
    found = list(iter(lambda: frames.read(stdout), None))
    assert [[json.loads(text)["page"] for text in texts] for _, texts in found if texts] == [[1], [2]]


def test_an_internal_error_at_the_start_has_its_exit_code():
    command = [sys.executable, "-m", "hwr_jax.web.worker", "{}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 70
    assert "internal error" in done.stderr.splitlines()[-1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much memory a process has")
def test_a_process_gets_no_more_memory_than_allowed():
    code = (
        "from hwr_jax.web import worker\n"
        "worker.limit_memory(100 * 2**20)\n"
        "bytearray(20 * 2**20)\n"
        "try: bytearray(200 * 2**20)\n"
        "except MemoryError: print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "refused\n", done.stderr
