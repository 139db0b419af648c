"""The flag without which jaxlib computes some sums wrong: it is appended, and never replaces the user's value."""

import json
import os
import subprocess
import sys

import pytest

import hwr_jax
from hwr_jax.core import files, xla
from hwr_jax.core.errors import ConfigError

ROOT = os.path.dirname(os.path.dirname(hwr_jax.__file__))


def flags_after(first="", *, given=None):
    """What XLA_FLAGS are, and what was warned of, after a fresh Python has run `first` and imported hwr_jax."""
    code = (
        "import json, os, warnings\n"
        f"{first}\n"
        "with warnings.catch_warnings(record=True) as warned:\n"
        "    warnings.simplefilter('always')\n"
        "    import hwr_jax\n"
        "print(json.dumps([os.environ.get('XLA_FLAGS'), [str(w.message) for w in warned]]))"
    )
    env = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"} | ({} if given is None else {"XLA_FLAGS": given})
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT, env=env, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, xla.FLAG),
        (" --a=1 --b=x ", f"--a=1 --b=x {xla.FLAG}"),
        (f"--a=1 {xla.NAME}=dot", f"--a=1 {xla.NAME}=dot"),
    ],
)
def test_the_flag_is_appended_unless_the_user_has_set_it(given, expected):
    assert flags_after(given=given) == [expected, []]


def test_a_file_of_flags_is_left_alone_and_the_missing_flag_reported(tmp_path):
    path = tmp_path / "flags"
    path.write_text("--a=1")
    given, warned = flags_after(given=str(path))
    assert given == str(path)
    assert warned == [f"add {xla.FLAG} to the file {path} (XLA_FLAGS): some sums on CPU are wrong without it"]
    path.write_text(f"--a=1\n{xla.FLAG}")
    assert flags_after(given=str(path)) == [str(path), []]


def test_an_import_after_jax_has_started_warns_and_records_nothing():
    given, warned = flags_after("import jax; jax.devices()")
    assert given is None
    assert len(warned) == 1
    assert warned[0].startswith("JAX started before hwr_jax was imported")
    assert flags_after("import jax") == [xla.FLAG, []]


def test_further_flags_are_appended_and_a_file_of_flags_is_left_to_the_user(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", " --a=1")
    xla.append("--b=2 --c=3")
    assert os.environ["XLA_FLAGS"] == "--a=1 --b=2 --c=3"
    monkeypatch.setenv("XLA_FLAGS", "flags.txt")
    with pytest.raises(ConfigError, match=r"XLA_FLAGS=flags.txt names a file: add --b=2 to it"):
        xla.append("--b=2")


def test_a_run_records_the_flag(begun):
    assert xla.FLAG in files.read_json(begun / "environment.json")["xla_flags"]
