"""Configs: every one is built and traced; errors name the key, the value and the allowed values."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hwr_jax.config import check, configs
from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Arrays
from hwr_jax.distributed.sharding import make_mesh
from hwr_jax.steps import train_step
from hwr_jax.steps.compiled import make_programs
from hwr_jax.steps.recipe import make_recipe, whole_px

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(p for p in (ROOT / "configs").glob("*.py") if p.stem != "base")


@pytest.mark.parametrize("variant", ["", ":smoke"])
@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_every_config_is_built_and_traced(path, variant):
    made = configs.load(f"{path}{variant}")
    check.check(made)
    recipe = make_recipe(made, examples=1097, classes=10, mean=0.1, std=0.3)
    shape = (*whole_px(made), 1)
    state = jax.eval_shape(lambda: train_step.init_state(recipe, 0, shape))
    b = made.batch_size
    label = (b, made.data.strings.lengths[1]) if made.data.name == "strings" else (b,)
    rows = Arrays(jax.ShapeDtypeStruct((b, *shape), jnp.uint8), jax.ShapeDtypeStruct(label, jnp.int32))
    if recipe.scratch is not None:  # NumPy is not traced: one step of it is done
        programs = make_programs(
            recipe, make_mesh(1, batch_size=b), how="map", examples=1097, shape=(28, 28, 1), eval_batch=9
        )
        whole = Arrays(np.zeros((1097, 28, 28, 1), np.uint8), np.zeros(1097, np.int32))
        seeds = jnp.zeros(1, jnp.int32)
        after = programs.steps(programs.init(seeds), whole, programs.order(seeds, 0), 1)
        after = jax.tree.map(lambda x: x[0], after)
    else:
        after = jax.eval_shape(lambda s, r: train_step.train_step(recipe, s, r), state, rows)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(lambda x: (x.shape, x.dtype), state)


def test_every_key_of_the_base_is_checked_or_free(smoke):
    free = {
        "data.manual_dir",
        "data.label_column",
        "data.class_map",
        "data.fallback",
        "data.balanced",
        "data.stream",
        "optim.gradient_norm",
        "frame.deskew",
        "init_from",
        "transfer.frozen",
        "frame.centre",
        *(f"model.{key}" for key in ("features", "kernels_px", "strides_px", "pools", "hidden", "bidirectional")),
    }
    assert set(configs.flatten(smoke())) == {*check.CHOICES, *check.RANGES, *free}


@pytest.mark.parametrize("key", check.CHOICES)
def test_an_unknown_name_lists_the_allowed_ones(smoke, key):
    with pytest.raises(
        ConfigError,
        match=rf"config.{key}='nonsense' is not known: use one of .*{next(iter(check.CHOICES[key]))}",
    ):
        smoke(**{key: "nonsense"})


@pytest.mark.parametrize("key", check.RANGES)
def test_a_number_out_of_range_is_reported_with_the_range(smoke, key):
    default = configs.flatten(smoke())[key]
    wrong = {int: [-1], float: [-1.0, float("nan")], list: [(1,), (1.5, 2), (1, 2, 3)]}
    for value in wrong[type(default)]:
        shown = re.escape(str(list(value) if isinstance(value, tuple) else value))
        with pytest.raises(ConfigError, match=rf"config.{key}=({shown}) is out of range: use "):
            smoke(**{key: value})


def test_seeds_beyond_the_last_are_refused(smoke):
    with pytest.raises(ConfigError, match="exceed the last seed"):
        smoke(seed=2**31 - 1, seeds=2)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("model.dropuot", "did you mean config.model.dropout"),
        ("xyzzy", "the keys are .*seeds"),
        ("model", "config.model is a group: set one of .*model.name"),
    ],
)
def test_a_key_that_is_not_there_is_reported_with_the_nearest(smoke, key, words):
    with pytest.raises(ConfigError, match=words):
        configs.require_key(smoke(), key)


def test_a_value_of_the_wrong_type_is_refused():
    with pytest.raises(ConfigError, match="config.epochs='many' does not fit"):
        configs.load(CONFIGS[0], {"epochs": "many"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def get_config(:", "SyntaxError"),
        ("import nonsense_module", "ModuleNotFoundError"),
        ("x = 1", "get_config"),
        ("def get_config(): return 1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_config_file_that_does_not_run_is_one_sentence(tmp_path, text, words):
    (tmp_path / "c.py").write_text(text)
    with pytest.raises(ConfigError, match=f"cannot be loaded: .*{words}"):
        configs.load(tmp_path / "c.py")


def test_a_config_file_that_is_not_there_is_reported(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.py is not a file"):
        configs.load(tmp_path / "none.py")


def test_json_and_back_is_the_same_config(smoke):
    made = smoke()
    back = configs.from_json(configs.to_json(made))
    assert back == made
    assert back.model.features == made.model.features
    with pytest.raises(AttributeError, match="locked|nonsense"):
        back.nonsense = 1


def test_differences_name_key_and_both_values():
    a, b = {"m": {"x": 1, "y": 2}}, {"m": {"x": 1, "y": 3}, "z": 4}
    assert configs.difference(a, b) == ["m.y: 2 -> 3", "z: (absent) -> 4"]


@pytest.mark.parametrize("variant", ["", ":smoke"])
def test_the_example_of_the_docs_is_a_config(tmp_path, variant):
    example = re.search(r"```python\n(.*?get_config.*?)```", (ROOT / "docs" / "configs.md").read_text(), re.DOTALL)
    (tmp_path / "mine.py").write_text(example[1])
    made = configs.load(f"{tmp_path / 'mine.py'}{variant}")
    check.check(made)
    assert made.model.norm == "batch"


def test_an_unknown_variant_is_reported(tmp_path):
    with pytest.raises(ConfigError, match=r"cnn.py:tiny cannot be loaded: there is no variant 'tiny': use smoke"):
        configs.load(ROOT / "configs" / "cnn.py:tiny")
    (tmp_path / "plain.py").write_text("def get_config():\n    return None\n")
    with pytest.raises(ConfigError, match="no variant 'smoke': its get_config takes no argument"):
        configs.load(f"{tmp_path / 'plain.py'}:smoke")
