"""A user's own pictures: every layout gives the same data set, and whatever is wrong is named."""

import csv
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from quick_runs import TINY

from hwr_jax import data
from hwr_jax.core.errors import ConfigError, DataError
from hwr_jax.data import folder, layouts
from hwr_jax.data.sources import Source
from hwr_jax.pictures import inputs
from hwr_jax.pictures.normalise import digit_from_picture


def drawn(kind, number, *, dark=False, size=(40, 60)):
    """A picture of a bar that stands or lies, uint8 [h, w], dark ink on light paper unless `dark`."""
    grey = np.full(size, 235, np.uint8)
    row, column = 8 + number % 5, 20 + number % 7
    if kind == "standing":
        grey[row : row + 22, column : column + 5] = 30
    else:
        grey[row + 8 : row + 13, column - 10 : column + 18] = 30
    return 255 - grey if dark else grey


def drawn_apart(kind, number):
    """The same, as thick as the number says: no two look alike when they are scaled to one size."""
    grey = np.full((60, 60), 235, np.uint8)
    grey[12:48, 26 : 30 + number] = 30
    return grey if kind == "standing" else grey.T


@pytest.fixture
def own(tmp_path):
    """FOLDER/<class>/*: 10 pictures each of three classes, of several sizes, polarities and formats."""
    place = tmp_path / "mine"
    for name in ("10", "2", "lying"):
        (place / name).mkdir(parents=True)
        for i in range(10):
            kind = "lying" if name == "lying" else "standing"
            picture = Image.fromarray(drawn(kind, i, dark=i % 2 == 0, size=(40 + i, 60)))
            picture.save(place / name / f"{i}.{'png' if i % 3 else 'jpg'}")
    (place / "notes.txt").write_text("not a picture")
    return place


def load(place, caches, **arguments):
    arguments = {"validation_examples": 3, **arguments}
    return data.load("folder", manual_dir=place, cache_dir=caches["HWR_CACHE_DIR"], log=lambda line: None, **arguments)


def test_a_folder_per_class_is_split_by_class_and_made_by_the_one_preprocessing(own, caches):
    dataset = load(own, caches)
    assert dataset.classes == ("2", "10", "lying")
    assert [np.bincount(getattr(dataset, s).label).tolist() for s in ("train", "validation", "test")] == [
        [7, 7, 7], [1, 1, 1], [2, 2, 2],
    ]  # fmt: skip
    made = {digit_from_picture(path).tobytes() for path in inputs.pictures_in(own)}
    for split in ("train", "validation", "test"):
        assert all(image.tobytes() in made for image in getattr(dataset, split).image)
    again = load(own, caches)
    assert again.sha256 == dataset.sha256
    np.testing.assert_array_equal(again.test.image, dataset.test.image)


def test_a_changed_picture_makes_another_data_set(own, caches):
    before = load(own, caches)
    Image.fromarray(drawn("lying", 4)).save(own / "2" / "1.png")
    after = load(own, caches)
    assert before.version != after.version
    assert before.sha256 != after.sha256


def test_folders_train_and_test_are_the_users_own_split(own, caches, tmp_path):
    split = tmp_path / "split"
    (split / "test").mkdir(parents=True)
    own.rename(split / "train")
    for name in ("2", "10"):
        (split / "test" / name).mkdir()
        Image.fromarray(drawn("standing", 3)).save(split / "test" / name / "a.png")
    dataset = load(split, caches)
    assert dataset.test.label.tolist() in ([0, 1], [1, 0])
    assert len(dataset.train.label) + len(dataset.validation.label) == 30


def test_hidden_files_and_folders_are_not_pictures_and_not_classes(own, caches):
    before = load(own, caches)
    (own / "2" / ".ipynb_checkpoints").mkdir()
    (own / ".trash").mkdir()
    for place in (
        own / "2" / ".ipynb_checkpoints" / "0-checkpoint.png",
        own / ".trash" / "x.png",
        own / "2" / ".y.png",
    ):
        Image.fromarray(drawn("lying", 1)).save(place)
    assert load(own, caches).sha256 == before.sha256


