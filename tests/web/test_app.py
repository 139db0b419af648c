"""The routes: the JSON of the verbs, one sentence for each refusal, who may ask, and what is written about it."""

import asyncio
import json

import pytest

from hwr_jax.web import bodies, guard
from hwr_jax.web.limits import Limits

FORM = {"content-type": "multipart/form-data; boundary=x"}


def test_a_digit_is_answered_with_the_row_of_predict(serving, model, digit):
    [row] = serving().post("/v1/predict", digit).json()
    [read] = model.read_pictures([digit])
    assert [row["label"], *(a["label"] for a in row["alternatives"])] == [label for label, _ in read.ranked]
    assert row["image"] == "the given bytes"
    assert row["confidence"] == pytest.approx(read.ranked[0][1], abs=1e-6)


def test_a_page_is_answered_with_the_page_of_scan(serving, digit):
    from hwr_jax.inference import packaged

    [page] = serving().post("/v1/scan", digit).json()
    read = json.loads(json.dumps(packaged.scan(digit).to_json()))
    assert {**page, "ms": 0} == {**read, "ms": 0}


def test_the_query_is_the_flags(serving, digit):
    asked = serving()
    [row] = asked.post("/v1/predict?best=2", digit).json()
    assert len(row["alternatives"]) == 1
    assert asked.post("/v1/scan?reject_below=1", digit).json()[0]["text"] == "?"
    assert asked.post("/v1/scan?mode=digit", digit).json()[0]["lines"][0]["box"] == [0, 0, 64, 64]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("predict?best=0", "best='0' is not possible: use a whole number from 1 to 100"),
        ("predict?best=1.5", "best='1.5' is not possible"),
        ("predict?mode=page", "the parameter 'mode' is not known: use best"),
        ("predict?best=1&best=2", "the parameter 'best' is given twice"),
        ("scan?mode=book", "mode='book' is not possible: use one of auto, digit, line, page"),
        ("scan?reject_below=2", "reject_below='2' is not possible: use a number from 0 to 1"),
        ("scan?reject_below=nan", "reject_below='nan' is not possible"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_is_allowed(serving, refused, digit, query, words):
    status, said = refused(serving().post(f"/v1/{query}", digit))
    assert (status, said[: len(words)]) == (422, words)


def test_each_file_of_a_form_is_answered_in_order_and_what_cannot_be_read_is_named(serving, digit, pages):
    files = [("file", ("a.png", digit)), ("file", ("b.txt", b"no picture")), ("more", ("c.tiff", pages))]
    found = serving()("POST", "/v1/scan", files=files).json()
    assert [one["image"] for one in found] == ["a.png", "b.txt", "c.tiff", "c.tiff"]
    assert [one.get("text") for one in found] == ["1", None, "", "1"]
    assert found[1]["error"].startswith("b.txt: not a picture that can be read")
    assert [one["page"] for one in found[2:]] == [1, 2]


def test_if_nothing_can_be_read_the_reason_is_a_sentence_or_one_for_each(serving, refused, digit):
    asked = serving()
    assert refused(asked.post("/v1/predict", b"text"))[1].startswith("the given bytes: not a picture")
    files = [("file", (name, b"no picture")) for name in ("a", "b")]
    answer = asked("POST", "/v1/predict", files=files)
    assert refused(answer) == (422, "none of the 2 pictures could be read")
    assert [one["image"] for one in answer.json()["errors"]] == ["a", "b"]


def test_pages_beyond_the_limit_are_reported(serving, pages):
    found = serving(pages=1).post("/v1/scan", pages, "image/tiff").json()
    assert [one.get("error") for one in found] == [
        None,
        "the given bytes: the first 1 of 2 pages were read: split the file",
    ]


def test_a_picture_with_more_pixels_than_allowed_is_refused(serving, refused, digit):
    for path in ("/v1/predict", "/v1/scan"):
        assert refused(serving(pixels=4000).post(path, digit)) == (
            422,
            "the given bytes: 64x64 pixels are more than the 4,000 pixels allowed",
        )


@pytest.mark.parametrize(
    ("content", "kind", "status", "words"),
    [
        (b"x", "text/plain", 415, "the media type 'text/plain' is not accepted: use image/*, application/octet-stream"),
        (b"", "image/png", 400, "the body is empty: send the bytes of a picture"),
        (b"x" * 3000, "image/png", 413, "the body is larger than the 2,000 bytes allowed"),
        (b"--x\r\n", FORM["content-type"], 400, "the form is cut off: its last boundary is missing"),
        (b"", "multipart/form-data", 400, "the form cannot be read: Missing boundary in multipart"),
        (
            b'--x\r\ncontent-disposition: form-data; name="mode"\r\n\r\npage\r\n--x--\r\n',
            FORM["content-type"],
            400,
            "the form field 'mode' is not a file: send options in the query",
        ),
        (b"--x--\r\n", FORM["content-type"], 400, "the form"),
        (
            b'--x\r\ncontent-disposition: form-data; name="a"; filename="a"\r\n\r\ntext\r\n',
            FORM["content-type"],
            400,
            "the form is cut off: its last boundary is missing",
        ),
    ],
)
def test_a_body_that_is_no_picture_is_refused_in_a_sentence(serving, refused, content, kind, status, words):
    found = refused(serving(body_bytes=2000).post("/v1/predict", content, kind))
    assert (found[0], found[1][: len(words)]) == (status, words)


def test_a_body_without_a_length_is_limited_too(serving, refused):
    async def endless():
        for _ in range(100):
            yield b"x" * 100

    assert refused(serving(body_bytes=2000).post("/v1/predict", endless()))[0] == 413


def test_a_form_with_too_many_files_is_refused(serving, refused, digit):
    files = [("file", ("a.png", digit))] * 3
    assert refused(serving(files=2)("POST", "/v1/predict", files=files))[0] == 400


def test_a_slow_body_is_given_up(serving, refused):
    async def slow():
        yield b"x"
        await asyncio.sleep(5)

    assert refused(serving(body_s=0.05).post("/v1/predict", slow())) == (408, "the body did not arrive within 0.05 s")


def test_a_model_of_lines_reads_no_pages(serving, refused, digit):
    asked = serving()
    asked.pool.facts = {"reads_strings": True}
    assert refused(asked.post("/v1/scan", digit))[0] == 409


def test_too_much_at_a_time_is_refused_and_says_when_to_ask_again(serving, refused, digit):
    asked = serving(queue=2, per_client=1, held_bytes=3 * len(digit))

    async def three():
        asked.pool.hold = asyncio.Event()
        headers = {"content-type": "image/png"}
        first = asyncio.create_task(asked.send("POST", "/v1/predict", content=digit, headers=headers))
        await asyncio.sleep(0.05)
        second = await asked.send("POST", "/v1/predict", content=digit, headers=headers)
        third = await asked.send("POST", "/v1/predict", content=digit * 4, headers=headers)
        asked.pool.waiting = 2
        fourth = await asked.send("POST", "/v1/predict", content=digit, headers=headers)
        asked.pool.waiting = 0
        asked.pool.hold.set()
        return await first, second, third, fourth

    first, *others = asyncio.run(three())
    assert first.status_code == 200
    assert [refused(one)[0] for one in others] == [429, 503, 503]
    assert all(one.headers["retry-after"] == "1" for one in others)
    assert asked.server.room.held == 0
    assert asked.post("/v1/predict", digit).status_code == 200


def test_pictures_of_a_client_that_has_gone_are_not_read(serving, digit):
    asked = serving(per_client=1)
    asked.pool.hold = asyncio.Event()
    body, gone = {"type": "http.request", "body": digit, "more_body": False}, {"type": "http.disconnect"}
    assert asked.raw("POST", "/v1/predict", body, gone) == 400  # for nobody
    asked.pool.hold = None
    assert asked.server.room.held == 0
    assert asked.post("/v1/predict", digit).status_code == 200


def test_without_a_key_only_loopback_hosts_and_no_other_sites_are_answered(serving, refused, digit):
    asked = serving()
    for host in ("localhost", "127.0.0.1:8000", "127.0.0.2:8000", "[::1]:8000"):
        assert asked("GET", "/healthz", headers={"host": host}).status_code == 200
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[", ""):
        assert refused(asked("GET", "/healthz", headers={"host": host}))[0] == 403
    for headers in ({"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        assert refused(asked.post("/v1/predict", digit, headers=headers))[0] == 403
    own = {"origin": "http://localhost:8000", "sec-fetch-site": "same-origin"}
    assert asked.post("/v1/predict", digit, headers=own).status_code == 200


def test_with_a_key_every_request_that_reads_needs_it(serving, refused, digit):
    asked, key = serving(key="k" * 20), "k" * 20
    for headers in ({}, {"x-api-key": "wrong"}, {"authorization": "Basic " + key}, {"authorization": "Bearer k"}):
        for path in ("/v1/predict", "/v1/scan"):
            answer = asked.post(path, digit, headers=headers)
            assert refused(answer)[0] == 401
            assert answer.headers["www-authenticate"] == "Bearer"
    assert asked("GET", "/metrics").status_code == 401
    for headers in ({"x-api-key": key}, {"authorization": f"Bearer {key}"}):
        assert asked.post("/v1/predict", digit, headers=headers).status_code == 200
    assert asked("GET", "/healthz", headers={"host": "pod.example"}).status_code == 200


def test_only_the_page_of_a_loopback_address_needs_no_key():
    assert [guard.is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "127.1.2.3")] == [True] * 4
    assert [guard.is_loopback(host) for host in ("0.0.0.0", "::", "192.168.0.1", "example.org", "")] == [False] * 5


def test_a_line_is_logged_for_each_request_and_nothing_of_its_pictures(serving, digit):
    asked = serving()
    asked("POST", "/v1/predict?best=1", files=[("file", ("secret-name.png", digit))])
    asked("GET", "/some/secret-path")
    first, second = map(json.loads, asked.lines)
    assert list(first) == ["time", "client", "method", "route", "status", "ms", "bytes"]
    assert (first["route"], first["status"], second["route"], second["status"]) == ("/v1/predict", 200, "page", 404)
    assert "secret" not in "".join(asked.lines)


def test_health_counters_and_readiness(serving, digit, refused):
    asked = serving()
    asked.post("/v1/predict", digit)
    asked.post("/v1/predict", b"text")
    text = asked("GET", "/metrics").text
    assert 'hwr_requests_total{route="/v1/predict",status="200"} 1.0' in text
    assert 'hwr_pictures_total{outcome="refused",route="/v1/predict"}' not in text
    assert 'hwr_pictures_total{outcome="refused",route="predict"} 1.0' in text
    assert asked("GET", "/readyz").json()["status"] == "ready"
    asked.pool.ready = 0
    assert refused(asked("GET", "/readyz"))[0] == 503
    assert asked("GET", "/healthz").status_code == 200
    asked.pool.ready, asked.server.draining, asked.application.draining = 1, True, True
    answer = asked("GET", "/readyz")
    assert refused(answer) == (503, "the server is shutting down")
    assert answer.headers["connection"] == "close"


def test_every_answer_forbids_what_no_page_of_ours_needs(serving):
    asked = serving()
    for path in ("/docs", "/healthz", "/nowhere"):
        headers = asked("GET", path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe-inline" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_the_page_is_sent_with_its_media_types_and_is_not_sent_twice(serving, monkeypatch):
    from hwr_jax.web import page_files

    made = {"index.html": b"<!doctype html>", "reading/ink.js": b"1", "model.wasm": b"2", "odd": b"3"}
    monkeypatch.setattr(page_files, "files", lambda: made)
    monkeypatch.setattr(page_files, "names", lambda: list(made))
    asked = serving()
    kinds = {"/": "text/html; charset=utf-8", "/reading/ink.js": "text/javascript; charset=utf-8"}
    kinds |= {"/model.wasm": "application/wasm", "/odd": "application/octet-stream"}
    for path, kind in kinds.items():
        answer = asked("GET", path)
        assert (answer.content, answer.headers["content-type"]) == (made[path[1:] or "index.html"], kind)
        assert answer.headers["cache-control"] == "no-cache"
        again = asked("GET", path, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert asked("GET", "/docs/").status_code == 404  # no redirect, which would name http:// behind a proxy with TLS
    for path in ("/../pyproject.toml", "/reading/../../pyproject.toml", "//etc/passwd"):  # which no client sends
        assert asked.raw("GET", path) == 404
    assert asked("POST", "/", headers={"content-length": "0"}).status_code == 405


def test_the_documentation_has_every_route_and_no_script(serving):
    text = serving()("GET", "/docs").text
    assert all(f" {path}</code>" in text for path in ("/v1/predict", "/v1/scan", "/metrics", "/docs"))
    assert "<script" not in text
    assert "http://localhost:8000/v1/predict" in text
    assert serving()("GET", "/docs.css").headers["content-type"].startswith("text/css")


def test_a_share_of_the_room_is_given_back():
    room = bodies.Room(10)
    with room.taken() as share:
        share.add(10)
        with pytest.raises(bodies.Problem, match="as many bytes"), room.taken() as other:
            other.add(1)
    assert room.held == 0


def test_the_limits_of_the_code_are_the_defaults_of_the_flags():
    from hwr_jax import serve

    serve.FLAGS(["serve"])
    assert serve._limits() == Limits()
