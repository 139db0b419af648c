"""What a study shows while it trains: a table on a terminal, else a line for each trial; and how long is left."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from hwr_jax.studies import live
from hwr_jax.studies.metric import METRICS

STUDY = SimpleNamespace(question="Does a help?", variants=("base", "a"), metric=METRICS["accuracy"])
JOBS = [SimpleNamespace(variant="base", seeds=[1]), SimpleNamespace(variant="a", seeds=[0, 1])]
EARLIER = [{"variant": "base", "seed": 0, "seconds": 20.0, "test": {"accuracy": 0.9}}]
NEW = [
    ("base", {"seed": 1, "seconds": 10.0, "test": {"accuracy": 0.8}}),
    ("a", {"seed": 0, "seconds": 40.0, "diverged": True}),
    ("a", {"seed": 1, "seconds": 40.0, "test": {"accuracy": 0.95}}),
]


def shown(monkeypatch, *, is_terminal):
    """What is printed while the new records come; a trial takes as long as its record says."""
    clock = [0.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])
    file = io.StringIO()
    console = Console(file=file, width=150, force_terminal=is_terminal, _environ={})
    with live.board(STUDY, JOBS, EARLIER, console) as show:
        for variant, record in NEW:
            clock[0] += record["seconds"]
            show(variant, record)
    return file.getvalue()


def test_without_a_terminal_each_trial_is_a_line_with_what_is_left(monkeypatch):
    assert shown(monkeypatch, is_terminal=False).splitlines() == [
        "base, seed 1: test accuracy 80.000 %; 2 to train, about 30 s",
        "a, seed 0: diverged; 1 to train, about 40 s",
        "a, seed 1: test accuracy 95.000 %; 0 to train, about 0 s",
    ]
    assert len(EARLIER) == 1


def test_on_a_terminal_a_table_has_the_mean_of_each_variant_and_what_is_left(monkeypatch):
    words = " ".join(shown(monkeypatch, is_terminal=True).replace("│", " ").split())
    assert "Does a help?" in words
    assert "base 1 1 90.000 % 20.0 s" in words
    assert "base 2 0 85.000 % 15.0 s a 2 0 95.000 % 40.0 s" in words
    assert "0 trials left, about 0 s" in words


@pytest.mark.parametrize(
    ("seconds", "words"), [(99.4, "99 s"), (100, "2 min"), (5999, "100 min"), (6000, "1.7 h"), (7200, "2.0 h")]
)
def test_a_duration_has_the_unit_that_fits(seconds, words):
    assert live.duration(seconds) == words
