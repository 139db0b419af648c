"""The commands as processes: the main job, what it leaves, its resume, and its messages when something is wrong."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from quick_runs import TINY, xla_flags

from hwr_jax.core import files
from hwr_jax.inference import predictor

ROOT = Path(__file__).parent.parent
SMOKE = "--config=configs/digits.py:smoke"
RUN_FILES = {
    "config.json", "environment.json", "metrics.jsonl", "timing.jsonl", "predictions.npz", "manifests", "summary.json",
    "checkpoints", "tensorboard", "figures",
}  # fmt: skip


@pytest.fixture
def finished(two_seeds):
    """(run folder, standard output) of a finished smoke run with two seeds."""
    return two_seeds


def wrong(done, code, *words):
    """One clear sentence on standard error, the right exit code, no traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()
    assert any(line.startswith("hwr_jax: ") for line in last), done.stderr
    for word in words:
        assert word in done.stderr


def test_the_main_job_leaves_a_whole_run_folder(finished):
    folder, output = finished
    assert {p.name for p in folder.iterdir()} - {".lock"} == RUN_FILES
    summary = files.read_json(folder / "summary.json")
    assert summary["dataset"] == "digits"
    assert summary["seeds"] == [0, 1]
    assert summary["test"]["accuracy"]["mean"] > 0.8
    assert len(summary["test"]["accuracy"]["per_seed"]) == 2
    assert summary["test"]["accuracy"]["std"] is not None
    assert set(summary["test"]["ensemble"]) == {"mean_probability", "majority"}
    assert all(0.8 < value <= 1 for value in summary["test"]["ensemble"].values())
    assert summary["parameters"] > 1000
    assert summary["flops_per_image"] > 1e5
    assert np.sum(summary["confusion"]) == 2 * 500
    names = (
        "train_seconds",
        "compile_seconds",
        "total_seconds",
        "images_per_second",
        "per_class",
        "dataset_sha256",
        "epochs",
    )
    assert all(summary[name] for name in names)
    assert set(summary["validation"]) == set(summary["test"]) >= {"f1_macro", "ece", "loss", "error_count"}
    figures = {p.name for p in (folder / "figures").iterdir()}
    assert figures == {
        f"{n}.png"
        for n in ("learning_curves", "confusion_matrix", "worst_mistakes", "training_images", "first_filters")
    }
    assert len(list((folder / "tensorboard").rglob("events*"))) == 2
    last = json.loads(output.strip().splitlines()[-1])
    assert last["dataset"] == "digits"
    assert "trained on digits, not MNIST" in output
    assert str(folder) in output


def test_predictions_are_the_outcome_of_every_seed(finished):
    folder, _ = finished
    with np.load(folder / "predictions.npz") as saved:
        assert saved["prob"].shape == (2, 500, 10)
        errors = (saved["pred"] != saved["label"]).sum(1).tolist()
    assert errors == files.read_json(folder / "summary.json")["test"]["error_count"]["per_seed"]


def test_metrics_have_a_line_per_epoch_and_split_and_one_of_the_test_set(finished):
    lines = files.read_json_lines(finished[0] / "metrics.jsonl")
    assert [(line["epoch"], line["split"]) for line in lines] == [
        *((e, s) for e in range(1, 6) for s in ("train", "validation")),
        (5, "test"),
    ]


def test_a_finished_run_is_reported_not_repeated(finished, command):
    folder, _ = finished
    before = (folder / "metrics.jsonl").stat().st_mtime_ns
    done = command("main", SMOKE, "--config.seeds=2", f"--workdir={folder}")
    assert done.returncode == 0
    assert "finished: nothing was trained" in done.stdout
    assert (folder / "metrics.jsonl").stat().st_mtime_ns == before


def test_another_config_is_refused_with_the_difference(finished, command):
    done = command("main", SMOKE, "--config.seeds=3", f"--workdir={finished[0]}")
    wrong(done, 64, "config.seeds: 2 -> 3", "--overwrite")


