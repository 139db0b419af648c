"""The bar over a training: images, speed and what is left on a terminal, and nothing elsewhere."""

import io

import pytest
from rich.console import Console

from hwr_jax.cli.console import progress_bar


@pytest.mark.parametrize(("is_terminal", "words"), [(True, "training 128/200 1,234 images/s, left:"), (False, "")])
def test_a_bar_counts_the_images_of_the_run(is_terminal, words):
    file = io.StringIO()
    console = Console(file=file, width=120, force_terminal=is_terminal, color_system=None, _environ={})
    with progress_bar(console, images=200, done=64) as advance:
        advance(64, 1234.4)
    assert words in " ".join(file.getvalue().replace("━", "").replace("╸", "").split())
    assert bool(file.getvalue()) == is_terminal
