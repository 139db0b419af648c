"""The config stops in steps/: below the ways in, training and inference hand it on, and read the plan."""

import ast
from pathlib import Path

import pytest

import hwr_jax
from hwr_jax.core.errors import ConfigError
from hwr_jax.steps.plan import Transfer, make_plan, with_reading

PACKAGE = Path(hwr_jax.__file__).parent
FILES = [*sorted((PACKAGE / "training").glob("*.py")), *sorted((PACKAGE / "inference").glob("*.py"))]
WAYS_IN = ("api.py", "experiment.py")  # of training/: they make a config, and check it, before there is a job
READERS = ("getattr", "vars", "dict", "dir", "iter", "list")  # calls that read what they are given


def is_config(node):
    """A variable named config, or the config of something, except JAX's own."""
    if isinstance(node, ast.Attribute):
        return node.attr == "config" and not (isinstance(node.value, ast.Name) and node.value.id == "jax")
    return isinstance(node, ast.Name) and node.id == "config" and isinstance(node.ctx, ast.Load)


def reads_of_a_config(source):
    """The lines in which a config is used in another way than by being handed, whole, to a function."""
    tree, handed_on = ast.parse(source), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in READERS):
            handed_on |= {id(value) for value in (*node.args, *(k.value for k in node.keywords))}
    return sorted({n.lineno for n in ast.walk(tree) if is_config(n) and id(n) not in handed_on})


@pytest.mark.parametrize(
    "line",
    [
        "x = config.epochs",
        "x = run.config.epochs",
        "x = source.config",
        "x = config['epochs']",
        "x = getattr(config, 'epochs')",
        "x = f(config.optim)",
        "x = f'{config.epochs} epochs'",
        "for c in (config, other): pass",
    ],
)
def test_the_search_finds_whatever_reads_a_config(line):
    assert reads_of_a_config(f"def f(config, run):\n    {line}") == [2]


def test_the_search_lets_a_config_be_handed_on():
    source = "config = load(folder)\ncheck(config)\nbind(config=config)\njax.config.update('x', 1)\nprint('config.x')"
    assert reads_of_a_config(source) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_file_of_training_and_inference_reads_a_config_except_the_ways_in(path):
    assert path.name in WAYS_IN or reads_of_a_config(path.read_text()) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_nothing_below_the_ways_in_imports_them(path):
    imported = {
        alias.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "hwr_jax.training"
        for alias in node.names
    }
    assert path.name == "api.py" or not imported & {name.removesuffix(".py") for name in WAYS_IN}


KEYS = {
    "model__name": ("lenet", "name"),
    "seed": (3, "first_seed"),
    "epochs": (7, "epochs"),
    "batch_size": (16, "batch_size"),
    "steps_per_dispatch": (3, "steps_per_dispatch"),
    "data__stream": (True, "stream"),
    "optim__learning_rate": (0.5, "learning_rate"),
    "nonfinite__policy": ("skip", "nonfinite"),
    "nonfinite__limit": (9, "nonfinite_limit"),
    "eval__patience_epochs": (4, "patience_epochs"),
    "eval__checkpoint": ("best", "checkpoint"),
    "checkpoint__keep": (5, "keep"),
    "checkpoint__every_epochs": (6, "every_epochs"),
    "eval__beam": (8, "beam"),
}


def test_each_key_sets_its_own_field_and_no_other(smoke):
    plain = make_plan(smoke())._asdict()
    for key, (value, field) in KEYS.items():
        changed = make_plan(smoke(**{key: value}))._asdict()
        assert changed[field] == value, key
        others = {name for name in plain if changed[name] != plain[name]} - {field, "network"}
        assert not others, key
    assert make_plan(smoke(frame__crop_px=2)).network["frame"]["crop_px"] == 2
    assert (make_plan(smoke()).reads_strings, make_plan(smoke(data__name="strings")).reads_strings) == (False, True)


def test_a_run_with_random_weights_has_no_transfer(smoke):
    assert make_plan(smoke()).transfer is None
    made = make_plan(
        smoke(init_from="runs/x", transfer__head="new", data__rehearsal="digits", data__rehearsal_examples=7)
    )
    assert made.transfer == Transfer("runs/x", True, "digits", 7, 0)


def test_a_recorded_config_is_read_with_other_settings_and_stays_what_it_was(smoke):
    config = smoke()
    assert with_reading(config, {"beam": 5}).eval.beam == 5
    assert config.eval.beam == 1
    with pytest.raises(ConfigError, match="config.eval.beam=0 is out of range"):
        with_reading(config, {"beam": 0})
