"""The digest of the code is of what can change numbers, and a run under changed code has a way on."""

import shutil
from pathlib import Path

import pytest

import hwr_jax
from hwr_jax.checks import reproduction
from hwr_jax.core import files
from hwr_jax.core.errors import ConfigError
from hwr_jax.workdir import claim, codebase, machine, run_folder

PACKAGE = Path(hwr_jax.__file__).parent
ONLY_DRAWN = ("models/inside.py", "tasks/reliability.py")  # figures look at it, and no number of a run comes from it


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A copy of the package's sources."""
    place = tmp_path_factory.mktemp("code") / "hwr_jax"
    return shutil.copytree(PACKAGE, place, ignore=shutil.ignore_patterns("__pycache__", "configs"))


@pytest.fixture
def package(original, tmp_path, monkeypatch):
    """A copy that a test may change, in the place of the package whose code is recorded."""
    place = shutil.copytree(original, tmp_path / "code" / "hwr_jax")
    monkeypatch.setattr(hwr_jax, "__file__", str(place / "__init__.py"))
    return place


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


LAST = "from __future__ import annotations\n"
MORE = LAST + "X = 1\n"
STEP = "steps/train_step.py"


@pytest.mark.parametrize(
    "edit",
    [
        lambda p: replace(p / STEP, "from __future__", "# a comment\nfrom __future__"),
        lambda p: replace(p / STEP, '"""Returns the sums at the start of an epoch."""', '"""Other words."""'),
        lambda p: replace(p / STEP, '    """Returns the sums at the start of an epoch."""\n', ""),
        lambda p: replace(
            p / STEP, "def no_totals(recipe: Recipe) ->", "\n\ndef no_totals(\n    recipe: Recipe,\n) ->"
        ),
        lambda p: replace(p / "__init__.py", '__version__ = "', '__version__ = "9.'),
        lambda p: replace(p / "cli" / "console.py", LAST, MORE),
        lambda p: replace(p / "workdir" / "figures.py", LAST, MORE),
        lambda p: replace(p / "studies" / "report.py", LAST, MORE),
        lambda p: replace(p / "verify.py", LAST, MORE),
        lambda p: (p / "studies" / "new.py").write_text("X = 1\n"),
        lambda p: (p / "configs").mkdir() or (p / "configs" / "base.py").write_text("X = 1\n"),
        lambda p: (p / "notes.md").write_text("notes"),
    ],
)
def test_what_cannot_change_a_number_does_not_change_the_digest(package, original, edit):
    edit(package)
    assert machine.code_digest() == codebase.digest(original)


@pytest.mark.parametrize(
    "edit",
    [
        lambda p: replace(p / STEP, "step=state.step + 1", "step=state.step + 2"),
        lambda p: replace(p / "models" / "cnn.py", LAST, MORE),
        lambda p: replace(p / "training" / "loop.py", "return state, total_seconds", "return state, 0.0"),
        lambda p: replace(p / "core" / "rng.py", LAST, MORE),
        lambda p: replace(p / "core" / "xla.py", "=-reduce", "=none"),
        lambda p: replace(p / "transforms" / "pen.py", "0.5", "0.25"),
        lambda p: (
            (p / "optim" / "new.py").write_text("X = 1\n")
            and replace(p / "optim" / "schedules.py", LAST, LAST + "from hwr_jax.optim import new\n")
        ),
    ],
)
def test_what_can_change_a_number_changes_the_digest(package, original, edit):
    edit(package)
    assert machine.code_digest() != codebase.digest(original)


def test_the_digest_covers_what_a_job_computes_with():
    covered = codebase.covered(PACKAGE)
    for folder in ("models", "optim", "steps", "tasks", "transforms"):
        there = {path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / folder).glob("*.py")}
        assert there - set(covered) <= {"steps/overrides.py", *ONLY_DRAWN}
    for name in codebase.WITHOUT_NUMBERS:
        assert (PACKAGE / name).exists()
    later = ("benchmarks/", "checks/", "cli/", "studies/", "tuning/", "main.py", "evaluate.py")
    assert not [name for name in covered if name.startswith(later)]


def claimed(folder, config, digits, *, resume="same", said=None):
    with run_folder.locked(folder):
        log = (lambda line: None) if said is None else said.append
        return claim.claim(folder, config, digits, overwrite=False, resume=resume, log=log)


def test_an_interrupted_run_resumes_after_a_comment_was_added(package, begun, smoke, digits):
    replace(package / STEP, "from __future__", "# a comment\nfrom __future__")
    replace(package / "cli" / "console.py", LAST, MORE)
    assert claimed(begun, smoke(), digits) == "resume"


def test_after_a_change_of_the_code_a_run_resumes_only_by_the_named_choice(package, begun, smoke, digits):
    first = machine.code_digest()
    replace(package / STEP, "step=state.step + 1", "step=state.step + 2")
    with pytest.raises(ConfigError, match=r"the code has changed since; nothing .* --resume=anyway .*(?s:.)*code\.sha"):
        claimed(begun, smoke(), digits)
    said = []
    assert claimed(begun, smoke(), digits, resume="anyway", said=said) == "resume"
    assert said[0].startswith("resuming with other code, which is recorded: hwr_jax ")
    run_folder.note_resume(begun, run_folder.environment(smoke(), digits, over_seeds="map"), 12)
    second = machine.code_digest()
    env = run_folder.read_environment(begun)
    assert [(one["step"], one["sha256"]) for one in run_folder.codes(env)] == [(0, first), (12, second)]
    assert run_folder.origin(begun) == {"code": second}
    assert f"resumed at step 12: code.sha256: {first} -> {second}" in reproduction.surroundings(env, env)
    assert claimed(begun, smoke(), digits) == "resume"  # the choice was made, for this code
    replace(package / STEP, "step=state.step + 2", "step=state.step + 1")
    with pytest.raises(ConfigError, match="--resume=anyway"):
        claimed(begun, smoke(), digits)


def test_what_other_code_trained_and_was_lost_is_no_origin():
    a, b, c = ({"version": "0", "sha256": 64 * x} for x in "abc")
    resumed = [{"step": step, "changed": [], **more} for step, more in ((9, {"code": b}), (9, {}), (4, {"code": c}))]
    env = {"code": a, "resumed": resumed}
    assert run_folder.codes(env) == [{"step": 0, **a}, {"step": 4, **c}]
    env["resumed"].append({"step": 0, "changed": [], "code": b})
    assert run_folder.codes(env) == [{"step": 0, **b}]


def test_a_finished_run_is_reported_under_changed_code(package, begun, smoke, digits):
    files.write_json(begun / "summary.json", {})
    replace(package / STEP, "step=state.step + 1", "step=state.step + 2")
    said = []
    assert claimed(begun, smoke(), digits, said=said) == "finished"
    assert said[0].startswith(f"the code has changed since {begun} was trained, by hwr_jax ")


def test_another_config_is_refused_whatever_the_choice_and_more_epochs_have_a_way(begun, smoke, digits):
    for resume in claim.RESUMES:
        with pytest.raises(ConfigError, match=rf"for more epochs, start a run from its weights: .*init_from={begun}"):
            claimed(begun, smoke(epochs=9), digits, resume=resume)
    with pytest.raises(ConfigError, match="holds another run") as caught:
        claimed(begun, smoke(epochs=2), digits)
    assert "init_from=" not in str(caught.value)
