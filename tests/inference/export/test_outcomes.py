"""The classes of an exported model: those of its own seeds, or nothing."""

import types

import numpy as np
import pytest

from hwr_jax.inference.export import outcomes

PROB = np.array(
    [  # seed 4 reads 0 1 1, seed 5 reads 0 0 0; their mean probability reads 0 1 0
        [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]],
        [[0.9, 0.1], [0.6, 0.4], [0.8, 0.2]],
    ],
    np.float32,
)


@pytest.fixture
def source(tmp_path):
    """Returns source(*seeds): an exported part of a run of seeds 4 and 5 on three images of the classes a and b."""
    label = np.array([0, 1, 1], np.int32)
    np.savez(tmp_path / "predictions.npz", label=label, pred=PROB.argmax(-1), prob=PROB, seeds=[4, 5])
    summary = {"classes": ["a", "b"], "seeds": [4, 5], "examples": {"test": 3}}

    def of(*seeds):
        return types.SimpleNamespace(folder=tmp_path, summary=summary, model=types.SimpleNamespace(seeds=list(seeds)))

    return of


@pytest.mark.parametrize(
    ("seeds", "confusion"),
    [((4,), [[1, 0], [0, 2]]), ((5,), [[1, 0], [2, 0]]), ((4, 5), [[1, 0], [1, 1]])],
)
def test_the_confusions_are_of_the_exported_seed_or_of_the_mean_probability(source, seeds, confusion):
    found = outcomes.of_model(source(*seeds))
    assert found["confusion"] == confusion
    assert found["classes"] == ["a", "b"]
    assert found["per_class"]["recall"] == [1.0, confusion[1][1] / 2]


def test_strings_have_the_lengths_of_the_exported_seed(source, tmp_path):
    label = np.array([[0, 1], [1, -1], [0, -1]], np.int32)
    pred = np.array([[[0, 1], [1, -1], [1, -1]], [[0, 0], [1, -1], [0, -1]]])
    np.savez(tmp_path / "predictions.npz", label=label, pred=pred, seeds=[4, 5])
    found = [outcomes.of_model(source(seed)) for seed in (4, 5)]
    lengths = {"length": [1, 2], "examples": [2, 1]}
    assert found == [{"per_length": {**lengths, "accuracy": shares}} for shares in ([0.5, 1.0], [1.0, 0.0])]


def test_predictions_that_are_missing_damaged_or_of_another_run_give_nothing(source, tmp_path):
    path = tmp_path / "predictions.npz"
    np.savez(path, label=np.zeros(3, np.int32), pred=PROB.argmax(-1), prob=PROB, seeds=[4, 6])
    assert outcomes.of_model(source(4)) is None
    np.savez(path, label=np.zeros(2, np.int32), pred=PROB.argmax(-1), prob=PROB, seeds=[4, 5])
    assert outcomes.of_model(source(4)) is None
    path.write_bytes(b"PK")
    assert outcomes.of_model(source(4)) is None
    path.unlink()
    assert outcomes.of_model(source(4)) is None
