"""Strings: what a line of glyphs looks like, which glyphs are in which split, and a network that reads them."""

import itertools
import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from quick_runs import UNCHANGED

from hwr_jax import data, models
from hwr_jax.config import check, configs
from hwr_jax.core.errors import ConfigError, DataError
from hwr_jax.core.types import Arrays, Dataset
from hwr_jax.data import strings
from hwr_jax.inference import predictor
from hwr_jax.models.layers import max_pool_rows
from hwr_jax.pictures import normalise
from hwr_jax.steps import train_step
from hwr_jax.steps.cost import step_cost
from hwr_jax.steps.overrides import check_overrides
from hwr_jax.steps.recipe import make_recipe

ROOT = Path(__file__).parents[2]
PLAIN = {
    "glyphs": "digits", "train": 30, "validation": 12, "test": 20, "lengths": (1, 4), "test_length": 3,
    "height_px": 32, "width_px": 96, "overlap_px": 0.0, "gap_px": 0.0, "size": 0.0, "slant_deg": 0.0, "slope_deg": 0.0,
    "baseline_px": 0.0, "seed": 0,
}  # fmt: skip
QUIET = {"log": lambda line: None}


def bars(*widths):
    """Glyphs that are upright bars of these widths, 20 pixels high."""
    glyphs = np.zeros((len(widths), 28, 28), np.uint8)
    for glyph, width in zip(glyphs, widths, strict=True):
        glyph[4:24, 14 - width // 2 : 14 - width // 2 + width] = 255
    return glyphs


def runs(image):
    """(first, length) of each run of columns with ink."""
    ink = np.flatnonzero(np.diff(np.pad(image.max(0) > strings.INK, 1).astype(int)))
    return list(zip(ink[::2], ink[1::2] - ink[::2], strict=True))


def write(glyphs, seed=0, **settings):
    return strings.line(np.random.default_rng(seed), glyphs, {**PLAIN, **settings})


def test_glyphs_stand_side_by_side_in_their_order_and_as_far_apart_as_is_reported():
    seen = []
    for seed in range(30):
        image = write(bars(3, 7, 5), seed, overlap_px=-4, gap_px=9)
        assert image.shape == (32, 96)
        found = runs(image)
        assert [length for _, length in found] == [3, 7, 5]
        gaps = [b[0] - a[0] - a[1] for a, b in itertools.pairwise(found)]
        assert all(4 <= gap <= 9 for gap in gaps)
        seen += gaps
        assert found[0][0] >= strings.MARGIN_PX
        assert sum(found[-1]) <= 96 - strings.MARGIN_PX
    assert set(seen) == set(range(4, 10))


def test_a_blank_glyph_is_one_column_of_paper():
    (first, width), (second, _) = runs(write(np.concatenate([bars(6), bars(0), bars(6)])))
    assert second - first - width == 1


def test_neighbours_overlap_by_as_much_as_is_reported_and_no_ink_is_lost():
    image = write(bars(10, 10), overlap_px=4, gap_px=-4)
    assert runs(image) == [(runs(image)[0][0], 16)]
    assert image.max() == 255


@pytest.mark.parametrize(("bar", "edge", "is_ink"), [(255, 65, 1), (255, 64, 0), (80, 41, 1), (80, 40, 0)])
def test_the_ink_of_a_glyph_ends_where_its_edge_is_faint(bar, edge, is_ink):
    glyph = np.zeros((28, 28), np.uint8)
    glyph[4:24, 9:17], glyph[4:24, 10:16] = edge, bar
    row = write(np.stack([glyph, glyph]), overlap_px=-3, gap_px=3)[16]
    first, second = np.flatnonzero(np.diff((row == bar).astype(int)) == 1)
    assert second - first == 6 + 2 * is_ink + 3


def test_without_any_change_a_glyph_is_itself():
    glyph = np.zeros((28, 28), np.uint8)
    glyph[5:23, 9:20] = np.random.default_rng(0).integers(65, 256, (18, 11))
    image = write(glyph[None])
    (left, width), *more = runs(image)
    assert (width, more) == (11, [])
    np.testing.assert_array_equal(image[7:25, left : left + 11], glyph[5:23, 9:20])
    assert image.sum() == glyph.sum()


@pytest.mark.parametrize(
    ("settings", "low", "high"),
    [({"size": 0.2}, 20 * 0.8 * 0.94 - 1, 20 * 1.2 * 1.06 + 1), ({}, 20, 20)],
)
def test_the_height_varies_within_what_is_reported(settings, low, high):
    heights = []
    for seed in range(60):
        rows = np.flatnonzero(write(bars(6), seed, **settings).max(1) > 127)
        heights.append(rows[-1] - rows[0] + 1)
    assert low <= min(heights) <= max(heights) <= high
    assert (len(set(heights)) > 3) == bool(settings.get("size", 0))


def test_the_glyphs_of_a_line_differ_a_little_in_height():
    image = write(bars(6, 6, 6, 6), size=0.2, gap_px=4.0, overlap_px=-3.0)
    heights = {int(np.count_nonzero(image[:, left + 2] > 127)) for left, _ in runs(image)}
    assert len(heights) > 1
    assert max(heights) <= 1.14 * min(heights) + 1


def test_glyphs_lie_above_and_below_the_base_line_by_as_much_as_is_reported():
    tops = []
    for seed in range(40):
        image = write(bars(6, 6), seed, baseline_px=3.0, gap_px=4.0, overlap_px=-3.0)
        tops += [int(np.flatnonzero(image[:, left + 3] > 127)[0]) for left, _ in runs(image)]
    assert len(tops) == 80
    assert 3 <= min(tops) <= 4  # 6 without
    assert 8 <= max(tops) <= 9


@pytest.mark.parametrize(("height", "gap"), [(32, 100.0), (8, 20.0)])
def test_gaps_as_wide_as_is_allowed_are_drawn(height, gap):
    for seed in range(20):
        image = write(bars(*[8] * 7), seed, gap_px=gap, height_px=height, width_px=900)
        assert len(runs(image)) == 7 or height < 32


def test_slant_leans_and_slope_climbs():
    def lean(image):
        y, x = np.nonzero(image > 127)
        return np.polyfit(y, x, 1)[0]

    leans = [lean(write(bars(3), seed, slant_deg=20.0)) for seed in range(40)]
    most = np.tan(np.deg2rad(20)) + np.tan(np.deg2rad(4))
    assert 0.2 < max(map(abs, leans)) < most + 0.02
    assert min(leans) < 0 < max(leans)
    flat, climbing = (write(bars(20, 20, 20), 3, slope_deg=d) for d in (0.0, 8.0))
    tops = [[np.flatnonzero(column > 127)[0] for column in image.T if column.max() > 127] for image in (flat, climbing)]
    assert np.ptp(tops[0]) == 0
    assert np.ptp(tops[1]) >= 2
    drawn = np.random.default_rng(3)
    _, _, slope = (drawn.uniform(-limit, limit) for limit in (0.0, 0.0, 8.0))  # size and slant come first
    assert (tops[1][-1] > tops[1][0]) == (slope > 0)
    assert np.mean(tops[1]) == pytest.approx(np.mean(tops[0]), abs=0.5)  # about its middle
    assert set(np.unique(climbing)) == {0, 255}  # paper takes the place of what was shifted


def test_a_slope_cuts_off_no_row_of_a_column_that_stays():
    sheet = np.full((1, 28, 28), 255, np.uint8)  # larger than the line, with the size of some of the seeds
    assert (
        max(np.count_nonzero(write(sheet, seed, size=0.5, slope_deg=8.0) == 255, axis=0).max() for seed in range(8))
        == 32
    )


def test_what_is_too_long_is_narrowed_and_nothing_is_cut_off():
    image = write(bars(*[12] * 10), overlap_px=-4, gap_px=4)
    found = runs(image)
    assert len(found) == 10
    assert found[0][0] == strings.MARGIN_PX
    assert sum(found[-1]) >= 96 - strings.MARGIN_PX - 2  # behind the ink lie two columns of soft edge
    assert sum(found[-1]) <= 96 - strings.MARGIN_PX


@pytest.fixture
def stamped():
    """Glyphs that carry their split and row in the grey of a square, and their class in its size."""

    def split(number, count):
        label = (np.arange(count) % 3).astype(np.int32)
        image = np.zeros((count, 28, 28, 1), np.uint8)
        for i in range(count):
            image[i, 8:20, 8 : 12 + 4 * label[i]] = 100 + 50 * number + i
        return Arrays(image, label)

    splits = (split(0, 40), split(1, 10), split(2, 25))
    return Dataset("stamped", "1", "0" * 64, *splits, ("a", "b", "c"), 0.1, 0.3)


def test_each_split_has_its_own_glyphs_and_labels_that_spell_the_picture(stamped, tmp_path):
    made = strings.compose(stamped, {**PLAIN, "overlap_px": -3, "gap_px": 3}, cache_dir=tmp_path, **QUIET)
    assert (made.name, made.classes) == ("strings/stamped", ("a", "b", "c"))
    for number, (split, count) in enumerate([("train", 30), ("validation", 12), ("test", 20)]):
        arrays = getattr(made, split)
        assert arrays.image.shape == (count, 32, 96, 1)
        assert arrays.label.shape == (count, 4)
        seen = set()
        for image, label in zip(arrays.image[..., 0], arrays.label, strict=True):
            length = int((label >= 0).sum())
            assert (label[length:] == -1).all()
            found = runs(image)
            assert [(width - 4) // 4 for _, width in found] == label[:length].tolist()
            seen |= {int(image[16, left]) - 100 - 50 * number for left, _ in found}
            assert length == 3 if split == "test" else 1 <= length <= 4
        assert seen <= set(range(len(getattr(stamped, split).label)))
        if split != "train":  # as many glyphs as there are, before any comes again
            assert len(seen) == len(getattr(stamped, split).label)


def test_the_same_settings_give_the_same_strings_and_any_other_others(stamped, tmp_path):
    said = []
    first = strings.compose(stamped, PLAIN, cache_dir=tmp_path, log=said.append)
    assert any("Composing" in line for line in said)
    assert re.fullmatch(r"1\.0\.0-[0-9a-f]{12}", first.version)
    again = strings.compose(stamped, PLAIN, cache_dir=tmp_path, log=pytest.fail)  # mapped: nothing is said
    afresh = strings.compose(stamped, PLAIN, cache_dir=tmp_path / "other", **QUIET)
    assert first.sha256 == again.sha256 == afresh.sha256
    np.testing.assert_array_equal(first.train.image, afresh.train.image)
    for other in ({"seed": 1}, {"gap_px": 2.0}, {"test_length": 0}):
        changed = strings.compose(stamped, {**PLAIN, **other}, cache_dir=tmp_path, **QUIET)
        assert changed.sha256 != first.sha256
        assert changed.version != first.version


def test_a_damaged_cache_is_reported_and_made_again(stamped, tmp_path):
    first = strings.compose(stamped, PLAIN, cache_dir=tmp_path, **QUIET)
    [path] = tmp_path.rglob("train_image.npy")
    content = bytearray(path.read_bytes())
    content[-1] ^= 255
    path.write_bytes(content)
    said = []
    assert strings.compose(stamped, PLAIN, cache_dir=tmp_path, log=said.append).sha256 == first.sha256
    assert any("damaged" in line and "train_image.npy" in line for line in said)


@pytest.mark.parametrize("wrong", [{"lengths": (0, 3)}, {"lengths": (4, 3)}, {"test_length": 5}])
def test_lengths_that_do_not_fit_are_reported(stamped, tmp_path, wrong):
    with pytest.raises(ConfigError, match="lengths=.* do not fit: use 1 <= shortest <= longest"):
        strings.compose(stamped, {**PLAIN, **wrong}, cache_dir=tmp_path, **QUIET)


def test_a_split_without_glyphs_is_reported(stamped, tmp_path):
    empty = stamped._replace(validation=Arrays(*(x[:0] for x in stamped.validation)))
    with pytest.raises(ConfigError, match="stamped has no validation glyphs"):
        strings.compose(empty, PLAIN, cache_dir=tmp_path, **QUIET)


def crnn(**overrides):
    made = configs.load(ROOT / "configs" / "crnn.py:smoke", {k.replace("__", "."): v for k, v in overrides.items()})
    check.check(made)
    return made


def test_rows_are_pooled_and_columns_kept():
    image = jnp.arange(2 * 5 * 3 * 2, dtype=jnp.float32).reshape(2, 5, 3, 2)
    np.testing.assert_array_equal(max_pool_rows(image), image[:, 1:4:2])


def test_the_network_has_the_parameters_and_time_steps_that_its_plan_has():
    made = configs.load(ROOT / "configs" / "crnn.py")
    model = models.make(made.model, classes=10, shape_px=(32, 128))
    variables = jax.eval_shape(lambda: model.init(jax.random.key(0), (1, 32, 128, 1)))
    c, d, w = made.model.features, made.model.dense, made.model.width
    convolutions = sum(9 * a * b + b + 2 * b for a, b in zip((1, *c), c, strict=False))
    between = 32 // 2 ** len(c) * c[-1] * d + d + 2 * d
    gru = 2 * (d * 3 * w + 3 * w + w * 3 * w + w)
    assert sum(p.size for p in jax.tree.leaves(variables["params"])) == convolutions + between + gru + 2 * w * 11 + 11
    logits = jax.eval_shape(lambda v: model.apply(v, jnp.zeros((2, 32, 128, 1)), train=False)[0], variables)
    assert (logits.shape, logits.dtype) == ((2, 128 // made.model.column_px, 11), jnp.float32)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"model__column_px": 3}, "column_px=3 is not possible: use a power of 2"),
        ({"model__column_px": 16}, "column_px=16 is not possible: use a power of 2 up to 2 to the number"),
        ({"data__strings__width_px": 66}, "a divisor of the width, 66"),
        (
            {"data__strings__height_px": 8, "model__features": (8,) * 4, "model__kernels_px": (3,) * 4},
            "each halves the height, which is 8",
        ),
        ({"model__kernels_px": (3,)}, "must have the same length"),
        ({"model__name": "cnn"}, "config.model.name=cnn does not fit config.data.name=strings: strings need crnn"),
        ({"data__name": "digits"}, "config.model.name=crnn does not fit config.data.name=digits"),
        ({"loss__label_smoothing": 0.1}, "config.loss.label_smoothing=0.1 is not for strings: use 0"),
        ({"augment__mixup": 0.1}, "config.augment.mixup=0.1 is not for strings"),
        ({"frame__side_px": 20}, "config.frame.side_px=20 is not for strings"),
        ({"data__strings__lengths": (1, 9)}, "lengths up to 9 do not fit into 16 time steps"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_reported(overrides, words):
    with pytest.raises(ConfigError, match=words):
        make_recipe(crnn(**overrides), examples=1000, classes=10, mean=0.1, std=0.3)


@pytest.mark.parametrize(("key", "value"), [("data.strings.gap_px", 3.0), ("eval.beam", 4)])
def test_a_key_of_strings_is_refused_elsewhere(smoke, key, value):
    with pytest.raises(
        ConfigError, match=f"config.{key}={value} has no effect here: it applies to config.data.name=strings only"
    ):
        check_overrides(smoke(**{key.replace(".", "__"): value}), {key: value})
    check_overrides(crnn(**{key.replace(".", "__"): value}), {key: value})


def test_a_few_strings_are_learnt_by_heart(initial):
    glyphs = data.load("digits", **QUIET)
    made = crnn(epochs=1, batch_size=16, model__dropout=0.0, schedule__name="constant", optim__learning_rate=0.01)
    made.augment.update(dict.fromkeys(("shift_px", "rotate_deg", "scale", "shear_deg"), 0))
    few = strings.compose(glyphs, {**PLAIN, "train": 16, "width_px": 64, "lengths": (1, 3)}, **QUIET).train
    few = Arrays(np.asarray(few.image), np.asarray(few.label))
    recipe = make_recipe(made, examples=16, classes=10, mean=0.1, std=0.3)
    state = initial(recipe, shape=few.image.shape[1:])
    step = jax.jit(lambda state: train_step.train_step(recipe, state, few))
    for _ in range(150):
        state = step(state)
    before = state.totals
    state = step(state)
    assert int(state.totals.hits - before.hits) >= 15  # whole strings
    assert float(state.totals.loss - before.loss) / 16 < 0.5


@pytest.fixture(scope="module")
def trained(command, tmp_path_factory):
    """(run folder, process) of two seeds that read short strings of scikit-learn's digits."""
    folder = tmp_path_factory.mktemp("strings") / "run"
    flags = {
        "data.strings.glyphs": "digits", "data.validation_examples": 200, "data.strings.lengths": "(1, 2)", "seeds": 2,
        "data.strings.width_px": 48, "epochs": 6, "batch_size": 32, "data.strings.train": 1000, "model.width": 24,
        "model.features": "(8, 16, 16)", "model.dense": 0, "model.dropout": 0.0, "optim.learning_rate": 0.008,
        **UNCHANGED,
    }  # fmt: skip
    flags = [f"--config.{k}={v}" for k, v in flags.items()]
    return folder, command("main", "--config=configs/crnn.py:smoke", f"--workdir={folder}", *flags)


@pytest.mark.slow
def test_a_run_reads_strings_and_says_how_well(trained, command):
    folder, done = trained
    assert done.returncode == 0, done.stderr
    assert "character error rate" in done.stdout
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["dataset"] == "strings/digits"
    assert summary["test"]["accuracy"]["mean"] > 0.7
    assert summary["test"]["cer"]["mean"] < 0.2
    assert summary["per_length"]["length"] == [1, 2]
    assert sum(summary["per_length"]["examples"]) == 200
    assert summary["flops_per_image"] > 0
    assert set(summary["test"]["ensemble"]) == {"majority"}
    assert "confusion" not in summary
    found = command("evaluate", f"--workdir={folder}", "--format=json")
    assert json.loads(found.stdout)["accuracy"] == summary["test"]["accuracy"]
    greedy = json.loads(command("evaluate", f"--workdir={folder}", "--format=json", "--beam=1").stdout)
    assert abs(greedy["accuracy"]["mean"] - summary["test"]["accuracy"]["mean"]) < 0.05
    scores = jnp.log(jnp.full((1, 2, 11), 1e-9).at[..., 10].set(0.6).at[..., 3].set(0.4))
    for beam, text in ((1, []), (8, [3])):  # "3" by three paths together, nothing by the one most probable path
        read = np.asarray(predictor.open_run(folder, reading={"beam": beam})[0].recipe.task.read(scores)[0])
        assert read[read >= 0].tolist() == text
    wrong = command("evaluate", f"--workdir={folder}", "--beam=1000")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (64, 1)
    assert wrong.stderr.startswith("hwr_jax: config.eval.beam=1000 is out of range")
    other = command("evaluate", f"--workdir={folder}", "--dataset=digits")
    assert (other.returncode, other.stderr.count("\n")) == (64, 1)
    assert "--dataset=digits has images of 28x28 pixels, this model reads 32x48" in other.stderr


@pytest.mark.slow
def test_pictures_of_lines_are_read(trained, command, tmp_path):
    folder, _ = trained
    model = predictor.load(folder)
    test = strings.compose(
        data.load("digits", **QUIET),
        {**PLAIN, "lengths": (2, 2), "test_length": 2, "test": 12, "width_px": 48},
        **QUIET,
    ).test
    truth = ["".join(map(str, row[row >= 0])) for row in np.asarray(test.label)]
    read = model.read(test.image)
    assert sum(found[0][0] == text for found, text in zip(read, truth, strict=True)) >= 8
    for found in read:
        assert len(found) <= 4
        assert [p for _, p in found] == sorted((p for _, p in found), reverse=True)
        assert 0 < sum(p for _, p in found) <= 1.0001
    for i, image in enumerate(np.asarray(test.image)):  # a photograph: larger, dark on light, with a wide margin
        sheet = np.pad(255 - image[..., 0], ((20, 30), (25, 40)), constant_values=255)
        Image.fromarray(sheet).resize((sheet.shape[1] * 4, sheet.shape[0] * 4)).save(tmp_path / f"{i:02}.png")
    done = command("predict", f"--workdir={folder}", "--format=json", tmp_path)
    assert done.returncode == 0, done.stderr
    found = [row["label"] for row in json.loads(done.stdout)]
    assert sum(a == b for a, b in zip(found, truth, strict=True)) >= 7
    with pytest.raises(ValueError, match="this model reads strings"):
        model.predict(test.image)


def test_a_line_is_put_into_its_frame_as_the_composed_ones_are():
    sheet = np.full((200, 500), 255, np.uint8)
    for left in (60, 140, 220, 330):  # four bars 80 high and 20 wide, far apart; one is no part of the line
        sheet[50:130, left : left + 20] = 0
    sheet[185:195, 100:104] = 0
    image = normalise.line_from_picture(png(sheet), 32, 128)
    assert image.shape == (32, 128)
    assert len(runs(image)) == 4
    rows = np.flatnonzero(image.max(1) > 127)
    assert rows[-1] - rows[0] + 1 == pytest.approx(0.7 * 32, abs=1.5)
    assert abs((rows[0] + rows[-1]) / 2 - 15.5) <= 1
    tight = normalise.line_from_picture(png(sheet[50:130, 60:350]), 32, 128)  # cropped to its ink
    assert np.abs(tight.astype(int) - image).mean() < 4
    narrow = normalise.line_from_picture(png(sheet), 32, 64)
    assert len(runs(narrow)) == 4
    assert runs(narrow)[-1][0] <= 62
    with pytest.raises(DataError, match="no ink"):
        normalise.line_from_picture(png(np.full((40, 200), 250, np.uint8)), 32, 128)


def png(grey):
    from hwr_jax.data.formats import png as encoder

    return encoder.encode(grey[..., None])


def test_a_model_of_classes_has_no_beam(two_seeds, command):
    done = command("evaluate", f"--workdir={two_seeds[0]}", "--beam=4")
    assert (done.returncode, done.stderr.count("\n")) == (64, 1)
    assert "--beam=4 applies to models that read strings" in done.stderr


@pytest.mark.parametrize("mapping", ["pmap", "shard_map"])
def test_a_step_of_a_reader_runs_under_pmap_and_shard_map(mapping):
    from tests.steps.test_train_step import over_devices

    recipe = make_recipe(crnn(batch_size=16), examples=64, classes=10, mean=0.1, std=0.3)
    state = jax.eval_shape(lambda: train_step.init_state(recipe, jnp.int32(0), (32, 64, 1)))
    rows = Arrays(jax.ShapeDtypeStruct((16, 32, 64, 1), jnp.uint8), jax.ShapeDtypeStruct((16, 3), jnp.int32))
    after = jax.eval_shape(over_devices(recipe, mapping), state, rows)
    assert jax.tree.map(jnp.shape, after.params) == jax.tree.map(jnp.shape, state.params)


def test_the_cost_of_a_recurrent_network_counts_every_time_step():
    costs = []
    for width in (64, 128):
        made = crnn(data__strings__width_px=width, model__features=(1,), model__kernels_px=(1,), model__column_px=2)
        recipe = make_recipe(made, examples=1000, classes=10, mean=0.1, std=0.3)
        state = jax.eval_shape(lambda r=recipe, w=width: train_step.init_state(r, jnp.int32(0), (32, w, 1)))
        state = jax.tree.map(lambda x: jax.ShapeDtypeStruct((1, *x.shape), x.dtype), state)
        rows = Arrays(jax.ShapeDtypeStruct((9, 32, width, 1), jnp.uint8), jax.ShapeDtypeStruct((9, 3), jnp.int32))
        costs.append(step_cost(recipe, state, rows).flops_per_image)
    w, d, times = 16, 32, 64
    products = 2 * 2 * times * (3 * w * d + 3 * w * w)  # of both directions, forward; twice as many backward
    assert costs[1] > 3 * products
    assert costs[1] / costs[0] == pytest.approx(2, rel=0.1)
