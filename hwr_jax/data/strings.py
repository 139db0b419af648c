"""Strings of characters, composed from the glyphs of another data set. Owns the layout of a line of writing.

Each split is composed from the glyphs of that split alone, so no glyph of a test string was ever trained on.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Arrays, Dataset
from hwr_jax.data import cache, content
from hwr_jax.data.progress import track
from hwr_jax.data.sources import Source

VERSION = "1.0.0"  # of the layout below
INK = 64  # a column with a pixel above this belongs to a glyph; fainter is its soft edge
MARGIN_PX = 2  # left and right of a string


def compose(
    glyphs: Dataset,
    settings: Mapping[str, Any],
    *,
    cache_dir: str | Path | None = None,
    log: Callable[[str], object] = print,
) -> Dataset:
    """Composes strings, or maps earlier ones into memory.

    Args:
        glyphs: images uint8 [N, 28, 28, 1] with one label each.
        settings: `config.data.strings`, see configs/base.py.
        cache_dir: None is `cache.default_cache_dir()`.
        log: called with one line of text for the user at a time.

    Returns:
        `Dataset`: image uint8 [N, H, W, 1], label int32 [N, L], padded with -1.

    Raises:
        ConfigError: settings that do not fit each other.
        OSError: the cache folder cannot be written.
    """
    shortest, longest = settings["lengths"]
    if not 1 <= shortest <= longest or settings["test_length"] > longest:
        raise ConfigError(
            f"config.data.strings.lengths={(shortest, longest)} and test_length={settings['test_length']} do not fit: "
            "use 1 <= shortest <= longest, and a test_length of at most longest"
        )
    key = _key(glyphs, settings)
    size = settings["height_px"], settings["width_px"], 1
    source = Source(
        name=f"strings/{glyphs.name}",
        version=f"{VERSION}-{key[:12]}",
        classes=glyphs.classes,
        train_examples=settings["train"] + settings["validation"],
        test_examples=settings["test"],
        validation_examples=settings["validation"],
        sha256=None,
        image_shape=size,
        label_length=longest,
    )
    folder = cache.folder(cache_dir, source)
    data, sha256 = cache.read_or_make(folder, source, lambda: _content(glyphs, settings, source, log), log=log)
    train, validation = (Arrays(*(x[part] for x in data.train)) for part in _parts(settings["train"]))
    mean, std = content.moments(train.image)
    return Dataset(source.name, source.version, sha256, train, validation, data.test, source.classes, mean, std)


def _parts(train: int) -> tuple[slice, slice]:
    return slice(train), slice(train, None)


def _key(glyphs: Dataset, settings: Mapping[str, Any]) -> str:
    """The SHA-256 of all that the strings depend on."""
    digest = hashlib.sha256(json.dumps([VERSION, glyphs.name, sorted(settings.items())]).encode())
    for split in (glyphs.train, glyphs.validation, glyphs.test):
        for array in split:
            digest.update(content.fingerprint(np.asarray(array)).encode())
    return digest.hexdigest()


def _content(glyphs: Dataset, settings: Mapping[str, Any], source: Source, log: Callable[[str], object]):
    """Composes every split."""
    longest = settings["lengths"][1]
    fixed = settings["test_length"]
    made = {}
    for number, split in enumerate(("train", "validation", "test")):
        count, pool = settings[split], getattr(glyphs, split)
        if not len(pool.label):
            raise ConfigError(f"{glyphs.name} has no {split} glyphs to compose strings from: leave it some")
        rng = np.random.Generator(np.random.PCG64([settings["seed"], number]))
        between = (fixed, fixed) if split == "test" and fixed else settings["lengths"]
        lengths = rng.integers(between[0], between[1] + 1, count)
        rows = np.split(_even_draw(rng, len(pool.label), int(lengths.sum())), np.cumsum(lengths)[:-1])
        image = np.zeros((count, *source.image_shape), np.uint8)
        label = np.full((count, longest), -1, np.int32)
        pixels, names = np.asarray(pool.image), np.asarray(pool.label)
        text = f"Composing {count:,} {split} strings from the glyphs of {glyphs.name} (once)"
        for i, chosen in enumerate(track(rows, text=text, total=count, log=log)):
            image[i, ..., 0] = line(rng, pixels[chosen, ..., 0], settings)
            label[i, : len(chosen)] = names[chosen]
        made[split] = Arrays(image, label)
    both = zip(made["train"], made["validation"], strict=True)
    return content.Content(Arrays(*map(np.concatenate, both)), made["test"])


def _even_draw(rng: np.random.Generator, pool: int, count: int) -> np.ndarray:
    """Draws `count` of `pool` rows, int64: each once before any a second time."""
    rounds = [rng.permutation(pool) for _ in range(math.ceil(count / pool))]
    return np.concatenate(rounds)[:count]


def line(rng: np.random.Generator, glyphs: np.ndarray, settings: Mapping[str, Any]) -> np.ndarray:
    """Writes glyphs side by side, as one hand would: common size, slant and slope, and each glyph a little off.

    Args:
        rng: every amount is drawn from it, evenly.
        glyphs: uint8 [n, 28, 28], n >= 1, in the order of the string.
        settings: height_px, width_px; overlap_px and gap_px, between the ink of neighbours; size, slant_deg, slope_deg,
            baseline_px: see configs/base.py.

    Returns:
        uint8 [height_px, width_px]: a string that is too long is shrunk, a shorter one lies anywhere. Ink that
        size, slope and base line push over the upper or lower edge is cut off, as by a tight crop: with the settings
        of configs/base.py every tenth string touches an edge.
    """
    from PIL import Image

    def between(limit, share=1.0):
        return share * rng.uniform(-limit, limit)

    height, width = settings["height_px"], settings["width_px"]
    size = 1 + between(settings["size"])
    slant = math.tan(math.radians(between(settings["slant_deg"])))
    slope = math.tan(math.radians(between(settings["slope_deg"])))
    wide = np.zeros((height, len(glyphs) * (2 * height + math.ceil(settings["gap_px"]))), np.uint8)
    edge = 0  # first column after the ink so far
    for glyph in glyphs:
        of_glyph = size * (1 + between(settings["size"], 0.3)) * height / 32
        lean = slant + math.tan(math.radians(between(settings["slant_deg"], 0.2)))
        drawn = _drawn(glyph, height, scale=of_glyph, slant=lean, down_px=between(settings["baseline_px"]))
        columns = np.flatnonzero(drawn.max(0) > min(INK, drawn.max() // 2))
        first, last = (columns[0], columns[-1]) if columns.size else (0, 0)
        gap = round(rng.uniform(-settings["overlap_px"], settings["gap_px"])) if edge else 0
        start = max(0, edge + gap)
        at = start - min(start, first)  # the soft edge on the left lies over the glyph before
        cut = drawn[:, first - (start - at) :]
        wide[:, at : at + cut.shape[1]] = np.maximum(wide[:, at : at + cut.shape[1]], cut)
        edge = max(edge, start + last - first + 1)
    wide = wide[:, : edge + 2]
    if slope:
        shift = np.rint(slope * (np.arange(wide.shape[1]) - wide.shape[1] / 2)).astype(int)
        rows = np.arange(height)[:, None] - shift[None]
        inside = (rows >= 0) & (rows < height)
        wide = np.where(inside, np.take_along_axis(wide, np.clip(rows, 0, height - 1), 0), 0).astype(np.uint8)
    room = width - 2 * MARGIN_PX
    if wide.shape[1] > room:
        wide = np.asarray(Image.fromarray(wide).resize((room, height), Image.Resampling.BOX))
    left = MARGIN_PX + int(rng.integers(0, room - wide.shape[1] + 1))
    image = np.zeros((height, width), np.uint8)
    image[:, left : left + wide.shape[1]] = wide
    return image


def _drawn(glyph: np.ndarray, height: int, *, scale: float, slant: float, down_px: float) -> np.ndarray:
    """Draws a glyph uint8 [28, 28] about the middle of uint8 [height, 3 / 2 height], linearly interpolated."""
    from scipy import ndimage

    middle = np.array([(height - 1) / 2 + down_px, 0.75 * height - 0.5])
    to_source = np.array([[1.0, 0.0], [slant, 1.0]]) / scale
    centre = (np.array(glyph.shape) - 1) / 2
    moved = ndimage.affine_transform(
        glyph.astype(np.float32), to_source, centre - to_source @ middle, (height, 3 * height // 2), order=1
    )
    return np.rint(moved).astype(np.uint8)
