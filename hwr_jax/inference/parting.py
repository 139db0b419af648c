"""Takes apart characters that touch: the model decides where a mark is cut, if at all.

Source: over-segmentation and dynamic programming, as in LeCun et al. 1998, "Gradient-based learning applied to document
recognition", V.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from hwr_jax.core.networks import NONE
from hwr_jax.inference.reader import Reader
from hwr_jax.pictures import characters
from hwr_jax.pictures.characters import Character, Cut
from hwr_jax.pictures.page import PageInk

WIDE = 0.95  # a mark wider than this, in its heights, may be several characters ...
SURELY_ONE, TOO_WIDE = 0.98, 1.3  # ... unless it is read as one with more than this, and is no wider than that
UNSURE = 0.9  # a mark that is read with less than this may be several characters, if it is not narrow
NARROW = 0.5  # typical heights: a mark less wide is one character
EACH = 0.05  # nats that each character costs: two where one is read as well are worse
CROSSED = 0.5  # nats for ink that a cut crosses, per height of the mark
BROAD = 3.0  # nats for each typical height by which a character is wider than one
LOW, SHORT = 0.75, 5.0  # nats for each typical height by which a character is lower than this
SHORTEST, LONGEST = 0.4, 1.6  # of the mark's height: the height, and the width, of a part that can be a character
SLENDER, SPLIT = 1.0, 1.0  # a mark less wide than this, in typical heights, costs this many nats to take apart
DOUBTFUL = 0.7  # an image whose most probable class has less than this is looked at again ...
SHIFTS = ((-1, -1), (-1, 1), (1, -1), (1, 1))  # ... moved by these pixels down and to the right
ROUNDING = 1e-5  # of scores, of probabilities that the network's rounding can lift above 1
MOST = 100  # marks of a page that are taken apart: each takes twenty readings and more; a page of texture has thousands


class Read(NamedTuple):
    """A character and the model's probabilities."""

    character: Character
    prob: np.ndarray  # float [K]; of the class `none`, if the model has it, below 0
    image: np.ndarray  # uint8 [28, 28], what the model sees

    @property
    def none(self) -> float:
        """The probability that it is no digit."""
        return 1 - float(self.prob[self.prob >= 0].sum())

    @property
    def is_none(self) -> bool:
        """Whether the model takes it for no digit."""
        return self.none > float(self.prob.max())


def read(model: Reader, ink: PageInk, found: list[Character]) -> list[Read]:
    """Reads each character by itself."""
    images = characters.images_of(ink, [characters.Drawn(c, characters.mask_of(ink, c)) for c in found])
    return [Read(*fields) for fields in zip(found, probabilities(model, images, again=True), images, strict=True)]


def probabilities(model: Reader, images: list[np.ndarray], *, again: bool = False) -> np.ndarray:
    """The probabilities of images [28, 28]: float [N, K], with -1 for the class `none`.

    again: whether those of a `DOUBTFUL` image are the mean over it and its `SHIFTS`. Of 5,648 digits of validation on
    composed pages 50 are doubtful; of the 20 mistakes among them 10 remain.
    """
    if not images:
        return np.zeros((0, len(model.classes)))
    stacked = np.stack(images)
    prob = np.array(model.predict(stacked))
    doubtful = np.flatnonzero(prob.max(1) < DOUBTFUL)
    if again and doubtful.size:
        wide = np.pad(stacked[doubtful], ((0, 0), (1, 1), (1, 1)))
        height, width = stacked.shape[1:]
        moved = [wide[:, 1 - y : 1 - y + height, 1 - x : 1 - x + width] for y, x in SHIFTS]
        others = model.predict(np.concatenate(moved)).reshape(len(SHIFTS), doubtful.size, -1)
        prob[doubtful] = (prob[doubtful] + others.sum(0)) / (1 + len(SHIFTS))
    prob[:, [k for k, name in enumerate(model.classes) if name == NONE]] = -1
    return prob


class _Parts(NamedTuple):
    """A mark that may be several characters, its cuts, and each part between two of them (or an end) that may be one.

    Part (i, j) begins at cut i - 1 and ends at cut j - 1; 0 and len(cuts) + 1 are the ends of the mark.
    """

    whole: Read
    cuts: list[Cut]
    parts: dict[tuple[int, int], tuple[Character, np.ndarray]]  # its box, and its image


def parted(model: Reader, ink: PageInk, read: list[Read]) -> tuple[list[Read], int]:
    """Takes apart the marks that are read better as several characters.

    Gives up those beyond `MOST` that may be several, the lightest: they stay in their lines, but as no digits. Returns
    all characters, and how many marks were given up.
    """
    if not read:
        return [], 0
    typical = float(np.median([mark.character.height for mark in read]))
    doubtful = [i for i, mark in enumerate(read) if _may_be_several(mark, typical)]
    beyond = set(sorted(doubtful, key=lambda i: -read[i].character.mass)[MOST:])
    read = [mark._replace(prob=np.minimum(mark.prob, 0)) if i in beyond else mark for i, mark in enumerate(read)]
    all_parts = [_parts_of(ink, read[i], typical) for i in doubtful if i not in beyond]
    if not all_parts:
        return read, len(beyond)
    images = [image for parts in all_parts for _, image in parts.parts.values()]
    cut = {id(parts.whole) for parts in all_parts}
    chosen = [mark for mark in read if id(mark) not in cut]
    prob = iter(probabilities(model, images))
    for parts in all_parts:
        chosen += _best(parts, {key: next(prob) for key in parts.parts}, typical)
    whole = {id(mark) for mark in read}
    unsure = [i for i, mark in enumerate(chosen) if id(mark) not in whole and mark.prob.max() < DOUBTFUL]
    surer = probabilities(model, [chosen[i].image for i in unsure], again=True)
    for i, prob_of_part in zip(unsure, surer, strict=True):
        chosen[i] = chosen[i]._replace(prob=prob_of_part)
    return chosen, len(beyond)