def test_a_third_folder_beside_train_and_test_is_reported(own, caches):
    for name, other in (("2", "train"), ("10", "test"), ("lying", "more")):
        (own / name).rename(own / other)
    with pytest.raises(DataError, match="has folders beside test and train: more; move them out"):
        load(own, caches)


def test_a_class_that_is_only_in_the_test_split_is_reported(own, caches, tmp_path):
    split = tmp_path / "split"
    (split / "train").mkdir(parents=True)
    own.rename(split / "test")
    for name in ("2", "10"):
        (split / "train" / name).mkdir()
        Image.fromarray(drawn("standing", 3)).save(split / "train" / name / "a.png")
    with pytest.raises(DataError, match="has pictures of the class lying only in test"):
        load(split, caches)


def test_classes_of_the_same_number_have_one_order():
    items = [folder.Item("", label, label, np.zeros((28, 28), np.uint8)) for label in ("1", "01", "2", "b", "a")] * 3
    assert folder.describe("folder", Path("x"), items).classes == ("01", "1", "2", "a", "b")


def test_a_csv_of_paths_is_the_same_data_set(own, caches):
    lines = [(str(path.relative_to(own.parent)), path.parent.name) for path in inputs.pictures_in(own)]
    for header in ([], [("file", "class")]):
        table = own.parent / "table.csv"
        with table.open("w", newline="") as file:
            csv.writer(file).writerows([*header, *lines])
        dataset = load(table, caches)
        assert dataset.classes == ("2", "10", "lying")
        assert np.bincount(dataset.test.label).tolist() == [2, 2, 2]


def test_one_picture_with_two_labels_is_refused_and_with_one_twice_noted(own, caches, tmp_path):
    lines = [f"{own / '2' / f'{i}.'}{'png' if i % 3 else 'jpg'},{'ab'[i % 2]}" for i in range(10)]
    table = written(tmp_path, "\n".join(["path,label", *lines, lines[1]]))
    said = []
    data.load("folder", manual_dir=table, cache_dir=caches["HWR_CACHE_DIR"], validation_examples=2, log=said.append)
    assert f"Warning: 1 picture is named more than once: {table}, line 12" in said
    table.write_text(table.read_text().rstrip()[:-1] + "a\n")
    with pytest.raises(
        DataError, match=rf"line 12: 1\.png is 'a' here, and 'b' in {table}, line 3: correct one of them"
    ):
        load(table, caches)


def test_pictures_of_several_characters_are_counted_and_named_each_time(own, caches):
    beside = np.concatenate([drawn("standing", i) for i in range(2)], axis=1)
    Image.fromarray(beside).save(own / "2" / "two.png")
    for _ in range(2):  # the second time they come from the cache
        said = []
        data.load("folder", manual_dir=own, cache_dir=caches["HWR_CACHE_DIR"], validation_examples=3, log=said.append)
        found = [line for line in said if "several characters" in line]
        assert found == [
            "Warning: 1 of 31 pictures seem to hold several characters, of which the heaviest near the middle is "
            f"taken: {own / '2' / 'two.png'} (2)"
        ]


@pytest.mark.parametrize("stream", [False, True])
def test_test_pictures_that_are_trained_on_are_counted(caches, tmp_path, stream):
    for name, numbers in (("train", range(8)), ("val", (8,)), ("test", (0, 1, 9))):
        for kind in ("standing", "lying"):
            (tmp_path / "mine" / name / kind).mkdir(parents=True)
            for i in numbers:
                Image.fromarray(drawn_apart(kind, i)).save(tmp_path / "mine" / name / kind / f"{i}.png")
    said = []
    place, cache = tmp_path / "mine", caches["HWR_CACHE_DIR"]
    data.load("folder", manual_dir=place, cache_dir=cache, stream=stream, log=said.append)
    assert [line for line in said if "exactly like" in line] == [
        "Warning: 4 of the 6 pictures for test look exactly like one to train on, so the accuracy on them says little "
        "about new pictures"
    ]


