"""Which marks are digits, how many each is, and what is looked at again."""

import numpy as np
import pytest

from hwr_jax.inference import parting, scan
from hwr_jax.pictures.characters import Character, Cut
from tests.inference.test_scan import Reader, Rejecting, ring


class Hesitating(Rejecting):
    """Takes a bar for none, unless it is a badly written 1."""

    def predict(self, images):
        prob = super().predict(images)
        prob[prob[:, -1] > 0.5] = [0.01, 0.18, *[0.01] * 8, 0.73]
        return prob


def test_a_mark_that_may_be_no_digit_is_one_with_little_confidence_among_sure_digits_only():
    grey = np.full((260, 560), 235, np.uint8)
    for left in (30, 110, 200, 290):
        grey[60:102, left : left + 42][ring(42)] = 40
    grey[60:102, 370:379] = grey[160:202, 30:39] = 40  # beside digits, and alone
    grey[60:80, 450:459] = 40  # not as high as a digit
    read = scan.scan(Hesitating(), grey)
    assert [line.text for line in read.lines] == ["77771"]
    assert read.digits[-1].confidence == pytest.approx(0.18)
    assert read.skipped == {"like no digit": 2}


def test_an_image_read_with_doubt_is_looked_at_again_from_its_four_corners():
    class Alone(Reader):
        def predict(self, images):
            asked.append(len(images))
            prob = np.full((len(images), 10), 0.05, np.float32)
            prob[range(len(images)), [np.flatnonzero(image.any(0))[0] % 10 for image in images]] = 0.55
            prob[images[:, 0, 0] == 255] = np.eye(10)[3]
            return prob

    asked = []
    doubtful, sure = np.zeros((2, 28, 28), np.uint8)
    doubtful[10:18, 14:16] = 100
    sure[0, 0] = 255
    prob = parting.probabilities(Alone(), [doubtful, sure], again=True)
    assert asked == [2, 4]
    np.testing.assert_allclose(prob[0], [*[0.05] * 3, 0.25, 0.15, 0.25, *[0.05] * 4], atol=1e-6)
    np.testing.assert_array_equal(prob[1], np.eye(10)[3])


@pytest.mark.parametrize(("height", "kept"), [(40, 2), (24, 1)])
def test_a_part_much_lower_than_the_writing_is_hardly_a_character(height, kept):
    whole = parting.Read(Character(0, 0, 40, 44, (1,), 1.0), np.array([0.5, 0.1]), np.zeros((28, 28), np.uint8))
    left, right = Character(0, 0, 40, 22, (1,), 1.0), Character(40 - height, 22, 40, 44, (1,), 1.0)
    parts = parting._Parts(whole, [Cut(22, 0.0, 1.0)], {(0, 1): (left, whole.image), (1, 2): (right, whole.image)})
    prob = dict.fromkeys(parts.parts, np.array([0.1, 0.9]))
    assert len(parting._best(parts, prob, 40.0)) == kept


def test_parts_that_no_best_way_has_are_not_read_and_the_best_way_is_the_same():
    rng = np.random.default_rng(0)
    several = left_out = 0
    for _ in range(300):
        cuts = [Cut(float(x), 0.0, float(rng.integers(0, 6))) for x in sorted(rng.choice(70, 3, replace=False) + 5)]
        sure = rng.uniform(0.01, 0.9)
        whole = parting.Read(Character(0, 0, 40, 80, (1,), 1.0), np.array([sure, 0.0]), np.zeros((28, 28), np.uint8))
        ends = [0, *(int(cut.column) for cut in cuts), 80]
        keys = [(i, j) for i in range(4) for j in range(i + 1, 5) if (i, j) != (0, 4) and rng.random() < 0.9]
        boxes = {(i, j): Character(int(rng.integers(0, 15)), ends[i], 40, ends[j], (1,), 1.0) for i, j in keys}
        prob = {key: np.array([rng.choice([0.05, 0.6, 0.99]), 0.0]) for key in keys}
        possible = parting._possible(whole, cuts, boxes, 40.0)
        assert parting._pays(whole, 40.0) or not possible
        best = []
        for some in (set(keys), possible):
            parts = parting._Parts(whole, cuts, {key: (boxes[key], whole.image) for key in some})
            best.append(parting._best(parts, {key: prob[key] for key in some}, 40.0))
        assert [one.character for one in best[0]] == [one.character for one in best[1]]
        several += len(best[0]) > 1
        left_out += len(keys) - len(possible)
    assert several > 30
    assert left_out > 100
