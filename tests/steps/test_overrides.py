"""No override is ignored: each key of each config changes what is computed, or is refused with the reason."""

import functools
import types
from pathlib import Path

import jax
import numpy as np
import pytest

from hwr_jax import models
from hwr_jax.config import check, configs
from hwr_jax.core.errors import ConfigError
from hwr_jax.data import configured, loading
from hwr_jax.steps import compiled, run
from hwr_jax.steps.overrides import check_overrides

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(p.stem for p in (ROOT / "configs").glob("*.py") if p.stem != "base")
DIFFERENT = ("cnn", "crnn", "scratch")  # in data, network or steps; the other configs are tried before a release
LATER = {  # read where there is more than a config; these files try them
    "data.fallback",  # tests/training/test_experiment.py
    "data.balanced",  # tests/steps/test_balanced.py
}


def described(value, depth=0):
    """All that a function, a tuple of functions, or a value can compute with: closures, arguments, fields."""
    if depth > 12:
        return "..."

    def inner(x):
        return described(x, depth + 1)

    if isinstance(value, functools.partial):
        return ("partial", inner(value.func), inner(value.args), inner(value.keywords))
    if isinstance(value, types.FunctionType):
        cells = []
        for cell in value.__closure__ or ():
            try:
                cells.append(inner(cell.cell_contents))
            except ValueError:  # not filled yet
                cells.append("empty")
        return (value.__qualname__, cells, inner(value.__defaults__), inner(value.__kwdefaults__))
    if isinstance(value, dict):
        return {str(key): inner(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [inner(one) for one in value]
    if isinstance(value, np.ndarray | jax.Array):
        return (str(value.dtype), np.asarray(value).tolist())
    if isinstance(value, types.MethodType):
        return (value.__name__, repr(value.__self__))
    if isinstance(value, type | types.BuiltinFunctionType | types.ModuleType):
        return repr(value)
    if callable(value) and type(value).__module__.startswith("jax"):
        return getattr(value, "__qualname__", "jitted")
    return repr(value)


@pytest.fixture(scope="module")
def layers():
    """The names of the layers of each network that was traced."""
    return {}


@pytest.fixture
def computed(monkeypatch, layers):
    """Returns what a config asks for, of data, network, steps and host, without loading or compiling anything."""
    programs, trace = {}, models.layer_names

    def layer_names(model, shape):  # of a config with starting weights; most keys leave the network as it is
        network = repr(described([model.init, shape]))
        if network not in layers:
            layers[network] = trace(model, shape)
        return layers[network]

    def caught(recipe, mesh, **more):
        programs.update(more)

    monkeypatch.setattr(compiled, "make_programs", caught)
    monkeypatch.setattr(models, "layer_names", layer_names)
    monkeypatch.setattr(loading, "load", lambda name, **more: (name, more))

    def compute(config):
        height, width = (32, 128) if config.data.name == "strings" else (28, 28)
        facts = {"examples": 64_000, "shape": (height, width, 1), "classes": 10, "mean": 0.1, "std": 0.3}
        bound = run.bind(config, **facts, counts=np.arange(1, 11), devices=1)
        parts = (bound.recipe, bound.plan, bound.how, bound.seeds, programs, configured.load(config, None, str))
        return repr(described(list(parts)))

    return compute


def others(key, value):
    """Other values of a key, the first of which that is allowed is tried."""
    if key in check.CHOICES:
        return [one for one in reversed(tuple(check.CHOICES[key])) if one not in (value, "auto")]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, str):
        return ["other"]
    if isinstance(value, tuple):
        return [(8,)] if not value else [(*value[:-1], not value[-1] if isinstance(value[-1], bool) else value[-1] + 1)]
    if isinstance(value, float):
        return [one for one in (value / 2, 0.25, 0.5, 1.5) if one != value]
    return [one for one in (value + 1, value - 1, value * 2, 20) if one != value]


@pytest.mark.parametrize(
    "name", [name if name in DIFFERENT else pytest.param(name, marks=pytest.mark.exhaustive) for name in CONFIGS]
)
def test_each_key_of_each_config_has_an_effect_or_is_refused(name, computed):
    path = ROOT / "configs" / f"{name}.py"
    plain = configs.load(path)
    before, refused = computed(plain), set()
    ignored = []
    for key in configs.flatten(plain):
        value = functools.reduce(lambda config, part: config[part], key.split("."), plain)
        for other in others(key, value):
            config = configs.override(plain.copy_and_resolve_references(), {key: other}, name)
            try:
                check.check(config)
                check_overrides(config, {key: other})
                after = computed(config)
            except ConfigError as error:
                assert "config." in str(error), f"{key}={other}: {error}"
                refused.add(key)
                continue
            refused.discard(key)
            if after == before and key not in LATER:
                ignored.append(f"{key}={other}")
            break
    assert not ignored
    assert len(refused) < 0.8 * len(configs.flatten(plain))
