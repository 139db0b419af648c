"""What the curves of several runs show, and what they leave out."""

import numpy as np
import pytest

from hwr_jax.core import canvas
from hwr_jax.drawing import curves, own_picture, record


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were drawn."""
    kept = []
    monkeypatch.setattr(canvas, "save", lambda figure, path: kept.append(figure))
    return kept


def made(name, wrong):
    """A record of one seed that reads 1,000 images, in the order of its confidence, all but `wrong` rightly."""
    label = np.zeros(1000, int)
    pred, confidence = np.zeros((1, 1000), int), np.linspace(0.4, 1, 1000)[None]
    pred[0, wrong] = 1
    facts = {"classes": ["a", "b"], "name": "none"}
    return record.Record(name, {}, [], facts, label, pred, np.zeros((1, 1000, 2)), confidence, confidence, seeds=[0])


def test_a_mistake_that_the_network_is_sure_of_does_not_squeeze_the_rest_of_the_curve(drawn, tmp_path):
    curves.risk_coverage(tmp_path / "x.png", [made("few", range(10)), made("sure", [*range(40), 900])])
    (axes,) = drawn[0].axes
    low, high = axes.get_xlim()
    assert low == 0
    assert high == pytest.approx(2 * 3.4)  # 7 of 966 are wrong, a fifth of 41 of 1,000


def test_a_curve_that_does_not_fall_is_shown_to_its_end(drawn, tmp_path):
    curves.risk_coverage(tmp_path / "x.png", [made("sure", [999])])
    assert drawn[0].axes[0].get_xlim() == (0, 100)


@pytest.mark.parametrize(
    ("share", "words"), [(0.99987, "100 %"), (0.0512, "5.12 %"), (8e-9, "< 0.1 %"), (0, "< 0.1 %")]
)
def test_a_share_is_short_enough_to_stand_above_its_bar(share, words):
    assert own_picture._percent(share) == words
