"""Damaged and foreign run folders: each is refused in a sentence that names the file, and nothing is touched."""

import json
import math
import shutil
from pathlib import Path

import pytest

from hwr_jax.checks import reproduction
from hwr_jax.core.errors import ConfigError, RunFolderError
from hwr_jax.inference import predictor
from hwr_jax.studies import results, spec
from hwr_jax.workdir import checkpoint, claim, forms, logs, run_folder

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "fixtures" / "golden" / "0.1.0"
BRACKETS = "[" * 100_000


@pytest.fixture
def run(tmp_path):
    """A copy of a finished run."""
    return shutil.copytree(GOLDEN, tmp_path / "run")


def setting(key, value):
    """Returns edit(text): JSON with another value at a dotted key; `...` removes it."""

    def edit(text):
        nested = json.loads(text)
        *groups, name = key.split(".")
        place = nested
        for group in groups:
            place = place[group]
        if value is ...:
            del place[name]
        else:
            place[name] = value
        return json.dumps(nested)

    return edit


WHOLE = [[], 5, None, "text", True]
CASES = [
    *(("config.json", json.dumps(value)) for value in WHOLE),
    *(("environment.json", json.dumps(value)) for value in WHOLE),
    *((name, text) for name in claim.PROOF for text in ("", "{", BRACKETS, b"\xff\xfe{}", "{}")),
    *(
        ("config.json", setting(key, value))
        for key, value in [
            ("model", 5), ("model", []), ("model", ...), ("optim", None), ("epochs", ...), ("epochs", 1.5),
            ("epochs", "5"), ("seeds", 0), ("seeds", None), ("seed", -1), ("batch_size", [32]),
            ("model.dense", [1]), ("model.features", None), ("model.features", 8), ("model.name", ["cnn"]),
            ("model.name", {}), ("model.name", "bert"), ("model.dropout", "0.1"), ("eval.batch_size", 10.5),
            ("eval.beam", True), ("frame.deskew", "yes"), ("frame.crop_px", math.nan), ("augment.shift_px", math.inf),
            ("augment.wobble", 1), ("data.strings", 3), ("data.name", 7), ("init_from", 3),
        ]
    ),
    *(
        ("environment.json", setting(key, value))
        for key, value in [
            ("dataset", 3), ("dataset", ...), ("dataset", []), ("dataset.shape", []), ("dataset.shape", "abc"),
            ("dataset.shape", [28, 28]), ("dataset.shape", [28.0, 28, 1]), ("dataset.shape", [-28, 28, 1]),
            ("dataset.classes", 5), ("dataset.classes", []), ("dataset.classes", [0, 1]),
            ("dataset.classes", "0123456789"), ("dataset.classes", ["0", "0"]), ("dataset.examples", {}),
            ("dataset.examples", 1097), ("dataset.examples.train", "many"), ("dataset.examples.test", None),
            ("dataset.std", 0), ("dataset.std", -1), ("dataset.std", math.nan), ("dataset.mean", "x"),
            ("dataset.mean", math.inf), ("dataset.mean", None), ("dataset.name", None), ("dataset.sha256", 5),
            ("code", 5), ("code", {}), ("code.sha256", None), ("resumed", 5), ("resumed", [5]),
            ("resumed", [{"step": "5", "changed": []}]), ("resumed", [{"step": 5, "changed": "x"}]),
            ("resumed", [{"step": 5, "changed": [], "code": 3}]), ("threads", "all"), ("mesh_devices", 0),
            ("init_from", "runs/x"),
        ]
    ),
]  # fmt: skip


def damage(run, name, new):
    path = run / name
    content = new(path.read_text()) if callable(new) else new
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def test_there_are_many_cases():
    assert len(CASES) > 75


@pytest.mark.parametrize(("name", "new"), CASES, ids=[f"{i}" for i in range(len(CASES))])
def test_an_odd_config_or_environment_is_refused_in_a_sentence_and_left_alone(run, smoke, digits, name, new):
    damage(run, name, new)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises((ConfigError, RunFolderError)) as caught:
        predictor.open_run(run)
    words = str(caught.value)
    assert "\n" not in words
    assert len(words) < 600
    assert str(run) in words
    with pytest.raises((ConfigError, RunFolderError)), run_folder.locked(run):
        claim.claim(run, smoke(epochs=77), digits, overwrite=False)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before  # without a .lock of ours


@pytest.mark.parametrize("manifest", ['{"files": 5}', "5", "[]", "{}", '{"files": {"a": 5}}', "{", BRACKETS, b"\xff"])
def test_a_checkpoint_with_an_odd_manifest_is_not_used(run, manifest):
    [path] = (run / "manifests").glob("*.json")
    path.write_bytes(manifest if isinstance(manifest, bytes) else manifest.encode())
    step = path.stem
    assert checkpoint.verify_manifest(run / "checkpoints" / step, path) == f"its manifest {path.name} cannot be read"


