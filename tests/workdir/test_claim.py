"""Whose a folder is: the same run resumes, another run is refused, and nobody else's files are ever removed."""

import os

import pytest

from hwr_jax.core import files
from hwr_jax.core.errors import ConfigError, RunFolderError
from hwr_jax.workdir import claim, machine, run_folder


def claimed(folder, config, digits, *, overwrite=False, said=None):
    with run_folder.locked(folder):
        log = (lambda line: None) if said is None else said.append
        return claim.claim(folder, config, digits, overwrite=overwrite, log=log)


def content(folder):
    """Every file of a folder with its bytes, and every link with its target; without the lock."""
    return {
        path.relative_to(folder).as_posix(): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if (path.is_file() or path.is_symlink()) and path.name != ".lock"
    }


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"of {name}")


def test_the_same_run_resumes_and_a_finished_one_is_reported(begun, smoke, digits):
    assert claimed(begun, smoke(), digits) == "resume"
    files.write_json(begun / "summary.json", {})
    assert claimed(begun, smoke(), digits) == "finished"


def test_another_config_is_refused_with_the_difference(begun, smoke, digits):
    with pytest.raises(ConfigError, match=r"holds another run.*(?s:.)*config\.epochs: 5 -> 9"):
        claimed(begun, smoke(epochs=9), digits)
    assert (begun / "config.json").exists()


def test_other_data_is_refused_with_the_difference(begun, smoke, digits):
    with pytest.raises(ConfigError, match=r"dataset\.sha256: \w+ -> 0000"):
        claimed(begun, smoke(), digits._replace(sha256="0000"))


def test_other_code_is_refused_with_the_difference(begun, smoke, digits, monkeypatch):
    monkeypatch.setattr(machine, "code_digest", lambda: "1234")
    with pytest.raises(ConfigError, match=r"code\.sha256: \w+ -> 1234"):
        claimed(begun, smoke(), digits)


def test_overwrite_removes_the_run_and_nothing_else(begun, smoke, digits):
    run = ("metrics.jsonl", "manifests/12.json", "checkpoints/12/state/a", "tensorboard/seed_0/e", "quarantine/6/x")
    mine = (
        "notes.txt", "figures/fig1.png", "checkpoints/mymodel.bin", "checkpoints/2024-paper/weights.bin",
        "checkpoints/1st_best.pt", "quarantine/0notes.txt", "manifests/2024_plan.json", "tensorboard/seed_notes.md",
        "config.json.tmp-backup", ".shared-notes", "predictions.npz/mine.npz",
    )  # fmt: skip
    write(begun, *run, *mine, "figures/learning_curves.png", "config.json.tmp-7")
    said = []
    assert claimed(begun, smoke(epochs=9), digits, overwrite=True, said=said) == "new"
    assert set(content(begun)) == set(mine)
    assert [line.partition(" in it")[0].rpartition("/")[2] for line in said] == [
        "manifests was not removed: a run did not write '2024_plan.json'",
        "checkpoints was not removed: a run did not write '1st_best.pt'",
        "quarantine was not removed: a run did not write '0notes.txt'",
        "tensorboard was not removed: a run did not write 'seed_notes.md'",
        "figures was not removed: a run did not write 'fig1.png'",
        "predictions.npz was not removed: a run writes a file of that name, not a folder",
    ]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    "names",
    [
        ("thesis.tex",),
        ("figures/fig1.txt", "checkpoints/mymodel.bin"),
        ("checkpoints/12/weights", "tensorboard/seed_0/events", "manifests/12.json"),
        ("summary.json",),
        ("config.json",),
        ("environment.json", "metrics.jsonl"),
        ("config.json.tmp-backup",),
        (".shared-notes", "metrics.jsonl.tmp-7/mine"),
    ],
    ids=",".join,
)
def test_files_that_are_not_provably_of_a_run_are_refused_and_left_alone(tmp_path, smoke, digits, names, overwrite):
    write(tmp_path, *names)
    before = content(tmp_path)
    with pytest.raises(ConfigError, match=r"hwr_jax cannot tell that a run of its own wrote it.*nothing was touched"):
        claimed(tmp_path, smoke(), digits, overwrite=overwrite)
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    "text",
    ['{"model": "bert"}', '{"model": {"name": "resnet"}, "batch_size": 32, "epochs": 10}'],
    ids=["bert", "resnet"],
)
def test_the_config_of_another_program_is_not_a_run(tmp_path, smoke, digits, text):
    write(tmp_path, "checkpoints/a.bin", "metrics.jsonl", "summary.json")
    (tmp_path / "config.json").write_text(text)
    before = content(tmp_path)
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match=r"config\.json is damaged or was not written by hwr_jax: it has no"):
            claimed(tmp_path, smoke(), digits, overwrite=overwrite)
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("environment.json", '{"dataset": ', r"environment\.json is damaged: "),
        (
            "environment.json",
            "5",
            r"environment\.json is damaged or was not .* hwr_jax: it holds no JSON object",
        ),
        ("environment.json", '{"dataset": 3, "code": 4, "resumed": []}', r"it has no 'dataset\.name'"),
        ("environment.json", None, r"environment\.json is missing"),
        ("config.json", "[" * 100_000, r"config\.json is damaged"),
        ("config.json", "{}", r"it has no 'over_seeds'"),
        ("config.json", None, r"config\.json is missing"),
    ],
)
def test_a_damaged_run_is_named_and_left_alone_until_overwrite(begun, smoke, digits, name, text, words):
    write(begun, "checkpoints/12/state", "metrics.jsonl")
    (begun / name).unlink() if text is None else (begun / name).write_text(text)
    before = content(begun)
    with pytest.raises(RunFolderError, match=f"holds a damaged run, and nothing in it was touched: .*{words}"):
        claimed(begun, smoke(epochs=9), digits)
    assert content(begun) == before
    assert claimed(begun, smoke(epochs=9), digits, overwrite=True) == "new"
    assert content(begun) == {}


