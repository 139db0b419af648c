"""Keys that base.py gains: what was recorded before stays what it was."""

import json
import shutil
from pathlib import Path

import pytest

from hwr_jax.config import check, configs, defaults, shipped
from hwr_jax.core.errors import ConfigError
from hwr_jax.studies import results, spec
from hwr_jax.tuning import spec as search_spec
from hwr_jax.tuning import storage
from hwr_jax.workdir import run_folder

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "fixtures" / "golden" / "0.1.0"
STUDIES = sorted(path.parent.name for path in (ROOT / "experiments").glob(f"*/{results.FILE}"))
ADDITIONS = (
    "    config.optim.nudge = 0.0",
    "    config.model.rings = (1, 2)",
    '    config.gadget = ml_collections.ConfigDict({"name": "none", "lines": 3})',
)


def edited(folder, *pairs):
    """Copies the repository's configs into a folder, with text of base.py replaced."""
    shutil.copytree(ROOT / "configs", folder / "configs")
    path = folder / "configs" / "base.py"
    text = path.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return folder


LOCK = "    config.lock()  # from here on"


@pytest.fixture
def grown(tmp_path, monkeypatch):
    """A checkout whose base.py has new keys: configs/ and the experiments."""
    edited(tmp_path, (LOCK, "\n".join([*ADDITIONS, LOCK])))
    for name in (*STUDIES, "fast_search"):
        shutil.copytree(ROOT / "experiments" / name, tmp_path / "experiments" / name)
    monkeypatch.setattr(shipped, "folder", lambda: tmp_path / "configs")
    return tmp_path


def test_the_keys_of_the_first_version_are_those_that_it_recorded():
    assert set(configs.flatten(json.loads((GOLDEN / "config.json").read_text()))) == defaults.FIRST
    assert set(defaults.of_base()) > defaults.FIRST


def test_every_committed_study_is_read_after_base_has_gained_keys(grown):
    assert len(STUDIES) >= 14
    for name in STUDIES:
        study = spec.load(grown / "experiments" / name / "study.py")
        assert study.configs[study.baseline].optim.nudge == 0.0
        assert len(results.read(study, study.folder)) == study.seeds * len(study.variants)


def test_a_search_goes_on_after_base_has_gained_keys(grown, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr(shipped, "folder", lambda: ROOT / "configs")
        old = search_spec.load(ROOT / "experiments" / "fast_search" / "search.py")
        storage.open_study(old, grown, "", sampler_seed=0)
    new = search_spec.load(grown / "experiments" / "fast_search" / "search.py")
    assert new.config.gadget.lines == 3
    assert storage.open_study(new, grown, "", sampler_seed=0).study_name == "fast_search"


@pytest.mark.usefixtures("grown")
def test_an_old_run_takes_the_defaults_of_new_keys_and_keeps_its_digest():
    config = run_folder.read_config(GOLDEN)
    assert (config.optim.nudge, config.model.rings, config.gadget.name) == (0.0, (1, 2), "none")
    recorded = json.loads((GOLDEN / "environment.json").read_text())["config_sha256"]
    assert run_folder.config_digest(config) == recorded
    check.check_recorded(config, GOLDEN)
    for key, value in (("optim.nudge", 0.5), ("model.rings", (1, 3)), ("gadget.lines", 4)):
        other = configs.override(run_folder.read_config(GOLDEN), {key: value}, "it")
        assert run_folder.config_digest(other) != recorded


@pytest.mark.parametrize(
    "pair",
    [
        ("config.schedule.decay = 0.7", "config.schedule.decay = 0.8"),
        ("config.eval.shift_px = 0", "config.eval.shift_px = 1"),  # a key that the records lack
    ],
)
def test_a_default_that_changes_is_another_config(tmp_path, monkeypatch, pair):
    edited(tmp_path, pair)
    shutil.copytree(ROOT / "experiments" / "optimizers", tmp_path / "experiments" / "optimizers")
    monkeypatch.setattr(shipped, "folder", lambda: tmp_path / "configs")
    study = spec.load(tmp_path / "experiments" / "optimizers" / "study.py")
    with pytest.raises(ConfigError, match=r"records of \w+ .* whose config differs"):
        results.read(study, study.folder)


def test_a_users_own_older_base_py_goes_on_working(tmp_path):
    folder = edited(tmp_path, ("    config.eval.shift_px = 0", "    # config.eval.shift_px = 0"))
    made = configs.load(folder / "configs" / "digits.py:smoke")
    assert made.eval.shift_px == 0
    check.check(made)


def test_a_config_that_does_not_start_from_base_is_told_to(tmp_path):
    (tmp_path / "own.py").write_text(
        "import ml_collections\ndef get_config():\n    return ml_collections.ConfigDict({'x': 1})\n"
    )
    with pytest.raises(ConfigError, match=r"is missing: start from base\.get_config"):
        check.check(configs.load(tmp_path / "own.py"))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("epochs", 1.5, "config.epochs=1.5 is out of range: use an integer >= 1"),
        ("seeds", True, "config.seeds=True is out of range: use an integer >= 1"),
        ("eval.batch_size", 10.5, "config.eval.batch_size=10.5 is out of range"),
        ("model.dense", [1], "config.model.dense=[1] is out of range"),
        ("optim.eps", "small", "config.optim.eps='small' is out of range"),
        ("model.name", ["cnn"], "config.model.name=['cnn'] is not known: use one of mlp"),
        ("frame.deskew", "yes", "config.frame.deskew='yes' is not possible: use True or False"),
        (
            "model.features",
            None,
            "config.model.features=None is not possible: use a list of which each element is",
        ),
        ("model.features", [8, "x"], "config.model.features=[8, 'x'] is not possible"),
        ("model.pools", [1, 0], "config.model.pools=[1, 0] is not possible: use a list of which each element is True"),
        ("init_from", 5, "config.init_from=5 is not possible: use text"),
        ("augment.wobble", 1, "there is no config.augment.wobble: configs/base.py lists the keys"),
    ],
)
def test_a_recorded_value_of_another_type_is_refused(key, value, words):
    nested = json.loads((GOLDEN / "config.json").read_text())
    *groups, name = key.split(".")
    place = nested
    for group in groups:
        place = place[group]
    place[name] = value
    config = defaults.fill(configs.from_json(json.dumps(nested)))
    with pytest.raises(ConfigError) as caught:
        check.check_recorded(config, GOLDEN)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{GOLDEN} was written by another version of hwr_jax: ")
