"""Tables by their header and content: separators, columns, labels, and a note for whatever was chosen or dropped."""

import gzip

import numpy as np
import pytest
from PIL import Image

from hwr_jax.core.errors import ConfigError, DataError
from hwr_jax.pictures import inputs, tables
from hwr_jax.pictures.tables import Reading

PIXELS = [[0, 0, 9, 0, 0, 250, 8, 0, 0, 7, 255, 0, 0, 0, 6, 0], [0, 3, 0, 0, 0, 9, 255, 0, 0, 5, 1, 0, 0, 0, 4, 0]]
NAMES = [f"pixel{i}" for i in range(16)]


def table(tmp_path, text, *, labelled=True, name="t.csv", **reading):
    place = tmp_path / name
    place.write_bytes(text if isinstance(text, bytes) else text.encode())
    return tables.read(place, Reading(**reading), labelled=labelled)


def lines(rows, separator=","):
    return "".join(separator.join(map(str, row)) + "\n" for row in rows)


LAYOUTS = {
    "label first": [["label", *NAMES], [7, *PIXELS[0]], [1, *PIXELS[1]]],
    "label last": [[*NAMES, "class"], [*PIXELS[0], 7], [*PIXELS[1], 1]],
    "pandas' index": [["", "label", *NAMES], [0, 7, *PIXELS[0]], [1, 1, *PIXELS[1]]],
    "a further column": [["id", "writer", "label", *NAMES], ["a", 5, 7, *PIXELS[0]], ["b", 5, 1, *PIXELS[1]]],
    "floats": [["label", *NAMES], ["7.0", *map(float, PIXELS[0])], ["1.0", *map(float, PIXELS[1])]],
    "no header, label first": [[7, *PIXELS[0]], [1, *PIXELS[1]]],
    "no header, label last": [[*PIXELS[0], 7], [*PIXELS[1], 1]],
    "no header, index and label": [[0, 7, *PIXELS[0]], [1, 1, *PIXELS[1]]],
    "rows and columns in the names": [
        ["label", *(f"{i}x{j}" for i in range(1, 5) for j in range(1, 5))],
        [7, *PIXELS[0]],
        [1, *PIXELS[1]],
    ],
    "pandas' own names": [["", *range(17)], [0, 7, *PIXELS[0]], [1, 1, *PIXELS[1]]],
    "columns sorted as words": [
        ["label", *sorted(NAMES)],
        *([label, *(row[int(n[5:])] for n in sorted(NAMES))] for label, row in zip((7, 1), PIXELS, strict=True)),
    ],
}


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_pixels_gives_the_same_labels_and_pixels(tmp_path, layout, separator):
    found = table(tmp_path, lines(LAYOUTS[layout], separator))
    assert found.labels == ["7", "1"]
    np.testing.assert_array_equal(found.pixels, PIXELS)
    unlabelled = table(tmp_path, lines(LAYOUTS[layout], separator), labelled=False)
    assert unlabelled.labels is None
    np.testing.assert_array_equal(unlabelled.pixels, PIXELS)
    assert any("ignored" in note for note in unlabelled.notes)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (lines(LAYOUTS["label first"]), "utf-16"),
        (lines(LAYOUTS["label first"]), "utf-8-sig"),
        ("sep=;\n" + lines(LAYOUTS["label first"], ";"), "utf-8"),
        (lines(LAYOUTS["floats"], ";").replace(".", ","), "utf-8"),
        (lines(LAYOUTS["label first"]).replace("\n", "\r\n"), "utf-8"),
        (lines(LAYOUTS["label first"]).replace("\n", ",\n"), "utf-8"),
        (lines([["# label", *NAMES], *LAYOUTS["label first"][1:]]), "utf-8"),
        (lines(LAYOUTS["label first"][1:], " "), "utf-8"),
    ],
)
def test_what_excel_pandas_and_numpy_write_is_read(tmp_path, text, encoding):
    for name, content in (("t.csv", text.encode(encoding)), ("t.csv.gz", gzip.compress(text.encode(encoding)))):
        found = table(tmp_path, content, name=name)
        assert found.labels == ["7", "1"]
        np.testing.assert_array_equal(found.pixels, PIXELS)


def test_dropped_columns_and_a_label_of_another_name_are_reported(tmp_path):
    found = table(tmp_path, lines([["id", "writer", "target", *NAMES], [4, 5, 7, *PIXELS[0]], [9, 5, 1, *PIXELS[1]]]))
    place = tmp_path / "t.csv"
    assert found.notes == [f"{place}: the label is column 'target'", f"{place}: ignored columns 'id', 'writer'"]


PATHS = {
    "label last": ("path,label\na.png,3\nb.png,5\n", {}),
    "label first": ("label,path\n3,a.png\n5,b.png\n", {}),
    "pandas' index": (",path,label\n0,a.png,3\n1,b.png,5\n", {}),
    "semicolon": ("path;label\na.png;3\nb.png;5\n", {}),
    "no header": ("a.png,3\nb.png,5\n", {}),
    "no header, label first": ("3,a.png\n5,b.png\n", {}),
    "no header, index": ("0,a.png,3\n1,b.png,5\n", {}),
    "by name": ("path,symbol_id,latex,user_id\na.png,43,3,0\nb.png,45,5,0\n", {"label_column": "latex"}),
    "by another case": ("path,id,Latex\na.png,43,3\nb.png,45,5\n", {"label_column": "latex"}),
    "last": ("path,symbol_id,latex\na.png,43,3\nb.png,45,5\n", {"label_column": "last"}),
    "first": ("latex,path,symbol_id\n3,a.png,43\n5,b.png,45\n", {"label_column": "first"}),
    "known name": ("file,writer,Class\na.png,9,3\nb.png,9,5\n", {}),
}