@pytest.mark.slow
def test_a_seed_of_many_equals_its_single_run_to_the_bit(finished, command, tmp_path):
    done = command("main", SMOKE, "--config.seed=1", f"--workdir={tmp_path / 'one'}")
    assert done.returncode == 0, done.stderr
    with np.load(finished[0] / "predictions.npz") as two, np.load(tmp_path / "one" / "predictions.npz") as one:
        np.testing.assert_array_equal(two["prob"][1], one["prob"][0])
    summary = files.read_json(tmp_path / "one" / "summary.json")
    assert summary["test"]["accuracy"]["std"] is None
    assert summary["test"]["accuracy"]["ci95"] is None
    assert summary["test"]["ensemble"] is None


def test_evaluate_reproduces_the_test_numbers_to_the_digit(finished, command):
    folder, _ = finished
    done = command("evaluate", f"--workdir={folder}", "--format=json")
    assert done.returncode == 0, done.stderr
    found, summary = json.loads(done.stdout), files.read_json(folder / "summary.json")
    assert {k: found[k] for k in summary["test"]} == summary["test"]
    assert found["confusion"] == summary["confusion"]


def test_a_predictor_takes_uint8_images_with_or_without_the_channel_and_nothing_else(finished, digits):
    model = predictor.load(finished[0])
    images = digits.test.image[:3]
    with np.load(finished[0] / "predictions.npz") as saved:
        np.testing.assert_allclose(model.predict(images), saved["prob"][:, :3].mean(0), atol=1e-5)
    np.testing.assert_array_equal(model.predict(images), model.predict(list(images[..., 0])))
    for wrong_images in (images / 255, images[0, :, :, 0], images[:, :14]):
        with pytest.raises(ValueError, match=r"images must be uint8 \[N, 28, 28\] .* not (float64|uint8) \["):
            model.predict(wrong_images)


@pytest.mark.slow
def test_evaluate_takes_split_checkpoint_and_seed(finished, command):
    folder, _ = finished
    done = command(
        "evaluate", f"--workdir={folder}", "--split=validation", "--checkpoint=best", "--seed=1", "--format=json"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    lines = files.read_json_lines(folder / "metrics.jsonl")
    best = max(line["per_seed"]["accuracy"][1] for line in lines if line["split"] == "validation")
    assert found["accuracy"]["per_seed"] == [best]
    wrong(command("evaluate", f"--workdir={folder}", "--seed=7"), 64, "--seed=7 was not trained", "use one of 0, 1")


def test_predict_reads_pictures_in_three_formats(finished, command, digits, tmp_path):
    from PIL import Image

    paths = []
    for i in range(6):
        picture = Image.fromarray(255 - np.asarray(digits.test.image[i, :, :, 0])).resize((140, 140))
        paths.append(tmp_path / f"{i}.png")
        picture.save(paths[-1])
    workdir = f"--workdir={finished[0]}"
    rows = json.loads(command("predict", workdir, "--format=json", *paths).stdout)
    assert [set(row) for row in rows] == [{"image", "label", "confidence", "alternatives"}] * 6
    assert sum(int(row["label"]) == digits.test.label[i] for i, row in enumerate(rows)) >= 4
    table = list(csv.DictReader(io.StringIO(command("predict", workdir, "--format=csv", *paths).stdout)))
    assert [row["label"] for row in table] == [row["label"] for row in rows]
    done = command("predict", workdir, *paths)
    assert "trained on digits, not MNIST" in done.stdout
    assert all(path.name in done.stdout for path in paths)


@pytest.mark.slow
def test_predict_reads_the_good_pictures_and_names_the_bad_ones(finished, command, tmp_path):
    from PIL import Image

    image = Image.new("L", (60, 60), 255)
    image.paste(0, (28, 10, 33, 50))
    image.save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("no picture")
    done = command(
        "predict",
        f"--workdir={finished[0]}",
        "--format=csv",
        *(tmp_path / n for n in ("good.png", "bad.png", "none.png")),
    )
    wrong(done, 66, "bad.png", "none.png")
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.parametrize("verb", ["main", "evaluate", "predict", "benchmark"])
def test_help_answers_within_three_seconds(command, verb):
    start = time.monotonic()
    done = command(verb, "--help", fresh=True)
    assert done.returncode == 0
    assert ("--out" if verb == "benchmark" else "--workdir") in done.stdout
    assert time.monotonic() - start < 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--config is missing"]),
        (["--config=configs/none.py"], ["configs/none.py is not a file"]),
        ([SMOKE, "--config.model.dropuot=0.5"], ["there is no config.model.dropuot", "config.model.dropout"]),
        ([SMOKE, "--config.model.dropout=1.5"], ["config.model.dropout=1.5 is out of range", "from 0 to below 1"]),
        ([SMOKE, "--config.optim.name=adamm"], ["config.optim.name='adamm'", "adamw"]),
        ([SMOKE, "--config.epochs=many"], ["--config.epochs=many is not possible: use an integer"]),
        ([SMOKE, "--nonsense=1"], ["--nonsense is not a flag", "--workdir"]),
        ([SMOKE, "--overwrite=maybe"], ["--overwrite=maybe is not possible: use true or false"]),
        (["--config=configs/digits.py:tiny"], ["there is no variant 'tiny': use smoke"]),
        ([SMOKE, "nonsense"], ["unexpected argument 'nonsense': flags are written --name=value"]),
        ([SMOKE, "--devices=99", "--workdir={tmp}"], ["--devices=99 is out of range"]),
        ([SMOKE, "--config.optim.momentum=0.5"], ["config.optim.momentum=0.5 has no effect here: what is read is"]),
        (
            ["--config=configs/scratch.py:smoke", "--config.optim.momentum=0.5"],
            ["config.optim.momentum=0.5 has no effect"],
        ),
        ([SMOKE, "--config.model.cell=gru"], ["config.model.cell=gru has no effect", "model.norm"]),
        ([SMOKE, "--config.batch_size=5000", "--workdir={tmp}"], ["config.batch_size=5000 is more than the 1097"]),
    ],
)
def test_a_wrong_flag_or_config_is_one_sentence(command, tmp_path, arguments, words):
    wrong(command("main", *(a.format(tmp=tmp_path / "r") for a in arguments)), 64, *words)


