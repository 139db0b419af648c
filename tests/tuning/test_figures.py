"""The figures of a search: short legends for hundreds of trials, names that do not overlap, the same every time."""

import itertools

import matplotlib.image
import numpy as np
import optuna
import pytest

from hwr_jax.core import canvas
from hwr_jax.tuning import figures

LONG_NAMES = ("pytorch_uniform", "xavier_uniform", "orthogonal")


@pytest.fixture(scope="module")
def study():
    """Two hundred trials, most of them pruned, of five keys."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    made = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))

    def objective(trial):
        rate = trial.suggest_float("optim.learning_rate", 1e-4, 1e-1, log=True)
        trial.suggest_float("optim.b1", 0.5, 0.95)
        trial.suggest_categorical("batch_size", ["64", "128", "96"])
        name = trial.suggest_categorical("model.initializer", LONG_NAMES)
        value = 0.99 - 0.02 * abs(np.log10(rate) + 2) - 0.001 * LONG_NAMES.index(name)
        for step in (1, 2, 3):
            trial.report(value - 0.01 / step, step)
            if trial.number % 4 and step == 1 + trial.number % 2:
                raise optuna.TrialPruned
        return value

    made.optimize(objective, n_trials=200)
    return made


@pytest.fixture(scope="module")
def drawn(study, tmp_path_factory):
    """name -> the matplotlib figure; and their folder."""
    kept, save = {}, canvas.save

    def keep(figure, path):
        kept[path.name] = figure
        save(figure, path)

    folder = tmp_path_factory.mktemp("drawn")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canvas, "save", keep)
        assert figures.draw_all(study, folder) == list(kept)
    return kept, folder


def test_two_hundred_trials_have_three_rows_in_the_legend(study, drawn):
    axes = drawn[0]["pruning.png"].axes[0]
    words = ["pruned (150)", "finished (50)", f"best (trial {study.best_trial.number})"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == words
    assert len(axes.lines) == 201


def test_the_names_of_the_slices_do_not_overlap(drawn):
    figure = drawn[0]["slices.png"]
    figure.canvas.draw()
    boxes = {}
    for axes in figure.axes:
        low, high = axes.get_xlim()
        ticks = [label for label in axes.get_xticklabels() if low <= label.get_position()[0] <= high]
        for label in (axes.xaxis.label, *ticks):
            if label.get_text() and label.get_rotation() == 0 and axes.get_visible():
                boxes[axes.get_xlabel(), label.get_text()] = label.get_window_extent()
    assert len(boxes) > 10
    pairs = itertools.combinations(boxes, 2)
    assert [pair for pair in pairs if boxes[pair[0]].overlaps(boxes[pair[1]])] == []


def test_choices_that_are_numbers_stand_in_their_order(drawn):
    panels = {axes.get_xlabel(): axes for axes in drawn[0]["slices.png"].axes}
    assert [label.get_text() for label in panels["batch_size"].get_xticklabels()] == ["64", "96", "128"]
    assert panels["optim.learning_rate"].get_xscale() == "log"


def test_the_same_search_gives_the_same_figures(study, drawn, tmp_path):
    figures.draw_all(study, tmp_path)
    for name in ("importances.png", "slices.png"):
        one, other = (matplotlib.image.imread(folder / name) for folder in (drawn[1], tmp_path))
        np.testing.assert_array_equal(one, other)


def test_a_search_without_a_finished_trial_has_no_figures(tmp_path):
    assert figures.draw_all(optuna.create_study(), tmp_path) == []