def test_a_csv_of_pixels_in_the_conventions_of_mnist_is_taken_as_it_is(digits, caches, tmp_path):
    rows = [["label", *(f"pixel{i}" for i in range(784))]]
    for image, label in zip(digits.test.image[:100], digits.test.label[:100], strict=True):
        rows.append([int(label), *image.ravel().tolist()])
    place = tmp_path / "train.csv"
    with place.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    dataset = load(place, caches)
    assert dataset.classes == tuple("0123456789")
    known = {image.tobytes() for image in np.asarray(digits.test.image[:100])}
    assert all(image.tobytes() in known for image in dataset.train.image)


def test_other_pixels_go_through_preprocessing(caches, tmp_path):
    place = tmp_path / "small.csv"
    with place.open("w", newline="") as file:
        for i in range(20):
            kind = "standing" if i % 2 else "lying"
            csv.writer(file).writerow([kind, *drawn(kind, i, size=(50, 50)).ravel().tolist()])
    dataset = load(place, caches)
    assert dataset.classes == ("lying", "standing")
    heights = [np.flatnonzero(image.any((1, 2))).size for image in dataset.train.image]
    tall = np.array(heights) > 15
    np.testing.assert_array_equal(tall, dataset.train.label == 1)


def written(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    return tmp_path / "t.csv"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("a.png,1\nb.png\n", "line 2: 1 fields, expected 2 as in line 1"),
        ("file,label\n", "names no picture"),
        ("1," + ",".join(["0"] * 17) + "\n", "line 1: 17 pixels are not a square picture"),
        ("1," + ",".join(["0"] * 15 + ["256"]) + "\n", "line 1: values from 0 to 256, expected 0 to 255"),
        ("1," + ",".join(["0"] * 14 + ["x", "1"]) + "\n", "line 1: .*'x'"),
        ("1," + ",".join(["0"] * 15 + ["9" * 30]) + "\n", r"line 1: values from 0 to 1e\+30, expected 0 to 255"),
    ],
)
def test_a_csv_that_is_not_understood_is_reported_with_its_line(tmp_path, caches, text, words):
    with pytest.raises(DataError, match=words):
        load(written(tmp_path, text), caches)


def test_missing_places_and_unusable_pictures_are_named(own, caches, tmp_path):
    with pytest.raises(ConfigError, match=r"config.data.manual_dir is missing"):
        load(None, caches)
    with pytest.raises(ConfigError, match="is neither a folder nor a CSV file"):
        load(tmp_path / "none", caches)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no folder of pictures"):
        load(tmp_path / "empty", caches)
    with pytest.raises(DataError, match=r"missing.png: No such file"):
        load(written(tmp_path, "missing.png,1\nother.png,2\n"), caches)
    (own / "2" / "5.png").write_bytes(b"no picture")
    Image.fromarray(np.full((30, 30), 255, np.uint8)).save(own / "10" / "7.png")
    with pytest.raises(DataError, match=r"2 of 30 pictures cannot be used; .*7.png: no ink.*5.png") as caught:
        load(own, caches)
    assert "\n" not in str(caught.value)
    assert str(caught.value).count("7.png") == 1


def test_a_picture_that_cannot_be_used_is_named_once():
    assert folder.reason(Path("p.png"), DataError("p.png is empty")) == "p.png is empty"
    assert folder.reason(Path("p.png"), PermissionError(13, "Permission denied")) == "p.png: Permission denied"
    assert folder.reason(Path("p.png"), ValueError("odd")) == "p.png: odd"


@pytest.mark.parametrize(("count", "more"), [(3, ""), (4, "; ...")])
def test_the_first_three_pictures_that_are_gone_are_named(tmp_path, count, more):
    gone = [layouts.Item("", "2", f"{i}.png", tmp_path / f"{i}.png") for i in range(count)]
    names = "; ".join(f"{tmp_path / f'{i}.png'}: No such file or directory" for i in range(3))
    with pytest.raises(DataError) as caught:
        folder.version(gone)
    assert str(caught.value) == f"{count} of {count} pictures cannot be read: {names}{more}"


@pytest.mark.parametrize(("classes", "words"), [("ab", "the class b, after"), ("abc", "the classes b, c, after")])
def test_classes_without_a_training_picture_are_named(classes, words):
    with pytest.raises(DataError, match=f"no training picture is left of {words} some were drawn"):
        folder.check_trained(np.zeros(9, np.int32), tuple(classes), train_examples=9, refuse=True, log=pytest.fail)


