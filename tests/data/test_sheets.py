"""The data sheets: complete, with the citations and home pages of tensorflow-datasets, and true of the data."""

import numpy as np
import pytest

from hwr_jax import data
from hwr_jax.data import sheets


@pytest.fixture(scope="module")
def registered(tmp_path_factory):
    """name of a family -> what the installed tensorflow-datasets says about it."""
    from tensorflow_datasets.image_classification import mnist

    folder = str(tmp_path_factory.mktemp("tfds"))
    builders = [builder(data_dir=folder) for builder in (mnist.MNIST, mnist.FashionMNIST, mnist.KMNIST)]
    return {builder.name: builder.info for builder in [*builders, mnist.EMNIST(config="digits", data_dir=folder)]}


def test_every_family_of_data_sets_has_a_whole_sheet():
    assert {source.family for source in data.SOURCES.values()} == set(sheets.SHEETS)
    for sheet in sheets.SHEETS.values():
        assert all(sheet)
        assert all(words.endswith(".") for words in (sheet.licence, sheet.origin, *sheet.faults))
        assert sheet.citation.startswith("@")


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "kmnist", "emnist"])
def test_citation_and_home_page_are_the_registered_ones_and_no_licence_is_registered(name, registered):
    info, sheet = registered[name], sheets.SHEETS[name]
    assert sheet.citation.strip() == info.citation.strip()
    assert sheet.homepage == info.homepage
    assert not info.redistribution_info.license
    assert sheets.NO_LICENCE in sheet.licence


def test_scikit_learn_says_of_its_digits_what_their_sheet_says():
    from sklearn.datasets import load_digits

    said = " ".join(load_digits().DESCR.split())
    assert "licen" not in said.lower()
    assert sheets.SHEETS["digits"].homepage in said
    assert "copy of the test set" in said
    assert "different 13 to the test set" in said
    assert "Alpaydin, C. Kaynak (1998) Cascading Classifiers, Kybernetika" in said


def test_the_number_about_the_choice_of_images_is_right(digits):
    assert len(digits.test.label) == 500
    assert round(200 * np.sqrt(0.98 * 0.02 / 500), 1) == 1.3


def test_a_data_set_that_is_not_in_the_table_has_no_sheet():
    assert sheets.of("emnist/letters") is sheets.SHEETS["emnist"]
    assert sheets.of(data.OWN) is None
    assert sheets.of(data.STRINGS) is None


def test_the_page_has_the_sizes_of_every_data_set():
    page = "\n".join(sheets.page())
    for name, source in data.SOURCES.items():
        train = source.train_examples - source.validation_examples
        assert f"| `{name}` | {len(source.classes)} | {train:,} | {source.validation_examples:,} | " in page
