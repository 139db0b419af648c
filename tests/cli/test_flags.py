"""The command line: names of configs, arguments that are not flags, and the help of the flags that verbs share."""

import sys
from pathlib import Path

import pytest
from ml_collections import config_flags

from hwr_jax.cli import flags
from hwr_jax.core.errors import ConfigError

ROOT = Path(__file__).parents[2]

# ml_collections loads a config file by a method that Python deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module.* method is deprecated:DeprecationWarning")


@pytest.fixture
def verb():
    """The flags of a verb that has one of each kind."""
    made = flags.Flags()
    for define in (flags.config, flags.devices, flags.data_dir):
        define(made)
    made.number("rate", 0.5, "A rate.", at_least=0.0)
    made.names("only", [], "Some names.")
    return made


@pytest.mark.parametrize("given", [["--config=digits:smoke"], ["--config", "digits:smoke"], ["-config=digits:smoke"]])
def test_a_config_is_found_by_its_name_and_takes_overrides(verb, monkeypatch, given):
    monkeypatch.chdir(ROOT)
    argv = ["hwr", *given, "--config.epochs=7", "--devices=2", "--rate=0.25", "--only=a,b"]
    monkeypatch.setattr(sys, "argv", argv)  # where ml_collections looks for the keys that are overridden
    assert flags.parse(argv, verb) == []
    assert config_flags.get_config_filename(verb["config"]) == "configs/digits.py:smoke"
    assert config_flags.get_override_values(verb["config"]) == {"epochs": 7}
    values = {name: verb[name].value for name in ("config", "devices", "rate", "only", "data_dir")}
    assert (values["config"].epochs, values["config"].data.name) == (7, "digits")
    assert (values["devices"], values["rate"], values["only"], values["data_dir"]) == (2, 0.25, ["a", "b"], None)
    assert argv[1] == given[0]  # what environment.json records stays as it was typed


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "--config is missing: name a config, such as --config=cnn or --config=mine.py"),
        (["--config="], "--config is missing"),
        (["--config"], "--config is missing"),
        (["--config=digts"], "did you mean digits?"),
        (["--config=digits", "more"], "unexpected argument 'more': flags are written --name=value"),
        (["--config=digits", "--devices=-1"], "--devices=-1 is not possible: use"),
        (["--config=digits", "--rate=fast"], "--rate=fast is not possible: use"),
        (
            ["--config=digits", "--nonsense"],
            "--nonsense is not a flag of this command: use one of --config, --",
        ),
        (["--config=digits", "--config.epoch=1"], "there is no config.epoch: did you mean config.epochs?"),
    ],
)
def test_what_is_wrong_is_one_sentence(verb, argv, words):
    with pytest.raises(ConfigError) as caught:
        flags.parse(["hwr", *argv], verb)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_arguments_that_are_not_flags_are_returned_where_a_verb_takes_them():
    verb = flags.Flags()
    holder = flags.output_format(verb, ["table", "json"])
    assert flags.parse(["hwr", "a.png", "--format=json", "b.png"], verb, arguments=True) == ["a.png", "b.png"]
    assert holder.value == "json"


def test_of_a_key_that_is_given_twice_the_last_value_counts_and_a_line_says_so(verb, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    flags.parse(["hwr", "--config.epochs=7", "--config=digits", "--config.epochs=8", "--config.seed=1"], verb)
    assert (verb["config"].value.epochs, verb["config"].value.seed) == (8, 1)
    assert capsys.readouterr().err == "hwr_jax: --config.epochs is given twice: 8 counts, not 7\n"


def test_the_keys_of_a_config_may_come_before_it(verb, monkeypatch):
    monkeypatch.chdir(ROOT)
    flags.parse(["hwr", "--config.data.stream", "--config.epochs", "7", "--config", "digits"], verb)
    assert (verb["config"].value.epochs, verb["config"].value.data.stream) == (7, True)


def test_a_tuple_may_be_given_value_by_value(verb, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    flags.parse(["hwr", "--config=mlp", "--config.model.hidden=16", "--config.model.hidden=32"], verb)
    assert verb["config"].value.model.hidden == (16, 32)
    assert capsys.readouterr().err == ""
