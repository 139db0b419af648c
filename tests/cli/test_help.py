"""--help and --version of every verb: a usage line, the required flags first, and words that stand alone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hwr_jax
from hwr_jax import __main__ as hwr
from hwr_jax.cli import command, flags

ROOT = Path(__file__).parents[2]
VERBS = {
    "benchmark": "--config=CONFIG [--FLAG=VALUE ...]",
    "compare": "[--FLAG=VALUE ...] RUN...",
    "doctor": "[--FLAG=VALUE ...]",
    "evaluate": "[--FLAG=VALUE ...]",
    "export": "--format=safetensors|stablehlo|onnx|litert|web --out=FOLDER [--FLAG=VALUE ...]",
    "figures": "--workdir=FOLDER [--FLAG=VALUE ...]",
    "main": "--config=CONFIG [--FLAG=VALUE ...]",
    "predict": "[--FLAG=VALUE ...] PICTURE...",
    "scan": "[--FLAG=VALUE ...] PICTURE...",
    "search": "--search=FILE [--FLAG=VALUE ...]",
    "serve": "[--FLAG=VALUE ...]",
    "study": "--study=FILE [--FLAG=VALUE ...]",
    "verify": "--workdir=FOLDER [--FLAG=VALUE ...]",
}

MORE = {
    "main": ["Several devices or processes:"],
    "serve": ["Limits:"],
    "study": ["Where the trials run:"],
}  # headings after the flags


def test_these_are_the_verbs():
    assert sorted(VERBS) == sorted(path.stem for path in hwr.verbs().values())


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_begins_with_a_usage_line_and_stands_alone(command, verb):
    done = command(verb, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"usage: python -m hwr_jax.{verb} {VERBS[verb]}"
    headings = [line for line in lines if re.fullmatch("[A-Z].*:", line) and not line.startswith("Measures")]
    required = ["Required flags:"] if VERBS[verb].startswith("--") else []
    assert headings == [*required, "Flags:", *MORE.get(verb, [])]
    for absent in ("None", "hwr_jax.cli", "(required)", "[no]", "-1", "an integer", "default: )", "hwr_jax/"):
        assert absent not in done.stdout
    assert f"    python -m hwr_jax.{verb}" in done.stdout  # an example
    assert max(map(len, lines)) <= 120
    flags_of = dict.fromkeys(re.findall(r"^  --([\w.]+)", done.stdout, re.MULTILINE))
    assert [name for name in flags_of if name in ("help", "version")] == ["help", "version"]
    assert re.search(r"  --version .*\.\n(\n|$)", done.stdout)  # the last of the block
    for words in re.findall(r"\n  --[^\n]*?(?:  +|\n +)(.*?)(?=\n  --|\n\n|\n$)", done.stdout, re.DOTALL):
        assert re.fullmatch(r"[A-Z].*\.", words.strip(), re.DOTALL), words


def test_with_a_config_the_help_lists_its_keys(command):
    done = command("main", "--config=digits:smoke", "--help")
    assert "Keys of digits:smoke:" in done.stdout
    assert "  --config.data.name=digits" in done.stdout.splitlines()
    assert "did you mean cnn?" in command("main", "--config=con", "--help").stdout


@pytest.mark.parametrize("verb", VERBS)
def test_the_version_is_one_line(command, verb):
    done = command(verb, "--version")
    assert (done.returncode, done.stdout) == (0, f"hwr_jax {hwr_jax.__version__}\n")


def test_the_defaults_are_shown_once_and_only_where_there_is_one():
    verb = flags.Flags()
    verb.number("rate", 30.0, "A rate.")
    verb.integer("count", 3, "A count.")
    verb.integer("all", 0, "How many; default: all.")
    verb.names("some", ["a", "b"], "Some names.")
    verb.choice("mode", "one", ["one", "two"], "A mode.")
    verb.boolean("really", "Do it.")
    verb.string("place", None, "A place.", kind="FOLDER", required=True)
    text = command_text(verb)
    assert text.splitlines()[0] == "usage: python -m hwr_jax.x --place=FOLDER [--FLAG=VALUE ...]"
    rows = {line.split()[0]: line.split(maxsplit=1)[1] for line in text.splitlines() if line.startswith("  --")}
    assert rows["--rate=X"] == "A rate (default: 30)."
    assert rows["--count=N"] == "A count (default: 3)."
    assert rows["--all=N"] == "How many; default: all."
    assert rows["--some=NAME,..."] == "Some names (default: a,b)."
    assert rows["--mode=one|two"] == "A mode (default: one)."
    assert rows["--really"] == "Do it."


def command_text(verb):
    return command.answer(["/somewhere/hwr_jax/x.py", "--help"], verb, "Does it.", "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing_but_what_is_seen(tmp_path, closed):
    code = (
        "from hwr_jax.cli import command, flags\n"
        "import os, sys\n"
        "def main():\n"
        "    print('seen'); print('seen', file=sys.stderr)\n"
        f"    with open({str(tmp_path / 'done')!r}, 'w') as file: file.write(str(file.fileno()))\n"
        "    return 3\n"
        "command.run(main, flags.Flags(), usage='')"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", f'"$0" -c "$1" {closed}', sys.executable, code], env=env, timeout=60)
    assert done.returncode == 3
    assert int((tmp_path / "done").read_text()) > 2


def test_the_end_of_a_command_searches_nothing_for_garbage():
    code = (
        "from hwr_jax.cli import command, flags\n"
        "import gc\n"
        "class Cycle:\n"
        "    def __del__(self): print('collected')\n"
        "def main(): one = Cycle(); one.itself = one; print('made')\n"
        "gc.disable()\n"
        "command.run(main, flags.Flags(), usage='')"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "made\n"), done.stderr


@pytest.mark.parametrize("line", [["--version"], ["--config=cnn"]])
def test_hwr_without_a_verb(capsys, monkeypatch, line):
    monkeypatch.setattr(sys, "argv", ["hwr", *line])
    code = hwr.main()
    found = capsys.readouterr()
    if line == ["--version"]:
        assert (code, found.out) == (0, f"hwr_jax {hwr_jax.__version__}\n")
    else:
        assert (code, found.err) == (64, "hwr_jax: --config=cnn comes before the verb: write hwr VERB --config=cnn\n")
