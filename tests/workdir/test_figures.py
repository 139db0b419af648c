"""The figures that every run leaves: numbers that can be read on any cell, and axes that fit what they show."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from hwr_jax.core import canvas, files
from hwr_jax.core.types import Outputs
from hwr_jax.workdir import figures


@pytest.fixture
def drawn(monkeypatch):
    """Returns drawn(function, *arguments): the matplotlib figure that the function saves, drawn."""
    kept = []
    monkeypatch.setattr(canvas, "save", lambda figure, path: (figure.canvas.draw(), kept.append(figure)))

    def draw(function, *arguments, **options):
        function("unused.png", *arguments, **options)
        return kept[-1]

    return draw


def luminance(colour):
    rgb = np.array(to_rgb(colour))
    return np.array([0.2126, 0.7152, 0.0722]) @ np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("theme", [canvas.LIGHT, canvas.DARK], ids=["light", "dark"])
def test_the_counts_of_a_confusion_matrix_are_legible_on_every_cell(drawn, theme):
    confusion = 1000 * np.eye(10, dtype=int) + np.arange(100).reshape(10, 10)
    with canvas.themed(theme):
        axes = drawn(figures.confusion_matrix, confusion, tuple("0123456789"), "title").axes[0]
    shown = axes.images[0]
    assert len(axes.texts) == 100
    for text in axes.texts:
        column, row = (round(x) for x in text.get_position())
        cell = shown.cmap(shown.norm(shown.get_array()[row, column]))
        low, high = sorted([luminance(text.get_color()), luminance(cell[:3])])
        assert (high + 0.05) / (low + 0.05) > 4.5, (row, column)


def test_of_very_many_classes_those_with_the_most_mistakes_are_drawn(drawn):
    confusion = 5 * np.eye(700, dtype=int)
    confusion[650:, 3] = 2
    figure = drawn(figures.confusion_matrix, confusion, tuple(f"class {k}" for k in range(700)), "title")
    axes = figure.axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert len(names) == figures.CONFUSED
    assert {"class 3", *(f"class {k}" for k in range(650, 700))} <= set(names)
    assert names == sorted(names, key=lambda name: int(name.split()[1]))
    assert len(axes.texts) == figures.CONFUSED + 50
    assert "the 100 of 700 classes with the most mistakes" in figure.get_suptitle().replace("\n", " ")
    assert all(label.get_rotation() == 90 for label in axes.get_xticklabels())


def lines(*errors):
    rows = []
    for epoch, of_seeds in enumerate(errors, start=1):
        per_seed = {"loss": [0.1 / epoch] * len(of_seeds), "accuracy": [1 - e for e in of_seeds]}
        rows += [{"epoch": epoch, "split": split, "per_seed": per_seed} for split in ("train", "validation")]
    return rows


@pytest.mark.parametrize(("errors", "scale"), [(([0.1, 0.2], [0.02, 0.03]), "log"), (([0.1], [0.0]), "linear")])
def test_curves_are_logarithmic_unless_an_error_is_zero(drawn, errors, scale):
    loss, error = drawn(figures.learning_curves, lines(*errors), "title").axes
    assert (loss.get_yscale(), error.get_yscale()) == ("log", scale)
    train = error.lines[0]
    np.testing.assert_allclose(train.get_ydata(), [100 * np.mean(e) for e in errors])


def test_one_epoch_has_one_tick_and_no_error_above_100_percent(drawn):
    loss, error = drawn(figures.learning_curves, lines([0.9]), "title").axes
    for axes in (loss, error):
        low, high = axes.get_xlim()
        assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]
    assert error.get_yscale() == "log"
    assert error.get_ylim()[1] == 100


def kernel(channels):
    return {"kernel": np.full((3, 3, channels, 4), float(channels))}


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"Dense_0": {"kernel": np.zeros((49, 64))}, "position": np.zeros((1, 16, 64))}, None),
        ({"Block_0": {"Conv_0": {"kernel": np.zeros((5, 5, 1, 8))}}, "Conv_0": kernel(1)}, "Conv_0"),
        ({"Block_0": {"Conv_0": kernel(1)}, "Conv_0": kernel(8)}, "Block_0/Conv_0"),
    ],
    ids=["a matrix of patches", "a depthwise one in a block", "in a block"],
)
def test_the_filters_are_those_of_the_layer_that_is_named(params, name):
    assert figures.first_convolution(params) == name
    filters = figures.filters_of(params)
    assert filters is None if name is None else filters.shape == (4, 3, 3) and (filters == 1).all()


def test_signed_images_have_the_colour_of_the_paper_at_zero(drawn):
    images = np.zeros((3, 5, 5))
    images[0, 0, 0], images[1, 0, 0] = 2.0, -1.0
    shown = drawn(figures.montage, images, None, "title", columns=8, signed=True).axes[0].images[0]
    values = np.unique(shown.get_array().compressed() if np.ma.isMaskedArray(shown.get_array()) else shown.get_array())
    np.testing.assert_allclose(values[np.isfinite(values)], [0.25, 0.5, 1.0])
    np.testing.assert_allclose(shown.cmap(0.5)[:3], to_rgb(canvas.LIGHT.paper), atol=0.02)


def test_a_figure_of_all_seeds_and_one_of_the_first_are_called_so(monkeypatch, digits, tmp_path):
    scores = {"loss": [0.5, 0.6], "accuracy": [0.9, 0.8]}
    lines = [{"epoch": 1, "split": split, "per_seed": scores} for split in ("train", "validation")]
    files.write_json_lines(tmp_path / "metrics.jsonl", lines)
    n = len(digits.test.label)
    one = Outputs(np.ones(n), np.zeros(n, int), np.full((n, 10), 0.1), np.full(n, 0.1))
    titles = {}
    monkeypatch.setattr(canvas, "save", lambda figure, path: titles.update({path.stem: figure.get_suptitle()}))
    params = {"Dense_0": {"kernel": np.zeros((5, 2))}}
    figures.draw_all(tmp_path, digits, [one, one], params, name="cnn trained on digits", seeds=[0, 1], augment=None)
    assert titles["learning_curves"] == titles["confusion_matrix"] == "cnn trained on digits, 2 seeds"
    assert titles["worst_mistakes"].startswith("Worst mistakes: cnn trained on digits, seed 0 (")
