"""scripts/docstrings.py: a docstring that leaves out an error or a shape is found, one that has them is not."""

import textwrap

import pytest

GOOD = '''
    """A module: images are [H, W, 1]."""

    def area(image: np.ndarray) -> float:
        """The share of ink."""

    def mean(values: jax.Array) -> float:
        """The mean of values [N]. Raises DataError if there are none."""
        if not len(values):
            raise errors.DataError("none")

    def parse(text: str) -> int:
        """The number in a text."""
        try:
            if not text:
                raise ValueError("empty")
            return int(text)
        except ValueError as error:
            return 0

    def again(values: jax.Array) -> float:
        """See `mean`."""
        raise ValueError

    def decorated(call):
        """Returns a function that raises."""
        def inner():
            raise RuntimeError("later")
        return inner

    class Reader:
        """Reads images [N, H, W]; raises ConfigError."""

        def __init__(self, image: np.ndarray):
            raise ConfigError("no")

    def _hidden(image: np.ndarray):
        raise OSError
    '''
BAD = '''
    """A module."""

    def mean(values: jax.Array) -> float:
        """The mean."""
        if not len(values):
            raise errors.DataError("none")

    class Reader:
        """Reads."""

        async def read(self, *, image: np.ndarray | None):
            """Reads, or raises Other."""
            try:
                pass
            except KeyError:
                raise OSError("no") from None

        def write(self):
            """Writes."""
            try:
                raise OSError("full")
            except MyOSErrorOfOthers:
                raise
    '''


@pytest.fixture
def check(findings, tmp_path):
    """Returns check(source): what is found in a folder with this module."""

    def run(source):
        (tmp_path / "module.py").write_text(textwrap.dedent(source))
        return findings("docstrings", tmp_path)

    return run


def test_a_missing_error_and_missing_shapes_are_found(check, tmp_path):
    path = tmp_path / "module.py"
    assert check(BAD) == (
        1,
        [
            f"{path}:4: mean raises DataError, which its docstring does not name",
            f"{path}:4: mean has arrays, but its docstring no shapes",
            f"{path}:12: read raises OSError, which its docstring does not name",
            f"{path}:12: read has arrays, but its docstring no shapes",
            f"{path}:19: write raises OSError, which its docstring does not name",
            "1 files, 5 docstrings to fix",
        ],
    )


def test_docstrings_that_say_it_themselves_or_elsewhere_pass(check):
    assert check(GOOD) == (0, ["1 files: nothing to fix"])