def test_a_workdir_that_cannot_be_written_is_reported(command, tmp_path):
    (tmp_path / "file").write_text("")
    wrong(command("main", SMOKE, f"--workdir={tmp_path / 'file'}"), 74, "is a file: name a folder")
    wrong(command("main", SMOKE, "--workdir=/proc/nonsense/run"), 74, "/proc/nonsense")


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [8, pytest.param(1, marks=pytest.mark.exhaustive)])
def test_a_full_disk_is_reported_and_the_same_command_resumes_when_there_is_space(caches, command, tmp_path, kilobytes):
    arguments = [SMOKE, *TINY, "--config.epochs=2", f"--workdir={tmp_path / 'run'}"]
    # Files that may not grow beyond a size are what a full disk is to a run; the compilation cache is left out of it.
    shell = f"trap '' XFSZ; ulimit -f {kilobytes}; exec \"$@\""
    line = ["bash", "-c", shell, "bash", sys.executable, "-m", "hwr_jax.main", *arguments]
    env = {**caches, "JAX_ENABLE_COMPILATION_CACHE": "false", "XLA_FLAGS": xla_flags(arguments)}
    done = subprocess.run(line, capture_output=True, text=True, timeout=240, cwd=ROOT, env=env)
    assert done.returncode == 74
    assert done.stderr.strip().splitlines()[-1].startswith("hwr_jax: ")
    assert command("main", *arguments).returncode == 0


def test_a_loss_that_is_not_finite_stops_the_run(command, tmp_path):
    done = command(
        "main",
        SMOKE,
        *TINY,
        "--config.optim.name=sgd",
        "--config.optim.learning_rate=1e30",
        f"--workdir={tmp_path / 'r'}",
    )
    wrong(done, 65, "is not finite at step", "lower config.optim.learning_rate")
    assert not list((tmp_path / "r" / "manifests").iterdir())


