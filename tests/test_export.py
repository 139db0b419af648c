"""The verb `export`: what it writes for a trained run, what reads it back, and what it refuses."""

import json
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
import sklearn.metrics

import hwr_jax
from hwr_jax.core import errors
from hwr_jax.inference import onnx_reader, predictor
from hwr_jax.web import page_files

FILES = {"config.json", "environment.json", "MODEL_CARD.md", "LICENSE"}


@pytest.fixture(scope="module")
def run(two_seeds):
    return two_seeds[0]


@pytest.fixture(scope="module")
def exported(run, command, tmp_path_factory):
    """(folder, standard output) of the run's two seeds in ONNX."""
    folder = tmp_path_factory.mktemp("exported") / "onnx"
    done = command("export", f"--workdir={run}", "--format=onnx", f"--out={folder}")
    assert (done.returncode, done.stderr) == (0, "")
    return folder, done.stdout


def test_a_run_is_exported_with_all_its_seeds_and_checked_on_its_test_set(exported, run, digits, here):
    folder, said = exported
    assert "the last state, the mean probability of seeds 0 and 1" in said
    assert "checked against JAX on 500 images (digits test): every answer the same, probabilities within " in said
    assert {path.name for path in folder.iterdir()} == FILES | {"model.onnx"}
    model = hwr_jax.load(folder)
    assert isinstance(model, onnx_reader.OnnxReader)
    images = np.asarray(digits.test.image)
    np.testing.assert_allclose(model.predict(images), predictor.load(run).predict(images), atol=1e-5)
    assert model.predict(images[:0]).shape == (0, 10)


def test_the_card_and_the_metadata_say_what_it_is(exported):
    folder, _ = exported
    card = (folder / "MODEL_CARD.md").read_text()
    assert card.startswith("---\nlicense: other\n")
    assert "| model.onnx | float32 | digits test, 500 images | " in card
    for heading in (
        "How well it reads",
        "What it is for, and what it must not do",
        "Made from",
        "Licence",
        "The files",
    ):
        assert f"\n## {heading}\n" in card
    assert "Energy: not estimated, because no power was given (--watts)." in card
    assert "- hwr_jax draws the splits itself, and the 13 writers are in all of them" in card
    record = json.loads((folder / "environment.json").read_text())["exported"]["model.onnx"]
    assert record["check"]["images"] == 500
    assert "28 x 28 pixels, grey values from 0 (paper) to 255 (ink)" in record["preprocessing"]


def test_the_card_has_the_numbers_of_the_run(exported, run):
    card = (exported[0] / "MODEL_CARD.md").read_text()
    summary = json.loads((run / "summary.json").read_text())
    accuracy, loss = summary["test"]["accuracy"], summary["test"]["loss"]
    ends = " to ".join(f"{100 * end:.2f} %" for end in accuracy["ci95"])
    assert f"| right | {100 * accuracy['mean']:.2f} % | {ends} |" in card
    assert f"| loss | {loss['mean']:.4f} nats | " in card
    assert f"right on {100 * summary['test']['ensemble']['mean_probability']:.2f} %" in card
    assert f"took {summary['total_seconds']:,.1f} s" in " ".join(card.split())
    assert "\nBy class, of the mean probability of seeds 0 and 1:\n" in card
    with np.load(run / "predictions.npz") as kept:
        assert rows_of_classes(kept["label"], kept["prob"].mean(0).argmax(-1)) <= set(card.splitlines())


def rows_of_classes(label, pred):
    """The rows of the card's table that these predictions give, by scikit-learn's numbers."""
    scores = sklearn.metrics.precision_recall_fscore_support(label, pred, zero_division=0)
    return {
        f"| {k} | {support} | {100 * precision:.2f} % | {100 * recall:.2f} % | {100 * f1:.2f} % |"
        for k, (precision, recall, f1, support) in enumerate(zip(*scores, strict=True))
    }


def test_a_run_without_its_predictions_has_no_numbers_of_classes(run, command, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("predictions.npz", "figures"))
    done = command("export", f"--workdir={copy}", "--format=safetensors", f"--out={tmp_path / 'out'}")
    assert (done.returncode, done.stderr) == (0, "")
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert "Class by class nothing is known: predictions.npz of the run is not here, or damaged." in card
    assert "| class |" not in card
    assert "confuse" not in card


