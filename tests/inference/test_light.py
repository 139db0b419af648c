"""The network in NumPy computes what JAX computes, for every form of it, and refuses what it does not know."""

import json
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest
import threadpoolctl

from hwr_jax.config.configs import to_json
from hwr_jax.core.errors import ConfigError, RunFolderError
from hwr_jax.inference import light, predictor
from hwr_jax.steps.run import bind
from hwr_jax.workdir import weights

RESNET = {"model.name": "resnet", "model.norm": "batch", "batch_size": 8}


@pytest.fixture
def released(tmp_path, smoke, digits):
    """A folder with random weights, whose statistics are not those of a fresh network."""

    def make(**overrides):
        config = smoke(**{**RESNET, **overrides})
        bound = bind(config, examples=8, shape=(28, 28, 1), classes=10, mean=0.13, std=0.3, devices=None)
        state = bound.programs.init(bound.seed_array())
        rng = np.random.default_rng(0)
        params = jax.tree.map(lambda x: np.asarray(x + 0.1 * rng.standard_normal(x.shape), np.float32), state.params)
        model_state = jax.tree.map(lambda x: np.asarray(x + rng.uniform(0, 1, x.shape), np.float32), state.model_state)
        weights.write(tmp_path, params, model_state)
        facts = {"name": "digits", "classes": list("0123456789"), "shape": [28, 28, 1], "mean": 0.13, "std": 0.3}
        facts |= {"examples": {"train": 8, "validation": 1, "test": 1}, "version": "1", "sha256": ""}
        (tmp_path / "config.json").write_text(to_json(config))
        (tmp_path / "environment.json").write_text(
            json.dumps({"dataset": facts, "code": {"version": "1", "sha256": "", "git": ""}, "resumed": []})
        )
        return tmp_path

    return make


@pytest.mark.parametrize(
    "form",
    [
        {"model.features": (8, 12, 16), "model.stride_px": 2},
        {"model.features": (8,), "model.blocks": 2, "model.stride_px": 1},
        {"model.features": (4, 8), "model.blocks": 2, "seeds": 3},
        {"model.features": (4, 4), "model.stride_px": 3},
    ],
    ids=str,
)
def test_it_equals_jax(released, digits, form):
    folder = released(**form)
    images = np.asarray(digits.test.image[:70])
    ours, theirs = light.load(folder), predictor.load(folder)
    np.testing.assert_allclose(ours.predict(images), theirs.predict(images), atol=1e-5)
    assert ours.predict(images[:0]).shape == (0, 10)
    assert [r[0][0] for r in ours.read(images[:9, ..., 0])] == [str(k) for k in ours.predict(images[:9]).argmax(1)]
    assert ours.reads_strings is False
    with pytest.raises(ValueError, match=r"images must be uint8 \[N, 28, 28\]"):
        ours.predict(images.astype(np.float32))


def test_threads_may_share_a_model_and_blas_has_its_own_threads_back(released):
    model = light.load(released(**{"model.features": (4, 8)}))
    images = np.random.default_rng(0).integers(0, 256, (3 * light.CHUNK + 5, 28, 28), np.uint8)
    alone = np.concatenate([model.predict(images[i : i + light.CHUNK]) for i in range(0, len(images), light.CHUNK)])

    def blas():
        return [one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"]

    before = blas()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(model.predict, [images] * 8))
    assert all((one == alone).all() for one in found)
    assert blas() == before


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"model.norm": "none"}, "config.model.norm=none is not possible here: use batch"),
        ({"model.activation": "gelu"}, "config.model.activation=gelu is not possible here: use relu"),
        ({"frame.centre": True}, "config.frame.centre=True is not possible here: use False"),
        ({"eval.shift_px": 1}, "config.eval.shift_px=1 is not possible here: use 0"),
    ],
)
def test_another_network_is_refused(released, changed, named):
    with pytest.raises(ConfigError, match=named):
        light.load(released(**changed))


def test_a_folder_without_the_files_is_named(tmp_path):
    with pytest.raises(ConfigError, match="holds no released model: .*config.json is missing"):
        light.load(tmp_path)


def test_the_network_and_the_weights_must_fit(released, smoke):
    folder = released()
    (folder / "config.json").write_text(to_json(smoke(**RESNET, **{"model.features": (4,)})))
    with pytest.raises(RunFolderError, match="does not hold the arrays of the network that its config.json describes"):
        predictor.load(folder)
    with pytest.raises(ConfigError, match="--checkpoint=best is not in .*, which holds last alone"):
        predictor.load(released(), which="best")