def test_fewer_training_examples_than_classes_are_refused_by_their_key(own, caches):
    words = "config.data.train_examples=2 leaves no training picture of the class .*: use at least 3, one of each class"
    with pytest.raises(ConfigError, match=words):
        load(own, caches, train_examples=2, named=())
    assert len(load(own, caches, train_examples=2).train.label) == 2  # as a run has recorded it
    assert np.bincount(load(own, caches, train_examples=3, named=()).train.label).tolist() == [1, 1, 1]


def source(classes, train=60, **more):
    return Source("folder", "1", tuple(map(str, range(classes))), train, 20, 0, None, stratified=True, **more)


@pytest.mark.parametrize(("classes", "named"), [(12, "10, 11"), (13, "10, 11, ...")])
def test_up_to_twelve_classes_are_named_and_every_number_is_given(classes, named):
    assert folder.sizes(source(classes), 10) == (
        f"{classes} classes (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, {named}), 50 pictures to train on, 10 for validation "
        "(drawn), 20 for test (drawn)"
    )


@pytest.mark.parametrize(("train", "some"), [(60, 10), (20, 5), (40, 10), (3, 1)])
def test_where_the_default_does_not_fit_a_sixth_or_one_of_each_class_is_for_validation(train, some):
    assert folder.validation_size(source(10, train), 5000, adapt=True, log=lambda line: None) == some


def test_a_split_of_the_user_decides_how_many_are_for_validation():
    assert folder.validation_size(source(10, own_validation=7), 5000, adapt=False, log=pytest.fail) == 7


def test_too_few_pictures_are_refused_in_a_sentence():
    with pytest.raises(DataError, match="here holds no picture"):
        folder.describe("folder", Path("here"), [])
    with pytest.raises(DataError, match="here has pictures for test, validation only: add a split train"):
        folder.check_train(Path("here"), Counter(test=2, validation=1))
    with pytest.raises(DataError, match="here has 4 pictures: too few for a training and a test split"):
        folder.test_size(Path("here"), Counter(train=4), whole=False)
    assert folder.test_size(Path("here"), Counter(train=5), whole=False) == 1
    assert folder.test_size(Path("here"), Counter(train=4), whole=True) == 0


@pytest.mark.parametrize("name", [b"m\xfc", b"a\nb"])
def test_a_class_whose_name_cannot_be_written_is_refused_before_the_training(own, caches, name):
    (own / "2").rename(own / os.fsdecode(name))
    with pytest.raises(DataError, match=r"mine: the class '(m\\\\udcfc|a\\\\nb)' has a name that cannot be shown"):
        load(own, caches)


def test_one_class_is_not_a_data_set(own, caches, tmp_path):
    (tmp_path / "one").mkdir()
    (own / "2").rename(tmp_path / "one" / "2")
    with pytest.raises(DataError, match="has 1 class, and a data set needs at least 2: 2"):
        load(tmp_path / "one", caches)


@pytest.mark.slow
def test_training_evaluation_and_prediction_on_own_pictures(own, command, tmp_path):
    run = tmp_path / "run"
    flags = ["--config=configs/digits.py:smoke", *TINY, "--config.data.name=folder", f"--config.data.manual_dir={own}"]
    flags += ["--config.data.validation_examples=3", "--config.batch_size=7", "--config.epochs=30"]
    done = command("main", *flags, f"--workdir={run}")
    assert done.returncode == 0, done.stderr
    assert command("evaluate", f"--workdir={run}").returncode == 0
    rows = "\n".join(",".join(map(str, drawn("lying", i, size=(50, 50)).ravel())) for i in range(3))
    table = written(tmp_path, rows)
    done = command("predict", f"--workdir={run}", "--format=csv", str(own / "lying"), str(table))
    assert done.returncode == 0, done.stderr
    lines = list(csv.reader(done.stdout.splitlines()))
    assert len(lines) == 1 + 10 + 3
    assert [line[1] for line in lines[1:]].count("lying") >= 12
    assert lines[11][0] == f"{table}, line 1"
    assert Path(lines[1][0]).parent == own / "lying"
