"""The public surface: names that cost nothing until they are used, their examples, and training without flags."""

import ast
import doctest
import functools
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hwr_jax
from hwr_jax.config import configs
from hwr_jax.core.errors import ConfigError, DataMissing

ROOT = Path(__file__).parent.parent
PUBLIC = [name for name in hwr_jax.__all__ if name not in ("__version__", "data")]


def examples():
    """Yields the module and the name of everything in the package whose docstring has an example; "": the module."""
    for path in sorted((ROOT / "hwr_jax").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        stack = [("", ast.parse(path.read_text(encoding="utf-8")))]
        while stack:
            name, node = stack.pop()
            if ">>>" in (ast.get_docstring(node) or ""):
                yield module, name
            documented = (n for n in node.body if isinstance(n, ast.ClassDef | ast.FunctionDef))
            stack += [(f"{name}.{inner.name}".lstrip("."), inner) for inner in documented]


EXAMPLES = sorted(examples())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder in which the examples run."""
    return tmp_path_factory.mktemp("public")


@pytest.fixture
def place(here, folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(place):
    """The run of the examples: trained by the first who asks, and found finished by the others."""
    return hwr_jax.train("digits:smoke", devices=1, quiet=True)


def test_importing_the_package_imports_nothing_heavy_and_lists_what_it_has():
    code = (
        "import sys, hwr_jax\n"
        "print(set(hwr_jax.__all__) <= set(dir(hwr_jax)), hasattr(hwr_jax, 'nonsense'))\n"
        "print([m for m in ('jax', 'numpy', 'absl', 'ml_collections', 'PIL') if m in sys.modules])\n"
        "hwr_jax.data.load, hwr_jax.digit_from_picture\n"
        "print('jax' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.stdout.splitlines() == ["True False", "[]", "False"], done.stderr


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'hwr_jax' has no attribute 'nonsense'"):
        _ = hwr_jax.nonsense


def test_every_name_of_the_package_has_an_example():
    homes = {(hwr_jax._HOMES[name], name) for name in PUBLIC}
    assert homes | {("hwr_jax", ""), ("hwr_jax.data.loading", "load")} <= set(EXAMPLES)


@pytest.mark.parametrize(("module", "name"), EXAMPLES, ids=[".".join(filter(None, one)) for one in EXAMPLES])
def test_the_example_in_the_docstring_runs(run, module, name):
    home = importlib.import_module(module)
    documented = functools.reduce(getattr, filter(None, name.split(".")), home)
    tests = doctest.DocTestFinder(recurse=False).find(documented, name or module, home, globs=dict(vars(home)))
    found = [test for test in tests if test.examples]
    assert len(found) == 1
    report = []
    outcome = doctest.DocTestRunner().run(found[0], out=report.append)
    assert outcome.failed == 0, "".join(report)
    assert outcome.attempted > 0


def test_a_run_is_its_folder_its_results_and_its_model(run, digits):
    assert run.folder == Path("runs/digits-smoke")
    assert run.summary["seeds"] == [0]
    rows = run.metrics
    assert [(row["epoch"], row["split"], row["seed"]) for row in rows] == [
        *((epoch, split, 0) for epoch in range(1, 6) for split in ("train", "validation")),
        (5, "test", 0),
    ]
    assert rows[-1]["accuracy"] == run.summary["test"]["accuracy"]["mean"]
    assert all(isinstance(value, int | float | str) for row in rows for value in row.values())
    assert run.predictor is run.predictor
    probabilities = run.predictor.predict(list(digits.test.image[:50, ..., 0]))
    assert np.mean(probabilities.argmax(1) == digits.test.label[:50]) > 0.7
    assert repr(run).startswith("TrainedRun('runs/digits-smoke': digits, test accuracy ")


def test_the_same_call_again_trains_nothing_and_a_config_may_be_a_path_or_an_object(run, capsys):
    before = (run.folder / "metrics.jsonl").stat().st_mtime_ns
    config = configs.load("digits:smoke", {"epochs": 4})
    for given, overrides in ((ROOT / "configs/digits.py:smoke", {}), (config, {"epochs": 5})):
        again = hwr_jax.train(given, run.folder, overrides=overrides)
        assert again.summary == run.summary
        assert "finished: nothing was trained" in capsys.readouterr().out
    assert config.epochs == 4  # the caller's config is copied
    assert (run.folder / "metrics.jsonl").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("config", "arguments", "words"),
    [
        ("digts", {}, "did you mean digits?"),
        ("none.py", {}, "none.py is not a file"),
        ("digits:smoke", {"overrides": {"model.dropuot": 0.5}}, "did you mean config.model.dropout"),
        ("digits:smoke", {"overrides": {"model": {"dropout": 0.5}}}, "config.model is a group"),
        ("digits:smoke", {"overrides": {"epochs": "many"}}, "config.epochs='many' does not fit"),
        ("digits:smoke", {"overrides": {"epochs": 0}}, "config.epochs=0 is out of range"),
        ("digits:smoke", {"overrides": {"optim.momentum": 0.5}}, "config.optim.momentum=0.5 has no effect"),
        ("digits:smoke", {"overrides": {"seeds": 2}}, "config.seeds: 1 -> 2"),
        ("digits:smoke", {"devices": 99, "workdir": "other"}, "--devices=99"),
        ("digits:smoke", {"devices": -1}, "devices=-1 is too small: use 0 or more"),
        ("digits:smoke", {"seed_groups": 0}, "seed_groups=0 is too small: use 1 or more"),
        ("digits:smoke", {"workdir": ""}, "--workdir is missing or empty"),
        ("digits:smoke", {"workdir": "~no_such_user/x"}, "--workdir=~no_such_user/x cannot be used"),
    ],
)
def test_what_is_wrong_is_one_sentence_as_with_the_command(run, config, arguments, words):
    with pytest.raises(ConfigError) as caught:
        hwr_jax.train(config, quiet=True, **arguments)
    assert words in str(caught.value)


def test_a_config_without_a_file_needs_a_folder(place):
    with pytest.raises(ConfigError, match="workdir is missing"):
        hwr_jax.train(configs.load("digits:smoke"))


def test_missing_data_is_an_error_that_can_be_caught(place, monkeypatch):
    monkeypatch.delenv("HWR_MNIST_DIR", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HWR_CACHE_DIR", "c")
    monkeypatch.setenv("TFDS_DATA_DIR", "t")
    config = configs.load("cnn:smoke")
    assert config.data.fallback == "digits"  # which nobody would notice
    for given, arguments in (
        ("cnn:smoke", {"overrides": {"data.fallback": "none"}}),
        ("cnn:smoke", {"quiet": True}),
        (config, {"workdir": "mine"}),
    ):
        with pytest.raises(DataMissing, match="the data set mnist was not found"):
            hwr_jax.train(given, **arguments)
