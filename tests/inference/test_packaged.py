"""The model that comes with the package reads digits without a run, without JAX, and as its records say."""

import importlib
import json
import subprocess
import sys

import numpy as np
import pytest

import hwr_jax
from hwr_jax.inference import packaged, predictor
from tests.pictures.test_normalise import draw, encode

ROOT = packaged.FOLDER.parents[1]


@pytest.fixture(scope="module")
def model():
    return packaged.model()


def test_it_is_small_and_complete():
    names = {path.name for path in packaged.FOLDER.iterdir() if path.is_file()}
    assert names >= {"config.json", "environment.json", "summary.json", "model.safetensors", "MODEL_CARD.md", "LICENSE"}
    assert sum(path.stat().st_size for path in packaged.FOLDER.iterdir() if path.is_file()) <= 2_000_000
    environment = json.loads((packaged.FOLDER / "environment.json").read_text())
    assert environment["dataset"]["classes"][-1] == "none"
    assert not environment["code"]["git"].endswith("dirty")
    assert "/" not in " ".join(environment["command"]).replace("configs/", "").replace("runs/", "")


def test_its_card_is_what_its_records_give(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    written = (packaged.FOLDER / "MODEL_CARD.md").read_text()
    assert importlib.import_module("pretrain").card(packaged.FOLDER) == written, "run scripts/pretrain.py --card"


def test_it_reads_the_digits_of_other_people(model, digits):
    label = np.asarray(digits.test.label)
    prob = model.predict(np.asarray(digits.test.image))
    assert (prob.argmax(1) == label).mean() > 0.9  # 8x8 pixels of a Turkish and American sample, enlarged
    np.testing.assert_allclose(prob.sum(1), 1, atol=1e-5)


def test_both_programs_agree_on_it(model, digits):
    images = np.asarray(digits.test.image[:100])
    np.testing.assert_allclose(model.predict(images), predictor.load(packaged.FOLDER).predict(images), atol=1e-5)


def test_what_is_no_digit_is_mostly_none(model, digits):
    from hwr_jax.data import negatives

    images = negatives.draw(200, np.asarray(digits.train.image[..., 0]), seed=123)
    assert (model.predict(images).argmax(1) == 10).mean() > 0.9


def test_load_without_a_run_is_it(model):
    assert hwr_jax.load() is model
    assert isinstance(hwr_jax.load(seed=0), predictor.Predictor)
    assert hwr_jax.scan(encode(draw("4"))).text == "4"
    assert model.read_pictures([encode(draw("7"))])[0].ranked[0][0] == "7"


@pytest.mark.parametrize("verb", ["predict", "scan"])
def test_the_commands_need_no_run_and_no_jax(verb, tmp_path):
    picture = tmp_path / "seven.png"
    picture.write_bytes(encode(draw("7")))
    code = (
        "import runpy, sys; sys.modules['jax'] = None\n"
        f"sys.argv = ['{verb}', '--format=json', {str(picture)!r}]\n"
        f"runpy.run_module('hwr_jax.{verb}', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)[0]
    assert (found["label"] if verb == "predict" else found["text"]) == "7"
    assert f"hwr_jax {hwr_jax.__version__}'s own model" in done.stderr


def test_the_module_of_the_verb_can_be_called_too(tmp_path):
    picture = tmp_path / "seven.png"
    picture.write_bytes(encode(draw("7")))
    code = f"import hwr_jax.scan, hwr_jax; print(hwr_jax.scan({str(picture)!r}).text)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "7"
