"""`hwr VERB` and `python -m hwr_jax VERB`: the list of verbs, and each as its own program."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from hwr_jax import __main__ as hwr
from hwr_jax.core import errors

ROOT = Path(__file__).parent.parent
VERBS = [
    "benchmark", "compare", "doctor", "evaluate", "export", "figures", "predict", "scan", "search", "serve", "study",
    "train", "verify",
]  # fmt: skip


def python(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=60)


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)])
def test_without_a_verb_the_verbs_are_listed_one_line_each(arguments):
    done = python("-m", "hwr_jax", *arguments)
    assert done.returncode == 0, done.stderr
    usage, verbs, examples, codes = done.stdout.split("\n\n")
    assert usage.startswith("usage: hwr VERB")
    lines = verbs.splitlines()
    assert [line.split()[0] for line in lines] == VERBS
    assert all(len(line.split()) > 3 and len(line) <= 100 for line in lines)
    assert "  train      Trains what a config describes" in lines
    assert examples.startswith("Examples:\n  hwr train --config=cnn ")
    assert "\n  64   wrong flag or config\n" in codes


def test_the_examples_are_command_lines_of_verbs():
    for example in hwr.EXAMPLES:
        program, verb, *arguments = example.split()
        assert program == "hwr"
        assert verb in VERBS
        help_text = python("-m", "hwr_jax", verb, "--help").stdout
        assert all(a.partition("=")[0] in help_text for a in arguments if a.startswith("--"))


def test_the_page_has_the_same_exit_codes():
    table = re.findall(r"^\| (\d+) \| (.*) \|$", (ROOT / "docs" / "exit-codes.md").read_text(), re.MULTILINE)
    assert {int(code): words.replace("`", "") for code, words in table} == errors.MEANING


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_the_program_of_its_file(verb):
    file = {"train": "main"}.get(verb, verb)
    through, alone = python("-m", "hwr_jax", verb, "--help"), python("-m", f"hwr_jax.{file}", "--help")
    assert through.returncode == 0, through.stderr
    assert through.stdout == alone.stdout
    assert "\nFlags:\n" in through.stdout


def test_a_verb_gets_its_arguments_and_gives_its_exit_code():
    done = python("-m", "hwr_jax", "train", "--config=configs/none.py")
    assert done.returncode == 64
    assert done.stderr.startswith("hwr_jax: --config=configs/none.py is not a file")


@pytest.mark.parametrize(
    ("verb", "words"),
    [("trian", "did you mean train?"), ("main", "did you mean train?"), ("xyzzy", "use one of benchmark, ")],
)
def test_an_unknown_verb_is_one_sentence_with_the_nearest_name(verb, words):
    done = python("-m", "hwr_jax", verb)
    assert done.returncode == 64
    assert done.stderr.startswith(f"hwr_jax: there is no verb {verb!r}: {words}")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_neither_the_list_nor_the_flags_of_a_verb_import_jax():
    code = (
        "import runpy, sys\n"
        "sys.argv = ['hwr', *sys.argv[1:]]\n"
        "try: runpy.run_module('hwr_jax', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code\n"
        "print([m for m in ('jax', 'numpy', 'absl') if m in sys.modules], file=sys.stderr)"
    )
    assert python("-c", code).stderr.strip() == "[]"
    for verb in VERBS:
        assert python("-c", code, verb, "--help").stderr.strip() == "['absl']"


def test_the_console_script_is_the_same_program():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"hwr": "hwr_jax.__main__:main"}
    assert callable(hwr.main)
