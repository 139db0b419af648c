"""The data of a config, of another name, and of a run."""

import pickle

import numpy as np
import pytest

from hwr_jax.core.errors import DataError
from hwr_jax.data import configured


def quiet(line):
    pass


@pytest.fixture(autouse=True)
def _own_caches(here):
    """The caches of the suite."""


def test_a_config_says_how_many_examples_of_its_own_data_and_nothing_about_others(smoke):
    config = smoke(data__train_examples=50, data__validation_examples=100)
    own = configured.load(config, None, quiet)
    assert (own.name, len(own.train.label), len(own.validation.label)) == ("digits", 50, 100)
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.data.name = "mnist"
    other = configured.load_other(config, "digits", None, quiet)
    assert (other.name, len(other.train.label), len(other.validation.label)) == ("digits", 1097, 200)


def test_a_loader_gives_another_process_the_same_data(smoke):
    loader = pickle.loads(pickle.dumps(configured.Loader(None)))
    loaded, direct = loader(smoke()), configured.load(smoke(), None, quiet)
    assert loaded.sha256 == direct.sha256
    np.testing.assert_array_equal(loaded.train.image, direct.train.image)


def test_the_data_of_a_run_is_found_without_its_folder_and_must_be_what_it_was(smoke, digits):
    config, facts = smoke(data__manual_dir="/a/folder/of/another/machine"), {"classes": list(digits.classes)}
    found = configured.load_of_run(config, {**facts, "sha256": digits.sha256}, None, quiet)
    np.testing.assert_array_equal(found.test.label, digits.test.label)
    with pytest.raises(DataError, match=f"digits has changed since .* trained: SHA-256 {digits.sha256}, then 0"):
        configured.load_of_run(config, {**facts, "sha256": "0"}, None, quiet)


def test_strings_need_the_files_of_their_glyphs(smoke):
    assert configured.whose_files(smoke()) == "digits"
    config = smoke().copy_and_resolve_references()
    config.data.name, config.data.strings.glyphs = "strings", "emnist/letters"
    assert configured.whose_files(config) == "emnist/letters"


def test_the_classes_of_a_run_must_be_called_what_they_were(smoke, digits):
    facts = {"sha256": digits.sha256, "classes": ["cats", *digits.classes[1:]]}
    with pytest.raises(DataError, match="the classes of digits are called 0, 1, .* and were cats, 1, "):
        configured.load_of_run(smoke(), facts, None, quiet)
    of_another = smoke(init_from="runs/x")  # recorded the names of that run, in an older version
    assert configured.load_of_run(of_another, facts, None, quiet).sha256 == digits.sha256
    with pytest.raises(DataError, match="are called 0, 1"):
        configured.load_of_run(of_another, {**facts, "named": ["cats"]}, None, quiet)
