"""The committed studies: every variant can be built, and every report is that of its records."""

import importlib
import shutil
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from hwr_jax.config import configs, shipped
from hwr_jax.core import canvas, files
from hwr_jax.data import STRINGS
from hwr_jax.steps import overrides, recipe, train_step
from hwr_jax.studies import comparison, figures, report, results, spec, trial

ROOT = Path(__file__).parents[2] / "experiments"
STUDIES = sorted(ROOT.glob("*/study.py"))
RESULTS = [path for path in STUDIES if (path.parent / results.FILE).exists()]


def name(path):
    return path.parent.name


@pytest.mark.parametrize("path", STUDIES, ids=name)
def test_every_variant_of_a_study_is_an_ordinary_config(path):
    study, traced = spec.checked(path), set()
    for variant, made in study.configs.items():
        assert configs.to_json(configs.load(f"{path}:{variant}")) == configs.to_json(made)
        overrides.check_overrides(made, study.variants[variant])  # nothing that it overrides is idle
        examples = made.data.train_examples or 50_000
        one = recipe.make_recipe(made, examples=examples, classes=10, mean=0.13, std=0.3)
        assert made.data.name != STRINGS
        if (shape := trial.shape_of(made)) in traced:  # a variant with other scalars has the same program
            continue
        traced.add(shape)
        with jax.numpy_dtype_promotion("standard"):
            state = jax.eval_shape(lambda seed, one=one: train_step.init_state(one, seed, (28, 28, 1)), jnp.int32(0))
        assert state.params


@pytest.fixture(scope="module", autouse=True)
def compared_once():
    """The comparison of a study is computed by the first test that needs it, and the others take that."""
    compare, known = comparison.compare, {}

    def once(study, records):
        if study.name not in known:
            known[study.name] = compare(study, records)
        return known[study.name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "compare", once)
        yield


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """The configs after base.py has gained a key: no record may notice."""
    folder = shutil.copytree(ROOT.parent / "configs", tmp_path_factory.mktemp("grown") / "configs")
    base = (folder / "base.py").read_text()
    (folder / "base.py").write_text(
        base.replace("    config.lock()", "    config.optim.new_key = 0.5\n    config.lock()")
    )
    return folder


@pytest.mark.parametrize("path", RESULTS, ids=name)
def test_a_report_is_made_from_its_records_to_the_byte(path, tmp_path, grown, monkeypatch):
    monkeypatch.setattr(shipped, "folder", lambda: grown)
    monkeypatch.setattr(canvas, "save", lambda figure, path: path.write_bytes(b"-"))
    study_folder = shutil.copytree(path.parent, grown.parent / "experiments" / name(path))
    study = spec.load(study_folder / path.name)
    assert study.configs[study.baseline].optim.new_key == 0.5
    records = results.read(study, path.parent)
    report.write(study, records, tmp_path)
    assert (tmp_path / "report.md").read_text() == (path.parent / "report.md").read_text()
    assert {p.name for p in tmp_path.glob("*.png")} == {p.name for p in path.parent.glob("*.png")}


@pytest.mark.parametrize("path", RESULTS, ids=name)
def test_a_committed_study_is_complete_and_of_one_version(path):
    study = spec.load(path)
    records = results.read(study, path.parent)
    assert len(records) == study.seeds * len(study.variants) == len(files.read_json_lines(path.parent / results.FILE))
    assert len({r["code"]["sha256"] for r in records}) == 1
    assert comparison.compare(study, records)


def test_the_page_of_the_experiments_is_up_to_date(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT.parent / "scripts"))
    monkeypatch.setattr(sys, "argv", ["studies_table.py", "--check"])
    assert importlib.import_module("studies_table").main() == 0, "run scripts/studies_table.py"


def test_there_are_studies():
    assert len(STUDIES) >= 14


def test_the_command_of_a_report_names_the_file_where_it_is(tmp_path):
    path = ROOT / "optimizers" / "study.py"
    assert spec.load(path).place == "experiments/optimizers/study.py"
    own = shutil.copytree(path.parent, tmp_path / "mine") / "study.py"
    assert spec.load(own).place == own.as_posix()


def test_no_interval_of_the_forest_plot_is_cut_off(monkeypatch, tmp_path):
    study = spec.load(ROOT / "precision" / "study.py")
    rows = comparison.compare(study, results.read(study, ROOT / "precision"))
    (bfloat16,) = [row.paired for row in rows if row.paired is not None]
    low, high = bfloat16.t
    wide = bfloat16._replace(bootstrap=(3 * low, 3 * high))
    kept = []
    monkeypatch.setattr(canvas, "save", lambda figure, path: kept.append(figure.axes[0].get_xlim()))
    figures._differences(tmp_path / "x.png", study, [rows[0]._replace(paired=wide)])
    assert kept[-1][0] < study.metric.factor * 3 * low
    assert kept[-1][1] > study.metric.factor * 3 * high
