"""What a run makes of its config where several seeds are computed at once."""

import jax
import pytest

from hwr_jax.config import configs
from hwr_jax.steps.run import for_seeds


def convolution_of(seeds=3, how="vmap", name="cnn", **model):
    changed = {f"model.{key}": value for key, value in model.items()}
    return for_seeds(configs.load(f"configs/{name}.py:smoke", {"seeds": seeds, **changed}), how).model.convolution


@pytest.mark.parametrize(("backend", "expected"), [("gpu", "patches"), ("cpu", "auto"), ("tpu", "auto")])
def test_on_a_gpu_seeds_at_once_take_patches(monkeypatch, backend, expected):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    assert convolution_of() == expected


def test_one_seed_seeds_in_turn_other_networks_and_a_choice_of_the_user_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert convolution_of(seeds=1) == convolution_of(how="map") == convolution_of(name="mlp") == "auto"
    assert convolution_of(convolution="plain") == "patches"
    assert convolution_of(convolution="native") == "native"