def test_a_manifest_that_names_files_elsewhere_is_not_used(run):
    [path] = (run / "manifests").glob("*.json")
    path.write_text(json.dumps({"files": {"../../../../etc/passwd": 64 * "0"}}))
    assert checkpoint.verify_manifest(run / "checkpoints" / path.stem, path).startswith("files are missing")


@pytest.mark.parametrize("odd", ["file", "missing", "empty", "names"])
def test_odd_checkpoints_are_refused_in_a_sentence(run, odd):
    folder = run / "checkpoints"
    [step] = [path.name for path in folder.iterdir()]
    shutil.rmtree(folder)
    if odd == "file":
        folder.write_text("x")
    elif odd == "empty":
        (folder / step).mkdir(parents=True)
    elif odd == "names":
        (folder / "step_twelve").mkdir(parents=True)
    with pytest.raises(RunFolderError, match="has no checkpoint that can be used"):
        predictor.load(run, log=lambda line: None)


@pytest.mark.parametrize(
    "line",
    [
        "5", "[]", "null", '"text"', "{}", '{"epoch": 1}', BRACKETS, "{", "\xff",
        '{"epoch": "1", "step": 9, "split": "test", "per_seed": {}}',
        '{"epoch": 1, "step": null, "split": "test", "per_seed": {}}',
        '{"epoch": 1, "step": 9, "split": 5, "per_seed": {}}',
        '{"epoch": 1, "step": 9, "split": "test", "per_seed": 5}',
        '{"epoch": 1, "step": 9, "split": "test", "per_seed": {"accuracy": "high"}}',
        '{"epoch": 1, "step": 9, "split": "test", "per_seed": {"accuracy": [null]}}',
        '{"epoch": 1, "step": 9, "split": "test", "per_seed": {"accuracy": []}}',
    ],
)  # fmt: skip
def test_an_odd_line_of_metrics_is_named(run, line):
    with open(run / "metrics.jsonl", "ab") as file:
        file.write(line.encode("latin-1") + b"\n")
    for read in (reproduction.last_epoch, lambda folder: logs.cut_metrics(folder / "metrics.jsonl", 5)):
        with pytest.raises(RunFolderError, match=r"metrics\.jsonl.* is damaged"):
            read(run)


@pytest.mark.parametrize("line", ["5", "{}", '{"event": "epoch"}', '{"event": "epoch", "seconds": "3"}'])
def test_an_odd_line_of_timing_is_named(tmp_path, line):
    (tmp_path / "timing.jsonl").write_text(f'{{"event": "start", "seconds": 1.5}}\n{line}\n')
    with pytest.raises(RunFolderError, match=r"timing\.jsonl, line 2, is damaged"):
        logs.total_times(tmp_path / "timing.jsonl")


@pytest.mark.parametrize(
    "new",
    [
        "5", "[]", "{}", BRACKETS, setting("test", 5), setting("test", {}), setting("seeds", "0"),
        setting("test.accuracy", 0.9), setting("test.accuracy.per_seed", 0.9), setting("dataset", 3),
        setting("examples", []), setting("state_sha256", 5),
    ],
)  # fmt: skip
def test_an_odd_summary_is_named(run, new):
    damage(run, "summary.json", new)
    with pytest.raises(RunFolderError, match=r"summary\.json is damaged"):
        run_folder.read_summary(run)


@pytest.mark.parametrize(
    "edit",
    [
        lambda record: 5,
        lambda record: [],
        lambda record: {**record, "seed": "0"},
        lambda record: {**record, "variant": ["a"]},
        lambda record: {**record, "dataset": 3},
        lambda record: {**record, "code": "x"},
        lambda record: {**record, "init_from": 5},
        lambda record: {**record, "config_sha256": None},
    ],
)
def test_an_odd_record_of_a_study_is_named(tmp_path, edit):
    path = ROOT / "experiments" / "initialisation" / "study.py"
    first, *_ = (path.parent / results.FILE).read_text().splitlines()
    (tmp_path / results.FILE).write_text(json.dumps(edit(json.loads(first))) + "\n")
    with pytest.raises(RunFolderError, match=r"results\.jsonl, line 1, is not a record of a study: it"):
        results.read(spec.load(path), tmp_path)


def test_what_this_version_writes_has_the_form(run):
    forms.check(run_folder.read_json(run, "environment.json"), forms.ENVIRONMENT, run)
    forms.check(run_folder.read_json(run, "summary.json"), forms.SUMMARY, run)
    assert logs.read_metrics(run / "metrics.jsonl")
