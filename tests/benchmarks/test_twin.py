"""The network in turns with its PyTorch twin: what is compared, and what is refused."""

import json

import jax
import numpy as np
import pytest

from hwr_jax.benchmarks import torch_peer, twin
from hwr_jax.benchmarks.plan import Plan
from hwr_jax.config import configs
from hwr_jax.core.errors import DataError
from hwr_jax.models import MODELS
from hwr_jax.steps.run import make_run

TINY = {"model.name": "mlp", "model.hidden": (8,)}
WHAT = ["training", *(f"inference {batch}" for batch in torch_peer.CALLS)]


@pytest.fixture
def plan(tmp_path, digits, monkeypatch):
    """Returns make(program, **overrides): a plan whose Python for PyTorch runs `program`, and what it logged."""
    monkeypatch.setattr(torch_peer, "CALLS", {1: 3, 4: 2})
    monkeypatch.setattr(twin, "STEPS", 2)

    def make(answer, **overrides):
        python = tmp_path / "python"
        python.write_text(
            f"#!/bin/sh\n[ $1 = -c ] || echo '{json.dumps(answer)}'\n" if answer else "#!/bin/sh\nexit 1\n"
        )
        python.chmod(0o755)
        said = []
        config = configs.load("configs/digits.py:smoke", {**TINY, **overrides})
        return Plan("digits.py", (), config, digits, 1, 2, (), None, str(python), said.append), said

    return make


def answer(digits, parameters, **failed):
    one = {"training": 0.5, "inference 1": 0.25, "inference 4": 2.0}
    seconds = {} if failed else {"eager": one, "compiled": {**one, "training": 0.125}}
    return {"torch": "2", "parameters": parameters, "seconds": seconds, "failed": failed}


def parameters(plan):
    run = make_run(twin.bare(plan.config), plan.dataset, devices=1)
    return sum(int(np.prod(x.shape[1:])) for x in jax.tree.leaves(run.state_shapes().params))


def test_the_faster_form_of_the_twin_counts_in_each_turn(plan, digits):
    count = parameters(plan(None)[0])
    assert count == 784 * 8 + 8 + 8 * 10 + 10
    made, said = plan(answer(digits, count))
    found = twin.against_twin(made)
    assert list(found) == ["training", "inference 1", "inference 4"]
    assert found["training"]["theirs_s"] == [0.125, 0.125]
    assert found["training"]["forms"] == ["compiled", "compiled"]
    assert found["inference 4"]["forms"] == ["eager", "eager"]
    for one in found.values():
        assert one["ratio"]["median"] == pytest.approx(np.median(np.divide(one["ours_s"], one["theirs_s"])))
    assert len(said) == 3


def test_a_twin_of_another_size_is_refused(plan, digits):
    with pytest.raises(DataError, match="PyTorch's twin has 7 parameters, and the network 6,370"):
        twin.against_twin(plan(answer(digits, 7))[0])


def test_a_twin_that_fails_is_quoted(plan, digits):
    with pytest.raises(DataError, match="twin failed: RuntimeError: no memory"):
        twin.against_twin(plan(answer(digits, 6370, eager="RuntimeError: no memory"))[0])


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"model.name": "scratch"}, "scratch has no twin in PyTorch"),
        ({"model.activation": "selu"}, "the twins have relu"),
        ({"model.norm": "layer"}, "batch normalisation or none"),
        ({}, "cannot import torch"),
    ],
)
def test_without_a_twin_it_is_skipped_with_the_reason(plan, overrides, words):
    made, said = plan(None, **overrides)
    assert twin.against_twin(made) is None
    assert len(said) == 1
    assert said[0].startswith("skipped: ")
    assert words in said[0]


def test_every_network_but_that_from_scratch_has_a_twin():
    assert {*twin.NETWORKS, "scratch"} == set(MODELS)


def test_nothing_is_augmented_and_one_view_is_evaluated():
    config = configs.load("configs/accurate.py")
    bare = twin.bare(config)
    assert config.augment.rotate_deg > 0
    assert config.eval.shift_px == 1
    assert bare.augment.rotate_deg == bare.augment.shift_px == bare.eval.shift_px == 0
    assert bare.augment.elastic_smooth_px > 0  # the default, which is not an amount
    assert bare.seeds == 1


def test_the_twin_of_a_reader_of_lines_is_told_the_shape_of_lines(plan):
    made, _ = plan(None)
    train = made.dataset.train._replace(image=np.zeros((5, 28, 64, 1), np.uint8), label=np.zeros((5, 3), np.int32))
    lines = made._replace(config=configs.load("configs/crnn.py:smoke"), dataset=made.dataset._replace(train=train))
    told = twin.wanted(twin.bare(lines.config), lines)
    assert (told["shape"], told["label_length"], told["clip_norm"]) == ([28, 64], 3, 1.0)
    json.dumps(told)
