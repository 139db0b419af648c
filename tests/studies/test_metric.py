"""How a metric's numbers are written, and which way is better."""

import numpy as np
import pytest

from hwr_jax.studies.metric import METRICS
from hwr_jax.tasks import metrics


def test_a_share_is_shown_in_percent_and_its_differences_in_points():
    accuracy = METRICS["accuracy"]
    assert accuracy.value(0.98934) == "98.934"
    assert accuracy.value_with_unit(0.98934) == "98.934 %"
    assert accuracy.signed(-0.00123) == "-0.123"
    assert accuracy.difference(0.00093) == "+0.093 points"
    assert accuracy.interval((-0.00045, 0.00037)) == "-0.045 to +0.037"


def test_a_loss_is_shown_as_it_is():
    loss = METRICS["loss"]
    assert loss.value_with_unit(0.03214) == "0.0321 nats"
    assert loss.difference(-0.5) == "-0.5000 nats"
    assert loss.difference_unit == "nats"


@pytest.mark.parametrize(
    ("name", "shown", "best", "highest"),
    [
        ("accuracy", "98.765 %", 0.9, 1.0),
        ("loss", "0.9877 nats", 0.1, np.inf),
        ("cer", "98.765 %", 0.1, np.inf),
        ("ece", "98.765 %", 0.1, 1.0),
        ("f1_macro", "98.765 %", 0.9, 1.0),
    ],
)
def test_each_metric_has_its_unit_its_better_way_and_its_highest_value(name, shown, best, highest):
    metric = METRICS[name]
    assert metric.value_with_unit(0.987654) == shown
    assert min((0.1, 0.5, 0.9), key=metric.badness) == best
    assert metric.error(best) == pytest.approx(0.1)
    assert metric.highest == highest


@pytest.mark.parametrize("name", METRICS)
def test_better_means_the_same_for_gains_order_and_errors(name):
    metric = METRICS[name]
    worse, better = (0.2, 0.7) if metric.higher_is_better else (0.7, 0.2)
    assert metric.is_gain(better - worse)
    assert not metric.is_gain(worse - better)
    assert min((worse, better), key=metric.badness) == better
    assert metric.error(better) < metric.error(worse)


def test_a_record_gives_the_value_of_a_split_and_none_where_the_trial_diverged():
    record = {"test": {"accuracy": 0.9}, "validation": {"accuracy": 0.8}}
    assert METRICS["accuracy"].of(record) == 0.9
    assert METRICS["accuracy"].of(record, "validation") == 0.8
    assert METRICS["accuracy"].of({"diverged": "the loss was not finite"}) is None


def test_every_metric_of_a_study_is_one_that_records_have():
    assert set(METRICS) <= set(metrics.SCALARS)
