"""`python -m hwr_jax.serve` as a process: the verbs' JSON, its limits on connections, its end, and what it refuses."""

import http.client
import importlib.util
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hwr_jax import serve

ROOT = Path(__file__).parent.parent
HEAD = b"POST /v1/predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\n"


def start(caches, *flags):
    command = [sys.executable, "-m", "hwr_jax.serve", "--port=0", *flags]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT, env=caches)
    line = process.stderr.readline()
    found = re.search(r"reading pictures at http://127.0.0.1:(\d+)/", line)
    assert found, line + process.stderr.read()
    return process, int(found[1])


def end(process, number=signal.SIGTERM):
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def ask(port, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("localhost", port, timeout=60)
    try:
        connection.request(method, path, body, {"content-type": "image/png", **headers})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def ask_and_end(port, path, body):
    """The status of the answer to a client that ends what it sends with its request."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as one:
        one.sendall(HEAD.replace(b"/v1/predict", path.encode()) + b"content-length: %d\r\n\r\n" % len(body) + body)
        one.shutdown(socket.SHUT_WR)
        found = b"".join(iter(lambda: one.recv(65536), b""))
    return int(found.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").split()[1])


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    from PIL import Image, ImageDraw

    path = tmp_path_factory.mktemp("picture") / "one.png"
    drawn = Image.new("L", (200, 120), 235)
    for x in (50, 120):
        ImageDraw.Draw(drawn).line((x, 30, x + 4, 90), fill=30, width=7)
    drawn.save(path)
    return path


@pytest.fixture(scope="module")
def running(caches):
    """(process, port) of a server with small limits."""
    flags = ["--max_header_s=1", "--max_body_s=1", "--max_connections=20", "--processes=1", "--quiet"]
    process, port = start(caches, *flags)
    yield process, port
    code, _, err = end(process)
    assert code == 143, err
    assert re.fullmatch(r"hwr_jax: SIGTERM: \d+ requests were answered\n", err)


def test_jax_reads_runs_and_single_states_and_no_exported_file(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"")
    assert not serve.reads_with_jax(tmp_path, "", None)
    (tmp_path / "checkpoints").mkdir()
    assert serve.reads_with_jax(tmp_path, "", None)
    assert not serve.reads_with_jax(None, "", None)
    assert serve.reads_with_jax(None, "best", None)
    assert serve.reads_with_jax(None, "", 0)


@pytest.mark.parametrize("verb", ["predict", "scan"])
def test_the_answer_is_the_json_of_the_verb(running, command, picture, verb):
    status, body = ask(running[1], "POST", f"/v1/{verb}", picture.read_bytes())
    done = command(verb, "--format=json", picture)
    assert (status, done.returncode) == (200, 0), done.stderr
    [served], [printed] = json.loads(body), json.loads(done.stdout)
    own = {"image": "", "ms": 0}
    assert {**served, **own} == {**printed, **own}


def test_the_first_answers_are_those_of_the_last(running, picture):
    before = ask(running[1], "POST", "/v1/predict", picture.read_bytes())
    assert ask(running[1], "POST", "/v1/predict", b"no picture")[0] == 422
    assert ask(running[1], "POST", "/v1/predict", picture.read_bytes()) == before


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (HEAD, b"the headers did not arrive within 1 s"),
        (b"", b"the headers did not arrive within 1 s"),
        (HEAD + b"content-length: 100\r\n\r\nx", b"the body did not arrive within 1 s"),
        (HEAD + b"x: " + b"x" * 40_000, b"the headers have more than the 32,768 bytes allowed"),
        (b"\x16\x03\x01no HTTP\r\n\r\n", b"the request is no valid HTTP"),
        (b"CONNECT localhost:80 HTTP/1.1\r\nhost: localhost\r\n\r\n", b"the request is no valid HTTP"),
    ],
)
def test_a_client_that_sends_slowly_too_much_or_no_http_is_told_so_and_left(running, sent, answer):
    with socket.create_connection(("127.0.0.1", running[1]), timeout=10) as one:
        one.sendall(sent)
        found = b"".join(iter(lambda: one.recv(65536), b""))
    assert answer in found
    assert b"application/problem+json" in found


def test_a_damaged_form_is_refused_and_nothing_is_written_of_it(running):  # what is written, `running` sees
    form = {"content-type": "multipart/form-data; boundary=x"}
    status, body = ask(running[1], "POST", "/v1/predict", b"--x\r\nname\x86: y\r\n\r\n--x--\r\n", **form)
    assert (status, json.loads(body)["detail"]) == (400, "the form cannot be read: Invalid multipart data")


def test_headers_after_the_chunks_of_a_body_are_limited_as_those_before_it(running):
    with socket.create_connection(("127.0.0.1", running[1]), timeout=10) as one:
        one.sendall(HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
        time.sleep(0.1)
        one.sendall(b"x: y\r\n" * 6_000)
        found = b"".join(iter(lambda: one.recv(65536), b""))
    assert b"the headers have more than the 32,768 bytes allowed" in found


def test_an_answer_before_the_end_of_the_body_ends_the_connection(running):
    head = HEAD.replace(b"predict", b"predict?best=0") + b"content-length: 4\r\n\r\n"
    with socket.create_connection(("127.0.0.1", running[1]), timeout=10) as one:
        found = b""
        one.sendall(head + b"body")
        while b"best='0'" not in found:
            found += one.recv(65536)
        assert b"connection: close" not in found
        one.sendall(head + b"bo")
        found = b"".join(iter(lambda: one.recv(65536), b""))
    assert found.startswith(b"HTTP/1.1 422 ")
    assert b"connection: close" in found


def test_a_client_that_ends_what_it_sends_with_its_request_is_answered(running, picture):
    assert ask_and_end(running[1], "/v1/predict", picture.read_bytes()) == 200


def test_a_request_for_another_protocol_is_answered_with_its_body_and_so_is_the_next(running, picture):
    body = picture.read_bytes()
    head = HEAD + b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
    whole = head + b"content-length: %d\r\n\r\n" % len(body) + body
    chunks = head + b"transfer-encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", running[1]), timeout=10) as one:
        for part in (whole[:90], whole[90:] + chunks, last):
            one.sendall(part)
            time.sleep(0.05)
        found = b"".join(iter(lambda: one.recv(65536), b""))
    assert found.count(b"HTTP/1.1 200 OK") == 3
    assert found.count(b'"label"') == 2 * ask(running[1], "POST", "/v1/predict", body)[1].count(b'"label"')


@pytest.mark.parametrize("sent", [b"", HEAD + b"content-length: 100\r\n\r\nx"])
def test_connections_that_wait_make_room_for_others(running, picture, sent):
    used = http.client.HTTPConnection("localhost", running[1], timeout=10)
    idle = []
    try:
        for _ in range(30):
            idle.append(socket.create_connection(("127.0.0.1", running[1]), timeout=10))
            idle[-1].sendall(sent)
            if len(idle) == 15:
                used.connect()  # the one that waits least has to stay
        used.request("POST", "/v1/predict", picture.read_bytes(), {"content-type": "image/png"})
        assert used.getresponse().status == 200
        assert ask(running[1], "POST", "/v1/predict", picture.read_bytes())[0] == 200
    finally:
        for one in [*idle, used]:
            one.close()


def test_what_was_accepted_before_a_signal_is_answered_and_the_process_ends_with_its_code(caches, picture):
    process, port = start(caches, "--processes=1")
    found, body = [], picture.read_bytes()
    asks = [lambda: ask(port, "POST", "/v1/scan", body)[0], lambda: ask_and_end(port, "/v1/scan", body)]
    threads = [threading.Thread(target=lambda one=one: found.append(one())) for one in 10 * asks]
    for one in threads:
        one.start()
    time.sleep(0.1)
    code, out, err = end(process, signal.SIGINT)
    for one in threads:
        one.join()
    assert (code, found) == (130, [200] * 20)
    assert err == "hwr_jax: SIGINT: 20 requests were answered\n"
    assert [json.loads(line)["status"] for line in out.splitlines()] == found


def test_a_run_is_served_with_its_own_model(caches, two_seeds, picture):
    process, port = start(caches, f"--workdir={two_seeds[0]}", "--quiet")
    try:
        status, body = ask(port, "POST", "/v1/predict", picture.read_bytes())
        ready = json.loads(ask(port, "GET", "/readyz")[1])
    finally:
        code, _, _ = end(process)
    assert (status, code) == (200, 143)
    assert json.loads(body)[0]["label"] in "0123456789"
    assert ready["model"] == {"classes": list("0123456789"), "reads_strings": False, "data": "digits"}


@pytest.mark.parametrize(
    ("flags", "env", "sentence"),
    [
        (["--host=0.0.0.0"], {}, "--host=0.0.0.0 can be reached from other machines, so requests need a key"),
        (["--api_key_file=KEY"], {}, "holds no key: use 16 or more ASCII characters without spaces"),
        (["--api_key_file=LATIN"], {}, "latin holds no key: use 16 or more ASCII characters without spaces"),
        ([], {"HWR_API_KEY": "short"}, "HWR_API_KEY holds no key"),
        (["--port=70000"], {}, "--port=70000 is not possible: use a number from 0 to 65535"),
        (["--trusted_proxy=10.0.0.2,proxy"], {}, "--trusted_proxy=proxy is no address: use one such as 10.0.0.2, or"),
        (["--workdir=nowhere"], {}, "nowhere"),
        (["picture.png"], {}, "unexpected argument 'picture.png'"),
    ],
)
def test_what_it_cannot_serve_with_is_one_sentence(command, tmp_path, flags, env, sentence):
    (tmp_path / "key").write_text("two words are not a key\n")
    (tmp_path / "latin").write_bytes(b"a key of a Latin-1 \xe9ditor")
    paths = {"KEY": tmp_path / "key", "LATIN": tmp_path / "latin"}
    flags = [re.sub("KEY|LATIN", lambda found: str(paths[found[0]]), flag) for flag in flags]
    done = command("serve", *flags, env=env, fresh=True)
    assert done.returncode == 64, done.stderr
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_port_in_use_is_one_sentence(command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = command("serve", f"--port={port}", fresh=True)
    assert (done.returncode, done.stderr) == (74, f"hwr_jax: Address already in use: 127.0.0.1, port {port}\n")


def test_a_host_that_is_not_known_is_one_sentence(command):
    done = command("serve", "--host=256.0.0.1", env={"HWR_API_KEY": "0123456789abcdef"}, fresh=True)
    assert done.returncode == 74
    assert re.fullmatch(r"hwr_jax: \w[\w ,]+: 256\.0\.0\.1, port 8000\n", done.stderr)
    assert "Unknown error" not in done.stderr


def test_with_a_key_in_the_environment_requests_need_it(caches, picture):
    key = "0123456789abcdef"
    process, port = start({**caches, "HWR_API_KEY": key}, "--processes=1", "--quiet")
    try:
        assert ask(port, "POST", "/v1/predict", picture.read_bytes())[0] == 401
        assert ask(port, "POST", "/v1/predict", picture.read_bytes(), authorization=f"Bearer {key}")[0] == 200
    finally:
        end(process)


def test_neither_the_server_nor_its_readers_import_what_only_training_needs(caches):
    code = (
        "import sys\n"
        "import hwr_jax.serve\n"
        "from hwr_jax.web import running, worker\n"
        "worker.opened({'workdir': None, 'checkpoint': '', 'seed': None, 'threads': 1})\n"
        "from PIL import Image\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=caches, timeout=60)
    assert done.returncode == 0, done.stderr
    found = set(done.stdout.split())
    assert not found & {
        "jax",
        "jaxlib",
        "flax",
        "optax",
        "orbax",
        "tensorflow_datasets",
        "matplotlib",
        "sklearn",
        "requests",
    }
    listed = (ROOT / "scripts" / "deploy" / "requirements.txt").read_text().splitlines()
    needed = {re.match(r"[\w-]+", line)[0] for line in listed if line and not line.startswith("#")}
    modules = {"absl-py": "absl", "pillow": "PIL"}
    used = {name for name in needed if modules.get(name, name.replace("-", "_")) in found}
    assert needed - used == {"pi-heif", "pypdfium2", "uvloop"}  # imported when they are needed
    # By those that are named; NumPy imports charset_normalizer where it is there, anyio sniffio.
    brought = {"anyio", "charset_normalizer", "click", "sniffio", "typing_extensions", "yaml"}
    ours = {"hwr_jax", *brought, *(modules.get(name, name.replace("-", "_")) for name in needed)}
    libraries = {one for one in found if not re.match("_|cython", one) and importlib.util.find_spec(one)}
    assert libraries <= ours, libraries - ours


def test_the_server_itself_starts_without_numpy(caches):
    code = (
        "import sys\n"
        "import hwr_jax.serve\n"
        "from hwr_jax.web import app, limits, measures, pool, running\n"
        "made = measures.Measures()\n"
        "waiting = pool.Pool({}, limits.Limits(), made, processes=1, batching=True)\n"
        "app.make(app.Server(waiting, limits.Limits(), made), key=None, log=None)\n"
        "print([name for name in ('numpy', 'scipy', 'PIL', 'jax') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=caches, timeout=60)
    assert done.stdout == "[]\n", done.stderr
