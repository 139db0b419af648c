"""Where a user's pictures lie: splits are no classes, what is left out is named, and small sets are divided well."""

import gzip
import os
import struct

import numpy as np
import pytest
from PIL import Image, features

from hwr_jax import data
from hwr_jax.core.errors import ConfigError, DataError
from hwr_jax.data import layouts
from hwr_jax.pictures import decode
from hwr_jax.pictures.tables import Reading


def drawn(i):
    """A bar, uint8 [28, 28]: dark ink on light paper; no two of the first 60 are the same."""
    grey = np.full((28, 28), 235, np.uint8)
    grey[4 + i % 6 : 20 + i // 6, 8 : 12 + i % 5] = 30
    return grey


def fill(folder, count=6, suffix=".png", kind="PNG", first=0):
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(first, first + count):
        Image.fromarray(drawn(i)).save(folder / f"{i}{suffix}", kind)
    return folder


@pytest.fixture
def load(tmp_path):
    """Returns load(place): the data set and what was said, with a cache of its own."""

    def loaded(place, **more):
        lines = []
        more = {"named": (), "validation_examples": 5000, **more}
        dataset = data.load("folder", manual_dir=place, cache_dir=tmp_path / "cache", log=lines.append, **more)
        return dataset, lines

    return loaded


def sizes(dataset):
    return [len(getattr(dataset, split).label) for split in ("train", "validation", "test")]


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train", "val", "test"), ("Train", "Valid", "Test"), ("TRAINING", "validation", "TESTING"),
        ("training", "dev", ""), ("train", "", "test"), ("train", "", ""), ("Training", "Validation", ""),
        ("train_data", "val_data", "test_data"), ("Training set", "", "Test set"),
    ],
)  # fmt: skip
def test_folders_of_splits_are_splits_and_their_folders_the_classes(tmp_path, load, train, validation, test):
    place, first = tmp_path / "mine", 0
    for name, count in ((train, 10), (validation, 3), (test, 4)):
        for label in ("0", "1", "2") if name else ():
            fill(place / name / label, count, first=first)
        first += count
    dataset, lines = load(place)
    assert dataset.classes == ("0", "1", "2")
    made = sizes(dataset)
    assert sum(made) == 30 + 9 * bool(validation) + 12 * bool(test)
    assert made[1] == 9 if validation else made[1] > 0
    assert made[2] == (12 if test else 6)
    assert any("is the train split" in line for line in lines)
    kinds = ("your own split" if validation else "drawn", "your own split" if test else "drawn")
    assert any(f"validation ({kinds[0]})" in line and f"test ({kinds[1]})" in line for line in lines)
    if validation:
        with pytest.raises(ConfigError, match="validation_examples has no effect: .* of 9 pictures"):
            load(place, named=("data.validation_examples",))


def test_splits_within_the_classes_and_a_wrapping_folder_are_found(tmp_path, load):
    for label in ("a", "b"):
        for split, count, first in (("train", 10, 0), ("test", 4, 20)):
            fill(tmp_path / "mine" / "unpacked" / label / split, count, first=first)
    dataset, lines = load(tmp_path / "mine")
    assert dataset.classes == ("a", "b")
    assert sizes(dataset)[2] == 8
    assert any("holds only the folder unpacked" in line for line in lines)


def test_classes_whose_names_have_the_word_test_are_classes(tmp_path, load):
    for i, name in enumerate(("test tube", "test strip")):
        fill(tmp_path / "mine" / name, first=6 * i)
    assert load(tmp_path / "mine")[0].classes == ("test strip", "test tube")


def test_folders_within_the_classes_are_named(tmp_path, load):
    for i, name in enumerate(("writer 1/a", "writer 1/b", "writer 2/a", "writer 2/b")):
        fill(tmp_path / "mine" / name, first=6 * i)
    dataset, lines = load(tmp_path / "mine")
    assert dataset.classes == ("writer 1", "writer 2")
    assert f"{tmp_path / 'mine'}: its own folders are the classes; those within them (a, b) are not told apart" in lines


def test_what_a_mac_adds_to_an_archive_is_no_folder_of_it(tmp_path, load):
    for label in ("a", "b"):
        fill(tmp_path / "mine" / "unpacked" / label)
        fill(tmp_path / "mine" / "__MACOSX" / "unpacked" / label)
    Image.fromarray(drawn(0)).save(tmp_path / "mine" / "unpacked" / "._0.png")
    dataset, lines = load(tmp_path / "mine")
    assert not any("left out" in line for line in lines)
    assert sum(sizes(dataset)) == 12
    assert any("holds only the folder unpacked" in line for line in lines)


