"""The sections of a model card: they quote the numbers of the summary, and claim nothing that no record states."""

import pytest
from scipy.stats import beta

from hwr_jax.core import stats
from hwr_jax.inference.export import sections


@pytest.fixture
def summary():
    """Of a run of three seeds on 200 images of three classes."""
    accuracy = [0.9, 0.95, 0.85]
    return {
        "dataset": "digits", "examples": {"train": 1000, "test": 200}, "classes": ["a", "|", " "], "seeds": [4, 5, 6],
        "epochs": 1, "total_seconds": 7200.0, "train_seconds": 3600.0, "compile_seconds": 30.0,
        "test": {
            "accuracy": stats.summarise(accuracy, within=(0.0, 1.0)),
            "error_count": stats.summarise([20.0, 10.0, 30.0]),
            "loss": stats.summarise([0.5, 0.25, 0.75]),
            "ensemble": {"mean_probability": 0.97, "majority": 0.96},
        },
        "per_class": {"precision": [0.5, 1.0, 0.0], "recall": [0.25, 1.0, 0.0], "f1": [1 / 3, 1.0, 0.0],
                      "support": [120.0, 80.0, 0.0]},
        "confusion": [[100, 15, 5], [0, 80, 0], [0, 0, 0]],
    }  # fmt: skip


def test_all_seeds_have_an_interval_over_them_and_are_scored_together(summary):
    text = sections.results(summary, [4, 5, 6])
    low, high = summary["test"]["accuracy"]["ci95"]
    assert f"| right | 90.00 % | {100 * low:.2f} % to {100 * high:.2f} % |" in text
    assert "| loss | 0.5000 nats | 0.0000 nats to 1.1210 nats |" in text  # a loss is not negative
    assert "| errors | 20.00 | 0.00 to 44.84 |" in text
    assert text.endswith("By their mean probability they are right on 97.00 %.")


def test_one_seed_has_the_interval_of_its_images_and_says_what_is_missing(summary):
    text = sections.results(summary, [5])
    low, high = beta.ppf(0.025, 190, 11), beta.ppf(0.975, 191, 10)  # of 190 right out of 200
    assert f"| right | 95.00 % | {100 * low:.2f} % to {100 * high:.2f} % |" in text
    assert "| loss | 0.2500 nats |  |" in text
    assert "mean probability" not in text
    assert text.endswith("nothing here says how far they spread.")


def test_a_network_that_reads_all_of_a_few_images_is_not_called_perfect(summary):
    summary["examples"]["test"] = 20
    summary["test"]["accuracy"]["per_seed"] = [1.0, 0.95, 0.0]
    low = 0.025 ** (1 / 20)  # the accuracy with which one in forty test sets is read without an error
    assert f"| right | 100.00 % | {100 * low:.2f} % to 100.00 % |" in sections.results(summary, [4])
    assert f"| right | 0.00 % | 0.00 % to {100 * (1 - low):.2f} % |" in sections.results(summary, [6])


def test_two_of_three_seeds_are_not_scored_together_for_nobody_did(summary):
    assert "mean probability" not in sections.results(summary, [4, 6])


def test_the_classes_that_have_images_are_listed_and_their_names_survive_markdown(summary):
    named = sections.classes({**summary, "classes": ["a|b", "c", " "]}).splitlines()
    assert named[2] == "| a\\|b | 120 | 50.00 % | 25.00 % | 33.33 % |"
    rows = sections.classes(summary).splitlines()
    assert rows[2:] == ["| a | 120 | 50.00 % | 25.00 % | 33.33 % |", "| \\| | 80 | 100.00 % | 100.00 % | 100.00 % |"]


def test_the_most_frequent_confusion_is_first(summary):
    rows = sections.mistakes(summary).splitlines()
    assert rows[2:] == ["| a | \\| | 15 of 120 (12.50 %) |", "| a | space | 5 of 120 (4.17 %) |"]
    assert (
        sections.mistakes({**summary, "confusion": [[3, 0, 0], [0, 3, 0], [0, 0, 0]]}) == "No test image was misread."
    )


def test_strings_have_lengths_in_place_of_classes(summary):
    strings = {key: value for key, value in summary.items() if key not in ("per_class", "confusion")}
    strings["per_length"] = {"length": [5.0], "examples": [200.0], "accuracy": [0.5]}
    assert sections.classes(strings).splitlines()[-1] == "| 5 | 200 | 50.00 % |"
    assert sections.mistakes(strings) == ""


def test_energy_is_power_times_seconds_or_left_to_the_reader(summary):
    stated = " ".join(sections.cost(summary, {"devices": ["cpu"], "mesh_devices": 2}, 100.0).split())
    assert "1 epoch of 1,000 images, 3 seeds together, took 7,200.0 s on 2 x cpu: 3,600.0 s inside the steps" in stated
    assert "Energy, estimated: 100 W x 7,200.0 s / 3600 = 200 Wh. It assumes that the machine drew 100 W" in stated
    silent = " ".join(sections.cost(summary, {}, None).split())
    assert "Energy: not estimated" in silent
    assert "P x 7,200.0 s / 3600 = P x 2 Wh." in silent
    assert " W " not in silent


def test_the_data_of_a_user_and_composed_lines_are_told_from_known_sets():
    assert "only whoever trained the model can say" in " ".join(sections.data("folder").split())
    lines = " ".join(sections.data("strings", "emnist/letters").split())
    assert lines.startswith("Lines that hwr_jax composes from the images of emnist/letters. EMNIST: Forms of NIST's")
    assert "@article{cohen_afshar_tapson_schaik_2017" in lines


def test_a_model_that_cannot_reject_says_so():
    sentence = "it names one of its classes, also for what is none of them"
    assert sentence in " ".join(sections.uses("one digit", rejects=False).split())
    assert sentence not in " ".join(sections.uses("one digit", rejects=True).split())
