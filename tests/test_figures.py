"""`python -m hwr_jax.figures` as a process: which files it writes, and what it refuses."""

import re
import shutil
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from hwr_jax import figures
from hwr_jax.drawing import network, own_picture, sheets
from hwr_jax.workdir import claim


@pytest.fixture
def run(two_seeds):
    return two_seeds[0]


@pytest.fixture
def other(run, tmp_path):
    return shutil.copytree(run, tmp_path / "other", ignore=shutil.ignore_patterns("figures"))


def names(folder):
    return {path.stem for path in folder.glob("*.png")}


def test_the_help_names_every_figure():
    assert tuple(sheets.SHEETS) == figures.NAMES


def test_a_run_gets_every_figure(command, run, tmp_path):
    done = command("figures", f"--workdir={run}", f"--out={tmp_path / 'out'}", figures=True)
    assert done.returncode == 0, done.stderr
    assert names(tmp_path / "out") == set(figures.NAMES)
    assert done.stdout.split() == [str(tmp_path / "out" / f"{name}.png") for name in figures.NAMES]
    for path in (tmp_path / "out").iterdir():
        with Image.open(path) as image:
            assert image.width <= 900, path.name  # the width of a page
            assert len(np.unique(np.asarray(image.convert("L")))) > 20, path.name


def test_several_runs_share_the_figures_that_can_show_them(command, run, other):
    done = command("figures", f"--workdir={other}", f"--compare={run}", "--only=curves,calibration,confusion", "--dark")
    assert done.returncode == 0, done.stderr
    assert names(other / "figures") == {"compared_curves", "compared_calibration", "confusion"}


def test_overwriting_a_run_removes_its_figures():
    alone = [
        *figures.NAMES,
        "own_picture_my photo_1f2e3d4c",
        *(f"compared_{n}" for n in figures.NAMES if sheets.shows_several(n)),
    ]
    assert len(alone) == len(figures.NAMES) + 5
    assert all(re.fullmatch(claim.FOLDERS["figures"], f"{name}.png") for name in alone)
    assert re.fullmatch(claim.FOLDERS["figures"], "hardest.png.tmp-7")  # of a process that was killed
    assert not re.fullmatch(claim.FOLDERS["figures"], "compared_hardest.png")


def test_ones_own_picture_is_shown_as_the_model_sees_it(command, run, tmp_path, digits):
    three = np.asarray(digits.test.image)[np.flatnonzero(np.asarray(digits.test.label) == 3)[0], ..., 0]
    Image.fromarray(255 - three).resize((280, 280)).save(tmp_path / "three.png")
    done = command(
        "figures", f"--workdir={run}", f"--image={tmp_path / 'three.png'}", f"--out={tmp_path / 'out'}", figures=True
    )
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "out").iterdir()
    assert re.fullmatch(r"own_picture_three_[0-9a-f]{8}\.png", path.name)
    assert f"{path} (read: 3, " in done.stdout
    assert path.stat().st_size > 10_000


def test_two_pictures_of_one_name_have_a_figure_each_and_the_same_picture_has_one(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(network, "open_run", lambda *_, **__: None)
    monkeypatch.setattr(own_picture, "draw", lambda path, *given: drawn.append((path, given[-1])) or ("3", 0.9))
    record = SimpleNamespace(name="run", folders={0: tmp_path}, reads_strings=False)
    for name, content in (("a/1.png", b"one"), ("b/1.png", b"two"), ("1.jpg", b"one")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
        assert figures._draw_picture(record, 0, tmp_path / name, tmp_path, mock.Mock()) == 0
    (first, _), (second, _), (again, _) = drawn
    assert first != second
    assert again == first
    assert [content for _, content in drawn] == [b"one", b"two", b"one"]  # what is drawn is what was named


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--only=curve"], 64, "--only=curve is not possible: use any of curves, calibration"),
        (["--only="], 64, "--only is empty: use any of curves, calibration"),
        (["--compare="], 64, "--compare is empty: name run folders"),
        (["--image="], 64, "--image is empty: name a picture"),
        (["--seed=7"], 64, "--seed=7 was not trained in"),
        (["--compare={run}"], 64, "is named twice"),
        (["--compare={tmp}/none"], 64, "none (it does not exist) cannot be drawn: leave it out"),
        (["--image=x.png", "--only=curves"], 64, "leave --compare and --only out"),
        (["--image={tmp}/x.png"], 74, "x.png"),
        (["--image={run}/config.json"], 66, "config.json"),
        (["--out={run}/config.json"], 64, "config.json is a file: name a folder"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(command, run, tmp_path, flags, code, words):
    flags = [flag.format(run=run, tmp=tmp_path) for flag in flags]
    out = [] if any(flag.startswith("--out") for flag in flags) else [f"--out={tmp_path / 'out'}"]
    done = command("figures", f"--workdir={run}", *flags, *out)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("hwr_jax: ")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
