"""The wheel: what it holds, and that it trains and reads pictures in an empty folder."""

import json
import os
import re
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest
from quick_runs import TINY

from tests.pictures.test_normalise import draw, encode

ROOT = Path(__file__).parent.parent
ALONE = """\
import os, sys

def end(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        os._exit(99)

sys.addaudithook(end)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, unpacked as an installation would."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def hwr(wheel, caches, tmp_path):
    """Returns run(verb, *arguments): `python -m hwr_jax VERB` of the wheel, in an empty folder."""

    def run(*arguments, env=None):
        env = {**caches, "PYTHONPATH": str(wheel), **(env or {})}
        command = [sys.executable, "-m", "hwr_jax", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env, timeout=240)

    return run


def test_it_holds_the_package_its_types_the_configs_and_the_program(wheel):
    assert {path.name for path in wheel.iterdir() if not path.name.endswith(".dist-info")} == {"hwr_jax"}
    tracked = subprocess.run(["git", "ls-files", "hwr_jax"], capture_output=True, text=True, cwd=ROOT).stdout.split()
    configs = {f"hwr_jax/configs/{path.name}" for path in (ROOT / "configs").glob("*.py")}
    held = {path.relative_to(wheel).as_posix() for path in (wheel / "hwr_jax").rglob("*") if path.is_file()}
    assert {"hwr_jax/py.typed", *configs} < held
    assert held - configs >= set(tracked)
    assert all((wheel / name).read_bytes() == (ROOT / name.removeprefix("hwr_jax/")).read_bytes() for name in configs)
    assert re.search(r"^hwr = hwr_jax.__main__:main$", next(wheel.rglob("entry_points.txt")).read_text(), re.MULTILINE)


def test_its_code_has_the_digest_of_the_checkout(wheel, caches):
    code = "from hwr_jax.workdir import machine; import hwr_jax; print(hwr_jax.__file__, machine.code_digest())"
    found = {}
    for root in (wheel, ROOT):
        env = {**caches, "PYTHONPATH": str(root)}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=root)
        file, found[root] = done.stdout.split()
        assert file == f"{root}/hwr_jax/__init__.py"
    assert found[wheel] == found[ROOT]


def test_it_finds_its_configs_by_name(hwr):
    done = hwr("train", "--config=digits:smoke", "--summary")
    assert done.returncode == 0, done.stderr
    assert "flops" in done.stdout
    done = hwr("train", "--config=cmn")
    assert done.returncode == 64
    assert "did you mean cnn?" in done.stderr


def test_it_reads_a_page_without_a_network(hwr, wheel, tmp_path):
    (tmp_path / "page.png").write_bytes(encode(draw("4")))
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(ALONE)
    alone = {"PYTHONPATH": f"{tmp_path / 'site'}:{wheel}"}
    done = hwr("scan", "--format=text", "page.png", env=alone)
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr
    code = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')"
    env = {**os.environ, **alone}
    assert subprocess.run([sys.executable, "-c", code], env=env, capture_output=True).returncode == 99


def test_it_serves_without_a_network_until_it_is_ended(wheel, caches, tmp_path):
    picture = encode(draw("4"))
    (tmp_path / "sitecustomize.py").write_text(ALONE)
    command = [sys.executable, "-m", "hwr_jax", "serve", "--port=0", "--processes=1"]
    env = {**caches, "PYTHONPATH": f"{tmp_path}:{wheel}"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=tmp_path, env=env) as server:
        try:
            line = server.stderr.readline()
            found = re.search(r"reading pictures at (http://\S+)", line)
            assert found, line + server.stderr.read()
            request = urllib.request.Request(f"{found[1]}v1/scan", picture, {"content-type": "image/png"})
            with urllib.request.urlopen(request, timeout=60) as answer:
                assert [page["text"] for page in json.load(answer)] == ["4"]
        finally:
            server.terminate()
        assert server.wait(60) == 143


@pytest.mark.slow
def test_it_exports_its_model_without_a_network(hwr, without_data, tmp_path):
    done = hwr("export", "--format=onnx", "--out=exported", env=without_data)
    assert done.returncode == 0, done.stderr
    assert "digits" in done.stdout  # on which it is checked in place of MNIST
    (tmp_path / "page.png").write_bytes(encode(draw("4")))
    done = hwr("scan", "--workdir=exported", "--format=text", "page.png", env=without_data)
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr


@pytest.mark.slow
def test_it_trains_falls_back_and_reads_a_picture_in_an_empty_folder(hwr, without_data, tmp_path):
    from PIL import Image

    done = hwr("train", "--config=digits:smoke", *TINY)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["workdir"] == "runs/digits-smoke"
    assert json.loads((tmp_path / "runs/digits-smoke/environment.json").read_text())["code"]["git"] is None
    picture = np.full((60, 60), 255, np.uint8)
    picture[10:50, 28:33] = 0
    Image.fromarray(picture).save(tmp_path / "one.png")
    done = hwr("predict", "--workdir=runs/digits-smoke", "--format=json", "one.png")
    assert done.returncode == 0, done.stderr
    assert [row["image"] for row in json.loads(done.stdout)] == ["one.png"]
    done = hwr("train", "--config=cnn:smoke", "--summary", env=without_data)
    assert done.returncode == 0, done.stderr
    assert "MNIST WAS NOT FOUND" in done.stdout
