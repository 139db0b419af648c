"""Reading images: few compilations, threads, pictures that hold more than the model reads."""

import concurrent.futures
import csv
import dataclasses
import io
import os
import subprocess
import sys

import numpy as np
import pytest

from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Arrays
from hwr_jax.inference import evaluation, predictor
from hwr_jax.inference import rows as readings
from hwr_jax.pictures.normalise import Normalised
from tests.pictures.test_normalise import draw, encode


@pytest.fixture(scope="module")
def model(two_seeds):
    return predictor.load(two_seeds[0], log=lambda line: None)


@pytest.mark.parametrize(
    ("count", "batch", "size"),
    [(1, 500, 1), (3, 500, 4), (64, 500, 64), (65, 500, 128), (300, 500, 500), (501, 500, 1000), (999, 64, 1000)],
)
def test_buckets(count, batch, size):
    assert predictor.bucket(count, batch) == size


def test_eight_sizes_are_four_programs_and_give_what_one_image_gives(model, digits, monkeypatch):
    images = np.asarray(digits.test.image[:8])
    sizes = []
    reader = predictor.reader

    def spy(*args, **options):
        read = reader(*args, **options)
        return lambda images: (sizes.append(len(images)), read(images))[1]

    monkeypatch.setattr(predictor, "reader", spy)
    model = dataclasses.replace(model)  # one that has not read yet
    whole = model.predict(images)
    for count in range(1, 9):
        np.testing.assert_allclose(model.predict(images[:count]), whole[:count], atol=1e-6)
        assert [row[0][0] for row in model.read(images[:count])] == [str(k) for k in whole[:count].argmax(1)]
    assert set(sizes) == {1, 2, 4, 8}
    assert model.predict(images[:0]).shape == (0, 10)
    with pytest.raises(ValueError, match="there is no image to evaluate"):
        model.outputs(Arrays(images[:0], np.zeros(0, np.int32)))


def test_threads_share_a_model(model, digits):
    images = np.asarray(digits.test.image[:8])
    alone = [model.predict(images[:count]) for count in range(1, 9)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda count: model.predict(images[:count]), range(1, 9)))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_several_digits_are_named_and_none_is_sure(model):
    two = encode(np.concatenate([draw("4"), draw("2")], axis=1))
    single, several = model.read_pictures([encode(draw("4")), io.BytesIO(two)])
    assert single.doubts == ()
    assert several.doubts == ("2 characters in the picture, but the model reads one: the confidence is divided by 2",)
    assert several.ranked[0][1] <= 0.5
    assert model.read_pictures([]) == []


def test_a_line_with_more_characters_than_were_trained_on_is_doubted(model):
    strings = dataclasses.replace(model, plan=model.plan._replace(reads_strings=True, longest=7))
    image = np.zeros((32, 128), np.uint8)
    assert strings.judged(Normalised(image, characters=7)).doubts == ()
    long = strings.judged(Normalised(image, characters=14))
    assert long.trust == 0.5
    assert long.doubts[0].startswith("about 14 characters in the line, but the model was trained on at most 7")


def test_the_best_state_before_the_first_validation_is_refused(model):
    class State:
        class best:
            accuracy, params, model_state = np.array([-1.0, -1.0], np.float32), {"w": 0}, {}

    with pytest.raises(ConfigError, match="no epoch has been validated yet: use --checkpoint=last"):
        evaluation.chosen(State, "best")
    State.best.accuracy = np.array([0.0, 0.5], np.float32)
    assert evaluation.chosen(State, "best") == ({"w": 0}, {})


def test_one_bad_argument_does_not_lose_the_others(two_seeds, caches, tmp_path):
    """Names that a terminal or a spreadsheet would obey, that are no UTF-8, that are too long; a folder without
    pictures; a pipe that nobody writes to; two digits; and a picture on standard input."""
    for name in ("good.png", "=1+1.png", "\x1b[31m.png", os.fsdecode(b"nonutf\xff.png")):
        (tmp_path / name).write_bytes(encode(draw("7")))
    (tmp_path / "two.png").write_bytes(encode(np.concatenate([draw("4"), draw("2")], axis=1)))
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    names = ["empty", "n" * 300, "pipe.png", "=1+1.png", "\x1b[31m.png", os.fsdecode(b"nonutf\xff.png"), "two.png", "-"]

    done = subprocess.run(
        [sys.executable, "-m", "hwr_jax.predict", f"--workdir={two_seeds[0]}", "--format=csv", *names, "good.png"],
        cwd=tmp_path,
        env={**caches, "PYTHONIOENCODING": "utf-8:strict", "PYTHONPATH": os.getcwd()},
        input=encode(draw("4")),
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 66, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode())))
    shown = ["'=1+1.png", r"\x1b[31m.png", r"nonutf\udcff.png", "two.png", "standard input", "good.png"]
    assert [row["image"] for row in rows] == shown
    assert [bool(row["warnings"]) for row in rows] == [False, False, False, True, False, False]
    assert float(rows[3]["confidence"]) <= 0.5
    said = done.stderr.decode()
    assert "two.png: 2 characters in the picture" in said
    assert "empty holds no picture" in said
    assert "File name too long" in said
    assert "pipe.png: a named pipe that no program writes to" in said
    assert "\x1b" not in said + done.stdout.decode()


def test_the_rows_of_json_have_warnings_only_where_something_is_doubtful():
    images = [Normalised(np.zeros((28, 28), np.uint8)), Normalised(np.zeros((28, 28), np.uint8), ("two",), 0.5, 2)]
    rows = readings.read_out(["a", "b"], [[("1", 0.9), ("7", 0.1)]] * 2, images)
    assert rows == [
        {"image": "a", "label": "1", "confidence": 0.9, "alternatives": [{"label": "7", "confidence": 0.1}]},
        {
            "image": "b",
            "label": "1",
            "confidence": 0.45,
            "alternatives": [{"label": "7", "confidence": 0.05}],
            "warnings": ["two"],
        },
    ]