def test_a_table_beside_the_folders_of_several_classes_is_not_read(tmp_path, load):
    for label in ("a", "b"):
        fill(tmp_path / "mine" / label)
    (tmp_path / "mine" / "other.csv").write_text("a/0.png,c\na/1.png,d\n")
    dataset, lines = load(tmp_path / "mine")
    assert dataset.classes == ("a", "b")
    assert f"{tmp_path / 'mine'}: left out 1 file that lies in no folder of a class (other.csv)" in lines
    for split in ("train", "test"):
        fill(tmp_path / "more" / split / "a", first=6 * (split == "test"))
        fill(tmp_path / "more" / split / "b", first=6 * (split == "test"))
    (tmp_path / "more" / "train" / "labels.csv").write_text("a/0.png,c\n")
    said = load(tmp_path / "more")[1]
    assert f"{tmp_path / 'more' / 'train'}: left out 1 file that lies in no folder of a class (labels.csv)" in said


def test_links_that_are_not_followed_are_reported(tmp_path, load):
    for label in ("a", "b"):
        fill(tmp_path / "mine" / label)
    fill(tmp_path / "elsewhere", first=20)
    (tmp_path / "mine" / "a" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "mine" / "c").symlink_to(tmp_path / "gone")
    dataset, lines = load(tmp_path / "mine")
    assert sum(sizes(dataset)) == 12
    assert f"{tmp_path / 'mine'}: skipped 1 file that is not a picture that can be read (more)" in lines
    assert f"{tmp_path / 'mine'}: left out 1 file that lies in no folder of a class (c)" in lines
    (tmp_path / "mine" / "a" / "9.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"1 of 13 pictures cannot be read: .*9\.png: No such file"):
        load(tmp_path / "mine")


@pytest.mark.parametrize("ending", [".csv", "-images-idx3-ubyte"])
def test_two_files_of_one_split_may_be_of_two_data_sets_and_are_refused(tmp_path, load, ending):
    for name in ("digits-train", "letters-train", "digits-test"):
        (tmp_path / f"{name}{ending}").write_text("")
    words = r"has 2 files of the train split \(digits-train.*, letters-train.*\), in which a label may mean different"
    with pytest.raises(DataError, match=words):
        load(tmp_path)


def test_a_folder_whose_name_ends_like_an_idx_file_is_a_class(tmp_path, load):
    for label in ("a-idx3-ubyte", "b"):
        fill(tmp_path / "mine" / label)
    assert load(tmp_path / "mine")[0].classes == ("a-idx3-ubyte", "b")


def test_pictures_in_no_class_and_classes_beside_splits_are_reported(tmp_path, load):
    fill(tmp_path / "mine" / "train", 2)
    with pytest.raises(DataError, match="train holds pictures .* outside of the folders of its classes"):
        load(tmp_path / "mine")
    fill(tmp_path / "mine" / "other", 2)
    with pytest.raises(DataError, match="has folders beside train: other; move them out"):
        load(tmp_path / "mine")


def test_a_class_only_in_validation_is_reported(tmp_path, load):
    for name in ("train/a", "train/b", "val/a", "val/c"):
        fill(tmp_path / "mine" / name)
    with pytest.raises(DataError, match="pictures of the class c only in validation: add some to train"):
        load(tmp_path / "mine")


def test_pictures_are_read_whatever_their_suffix_and_the_rest_is_counted_and_named(tmp_path, load):
    place = tmp_path / "mine"
    fill(place / "5")
    fill(place / "6", 6, ".jfif", "JPEG")
    fill(place / "7", 3, ".dat", "PNG")
    fill(place / "7", 3, "", "BMP", first=3)
    if features.check("avif"):
        fill(place / "6", 2, ".avif", "AVIF", first=6)
    for name in ("5/notes.txt", "5/Thumbs.db", "7/list.md"):
        (place / name).write_text("BMX and other things")
    (place / "docs").mkdir()
    fill(place, 2)
    dataset, lines = load(place)
    assert dataset.classes == ("5", "6", "7")
    assert sum(sizes(dataset)) == 18 + 2 * features.check("avif")
    assert f"{place}: skipped 3 files that are not pictures that can be read (Thumbs.db, notes.txt, list.md)" in lines
    assert any("left out 2 pictures that lie in no folder of a class (0.png, 1.png)" in line for line in lines)
    assert any("no class is made of docs" in line for line in lines)


def test_a_class_of_pictures_that_cannot_be_read_is_refused(tmp_path, load, monkeypatch):
    monkeypatch.setattr(decode, "reads_heic", lambda: False)
    for name in ("5", "6"):
        fill(tmp_path / "mine" / name)
    (tmp_path / "mine" / "7").mkdir()
    (tmp_path / "mine" / "7" / "a.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(DataError, match=r"7 has no picture that can be read, only a.HEIC: convert them \(PNG"):
        load(tmp_path / "mine")


def test_few_pictures_of_a_class_are_a_warning_by_name(tmp_path, load):
    fill(tmp_path / "mine" / "5", 20)
    fill(tmp_path / "mine" / "6", 3)
    assert "Warning: classes with fewer than 5 training pictures: 6 (2)" in load(tmp_path / "mine")[1]


def test_a_class_of_which_no_training_picture_is_left_is_refused_by_name(tmp_path, load):
    for i in range(10):
        fill(tmp_path / "mine" / str(i), 1, first=i)
    with pytest.raises(DataError, match=r"no training picture is left of the classes \d, \d.*: add pictures"):
        load(tmp_path / "mine")


def test_a_validation_size_that_does_not_fit_is_replaced_unless_it_was_asked_for(tmp_path, load):
    for label in ("a", "b"):
        fill(tmp_path / "mine" / label, 30)
    dataset, lines = load(tmp_path / "mine")
    assert sizes(dataset) == [40, 8, 12]
    assert any("Validation takes 8 of the 48 training pictures: the config's 5,000 would" in line for line in lines)
    assert sizes(load(tmp_path / "mine", validation_examples=20)[0]) == [28, 20, 12]
    assert sizes(load(tmp_path / "mine", validation_examples=30)[0]) == [40, 8, 12]
    asked = {"named": ("data.validation_examples",)}
    assert sizes(load(tmp_path / "mine", validation_examples=30, **asked)[0]) == [18, 30, 12]
    with pytest.raises(ConfigError, match="validation_examples = 5000: allowed are whole numbers from 0 to 47"):
        load(tmp_path / "mine", **asked)


def test_for_evaluation_any_number_of_classes_and_pictures_will_do(tmp_path, load):
    fill(tmp_path / "mine" / "3", 1)
    dataset, _ = load(tmp_path / "mine", whole=True, validation_examples=None)
    assert sizes(dataset) == [1, 0, 0]
    assert dataset.drawn_test
    for label in ("3", "5"):
        fill(tmp_path / "more" / "test" / label, 2)
    dataset, _ = load(tmp_path / "more", whole=True, validation_examples=None)
    assert sizes(dataset) == [0, 0, 4]
    assert not dataset.drawn_test


def idx(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def arrays(digits, split, count):
    part = getattr(digits, split)
    return np.asarray(part.image[:count, ..., 0]), np.asarray(part.label[:count])


FORMS = {
    "IDX": "{split}-images-idx3-ubyte",
    "dots": "{split}-images.idx3-ubyte",
    "gzipped": "my-{split}-images-idx3-ubyte.gz",
}


@pytest.mark.parametrize("form", [*FORMS, "npz", "folder of npz", "tables"])
def test_own_data_in_arrays_and_tables_with_splits_is_one_data_set(tmp_path, load, digits, form):
    place = tmp_path / "mine"
    place.mkdir()
    train, test = arrays(digits, "train", 60), arrays(digits, "test", 20)
    if form in FORMS:
        for split, (image, label) in (("train", train), ("t10k", test)):
            name = FORMS[form].format(split=split)
            pack = gzip.compress if name.endswith(".gz") else bytes
            (place / name).write_bytes(pack(idx(image)))
            other = name.replace("images", "labels").replace("idx3", "idx1")
            (place / other).write_bytes(pack(idx(label.astype(np.uint8))))
    elif "npz" in form:
        np.savez(place / "a.npz", x_train=train[0], y_train=train[1], x_test=test[0], y_test=test[1])
        place = place / "a.npz" if form == "npz" else place
    else:
        for name, (image, label) in (("mnist_train.csv", train), ("mnist_test.csv", test)):
            rows = np.column_stack([label, image.reshape(len(image), -1)])
            header = ",".join(["label", *(f"pixel{i}" for i in range(784))])
            np.savetxt(place / name, rows, fmt="%d", delimiter=",", header=header, comments="")
        (place / "sample_submission.csv").write_text("id,label\n1,0\n")
    dataset, lines = load(place, validation_examples=10)
    assert dataset.classes == tuple("0123456789")
    assert sizes(dataset) == [50, 10, 20]
    np.testing.assert_array_equal(dataset.test.image[..., 0], test[0])
    np.testing.assert_array_equal(dataset.test.label, test[1])
    if form == "tables":
        assert any("left out sample_submission.csv" in line for line in lines)


def test_one_idx_file_is_a_data_set_with_the_labels_beside_it(tmp_path, load, digits):
    image, label = arrays(digits, "test", 60)
    place = tmp_path / "my-image-idx3-ubyte"
    place.write_bytes(idx(image))
    with pytest.raises(DataError, match="my-image-idx3-ubyte has no labels beside it: expected my-labels-idx1-ubyte"):
        load(place)
    (tmp_path / "my-label-idx1-ubyte.gz").write_bytes(gzip.compress(idx(label.astype(np.uint8))))
    dataset, lines = load(place)
    assert sum(sizes(dataset)) == 60
    assert f"{place} and my-label-idx1-ubyte.gz: 60 pictures" in lines
    assert [item.name for item in layouts.find(place, Reading()).items[::59]] == [
        f"{place}, picture {i}" for i in (1, 60)
    ]
    (tmp_path / "my-label-idx1-ubyte").write_bytes(idx(label.astype(np.uint8)))
    with pytest.raises(DataError, match="expected the file of the pictures, such as train-images-idx3-ubyte"):
        load(tmp_path / "my-label-idx1-ubyte")


def test_transposed_digits_are_warned_about_and_can_be_turned(tmp_path, load, digits):
    image, label = arrays(digits, "test", 100)
    np.savez(tmp_path / "a.npz", images=image.swapaxes(1, 2), labels=label)
    warnings = [line for line in load(tmp_path / "a.npz")[1] if "rows and columns swapped" in line]
    assert len(warnings) == 1
    assert "try orientation=transposed" in warnings[0]
    dataset, lines = load(tmp_path / "a.npz", reading=Reading(orientation="transposed"))
    assert not any("swapped" in line for line in lines)
    known = {one.tobytes() for one in image}
    assert all(one.tobytes() in known for one in np.asarray(dataset.test.image))


def test_transposed_picture_files_are_another_data_set_than_the_same_files_upright(tmp_path, load):
    for label, first in (("a", 0), ("b", 20)):
        fill(tmp_path / "mine" / label, first=first)
    upright = load(tmp_path / "mine")[0]
    turned = load(tmp_path / "mine", reading=Reading(orientation="transposed"))[0]
    np.testing.assert_array_equal(turned.train.image, np.swapaxes(upright.train.image, 1, 2))
    assert turned.version != upright.version


def test_a_table_with_labels_only_for_training_is_used_without_the_other(tmp_path, load, digits):
    image, label = arrays(digits, "test", 60)
    header = ",".join(f"pixel{i}" for i in range(784))
    rows = np.column_stack([label, image.reshape(60, -1)])
    np.savetxt(tmp_path / "train.csv", rows, fmt="%d", delimiter=",", header=f"label,{header}", comments="")
    np.savetxt(tmp_path / "test.csv", rows[:, 1:], fmt="%d", delimiter=",", header=header, comments="")
    dataset, lines = load(tmp_path)
    assert sum(sizes(dataset)) == 60
    assert any("test.csv has no column for the label" in line and "left out" in line for line in lines)


def test_a_table_without_labels_that_is_needed_is_refused(tmp_path, load):
    header = ",".join(f"pixel{i}" for i in range(16))
    row = ",".join(["9"] * 16)
    (tmp_path / "one.csv").write_text(f"{header}\n{row}\n")
    with pytest.raises(DataError, match="one.csv has no column for the label"):
        load(tmp_path)
    (tmp_path / "one.csv").rename(tmp_path / "train.csv")
    (tmp_path / "test.csv").write_text(f"label,{header}\n3,{row}\n")
    with pytest.raises(DataError, match="train.csv has no column for the label"):
        load(tmp_path)


MAPS = {
    "csv": "zero,0\none,1\n",
    "json": '{"zero": "0", "one": 1}',
    "tabs": "zero\t0\none\t1\n",
}


@pytest.mark.parametrize("kind", MAPS)
def test_classes_are_renamed_by_a_file(tmp_path, load, kind):
    for label in ("zero", "one"):
        fill(tmp_path / "mine" / label)
    (tmp_path / "map").write_text(MAPS[kind])
    dataset, lines = load(tmp_path / "mine", class_map=str(tmp_path / "map"))
    assert dataset.classes == ("0", "1")
    assert f"{tmp_path / 'map'}: one is 1, zero is 0" in lines


def test_the_maps_of_emnist_are_codes_and_a_class_without_a_name_is_refused(tmp_path):
    (tmp_path / "map").write_text("0 48\n10 65\n36 97\n")
    assert layouts.mapping(tmp_path / "map") == {"0": "0", "10": "A", "36": "a"}
    (tmp_path / "map").write_text("1 65 97\n2 66 98\n")
    assert layouts.mapping(tmp_path / "map") == {"1": "a", "2": "b"}
    fill(tmp_path / "mine" / "3")
    with pytest.raises(ConfigError, match="does not name the classes 3"):
        layouts.find(tmp_path / "mine", Reading(), str(tmp_path / "map"))
    (tmp_path / "map").write_text("0 48 33\n")  # with three cells in a line any printable code is one
    assert layouts.mapping(tmp_path / "map") == {"0": "!"}
    (tmp_path / "map").write_text("0 33\n")
    assert layouts.mapping(tmp_path / "map") == {"0": "33"}
    (tmp_path / "map").write_text("x1,101\n")  # of classes that are no numbers it is a number
    assert layouts.mapping(tmp_path / "map") == {"x1": "101"}
    for text in ("one two three\n", "0 48 32\n", "0 48 127\n"):  # 32 is a space, 127 cannot be printed
        (tmp_path / "map").write_text(text)
        with pytest.raises(ConfigError, match="expected two names in each line"):
            layouts.mapping(tmp_path / "map")
    (tmp_path / "map").write_text("one two three four\n")
    with pytest.raises(ConfigError, match="expected a line such as `name,class`"):
        layouts.mapping(tmp_path / "map")


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read"), ("null,n\u00e9ant\n".encode("latin-1"), "cannot be read"), (b'{"a": ', "is not JSON")],
)
def test_a_class_map_that_cannot_be_read_is_named(tmp_path, content, words):
    if content is not None:
        (tmp_path / "map").write_bytes(content)
    with pytest.raises(ConfigError, match=f"the class map {tmp_path / 'map'} {words}"):
        layouts.mapping(tmp_path / "map")


@pytest.mark.parametrize("prefix", ["", "images/"])
def test_a_table_beside_one_folder_of_pictures_says_their_classes(tmp_path, load, prefix):
    fill(tmp_path / "mine" / "images", 30)
    lines = [f"{prefix}{i}.png,{'ab'[i % 2]}\n" for i in range(30)]
    (tmp_path / "mine" / "labels.csv").write_text("filename,label\n" + "".join(lines))
    dataset, said = load(tmp_path / "mine")
    assert dataset.classes == ("a", "b")
    assert sum(sizes(dataset)) == 30
    assert any("labels.csv is read" in line for line in said)


def test_one_picture_is_no_data_set(tmp_path, load):
    fill(tmp_path / "mine", 1)
    with pytest.raises(DataError, match="0.png is one picture: name a folder"):
        load(tmp_path / "mine" / "0.png")


@pytest.mark.parametrize("key", ["label_column", "pixel_scale"])
def test_what_says_nothing_about_picture_files_is_refused(tmp_path, load, key):
    for label in ("a", "b"):
        fill(tmp_path / "mine" / label)
    value = {"label_column": "latex", "pixel_scale": 16.0}[key]
    with pytest.raises(ConfigError, match=f"config.data.{key}=.* has no effect: .*mine holds"):
        load(tmp_path / "mine", reading=Reading(**{key: value}))


def test_an_edit_that_keeps_size_and_time_is_seen_and_a_touch_makes_no_copy(tmp_path, load):
    for label in ("a", "b"):
        fill(tmp_path / "mine" / label)
    before = load(tmp_path / "mine")[0]
    file = tmp_path / "mine" / "a" / "0.png"
    os.utime(file)
    assert load(tmp_path / "mine")[0].version == before.version
    about, raw = file.stat(), file.read_bytes()
    other = (tmp_path / "mine" / "a" / "1.png").read_bytes()
    file.write_bytes(other.ljust(len(raw), b"\0")[: max(len(raw), len(other))])
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert load(tmp_path / "mine")[0].version != before.version


def test_of_one_place_the_cache_keeps_two_data_sets(tmp_path, load):
    for label in ("a", "b"):
        fill(tmp_path / "mine" / label)
        fill(tmp_path / "other" / label)
    load(tmp_path / "other", validation_examples=2)
    for i in range(5):
        Image.fromarray(drawn(20 + i)).save(tmp_path / "mine" / "a" / "0.png")
        load(tmp_path / "mine")
    kept = [path for path in (tmp_path / "cache" / "datasets").iterdir() if path.name.startswith("folder-")]
    assert len(kept) == 3
