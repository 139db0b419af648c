"""`evaluate --dataset`: the classes of another data set are matched by name, and it may lack some of them."""

import json

import numpy as np
import pytest
from PIL import Image
from quick_runs import TINY

from hwr_jax import data
from hwr_jax.core.errors import ConfigError

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def fill(place, digits, names, count=3):
    """A folder for each class, with test digits as pictures; `names` maps digits to the names of the classes."""
    for label, name in names.items():
        (place / name).mkdir(parents=True)
        for i in np.flatnonzero(np.asarray(digits.test.label) == label)[:count]:
            Image.fromarray(255 - np.asarray(digits.test.image[i, ..., 0])).save(place / name / f"{i}.png")
    return place


@pytest.fixture
def evaluate(two_seeds, command):
    """Returns evaluate(*flags): the finished process, for a run on digits."""
    return lambda *flags: command("evaluate", f"--workdir={two_seeds[0]}", "--format=json", *flags)


def test_words_match_digits_and_every_picture_counts(evaluate, tmp_path, digits):
    found = {}
    for name, names in (("n", {i: str(i) for i in range(10)}), ("w", dict(enumerate(WORDS)))):
        place = fill(tmp_path / name, digits, names)
        done = evaluate("--dataset=folder", f"--manual_dir={place}")
        assert done.returncode == 0, done.stderr
        found[name] = json.loads(done.stdout)
    assert "eight is 8" in done.stderr
    assert found["w"]["examples"] == 30
    assert found["w"]["split"] == "all"
    assert found["w"]["accuracy"] == found["n"]["accuracy"]
    assert found["w"]["accuracy"]["mean"] > 0.6


def test_a_set_of_some_classes_is_evaluated_on_those_it_has(evaluate, tmp_path, digits):
    place = fill(tmp_path / "three", digits, {3: "3", 5: "5", 7: "7"})
    done = evaluate("--dataset=folder", f"--manual_dir={place}", "--split=all")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["examples"] == 9
    assert found["classes"] == list("0123456789")  # of the rows of the confusion matrix and so on
    assert found["per_class"]["support"] == [0, 0, 0, 3, 0, 3, 0, 3, 0, 0]
    assert "7 of the model's 10 classes have no picture here: 0, 1, 2, 4, 6, 8, 9" in done.stderr


def test_an_evaluation_on_the_pictures_of_the_training_says_so(command, tmp_path, digits):
    place, run = fill(tmp_path / "mine", digits, {3: "3", 5: "5"}, count=20), tmp_path / "run"
    flags = ["--config.data.name=folder", f"--config.data.manual_dir={place}", "--config.batch_size=7"]
    done = command("main", "--config=configs/digits.py:smoke", *TINY, *flags, f"--workdir={run}")
    assert done.returncode == 0, done.stderr
    of_it = [f"--workdir={run}", "--dataset=folder", f"--manual_dir={place}"]
    done = command("evaluate", *of_it)
    assert "All of folder includes the pictures that the run was trained on." in done.stdout
    (place / "3" / "0.png").write_bytes((place / "5").glob("*.png").__next__().read_bytes())
    done = command("evaluate", *of_it)
    assert done.returncode == 0, done.stderr
    assert "includes the pictures" not in done.stdout


def test_unknown_names_are_refused_unless_they_are_renamed_or_matched_by_position(evaluate, tmp_path, digits):
    place = fill(tmp_path / "odd", digits, {0: "null", 1: "eins"})
    flags = ["--dataset=folder", f"--manual_dir={place}"]
    done = evaluate(*flags)
    assert done.returncode == 64
    assert done.stderr.count("\n") == 1 or "Converting" in done.stderr
    assert "folder has the classes 'eins', 'null', which the model does not know" in done.stderr
    assert "--class_map" in done.stderr
    assert "--match=position" in done.stderr
    (tmp_path / "map.csv").write_text("null,0\neins,1\n")
    done = evaluate(*flags, f"--class_map={tmp_path / 'map.csv'}")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["per_class"]["support"][:3] == [3, 3, 0]
    done = evaluate(*flags, "--match=position")
    assert done.returncode == 0, done.stderr
    assert "folder, by position: eins is 0, null is 1" in done.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--manual_dir={place}"], "to evaluate on your own pictures add --dataset=folder"),
        (["--class_map=x"], "--class_map apply to your own pictures only: use them with --dataset=folder"),
        (["--dataset=folder"], "name the folder or file of your pictures"),
        (["--dataset=folder", "--manual_dir={place}", "--split=validation"], "has no pictures: use --split=all"),
    ],
)
def test_flags_that_would_be_ignored_or_find_nothing_are_refused(evaluate, tmp_path, digits, flags, words):
    place = fill(tmp_path / "mine", digits, {3: "3", 5: "5"})
    done = evaluate(*(flag.format(place=place) for flag in flags))
    assert done.returncode == 64
    assert words in done.stderr


def test_two_names_for_one_class_and_another_sets_names_are_refused(digits):
    both = digits._replace(classes=("0", "zero", *digits.classes[2:]))
    with pytest.raises(ConfigError, match="two names for one class of the model"):
        data.with_classes(both, digits.classes)
    fashion = digits._replace(name="fashion_mnist", classes=data.SOURCES["fashion_mnist"].classes)
    with pytest.raises(ConfigError, match="fashion_mnist has the classes 'T-shirt/top'.*does not know"):
        data.with_classes(fashion, digits.classes)
