"""The files of the page: which there are, what they weigh, and what they may ask for."""

import base64
import dataclasses
import json
import re

import numpy as np
import pytest

from hwr_jax.core.errors import ConfigError
from hwr_jax.inference import packaged
from hwr_jax.web import page_files

FILES = page_files.files()


def test_the_page_names_no_file_that_is_missing():
    named = re.findall(r'(?:href|src)="([^"]+)"', FILES["index.html"].decode())
    named += [icon["src"] for icon in json.loads(FILES["manifest.json"])["icons"]]
    named += [f"reading/{name}.js" for name in page_files.READING]
    assert len(named) > 25
    assert not [name for name in named if name not in FILES]


def test_every_script_is_used():
    scripts = {name for name in FILES if name.endswith(".js")}
    by_page = set(re.findall(r'src="([^"]+)"', FILES["index.html"].decode()))
    by_reader = {f"reading/{name}.js" for name in page_files.READING} | {"model.js", "worker.js"}
    assert scripts == by_page | by_reader | {"sw.js"}


def test_the_page_and_the_headers_hold_the_same_policy():
    assert f'http-equiv="Content-Security-Policy" content="{page_files.POLICY}"' in FILES["index.html"].decode()
    assert page_files.HEADERS["Content-Security-Policy"].startswith(page_files.POLICY)
    assert "unsafe" not in page_files.POLICY
    assert "http" not in page_files.POLICY


def test_nothing_names_another_host():
    for name, content in FILES.items():
        if not name.endswith(".png"):
            assert not re.search(rb"https?://", content), name


def test_the_page_is_small():
    assert len(FILES["model.js"]) < 1e6
    assert sum(map(len, FILES.values())) < 1.5e6


def test_the_service_worker_keeps_every_file_but_itself_and_notices_a_change(monkeypatch):
    text = FILES["files.js"].decode()
    kept = json.loads(re.search(r"FILES = (\[.*?\])", text)[1])
    assert sorted(kept) == sorted(["./", *(FILES.keys() - {"sw.js"})])
    changed = page_files._files_js({**FILES, "style.css": b"p {}"}).decode()
    version = re.compile(r'VERSION = "(\w+)"')
    assert version.search(changed)[1] != version.search(text)[1]


def test_the_model_is_the_shipped_one_in_half_precision():
    plan = json.loads(re.search(r"HWR_MODEL = (.*);", FILES["model.js"].decode())[1])
    model = packaged.model()
    net = model.nets[0]
    values = np.frombuffer(base64.b64decode(plan["weights"]), "<f2")
    assert values.size == sum(k.size for k in net.convolutions) + sum(2 * a.size for a, _ in net.norms) + sum(
        part.size for part in net.dense
    )
    first = net.convolutions[0]
    np.testing.assert_array_equal(
        values[: first.size].reshape(first.shape[3], *first.shape[:3]).transpose(1, 2, 3, 0), first.astype(np.float16)
    )
    assert tuple(plan["classes"]) == model.classes
    assert np.isfinite(values).all()


def test_a_model_of_several_seeds_is_refused():
    model = packaged.model()
    with pytest.raises(ConfigError, match="2 seeds"):
        page_files.model_js(dataclasses.replace(model, nets=model.nets * 2))


def test_the_page_is_written_into_a_folder(tmp_path):
    written = page_files.write(tmp_path / "new" / "page")
    assert {p.relative_to(tmp_path / "new" / "page").as_posix() for p in written} == FILES.keys()
    assert all(p.read_bytes() == FILES[p.relative_to(tmp_path / "new" / "page").as_posix()] for p in written)