def test_an_exported_file_is_read_without_jax(exported):
    code = (
        "import sys; sys.modules['jax'] = None\n"
        "import numpy as np, hwr_jax\n"
        "from pathlib import Path\n"
        "from hwr_jax.inference import packaged\n"
        f"folder = {str(exported[0])!r}\n"
        "for model in hwr_jax.load(folder), packaged.open_for_pictures(Path(folder), which='', seed=None, log=print):\n"
        "    print(model.predict(np.zeros((3, 28, 28), np.uint8)).shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "(3, 10)\n" * 2), done.stderr


def test_one_seed_as_safetensors_and_stablehlo_in_one_folder(run, command, tmp_path, digits, here):
    flags = [f"--workdir={run}", "--seed=1", f"--out={tmp_path / 'both'}"]
    terms, others = tmp_path / "terms.txt", tmp_path / "others.txt"
    terms.write_text("Do as you like")
    others.write_text("Ask first")
    for kind, more in (("safetensors", [f"--licence={terms}", "--watts=50"]), ("stablehlo", [])):
        done = command("export", *flags, *more, f"--format={kind}")
        assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "both" / "LICENSE").read_text() == "Do as you like"  # the second export keeps it
    card = (tmp_path / "both" / "MODEL_CARD.md").read_text()
    assert "Energy, estimated: 50 W x " in card  # and the watts
    assert "One seed: another training gives other numbers" in card
    assert "\nBy class, of seed 1:\n" in card
    with np.load(run / "predictions.npz") as kept:
        first, second = (rows_of_classes(kept["label"], pred) for pred in kept["pred"])
    assert second <= set(card.splitlines())
    assert not first <= set(card.splitlines())
    assert "Of the weights: Do as you like." in (tmp_path / "both" / "MODEL_CARD.md").read_text()
    refused = command("export", *flags, f"--licence={others}", "--format=onnx")
    assert refused.returncode == 64
    assert "says 'Ask first', and other files in " in refused.stderr
    assert {path.name for path in (tmp_path / "both").iterdir()} == FILES | {"model.safetensors", "model.stablehlo"}
    images = np.asarray(digits.test.image[:7])
    wanted = predictor.load(run, seed=1).predict(images)
    model = hwr_jax.load(tmp_path / "both")
    assert model.seeds == [1]
    np.testing.assert_array_equal(model.predict(images), wanted)
    program = jax.export.deserialize(bytearray((tmp_path / "both" / "model.stablehlo").read_bytes()))
    assert program.platforms == ("cpu", "cuda", "tpu")
    np.testing.assert_allclose(program.call(images.astype(np.float32)), wanted, atol=1e-5)
    other = command("export", f"--workdir={run}", "--seed=0", "--format=onnx", f"--out={tmp_path / 'both'}")
    assert other.returncode == 64
    assert other.stderr == (
        f"hwr_jax: --out={tmp_path / 'both'} holds another model: name another folder, or remove it\n"
    )


def test_a_quantised_file_is_smaller_and_says_what_it_costs(exported, run, command, tmp_path):
    licence = tmp_path / "terms.txt"
    licence.write_text("\nDo as you like\n")
    flags = ["--format=onnx", "--quantize=int8", "--max_drop=1", f"--out={tmp_path / 'int8'}", f"--licence={licence}"]
    done = command("export", f"--workdir={run}", *flags)
    assert (done.returncode, done.stderr) == (0, "")
    assert " %, a drop of " in done.stdout
    full, small = ((folder / "model.onnx").stat().st_size for folder in (exported[0], tmp_path / "int8"))
    assert small < 0.6 * full  # a small network: what is not weights counts too
    assert onnx_reader.load(tmp_path / "int8").record["licence"] == "Do as you like"
    assert (tmp_path / "int8" / "LICENSE").read_text() == "\nDo as you like\n"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "--format is missing: use one of safetensors, stablehlo, onnx, litert"),
        (["--format=onnx"], "--out is missing or empty"),
        (["--format=litert", "--quantize=int8", "--out=x"], "--quantize=int8 applies to --format=onnx, not to litert"),
        (["--format=onnx", "--max_drop=1", "--out=x"], "--max_drop applies to --quantize: leave it out"),
        (["--format=onnx", "--licence=none.txt", "--out=x"], "--licence=none.txt is not a file: name a text file"),
        (["--format=onnx", "--workdir={run}", "--watts=0", "--out=x"], "--watts=0 is not a power: use more than 0"),
        (["--format=onnx", "--watts=9", "--out=x"], "--watts applies to a run of yours, whose training it is about"),
        (["--format=onnx", "--workdir=none", "--out=x"], "--workdir=none does not exist"),
        (["--format=onnx", "--workdir={run}", "--out={run}"], "--out={run} is a run folder: name another folder"),
        (["--format=onnx", "--workdir={run}", "--out={run}/config.json"], "is a file: name a folder"),
        (["--format=onnx", "--workdir={run}", "--seed=7", "--out=x"], "--seed=7 was not trained in"),
    ],
)
def test_flags_that_make_no_sense_are_one_sentence(run, command, tmp_path, flags, words):
    done = command("export", *(flag.format(run=run) for flag in flags), cwd=tmp_path)
    assert done.returncode == 64
    assert words.format(run=run) in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "x").exists()


def test_the_page_is_written_to_a_folder_of_its_own(command, tmp_path):
    folder = tmp_path / "page"
    for again in ("", " (replaced)"):
        done = command("export", "--format=web", f"--out={folder}")
        assert (done.returncode, done.stderr) == (0, "")
        assert f"kB{again}; open {folder / 'index.html'}" in done.stdout
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written == set(page_files.files())
    (tmp_path / "files.js").write_text("kept")  # a name that is not ours alone
    refused = command("export", "--format=web", f"--out={tmp_path}")
    assert refused.returncode == errors.WRONG_CONFIG
    assert refused.stderr == f"hwr_jax: --out={tmp_path} holds other files than the page: name a new folder\n"
    assert {path.name for path in tmp_path.iterdir()} == {"page", "files.js"}


def test_the_page_has_the_shipped_model_alone(command, tmp_path):
    done = command("export", "--format=web", "--workdir=runs/cnn", f"--out={tmp_path}")
    assert done.returncode == errors.WRONG_CONFIG
    assert "--workdir does not apply to --format=web" in done.stderr
    assert not any(tmp_path.iterdir())
