"""scripts/measure_composed.py writes the pages that it says, and times them."""

import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hwr_jax.inference import packaged, page_scores

SCRIPT = Path(__file__).parent.parent / "scripts" / "measure_composed.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("measure_composed", SCRIPT)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_each_kind_of_page_is_written_with_its_truth_and_scored(script, digits, tmp_path):
    script.write_pages(tmp_path, digits.test, 5, 0)
    kinds = [*script.KINDS, script.LONG_LINES]
    assert [page.medium for page in page_scores.read_truth(tmp_path)] == [kind for kind in kinds for _ in range(5)]
    found = page_scores.score(packaged.model(), tmp_path, log=print)["by_medium"]
    for kind in kinds:
        assert f"{kind}: " in script._scores(kind, found[kind])
        assert found[kind]["cer"] < 0.15


@pytest.mark.parametrize("kind", ["clean", "on a desk, in perspective"])
def test_a_page_of_a_hundred_digits_fits_the_size_that_is_timed(script, digits, kind):
    content = script.hundred(digits.test, kind, 0, 0)
    size = Image.open(io.BytesIO(content)).size
    assert all(side <= most for side, most in zip(size, script.SIZE, strict=True))
    assert np.max(np.array(size) / script.SIZE) > 0.99
    [line] = script.times(packaged.model(), {kind: [content]}, 1)
    assert line.startswith(f"a page of 100 digits, {kind}: ")
    assert script.hundred(digits.test, kind, 0, 0) == content