def test_the_summary_lists_the_layers_and_trains_nothing(command, tmp_path):
    done = command("main", SMOKE, "--config.model.name=lenet", "--summary", f"--workdir={tmp_path / 'r'}")
    assert done.returncode == 0, done.stderr
    assert "61,706" in done.stdout
    assert "flops" in done.stdout
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
def test_a_run_stops_early_and_its_summary_says_after_how_many_epochs(command, tmp_path):
    arguments = [
        SMOKE,
        *TINY,
        "--config.epochs=9",
        "--config.eval.patience_epochs=2",
        "--config.optim.learning_rate=1e-12",
    ]
    done = command("main", *arguments, "--config.seeds=2", f"--workdir={tmp_path / 'r'}")
    assert done.returncode == 0, done.stderr
    assert "stopped: no seed has improved on validation for 2 epochs" in done.stdout
    summary = files.read_json(tmp_path / "r" / "summary.json")
    assert summary["epochs"] == 3
    assert summary["best_step"] == [34, 34]
    lines = files.read_json_lines(tmp_path / "r" / "metrics.jsonl")
    assert [line["epoch"] for line in lines] == [1, 1, 2, 2, 3, 3, 3]
    assert "finished" in command("main", *arguments, "--config.seeds=2", f"--workdir={tmp_path / 'r'}").stdout


def test_without_mnist_the_main_job_says_so_and_runs_on_digits(command, tmp_path, without_data):
    start = time.monotonic()
    done = command(
        "main",
        "--config=configs/cnn.py:smoke",
        *TINY,
        "--config.seed=4",
        f"--workdir={tmp_path / 'r'}",
        env=without_data,
    )
    assert done.returncode == 0, done.stderr
    assert "MNIST WAS NOT FOUND: TRAINING ON ANOTHER DATA SET INSTEAD" in done.stdout
    for word in ("cache", "TFDS folder", "HWR_MNIST_DIR", "download https"):
        assert word in done.stdout
    for name in ("config.json", "environment.json", "summary.json"):
        assert '"digits"' in (tmp_path / "r" / name).read_text()
    assert files.read_json(tmp_path / "r" / "config.json")["seed"] == 4
    assert json.loads(done.stdout.strip().splitlines()[-1])["dataset"] == "digits"
    assert time.monotonic() - start < 200


def test_without_mnist_and_without_fallback_it_is_an_error(command, without_data):
    done = command("main", "--config=configs/cnn.py", "--config.data.fallback=none", env=without_data)
    wrong(done, 66, "the data set mnist was not found")


def test_a_corrupted_data_file_is_named(command, tmp_path):
    folder = tmp_path / "mnist"
    folder.mkdir()
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (folder / f"{name}-ubyte.gz").write_bytes(b"no gzip")
    own = {"TFDS_DATA_DIR": str(tmp_path / "t"), "HWR_CACHE_DIR": str(tmp_path / "c"), "HWR_MNIST_DIR": str(folder)}
    wrong(command("main", "--config=configs/cnn.py", env=own), 66, "-ubyte.gz")


def interrupted(arguments, start, number, folder, steps):
    """Starts a run, sends it a signal once `steps` manifests are there, and returns (exit code, standard error)."""
    process = start("main", *arguments, f"--workdir={folder}")
    deadline = time.monotonic() + 180
    while len(list((folder / "manifests").glob("*.json"))) < steps and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    return process.returncode, said


