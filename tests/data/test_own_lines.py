"""A user's own lines of writing: texts are kept as they are written, and what is changed or left out is named."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from quick_runs import FASTEST

from hwr_jax import data
from hwr_jax.config import check, configs
from hwr_jax.core.errors import ConfigError, DataError
from hwr_jax.data import configured, line_layouts, loading, own_lines, strings
from hwr_jax.data.own_lines import Frame
from hwr_jax.pictures import inputs
from hwr_jax.pictures.tables import Reading
from hwr_jax.steps.overrides import check_overrides
from hwr_jax.steps.plan import make_plan
from hwr_jax.steps.recipe import make_recipe, whole_px
from hwr_jax.tasks import metrics
from hwr_jax.training import experiment
from hwr_jax.workdir import logs

ROOT = Path(__file__).parents[2]
FRAME = Frame(16, 32, 4)  # reads up to 4 characters


def drawn(i, marks=2, rows=1, wide=12):
    """A picture of `marks` bars side by side on each of `rows` lines, uint8 [h, w]."""
    grey = np.full((36 * rows + 8, wide * marks + 24), 235, np.uint8)
    for row in range(rows):
        for mark in range(marks):
            top, left = 36 * row + 6 + i % 6, 10 + wide * mark
            grey[top : 36 * row + 24 + i // 6, left : left + 4 + (i + mark) % 3] = 30
    return grey


def save(path, i=0, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(drawn(i, **more)).save(path)


def table(place, texts, *, name="labels.csv", header="path,text", splits=None, first=0):
    """A table of a picture for each text, quoted where CSV needs it; returns its path."""
    place.mkdir(parents=True, exist_ok=True)
    lines = [header] if header else []
    for i, text in enumerate(texts, first):
        save(place / f"{i}.png", i)
        quoted = '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n') else text
        lines.append(f"{i}.png,{quoted}" + (f",{splits[i - first]}" if splits else ""))
    (place / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return place / name


@pytest.fixture
def load(tmp_path):
    """Returns load(place): the data set and what was said, with a cache of its own."""

    def loaded(place, frame=FRAME, **more):
        said = []
        more = {"named": (), "validation_examples": 5000, **more}
        dataset = data.load(
            "folder", manual_dir=place, cache_dir=tmp_path / "cache", frame=frame, log=said.append, **more
        )
        return dataset, "\n".join(said)

    return loaded


def texts(dataset, *splits):
    return sorted(
        metrics.text(row, dataset.classes)
        for split in splits or ("train", "validation", "test")
        for row in np.asarray(getattr(dataset, split).label)
    )


SOME = ["0042", "7.0", "12", "1 2", "7", "42", "00", "1", "21", "70"]


def test_each_picture_is_a_line_with_its_text_and_what_was_understood_is_said(tmp_path, load):
    place = table(tmp_path / "mine", SOME).parent
    dataset, said = load(place)
    assert texts(dataset) == sorted(SOME)
    assert dataset.classes == (" ", ".", "0", "1", "2", "4", "7")
    assert dataset.train.image.shape == (7, 16, 32, 1)
    assert (dataset.train.label.dtype, dataset.train.label.shape) == (np.int32, (7, 4))
    sizes = [len(getattr(dataset, split).label) for split in ("train", "validation", "test")]
    assert sizes == [7, 1, 2]
    assert (
        f"{place}: 10 lines of 1 to 4 characters; 7 different ones: (space) . 0 1 2 4 7; 7 lines to train on, 1 for "
        "validation (drawn), 2 for test (drawn)"
    ) in said
    for image, label in zip(dataset.train.image, dataset.train.label, strict=True):
        i = SOME.index(metrics.text(label, dataset.classes))
        np.testing.assert_array_equal(image[..., 0], inputs.to_line(place / f"{i}.png", 16, 32))
    again, _ = load(place / "labels.csv")
    assert (again.version, again.sha256) == (dataset.version, dataset.sha256)


@pytest.mark.parametrize(
    "text", ["0042", "7.0", "1,5", '5"', '"a"', "a  b", "1e3", "\u201e7\u201c", "#1", "nan", "a;b", "'a", "=1"]
)
def test_a_text_is_kept_as_it_is_written(tmp_path, load, text):
    assert texts(load(table(tmp_path / "mine", [*SOME, text]))[0]) == sorted([*SOME, text])


def test_a_decimal_comma_stays_one_in_other_tables(tmp_path, load):
    place = table(tmp_path / "mine", ["x"] * 10)
    for separator in "\t;":
        rows = [f"{i}.png{separator}{i},5" for i in range(10)]
        place.write_text("\n".join([separator.join(["path", "text"]), *rows]))
        assert texts(load(place)[0]) == [f"{i},5" for i in range(10)]


def test_whitespace_around_a_text_and_decomposed_characters_are_noted(tmp_path, load):
    place = table(tmp_path / "mine", [*SOME, " 7 ", unicodedata.normalize("NFD", "\u00e9")])
    dataset, said = load(place)
    assert texts(dataset) == sorted([*SOME, "7", "\u00e9"])
    assert f"Removed the whitespace around 1 text: {place}, line 12" in said
    assert f"Composed the characters of 1 text (Unicode NFC): {place}, line 13" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('""', "line 12: the text is empty"),
        ("   ", "line 12: the text is empty"),
        ('"1\n2"', "line 13: the text holds a line break; a picture shows one line"),
        ("1\t2", r"line 12: the text holds the control character \\t"),
        ('"1" 2', "line 12: a cell that begins with a quotation mark has to end with one"),
        ("12345", "line 12: the text has 5 characters, and the network reads at most 4: use "
                  "config.data.strings.width_px=36 or more, a smaller config.model.column_px, or shorter lines"),
    ],
)  # fmt: skip
def test_a_text_that_cannot_be_used_is_refused_with_its_line(tmp_path, load, text, words):
    place = table(tmp_path / "mine", SOME)
    save(place.with_name("x.png"))
    place.write_text(place.read_text() + f"x.png,{text}\n")
    with pytest.raises(DataError, match=words):
        load(place)


def test_the_width_that_a_long_text_needs_is_enough(tmp_path, load):
    place = table(tmp_path / "mine", [*SOME, "12345"])
    dataset, _ = load(place, Frame(16, 36, 4))
    assert dataset.train.image.shape[1:] == (16, 36, 1)
    assert Frame(16, 36, 4).longest == 5 == Frame(16, 40, 4, crop_px=2).longest


@pytest.mark.parametrize("header", ["path,text", "file,transcription", "image,label", "name,GT", None])
def test_the_text_is_found_by_the_name_of_its_column(tmp_path, load, header):
    dataset, said = load(table(tmp_path / "mine", SOME, header=header))
    assert texts(dataset) == sorted(SOME)
    assert ("the text is column" in said) == (header != "path,text")


def test_two_columns_that_could_be_the_text_are_left_to_the_user(tmp_path, load):
    place = table(tmp_path / "mine", [f"{text},{i % 2}" for i, text in enumerate(["12", "7"] * 5)])
    place.write_text("path,text,label\n" + place.read_text().split("\n", 1)[1].replace('"', ""))
    with pytest.raises(ConfigError, match="text, label beside the pictures, and each could be the text: choose one"):
        load(place)
    dataset, said = load(place, reading=Reading(label_column="text"))
    assert set(texts(dataset)) == {"12", "7"}
    assert "ignored column 'label'" in said


def test_a_column_a_table_for_each_split_and_folders_of_splits_say_the_same(tmp_path, load):
    splits = ["train"] * 6 + ["val"] * 2 + ["test"] * 2
    found = [load(table(tmp_path / "column", SOME, header="path,text,split", splits=splits))]
    for name, part in (("train", slice(6)), ("val", slice(6, 8)), ("test", slice(8, 10))):
        table(tmp_path / "tables", SOME[part], name=f"{name}.csv", first=part.start or 0)
        table(tmp_path / "folders" / name, SOME[part], first=part.start or 0)
        for i, text in enumerate(SOME[part], part.start or 0):
            save(tmp_path / "beside" / name / f"{i}.png", i)
            (tmp_path / "beside" / name / f"{i}.txt").write_text(text + "\n")
            save(tmp_path / "one" / name / f"{i}.png", i)
    rows = [f"{'val' if s == 'val' else s}/{i}.png,{t}" for i, (s, t) in enumerate(zip(splits, SOME, strict=True))]
    (tmp_path / "one" / "labels.csv").write_text("\n".join(["path,text", *rows]))
    found += [load(tmp_path / place) for place in ("tables", "folders", "beside", "one")]
    assert "the folders of the pictures say the split: train is the train split" in found[-1][1]
    for dataset, said in found:
        assert "2 for validation (your own split), 2 for test (your own split)" in said
        for split, part in (("train", slice(6)), ("validation", slice(6, 8)), ("test", slice(8, 10))):
            assert texts(dataset, split) == sorted(SOME[part])
        np.testing.assert_array_equal(dataset.test.image, found[0][0].test.image)


def test_a_text_beside_each_picture_and_what_has_none_is_named(tmp_path, load):
    for i, text in enumerate(SOME):
        save(tmp_path / "mine" / "deep" / f"{i}.png", i)
        (tmp_path / "mine" / "deep" / f"{i}{'.txt' if i % 2 else '.gt.txt'}").write_bytes(text.encode() + b"\r\n")
    save(tmp_path / "mine" / "bare.png")
    (tmp_path / "mine" / "README.txt").write_text("mine")
    dataset, said = load(tmp_path / "mine")
    assert texts(dataset) == sorted(SOME)
    assert "left out 1 picture without a text file (bare.png)" in said
    assert "left out 1 file beside no picture (README.txt)" in said
    (tmp_path / "mine" / "deep" / "0.txt").write_text("1")
    with pytest.raises(DataError, match=r"0\.png has two texts beside it, 0\.txt and 0\.gt\.txt: remove one"):
        load(tmp_path / "mine")


def test_pictures_that_the_table_does_not_name_are_noted(tmp_path, load):
    place = table(tmp_path / "mine", SOME).parent
    save(place / "more" / "other.png")
    assert "left out 1 picture that no line of the table names (other.png)" in load(place)[1]


def test_what_holds_no_texts_is_refused(tmp_path, load):
    save(tmp_path / "mine" / "3" / "a.png")
    with pytest.raises(DataError, match="holds 1 picture and no text: expected a table with a line path,text"):
        load(tmp_path / "mine")
    with pytest.raises(DataError, match=r"a\.png is no table of lines"):
        load(tmp_path / "mine" / "3" / "a.png")
    with pytest.raises(ConfigError, match="is neither a folder nor a CSV file"):
        load(tmp_path / "nothing")
    rows = [",".join(["3", *["0"] * 100])] * 10
    (tmp_path / "pixels.csv").write_text("\n".join(rows))
    with pytest.raises(DataError, match="names no picture files: expected a line of path,text"):
        load(tmp_path / "pixels.csv")
    save(tmp_path / "latin" / "a.png")
    (tmp_path / "latin" / "a.txt").write_bytes("née".encode("latin-1"))
    with pytest.raises(DataError, match=r"a\.txt is not text in UTF-8 \(byte 2\): save it as UTF-8"):
        load(tmp_path / "latin")


def test_tables_and_splits_that_contradict_each_other_are_refused(tmp_path):
    def find(place, **reading):
        return line_layouts.find(place, Reading(**reading)).items

    table(tmp_path / "two", SOME)
    table(tmp_path / "two", SOME, name="other.csv")
    with pytest.raises(DataError, match=r"two has 2 tables \(labels\.csv, other\.csv\), so name one of them"):
        find(tmp_path / "two")
    table(tmp_path / "mine" / "train", ["1", "2"], header="path,text,split", splits=["train", "test"])
    with pytest.raises(DataError, match=r"line 3 says test, but the table lies in .*train: leave one of them out"):
        find(tmp_path / "mine")
    save(tmp_path / "beside" / "train" / "0.png")
    (tmp_path / "beside" / "train" / "0.txt").write_text("12")
    assert [(item.split, item.label) for item in find(tmp_path / "beside")] == [("train", "12")]
    with pytest.raises(ConfigError, match=r"config\.data\.label_column=text has no effect: .*beside holds no table"):
        find(tmp_path / "beside", label_column="text")
    save(tmp_path / "beside" / "a.png")
    with pytest.raises(DataError, match=r"beside has a\.png beside the splits train: move these away, or into a split"):
        find(tmp_path / "beside")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"class_map": "map"}, "config.data.class_map=map does not apply to lines"),
        ({"reading": Reading(pixel_scale=16.0)}, "config.data.pixel_scale=16.0 does not apply to lines"),
        ({"reading": Reading(orientation="transposed")}, "config.data.orientation=transposed does not apply"),
        ({"label_noise": 0.5}, "config.data.label_noise=0.5 is not for strings: use 0"),
        ({"negatives": 5}, "config.data.negatives=5 needs images of 28x28 pixels"),
    ],
)
def test_a_setting_of_single_characters_is_refused(tmp_path, load, more, words):
    with pytest.raises(ConfigError, match=words):
        load(table(tmp_path / "mine", SOME), **more)


def test_one_picture_with_two_texts_is_refused_and_with_one_text_twice_noted(tmp_path, load):
    place = table(tmp_path / "mine", SOME)
    place.write_text(place.read_text() + "2.png,12\n")
    assert f"Warning: 1 picture is named more than once: {place}, line 12" in load(place)[1]
    place.write_text(place.read_text() + "2.png,13\n")
    with pytest.raises(DataError, match=rf"line 13: 2\.png is '13' here, and '12' in {place}, line 4: correct one"):
        load(place)


def test_a_character_that_cannot_be_learnt_is_named_with_its_count(tmp_path, load):
    found = ["111", "111", "112", "11", "x1x", "12"]
    splits = ["train"] * 4 + ["test", "val"]
    _, said = load(table(tmp_path / "mine", found, header="path,text,split", splits=splits))
    assert "Warning: no training line has these characters, so they cannot be learnt: x (2 in test); add lines" in said
    assert "Warning: characters that occur fewer than 5 times in the training lines: 2 (1)" in said


def test_several_lines_and_narrowed_ones_are_counted_and_named_each_time(tmp_path, load):
    place = table(tmp_path / "mine", SOME)
    save(place.with_name("3.png"), rows=2)
    save(place.with_name("4.png"), marks=8, wide=24)
    said = [load(place)[1] for _ in range(2)]
    assert ["once" in one for one in said] == [True, False]  # then they come from the cache
    for one in said:
        assert "Warning: 1 of 10 pictures seem to hold several lines, of which the heaviest near the middle" in one
        assert f"taken: {place}, line 5 (2)" in one
        assert "were narrowed (config.data.strings.width_px gives more room)" in one
        assert f"{place}, line 6 (" in one


def test_the_identity_covers_texts_names_pictures_splits_and_the_size(tmp_path, load):
    splits = ["train"] * 8 + ["test"] * 2
    place = table(tmp_path / "mine", SOME, header="path,text,split", splits=splits)
    versions = [
        load(place)[0].version,
        load(place, Frame(16, 36, 4))[0].version,
        load(place, Frame(20, 32, 4))[0].version,
    ]
    plain = place.read_text()
    for changed in (plain.replace("70,test", "71,test"), plain.replace("70,test", "70,val")):
        place.write_text(changed)
        versions.append(load(place)[0].version)
    place.with_name("9.png").rename(place.with_name("nine.png"))
    place.write_text(plain.replace("9.png", "nine.png"))
    versions.append(load(place)[0].version)
    save(place.with_name("nine.png"), 40)
    versions.append(load(place)[0].version)
    assert len(set(versions)) == len(versions)


def test_unreadable_pictures_are_named(tmp_path, load):
    place = table(tmp_path / "mine", SOME)
    place.with_name("2.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match=r"1 of 10 pictures cannot be used; remove or fix them: .*2\.png"):
        load(place)


def test_fewer_training_lines_and_streamed_ones(tmp_path, load):
    place = table(tmp_path / "mine", SOME)
    every, some = load(place)[0], load(place, train_examples=3)[0]
    assert len(some.train.label) == 3
    assert set(texts(some, "train")) <= set(texts(every, "train"))
    streamed = load(place, stream=True)[0]
    np.testing.assert_array_equal(streamed.train.image[np.arange(7)], every.train.image)


def test_all_lines_count_in_an_evaluation_and_long_texts_are_noted(tmp_path, load):
    dataset, said = load(table(tmp_path / "mine", ["12", "123456"]), whole=True, validation_examples=None)
    assert sorted(map(len, texts(dataset))) == [2, 6]
    assert dataset.drawn_test
    assert "Warning: 1 text longer than the 4 characters that the network can read" in said


def test_characters_are_matched_by_name_to_those_of_a_model(tmp_path, load):
    dataset, _ = load(table(tmp_path / "mine", ["12", "7", "21", "1", "2", "72"]))
    fitted = loading.with_classes(dataset, tuple("9876543210"), log=lambda line: None)
    assert texts(fitted) == texts(dataset)
    assert fitted.named == dataset.classes
    with pytest.raises(
        ConfigError, match=r"has the character '7', which the model does not know \(it knows 1, 2\): to"
    ):
        loading.with_classes(dataset, ("1", "2"))


def crnn(**overrides):
    overrides = {"data.name": "folder", **{k.replace("__", "."): v for k, v in overrides.items()}}
    made = configs.load(ROOT / "configs" / "crnn.py:smoke", overrides)
    check.check(made)
    return made


def test_the_network_decides_what_a_label_is(smoke):
    lines, characters = crnn(), smoke(data__name="folder")
    assert [configured.reads_strings(config) for config in (lines, characters)] == [True, False]
    assert [make_plan(config).reads_strings for config in (lines, characters)] == [True, False]
    assert [whole_px(config) for config in (lines, characters)] == [(32, 64), (28, 28)]
    assert [configured.frame(config) for config in (lines, characters)] == [Frame(32, 64, 4), None]
    recipe = make_recipe(lines, examples=1000, classes=3, mean=0.1, std=0.3)
    assert recipe.task.read(np.zeros((2, 16, 4), np.float32)).shape == (2, 16)
    with pytest.raises(ConfigError, match="crnn needs strings, or folder with your own lines"):
        make_recipe(crnn(data__name="digits"), examples=1000, classes=10, mean=0.1, std=0.3)


def test_the_size_of_the_image_applies_to_own_lines_and_how_lines_are_composed_does_not():
    check_overrides(crnn(data__strings__width_px=96), {"data.strings.width_px": 96})
    with pytest.raises(ConfigError, match="config.data.strings.gap_px=3.0 has no effect here"):
        check_overrides(crnn(data__strings__gap_px=3.0), {"data.strings.gap_px": 3.0})


def test_the_config_of_a_run_records_how_long_its_texts_are(tmp_path, monkeypatch):
    monkeypatch.setenv("HWR_CACHE_DIR", str(tmp_path / "cache"))
    place = table(tmp_path / "mine", [*SOME, *SOME])
    given = {"data.name": "folder", "data.manual_dir": str(place), "batch_size": 8}
    prepared = experiment.prepare("", crnn(**given), given, None, lambda line: None)
    shortest, longest = own_lines.lengths(prepared.dataset)
    assert tuple(prepared.config.data.strings.lengths) == (shortest, longest) == (1, 4)
    assert make_plan(prepared.config).longest == 4
    assert prepared.config.data.validation_examples == len(prepared.dataset.validation.label)


@pytest.mark.slow
def test_a_run_learns_own_lines_and_is_evaluated_on_others(tmp_path, command, caches):
    settings = crnn(data__name="strings").data.strings.to_dict()
    settings |= {"train": 120, "validation": 1, "test": 1, "lengths": (1, 2)}
    glyphs = data.load("digits", cache_dir=caches["HWR_CACHE_DIR"], log=lambda line: None)
    made = strings.compose(glyphs, settings, cache_dir=tmp_path / "cache", log=lambda line: None).train
    place, rows = tmp_path / "mine", ["path,text"]
    place.mkdir()
    for i, (image, label) in enumerate(zip(made.image, made.label, strict=True)):
        paper = np.pad(235 - np.asarray(image[..., 0]) // 5 * 4, 12, constant_values=235).astype(np.uint8)
        Image.fromarray(paper).resize((176, 112)).save(place / f"{i}.png")
        rows.append(f"{i}.png,{metrics.text(label, glyphs.classes)}")
    (place / "labels.csv").write_text("\n".join(rows))
    run = tmp_path / "run"
    flags = {
        "data.name": "folder", "data.manual_dir": place, "epochs": 4, "batch_size": 16, "model.dropout": 0.0,
        "model.features": "(4, 8, 8)", "model.dense": 0, "eval.beam": 1, "data.strings.width_px": 32,
        "model.cell": "simple", "model.bidirectional": False,
        **dict.fromkeys(("augment.shift_px", "augment.rotate_deg", "augment.scale", "augment.shear_deg"), 0.0),
    }  # fmt: skip
    flags = [f"--config.{key}={value}" for key, value in flags.items()]
    few_steps = {"XLA_FLAGS": FASTEST}
    done = command("main", "--config=configs/crnn.py:smoke", f"--workdir={run}", *flags, env=few_steps)
    assert done.returncode == 0, done.stderr
    assert f"{place}: 120 lines of 1 to 2 characters; 10 different ones: 0 1 2 3 4 5 6 7 8 9; 80 lines" in done.stdout
    lines = logs.read_metrics(run / "metrics.jsonl")
    losses = [line["per_seed"]["loss"][0] for line in lines if line["split"] == "train"]
    assert losses[-1] < losses[0] / 2
    summary = json.loads((run / "summary.json").read_text())
    found = json.loads(command("evaluate", f"--workdir={run}", "--format=json", env=few_steps).stdout)
    assert (found["cer"], found["examples"]) == (summary["test"]["cer"], 24)
    (place / "labels.csv").write_text("path,text\n0.png,1a\n")
    wrong = command("evaluate", f"--workdir={run}", "--dataset=folder", f"--manual_dir={place}")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (64, 1)
    assert "folder has the character 'a', which the model does not know" in wrong.stderr
