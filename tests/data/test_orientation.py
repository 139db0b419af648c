"""Pictures without labels that are transposed: a warning where a model is clearly surer, and none elsewhere."""

import struct

import numpy as np
import pytest

from hwr_jax.data import orientation
from hwr_jax.inference import predictor


def table(path, grey):
    np.savetxt(path, grey.reshape(len(grey), -1), fmt="%d", delimiter=",")


def idx(path, grey):
    path.write_bytes(struct.pack(">BBBBIII", 0, 0, 8, 3, *grey.shape) + grey.tobytes())


@pytest.mark.parametrize(("name", "write"), [("digits.csv", table), ("digits.idx3-ubyte", idx)])
def test_predict_names_the_file_and_the_flag(two_seeds, command, digits, tmp_path, name, write):
    upright = np.asarray(digits.test.image[..., 0])
    for folder, grey in (("a", upright), ("b", upright.swapaxes(1, 2))):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / name, grey)
    files = [str(tmp_path / folder / name) for folder in "ab"]
    for given, wrong, other in (("upright", files[1], "transposed"), ("transposed", files[0], "upright")):
        done = command("predict", f"--workdir={two_seeds[0]}", "--format=csv", f"--orientation={given}", *files)
        assert done.returncode == 0, done.stderr
        [line] = [line for line in done.stderr.splitlines() if "swapped" in line]
        assert line.startswith(f"hwr_jax: Warning: {wrong} seems to have rows and columns swapped (the mean confid")
        assert line.endswith(f"try --orientation={other}")
        assert len(done.stdout.splitlines()) == 1 + 2 * len(upright)


@pytest.fixture(scope="module")
def model(two_seeds):
    return predictor.load(two_seeds[0], log=lambda line: None)


def judge(model, image):
    sure = np.array([found[0][1] for found in model.read(image)])
    return orientation.warning_unlabelled("x", image, sure, model.read, "upright")


def test_neither_few_pictures_nor_blank_ones_nor_noise_are_judged(model, digits):
    turned = np.asarray(digits.test.image).swapaxes(1, 2)
    assert judge(model, turned) is not None
    assert judge(model, turned[:9]) is None
    assert judge(model, np.zeros((200, 28, 28, 1), np.uint8)) is None
    assert judge(model, np.random.default_rng(0).integers(0, 256, (200, 28, 28, 1), np.uint8)) is None


def test_a_small_gain_and_one_class_are_no_proof():
    rng = np.random.default_rng(0)
    image, before = np.zeros((100, 28, 28, 1), np.uint8), rng.uniform(0.4, 0.6, 100)

    def judged(gain, labels="0123"):
        found = [[(labels[i % len(labels)], float(before[i] + gain[i]))] for i in range(100)]
        return orientation.warning_unlabelled("x.csv", image, before, lambda turned: found, "upright")

    assert "x.csv seems" in judged(np.full(100, 0.06))
    assert judged(np.full(100, 0.04)) is None  # too little
    assert judged(rng.normal(0.06, 0.4, 100)) is None  # too uncertain
    assert judged(np.full(100, 0.3), labels="07") is None
    assert judged(np.full(100, -0.3)) is None


def test_of_a_large_file_a_sample_is_read():
    seen = []

    def read(turned):
        seen.append(turned)
        return [[("1", 1.0)]] * len(turned)

    image = np.arange(1200 * 4, dtype=np.uint16).astype(np.uint8).reshape(1200, 2, 2, 1)
    orientation.warning_unlabelled("x", image, np.zeros(1200), read, "upright")
    [turned] = seen
    assert len(turned) == orientation.SAMPLE
    np.testing.assert_array_equal(turned[[0, -1]], image[[0, -1]].swapaxes(1, 2))