def test_a_signal_while_compiling_ends_with_its_code_and_no_crash(caches, tmp_path):
    line = [sys.executable, "-m", "hwr_jax.main", SMOKE, f"--workdir={tmp_path / 'run'}"]
    env = {**caches, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(line, cwd=ROOT, env=env, **pipes) as process:
        assert "run folder" in process.stdout.readline()  # said just before compilation
        time.sleep(1.5)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 143
    assert said.strip() == "hwr_jax: SIGTERM: stopped"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGKILL, -9),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.exhaustive),
    ],
)
def test_interrupted_and_resumed_equals_uninterrupted_to_the_bit(finished, command, start, tmp_path, number, code):
    folder, arguments, whole = tmp_path / "run", [SMOKE, "--config.seeds=2"], finished[0]
    found, said = interrupted(arguments, start, number, folder, steps=1)
    assert found == code, said
    if code > 0:
        assert "saved step" in said
    with open(folder / "metrics.jsonl", "a") as torn:
        torn.write('{"epoch": ')
    done = command("main", *arguments, f"--workdir={folder}")
    assert done.returncode == 0, done.stderr
    assert "resuming from step" in done.stdout
    assert (folder / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    sys.path.insert(0, str(ROOT / "scripts"))
    from kill_and_resume import compare

    assert compare(whole, folder) == []
    assert files.read_json(folder / "environment.json")["resumed"][0]["changed"] == []


def test_a_run_of_which_only_the_evaluation_is_left_ends_the_same_and_compiles_no_step(finished, command, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished[0], folder)
    (folder / "summary.json").unlink()
    done = command("main", SMOKE, "--config.seeds=2", f"--workdir={folder}")
    assert done.returncode == 0, done.stderr
    found, whole = (files.read_json(path / "summary.json") for path in (folder, finished[0]))
    clocks = {"total_seconds"}
    assert {k: v for k, v in found.items() if k not in clocks} == {k: v for k, v in whole.items() if k not in clocks}
    metrics = [(path / "metrics.jsonl").read_bytes() for path in (folder, finished[0])]
    assert metrics[0] == metrics[1]


@pytest.mark.slow
def test_a_damaged_checkpoint_is_reported_and_not_used(finished, command, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished[0], folder)
    newest = max(int(p.name) for p in (folder / "checkpoints").iterdir())
    largest = max(
        (p for p in (folder / "checkpoints" / str(newest)).rglob("*") if p.is_file()), key=lambda p: p.stat().st_size
    )
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    done = command("evaluate", f"--workdir={folder}")
    assert done.returncode == 0, done.stderr
    assert f"checkpoint {newest} of" in done.stdout
    for manifest in (folder / "manifests").iterdir():
        manifest.unlink()
    wrong(command("evaluate", f"--workdir={folder}"), 74, "has no checkpoint that can be used")


@pytest.mark.mnist
@pytest.mark.exhaustive
def test_the_cnn_reaches_its_accuracy_on_the_real_mnist(command, tmp_path):
    env = {"HWR_MNIST_DIR": os.environ["HWR_MNIST_DIR"]}
    done = command("main", "--config=configs/cnn.py", f"--workdir={tmp_path / 'r'}", env=env, timeout=900)
    assert done.returncode == 0, done.stderr
    summary = files.read_json(tmp_path / "r" / "summary.json")
    assert summary["dataset"] == "mnist"
    assert summary["examples"] == {"train": 55000, "validation": 5000, "test": 10000}
    assert 0.990 <= summary["test"]["accuracy"]["mean"] <= 0.997
    print(json.dumps({k: summary[k] for k in ("train_seconds", "compile_seconds", "images_per_second")}))


@pytest.mark.mnist
@pytest.mark.exhaustive
def test_a_tiny_network_learns_the_real_mnist(command, tmp_path):
    env = {"HWR_MNIST_DIR": os.environ["HWR_MNIST_DIR"]}
    done = command("main", "--config=configs/cnn.py:smoke", f"--workdir={tmp_path / 'r'}", env=env)
    assert done.returncode == 0, done.stderr
    summary = files.read_json(tmp_path / "r" / "summary.json")
    assert summary["dataset"] == "mnist"
    assert summary["test"]["accuracy"]["mean"] > 0.95


@pytest.mark.mnist
@pytest.mark.exhaustive
def test_the_fast_recipe_reaches_99_percent_on_the_real_mnist_in_one_epoch(command, tmp_path):
    env = {"HWR_MNIST_DIR": os.environ["HWR_MNIST_DIR"]}
    # The mean of thirty seeds is 99.06 %, and one seed varies by 0.07 points: of three, the mean misses now and then.
    done = command("main", "--config=configs/fast.py", "--config.seeds=10", f"--workdir={tmp_path / 'r'}", env=env)
    assert done.returncode == 0, done.stderr
    summary = files.read_json(tmp_path / "r" / "summary.json")
    assert summary["epochs"] == 1
    assert 0.990 <= summary["test"]["accuracy"]["mean"] <= 0.995
    assert summary["test"]["ensemble"]["mean_probability"] > summary["test"]["accuracy"]["mean"]


def test_deterministic_kernels_are_asked_for_and_recorded(command, tmp_path):
    folder = tmp_path / "run"
    done = command("main", SMOKE, *TINY, "--config.epochs=1", "--deterministic", f"--workdir={folder}")
    assert done.returncode == 0, done.stderr
    flags = json.loads((folder / "environment.json").read_text())["xla_flags"]
    assert "--xla_gpu_exclude_nondeterministic_ops=true" in flags
