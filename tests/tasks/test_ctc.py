"""CTC against its definition: every path of tiny inputs, one by one."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hwr_jax.tasks import ctc

loss, probability, best_path = jax.jit(ctc.loss), jax.jit(ctc.probability), jax.jit(ctc.best_path)
beam_search = jax.jit(ctc.beam_search, static_argnums=1)
CASES = [(1, 1), (2, 2), (4, 2), (5, 2), (4, 3), (3, 1)]  # T, K


def logits(steps, classes, seed=0, scale=2.0):
    return scale * np.random.default_rng(seed).normal(size=(steps, classes + 1)).astype(np.float32)


def merged(path, blank):
    """The string of a path, by the definition: repeats first, then blanks."""
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol != blank)


def all_strings(scores):
    """Every string with its probability, summed over all (K + 1)^T paths, in float64."""
    scores = scores.astype(np.float64)
    prob = np.exp(scores - scores.max(-1, keepdims=True))
    prob /= prob.sum(-1, keepdims=True)
    found = {}
    for path in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        string = merged(path, scores.shape[1] - 1)
        found[string] = found.get(string, 0.0) + np.prod(prob[np.arange(len(path)), path])
    assert sum(found.values()) == pytest.approx(1)
    return found


def padded(string, length):
    return np.array([*string, *[-1] * (length - len(string))], np.int32)


def text(row):
    """The string of a padded row; behind its end there is nothing more."""
    row = [int(x) for x in row]
    end = row.index(-1) if -1 in row else len(row)
    assert set(row[end:]) <= {-1}
    return tuple(row[:end])


@pytest.mark.parametrize(("steps", "classes"), CASES)
def test_the_loss_of_every_string_is_that_of_all_its_paths(steps, classes):
    scores = logits(steps, classes)
    expected = all_strings(scores)
    strings = list(expected)
    label = np.stack([padded(s, steps) for s in strings])
    many = jnp.broadcast_to(scores, (len(strings), *scores.shape))
    np.testing.assert_allclose(np.exp(-loss(many, label)), list(expected.values()), rtol=2e-5)
    np.testing.assert_allclose(probability(many, label), list(expected.values()), rtol=2e-5)


def test_the_gradient_of_the_loss_is_that_of_all_paths():
    scores, label = logits(4, 2, seed=3).astype(np.float64), (0, 1)

    def brute(flat):
        return -np.log(all_strings(flat.reshape(4, 3))[label])

    flat, step = scores.ravel(), 1e-5
    expected = [(brute(flat + step * e) - brute(flat - step * e)) / (2 * step) for e in np.eye(flat.size)]
    found = jax.jit(jax.grad(lambda x: ctc.loss(x[None], padded(label, 3)[None])[0]))(jnp.asarray(scores, jnp.float32))
    np.testing.assert_allclose(np.ravel(found), expected, atol=2e-5)


def test_a_label_that_no_path_can_spell_costs_a_lot_but_stays_finite():
    found = loss(logits(2, 2)[None], np.array([[0, 0]], np.int32))  # a repeat needs a blank between
    assert 1e4 < found[0] < np.inf


def test_the_best_path_is_merged_as_the_definition_says():
    rng = np.random.default_rng(1)
    many = rng.normal(size=(200, 7, 4)).astype(np.float32)
    for row, scores in zip(np.asarray(best_path(many)), many, strict=True):
        assert text(row) == merged(scores.argmax(-1).tolist(), 3)


@pytest.mark.parametrize(("steps", "classes"), CASES)
@pytest.mark.parametrize("seed", range(5))
def test_a_wide_beam_finds_every_string_with_its_probability(steps, classes, seed):
    scores = logits(steps, classes, seed)
    expected = all_strings(scores)
    prefixes = sum(classes**n for n in range(steps + 1))
    strings, log_prob = (np.asarray(x[0]) for x in beam_search(scores[None], prefixes))
    alive = np.isfinite(log_prob)
    found = {text(row): float(np.exp(p)) for row, p in zip(strings[alive], log_prob[alive], strict=True)}
    assert len(found) == alive.sum()  # none twice
    assert found == pytest.approx({s: p for s, p in expected.items() if p > 0}, rel=1e-4)
    best = max(expected, key=expected.get)
    assert text(strings[0]) == best
    assert (np.diff(log_prob[alive]) <= 0).all()


def test_a_beam_is_right_where_the_best_path_is_not():
    prob = np.array([[0.4, 0.6], [0.4, 0.6]])  # one class and the blank: 'nothing' has 0.36, the class 0.64
    scores = np.log(prob).astype(np.float32)[None]
    assert text(best_path(scores)[0]) == ()
    assert text(beam_search(scores, 2)[0][0, 0]) == (0,)
    assert np.exp(beam_search(scores, 2)[1][0, 0]) == pytest.approx(0.64, rel=1e-5)


@functools.cache
def reference_beam(key, width):
    """Hannun et al.'s algorithm with dictionaries, in float64."""
    scores = np.array(key)
    prob = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    blank, beams = scores.shape[1] - 1, {(): (1.0, 0.0)}
    for now in prob:
        new = {}
        for prefix, (in_blank, in_label) in beams.items():
            for c, p in enumerate(now):
                if c == blank:
                    ways = [(prefix, (in_blank + in_label) * p, 0.0)]
                elif prefix and c == prefix[-1]:
                    ways = [(prefix, 0.0, in_label * p), ((*prefix, c), 0.0, in_blank * p)]
                else:
                    ways = [((*prefix, c), 0.0, (in_blank + in_label) * p)]
                for string, b, n in ways:
                    old = new.get(string, (0.0, 0.0))
                    new[string] = old[0] + b, old[1] + n
        beams = dict(sorted(new.items(), key=lambda item: -sum(item[1]))[:width])
    return {prefix: sum(p) for prefix, p in beams.items()}


@pytest.mark.parametrize("width", [1, 2, 3, 8])
def test_a_narrow_beam_is_that_of_the_algorithm_with_dictionaries(width):
    many = np.stack([logits(12, 4, seed, scale=1.5) for seed in range(40)])
    strings, log_prob = map(np.asarray, beam_search(many, width))
    for scores, rows, found in zip(many.astype(np.float64), strings, log_prob, strict=True):
        expected = reference_beam(tuple(map(tuple, scores)), width)
        assert [text(row) for row in rows] == list(expected)
        np.testing.assert_allclose(np.exp(found), list(expected.values()), rtol=1e-4)