def _may_be_several(mark: Read, typical: float) -> bool:
    character, sure = mark.character, float(mark.prob.max())
    wide = character.width > (TOO_WIDE if sure > SURELY_ONE else WIDE) * character.height
    return wide or (sure < UNSURE and character.width > NARROW * typical)


def _parts_of(ink: PageInk, mark: Read, typical: float) -> _Parts:
    if not _pays(mark, typical):
        return _Parts(mark, [], {})
    whole, mask = mark.character, characters.mask_of(ink, mark.character)
    ways = characters.cuts(mask)
    right = [characters.right_of(cut, mask.shape) for cut in ways]
    end, drawn = len(ways) + 1, {}
    prices = [0.0, *(_price(cut, whole.height) for cut in ways), 0.0]
    before = [0.0, *[-np.inf] * end]  # the most that a way up to each cut scores
    needed = _needed(mark, typical) - ROUNDING
    for i, j in itertools.combinations(range(end + 1), 2):
        behind = 0.0 if j == end else -EACH - prices[j]
        if (i, j) == (0, end) or before[i] - prices[i] - EACH + behind <= needed:
            continue
        part = mask.copy()
        if i > 0:
            part &= right[i - 1]
        if j <= len(ways):
            part &= ~right[j - 1]
        rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
        if not rows.size or rows[-1] - rows[0] < SHORTEST * whole.height:
            continue
        if i > 0 and j <= len(ways) and (mask & right[j - 1] & ~right[i - 1]).any():
            continue  # the two cuts cross on ink
        top, bottom, left, right_ = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        if right_ - left > LONGEST * whole.height:
            continue
        box = Character(
            whole.top + int(top), whole.left + int(left), whole.top + int(bottom), whole.left + int(right_),
            (*whole.labels, -i, -j), float(part.sum()),
        )  # fmt: skip
        # The negative labels make parts of equal boxes differ; their ink is `part`, not that of the labels.
        before[j] = max(before[j], before[i] - prices[i] + _score(box, 1.0, typical))
        inside = slice(top, bottom), slice(left, right_)
        drawn[i, j] = characters.Drawn(box, part[inside], (mask & ~part)[inside])
    possible = _possible(mark, ways, {key: own.character for key, own in drawn.items()}, typical)
    drawn = {key: own for key, own in drawn.items() if key in possible}
    images = characters.images_of(ink, list(drawn.values()))
    found = {key: (own.character, image) for (key, own), image in zip(drawn.items(), images, strict=True)}
    return _Parts(mark, ways, found)


def _score(character: Character, prob: float, typical: float) -> float:
    """How well a character fits that is read with a probability."""
    broad = max(0.0, character.width / typical - 1)
    low = max(0.0, LOW - character.height / typical)
    return float(np.log(max(prob, 1e-6))) - EACH - BROAD * broad - SHORT * low


def _price(cut: Cut, height: int) -> float:
    """What a cut through a mark of this height costs."""
    return CROSSED * cut.crossed / height


def _needed(mark: Read, typical: float) -> float:
    """The score that a way to part a mark has to exceed."""
    slender = SPLIT if mark.character.width < SLENDER * typical else 0.0
    return _score(mark.character, float(mark.prob.max()), typical) + slender


def _pays(mark: Read, typical: float) -> bool:
    """Whether two characters that are read with certainty, parted by a cut through no ink, are better than a mark."""
    return _needed(mark, typical) - ROUNDING < -2 * EACH


def _possible(
    mark: Read, ways: list[Cut], boxes: dict[tuple[int, int], Character], typical: float
) -> set[tuple[int, int]]:
    """The parts that belong to a way to part a mark that could be the best, if each was read with certainty."""
    height, end = mark.character.height, len(ways) + 1
    price = {
        (i, j): _score(box, 1.0, typical) - (_price(ways[i - 1], height) if i else 0.0) for (i, j), box in boxes.items()
    }
    never = float("-inf")
    before, after = [0.0, *[never] * end], [*[never] * end, 0.0]  # of the best way up to a cut, and from it on
    for i, j in sorted(price):
        before[j] = max(before[j], before[i] + price[i, j])
    for i, j in sorted(price, reverse=True):
        after[i] = max(after[i], price[i, j] + after[j])
    needed = _needed(mark, typical) - ROUNDING
    return {(i, j) for (i, j), value in price.items() if before[i] + value + after[j] > needed}


def _best(parts: _Parts, prob: dict[tuple[int, int], np.ndarray], typical: float) -> list[Read]:
    """The most probable way to part a mark; the mark itself, if that is more probable."""
    height = parts.whole.character.height

    best: list[tuple[float, list[Read]] | None] = [(0.0, []), *[None] * (len(parts.cuts) + 1)]
    for j in range(1, len(best)):
        for i in range(j):
            before = best[i]
            if before is None or (i, j) not in prob:
                continue
            character, image = parts.parts[i, j]
            value = before[0] + _score(character, float(prob[i, j].max()), typical)
            if i > 0:
                value -= _price(parts.cuts[i - 1], height)
            now = best[j]
            if now is None or value > now[0]:
                best[j] = (value, [*before[1], Read(character, prob[i, j], image)])
    found = best[-1]
    if found is None or found[0] <= _needed(parts.whole, typical):
        return [parts.whole]
    return found[1]