@pytest.mark.parametrize("layout", PATHS)
def test_every_layout_of_paths_gives_the_same_pictures_and_labels(tmp_path, layout):
    text, reading = PATHS[layout]
    found = table(tmp_path, text, **reading)
    assert found.labels == ["3", "5"]
    assert [path.name for path in found.paths or []] == ["a.png", "b.png"]


def test_paths_may_lack_a_suffix_have_backslashes_and_name_a_split(tmp_path):
    (tmp_path / "img").mkdir()
    for name in ("one", "two"):
        Image.new("L", (9, 9)).save(tmp_path / "img" / name, "PNG")
    found = table(tmp_path, "file,split,label\nimg\\one,Train,3\nimg\\two,validation,5\n")
    assert found.splits == ["train", "validation"]
    assert all(path.is_file() for path in found.paths or [])


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        (
            "path,symbol_id,latex,user_id\na.png,43,3,0\n",
            ConfigError,
            "symbol_id, latex, user_id .* could be the label",
        ),
        (lines([[7, *PIXELS[0][:-1], 3], [1, *PIXELS[1][:-1], 4]]), ConfigError, "first or its last column could be"),
        (lines([NAMES, *PIXELS]), DataError, "has no column for the label: add one that is named label"),
        (lines([["label", *NAMES], ["", *PIXELS[0]]]), DataError, "line 2: the label is missing"),
        (lines([["label", *NAMES], [1, "x", *PIXELS[0][1:]]]), DataError, "line 2: 'x' is not a pixel"),
        (lines([["label", *NAMES], [1, "", *PIXELS[0][1:]]]), DataError, "line 2: '' is not a pixel"),
        ("a.png,3\nb.png\n", DataError, "line 2: 1 fields, expected 2 as in line 1"),
        (
            "path,label,split\na.png,3,train\nb.png,5,tset\n",
            DataError,
            "t.csv, column split: 'tset' is no split: write",
        ),
        ("path,label,split\na.png,3,train\nb.png,5,\n", DataError, "column split: '' is no split: write train, val or"),
        ("word,other\nx,y\n", DataError, "is not a table of pictures: none of its 2 columns names picture files"),
        (b"PK\x03\x04rest", DataError, "not a CSV file but a workbook or archive: save it as CSV"),
        ("größe,1\n".encode("latin-1"), DataError, "not text in UTF-8 .byte 3.: expected a CSV file in UTF-8"),
    ],
)
def test_a_table_that_is_not_understood_is_one_sentence(tmp_path, text, error, words):
    with pytest.raises(error, match=words) as caught:
        table(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_label_column_that_is_not_there_lists_those_that_are(tmp_path):
    with pytest.raises(
        ConfigError, match=r"label_column=x is not in .*t.csv: it has 'id', 'latex'; or use first or last"
    ):
        table(tmp_path, "path,id,latex\na.png,4,3\n", label_column="x")


def read(tmp_path, rows, **reading):
    place = tmp_path / "t.csv"
    place.write_text(lines(rows))
    return inputs.read([str(place)], height_px=28, width_px=28, lines=False, reading=Reading(**reading))


def framed(full):
    grey = np.zeros((28, 28))
    grey[8:20, 12:15] = full
    return grey.ravel().tolist()


@pytest.mark.parametrize("full", [1, 1.0, 16, 16.0, 255])
def test_the_scale_of_the_pixels_is_found_from_the_whole_file_and_reported(tmp_path, full):
    found = read(tmp_path, [framed(full / 2 if full != 1 else 1), framed(full)])
    assert found.images[1].max() == 255
    assert found.images[0].max() in (127, 128, 255)
    assert [f"on the scale 0 to {full:g}" in note for note in found.notes] == ([] if full == 255 else [True])


def test_the_scale_can_be_set_and_what_lies_outside_of_it_is_refused(tmp_path):
    assert read(tmp_path, [framed(16)], pixel_scale=255.0).images.max() == 16
    assert read(tmp_path, [framed(65535)], pixel_scale=65535.0).images.max() == 255
    for value, words in (
        (-1, "values from -1 to 0"),
        (300, "values from 0 to 300, expected 0 to 255; for another scale"),
    ):
        with pytest.raises(DataError, match=f"line 2: {words}"):
            read(tmp_path, [framed(255), framed(value)])
    with pytest.raises(DataError, match="expected 0 to 100$"):
        read(tmp_path, [framed(255)], pixel_scale=100.0)


def test_a_line_of_floats_is_a_picture_and_no_header(tmp_path):
    found = read(tmp_path, [framed(0.5)])
    assert len(found.names) == 1
    assert found.names[0].endswith("t.csv, line 1")


def test_transposed_pixels_are_turned(tmp_path):
    upright, turned = (
        read(tmp_path, [framed(255)], orientation=o).images[0, ..., 0] for o in ("upright", "transposed")
    )
    np.testing.assert_array_equal(upright.T, turned)
    assert (upright != turned).any()


def test_a_table_of_paths_is_read_for_prediction_without_its_labels(tmp_path):
    Image.fromarray(255 - np.uint8(np.reshape(framed(255), (28, 28)))).save(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text("path,label\na.png,3\n")
    found = inputs.read([str(tmp_path / "t.csv")], height_px=28, width_px=28, lines=False)
    assert found.images.shape == (1, 28, 28, 1)
    assert found.notes == [f"{tmp_path / 't.csv'}: ignored column 'label'"]