def test_a_run_that_was_killed_before_it_wrote_its_config_starts_again(begun, smoke, digits):
    (begun / "config.json").rename(begun / "config.json.tmp-12")
    (begun / "checkpoints").mkdir()
    (begun / f".shared-{32 * 'a'}").touch()
    assert claimed(begun, smoke(), digits) == "new"
    assert content(begun) == {}


def test_overwrite_removes_a_link_and_leaves_what_it_points_to(begun, smoke, digits, tmp_path):
    write(tmp_path / "big", "12/state")
    (begun / "checkpoints").symlink_to(tmp_path / "big")
    (begun / "tensorboard").mkdir()
    (begun / "tensorboard" / "seed_0").symlink_to(tmp_path / "big")
    said = []
    assert claimed(begun, smoke(), digits, overwrite=True, said=said) == "new"
    assert content(begun) == {}
    assert content(tmp_path / "big") == {"12/state": b"of 12/state"}
    link, big = begun / "checkpoints", tmp_path / "big"
    assert said == [f"{link} was a link to {big}: only the link was removed"]


def test_overwrite_removes_everything_that_a_finished_run_leaves(command, tmp_path):
    flags = ("--config=configs/linear.py:smoke", "--config.data.name=digits", "--config.data.validation_examples=200")
    flags = (*flags, "--config.epochs=1", f"--workdir={tmp_path}")
    assert command("main", *flags).returncode == 0
    written = {path.name for path in tmp_path.iterdir()}
    assert {*claim.FOLDERS, *run_folder.FILES, ".lock"} - {"quarantine", "wandb", "mlflow"} == written
    claim.clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_kill_while_a_run_is_removed_leaves_an_unfinished_run(begun, smoke, digits, monkeypatch):
    write(begun, "metrics.jsonl", "checkpoints/12/state", "summary.json")
    monkeypatch.setattr(claim, "_is_remnant", lambda path: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        claimed(begun, smoke(), digits, overwrite=True)
    monkeypatch.undo()
    assert claimed(begun, smoke(), digits) == "resume"  # from step 0: its checkpoints are gone
    assert claimed(begun, smoke(), digits, overwrite=True) == "new"
    assert content(begun) == {}


def test_other_names_of_the_classes_are_refused_with_the_difference(begun, smoke, digits):
    renamed = digits._replace(classes=("cats", *digits.classes[1:]))
    with pytest.raises(ConfigError, match=r"dataset\.classes: 0, 1, .* -> cats, 1, "):
        claimed(begun, smoke(), renamed)


def test_a_run_that_keeps_the_classes_of_another_one_is_known_by_its_own_names(tmp_path, smoke, digits):
    config, folder = smoke(init_from="runs/x"), tmp_path / "run"
    own = digits._replace(classes=("3", "7"))
    fitted = own._replace(classes=digits.classes, named=own.classes)
    with run_folder.locked(folder):
        run_folder.begin(folder, config, run_folder.environment(config, fitted, over_seeds="map"))
    assert claimed(folder, config, own) == "resume"
    with pytest.raises(ConfigError, match=r"dataset\.classes: 3, 7 -> 3, 8"):
        claimed(folder, config, own._replace(classes=("3", "8")))
    env = files.read_json(folder / "environment.json")
    del env["dataset"]["named"]  # as an older version wrote it
    files.write_json(folder / "environment.json", env)
    assert claimed(folder, config, own) == "resume"
