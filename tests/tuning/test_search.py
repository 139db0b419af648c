"""Searches: good values are found, the test set is left alone, and several processes share one study."""

import platform
import signal
import subprocess
import sys
import time

import numpy as np
import optuna
import pytest
from quick_runs import FASTEST

from hwr_jax.core.errors import ConfigError, DataError, RunFolderError
from hwr_jax.core.types import Arrays, Dataset
from hwr_jax.distributed import signals
from hwr_jax.training import summary
from hwr_jax.tuning import report, spec, storage, trials

SEARCH = """
from configs import digits

QUESTION = "Which learning rate reads the digits best?"
SPACE = {
    "optim.learning_rate": ("log", 1e-5, 1.0),
    "model.hidden": ("choice", (16,), (32,)),
    "batch_size": ("int", 32, 64, 32),
}
SEEDS = 2


def get_config(variant: str = ""):
    config = digits.get_config("smoke")
    config.epochs, config.model.name = 2, "mlp"
    config.augment.update(shift_px=0.0, rotate_deg=0.0, scale=0.0, shear_deg=0.0)
    return config
"""
QUICKLY = {"XLA_FLAGS": FASTEST}  # compiled quickly rather than well
ONE_PROGRAM = SEARCH.replace("config.epochs, config.model.name = 2", "config.epochs, config.model.name = 60")
for axis in ('    "model.hidden": ("choice", (16,), (32,)),\n', '    "batch_size": ("int", 32, 64, 32),\n'):
    assert axis in ONE_PROGRAM
    ONE_PROGRAM = ONE_PROGRAM.replace(axis, "")


@pytest.fixture
def make(experiment):
    """Returns make(text): the path of search.py with it."""
    return lambda text=SEARCH: experiment("search.py", text)


def opened(search, folder, seed=0):
    return storage.open_study(search, folder, "", sampler_seed=seed)


def of_states(study, *names):
    return [one for one in study.get_trials() if one.state.name in names]


def peak(search, proposal, load, handlers, log):
    """In place of training: best at a rate of 0.01; reported as three epochs."""
    rate = trials._overrides(search, proposal)["optim.learning_rate"]
    value = 1 - abs(np.log10(rate) + 2) / 10
    for step in (1, 2, 3):
        trials._pruning(proposal)(step, value * step / 3)
    return value


def test_the_best_values_are_found_and_bad_trials_are_pruned(make, monkeypatch):
    search = spec.load(make())
    study = opened(search, search.folder)
    monkeypatch.setattr(trials, "_score", peak)
    ended = []
    trials.run(search, study, fake, None, trials=60, minutes=1, on_trial=ended.append, log=print)
    assert len(ended) == 60 == len(of_states(study, "COMPLETE", "PRUNED"))
    assert len(of_states(study, "PRUNED")) > 20
    assert abs(np.log10(study.best_params["optim.learning_rate"]) + 2) < 0.2
    lines = [report.line(study, one) for one in study.get_trials()]
    assert any("pruned at step 1 with" in line for line in lines)
    assert any(line.startswith("trial 0: validation accuracy") for line in lines)


def test_the_same_sampler_seed_proposes_the_same(make, monkeypatch, tmp_path):
    search = spec.load(make())
    monkeypatch.setattr(trials, "_score", peak)
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        study = opened(search, tmp_path / name, seed=3)
        trials.run(search, study, fake, None, trials=15, minutes=1, on_trial=lambda one: None, log=print)
        found.append([(one.params, one.value) for one in study.get_trials()])
    assert found[0] == found[1]


def test_a_search_resumes_and_stops_at_the_number_or_time_asked_for(make, monkeypatch):
    search = spec.load(make())
    monkeypatch.setattr(trials, "_score", peak)
    for asked, expected in ((5, 5), (8, 8), (8, 8)):
        study = opened(search, search.folder)
        trials.run(search, study, fake, None, trials=asked, minutes=1, on_trial=lambda one: None, log=print)
        assert len(study.get_trials()) == expected
    trials.run(search, study, fake, None, trials=99, minutes=0, on_trial=lambda one: None, log=print)
    assert len(study.get_trials()) == 8


def test_a_choice_of_the_config_comes_back_as_it_was(make):
    search = spec.load(make())
    found = trials.as_overrides(search, {"model.hidden": "(16,)", "batch_size": 32, "optim.learning_rate": 0.1})
    assert found == {"model.hidden": (16,), "batch_size": 32, "optim.learning_rate": 0.1}
    assert spec.with_overrides(search, found).model.hidden == (16,)


def test_a_trial_is_the_mean_of_its_seeds_on_validation_and_the_test_set_is_left_alone(make, digits, here, monkeypatch):
    search = spec.load(make())
    study = opened(search, search.folder)
    read = []
    original = summary.read

    def spy(run, programs, predict_test, state):
        assert predict_test is None
        found = original(run, programs, predict_test, state)
        read.append(list(found))
        return found

    monkeypatch.setattr(summary, "read", spy)
    fixed = {"optim.learning_rate": 0.02, "model.hidden": "(32,)", "batch_size": 32}
    study.enqueue_trial(fixed)
    study.enqueue_trial({**fixed, "optim.learning_rate": 1.0})
    with signals.Signals() as handlers:
        trials.run(
            search, study, lambda config: digits, handlers, trials=2, minutes=5, on_trial=lambda one: None, log=print
        )
        result = trials.confirm(search, study, lambda config: digits, handlers, seeds=2, log=print)
    first = study.get_trials()[0]
    assert read
    assert all(splits == ["validation"] for splits in read)
    assert first.value == pytest.approx(np.mean(first.user_attrs["validation"]))
    assert len(first.user_attrs["validation"]) == 2
    assert list(first.intermediate_values) == [1, 2, 3, 4]  # two seeds of two epochs
    assert result["trial"] == study.best_trial.number
    assert result["found"]["per_seed"] != first.user_attrs["validation"]  # new seeds
    np.testing.assert_allclose(
        result["difference"]["per_seed"], np.subtract(result["found"]["per_seed"], result["own"]["per_seed"])
    )
    assert not report.needs_confirming(study, 2)
    assert report.needs_confirming(study, 3)
    assert "With 2 new seeds it reaches" in report.verdict(search, study)


def left_running(search, owner):
    """The state of a trial that a process with this mark left, once another process has opened the study."""
    study = opened(search, search.folder)
    trial = study.ask()
    trial.set_user_attr(storage.OWNER, owner)
    return opened(search, search.folder).get_trials()[trial.number].state.name


def test_only_a_process_that_lived_here_and_is_gone_leaves_an_orphan(make):
    """A process id means another process in another container, on another host, and after a restart."""
    search = spec.load(make())
    mine = storage.owner()
    place, _, process = mine.rpartition(":")
    number, _, started = process.partition("/")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert left_running(search, mine) == "RUNNING"
    assert left_running(search, f"{place}:{gone.pid}/{started}") == "FAIL"
    assert left_running(search, f"{place}x:{gone.pid}/{started}") == "RUNNING"
    assert left_running(search, f"{platform.node()}:{gone.pid}") == "RUNNING"  # as older versions marked theirs
    assert left_running(search, "") == "RUNNING"
    if started:  # the id was given to another process
        assert left_running(search, f"{place}:{number}/{int(started) - 1}") == "FAIL"


def test_a_trial_that_another_process_ended_costs_its_result_and_not_the_search(make, monkeypatch):
    search = spec.load(make())
    study = opened(search, search.folder)
    lines = []

    def ended_meanwhile(search, proposal, load, handlers, log):
        if proposal.number < 2:
            study.tell(proposal.number, state=optuna.trial.TrialState.FAIL)
        return peak(search, proposal, load, handlers, log) if proposal.number else 0.5

    monkeypatch.setattr(trials, "_score", ended_meanwhile)
    trials.run(search, study, fake, None, trials=2, minutes=1, on_trial=lambda one: None, log=lines.append)
    assert [one.state.name for one in study.get_trials()][:2] == ["FAIL", "FAIL"]
    assert len(of_states(study, "COMPLETE", "PRUNED")) == 2
    words = "its result is lost, because another process marked it as fail"
    assert lines == [f"trial {n}: {words}" for n in (0, 1)]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("nodb://me:secret@host/db", "nodb://me:***@host/db"),
        ("nodb://me:se@cr:et@host:5432/db", "nodb://me:***@host:5432/db"),
        ("nodb://:secret@host/0", "nodb://:***@host/0"),
        ("nodb://host/db?user=me&password=secret&sslmode=on", "nodb://host/db?user=me&password=***&sslmode=on"),
        ("nodb://me@host/db", "nodb://me@host/db"),
    ],
)
def test_an_error_does_not_show_the_password_of_the_storage(make, url, shown):
    search = spec.load(make())
    with pytest.raises(RunFolderError) as caught:
        storage.open_study(search, search.folder, url, sampler_seed=0)
    assert f"--storage={shown} cannot be opened" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "cr:et" not in str(caught.value)


def test_a_line_about_a_trial_has_numbers_that_can_be_compared_and_the_time_left(make, monkeypatch):
    search = spec.load(make())
    study = opened(search, search.folder)
    monkeypatch.setattr(trials, "_score", peak)
    trials.run(search, study, fake, None, trials=12, minutes=1, on_trial=lambda one: None, log=print)
    best = study.best_trial
    pruned = next(one for one in of_states(study, "PRUNED"))
    step = max(pruned.intermediate_values)
    there = f", where the best had {100 * best.intermediate_values[step]:.2f} %; best so far {100 * best.value:.2f} %"
    assert there in report.line(study, pruned)
    assert report.ended(study) == 12
    assert report.time_left(4, 60.0, trials=2, minutes=30) == "about 30 s left"
    assert report.time_left(4, 60.0, trials=200, minutes=3) == "about 2 min left"
    assert report.time_left(4, 600.0, trials=200, minutes=3) == "about 0 s left"
    assert report.time_left(4, 60.0, trials=0, minutes=3) == "no trial left"


def test_values_that_do_not_fit_together_are_skipped(make, here):
    text = SEARCH.replace('"batch_size": ("int", 32, 64, 32),', '"optim.name": ("choice", "adam", "adamw"),')
    search = spec.load(make(text))
    study = opened(search, search.folder)
    study.enqueue_trial({"optim.name": "adam", "optim.learning_rate": 0.01, "model.hidden": "(16,)"})
    with signals.Signals() as handlers:
        trials.run(search, study, lambda config: fake(), handlers, trials=1, minutes=1, on_trial=print, log=print)
    assert "called adamw" in study.get_trials()[0].user_attrs["refused"]
    assert not report.has_finished(study)


def test_values_that_the_data_do_not_fit_are_skipped(make, here):
    """The lines of a user may be too long for a network with wide time steps."""
    text = SEARCH.replace('"batch_size": ("int", 32, 64, 32),', '"data.train_examples": ("choice", 100, 50),')
    search = spec.load(make(text))
    study = opened(search, search.folder)
    study.enqueue_trial({"optim.learning_rate": 0.01, "model.hidden": "(16,)", "data.train_examples": "50"})

    def load(config):
        if config.data.train_examples == 50:
            raise DataError("the text has 9 characters, and the network reads at most 4")
        return fake()

    with signals.Signals() as handlers:
        trials.run(search, study, load, handlers, trials=1, minutes=1, on_trial=print, log=print)
    assert "at most 4" in study.get_trials()[0].user_attrs["refused"]


def test_seeds_that_diverged_in_the_comparison_are_counted_in_words(make, monkeypatch):
    search = spec.load(make())
    study = opened(search, search.folder)
    monkeypatch.setattr(trials, "_score", peak)
    trials.run(search, study, fake, None, trials=1, minutes=1, on_trial=lambda one: None, log=print)
    each = [([0.9, 0.0, 0.8], 1.0), ([0.7, 0.8, 0.9], 1.0)]
    monkeypatch.setattr(trials, "_train", lambda *args, **more: each.pop(0))
    trials.confirm(search, study, fake, None, seeds=3, log=print)
    words = "With 3 new seeds it reaches 56.667 % (1 diverged, counted as 0 %), the original config 80.000 %: -23.333"
    assert words in report.verdict(search, study)


def fake(config=None):
    arrays = Arrays(np.zeros((200, 28, 28, 1), np.uint8), np.zeros(200, np.int32))
    return Dataset("digits", "0", "0", arrays, arrays, arrays, tuple("0123456789"), 0.1, 0.3)


def test_a_killed_search_resumes_and_its_running_trial_counts_as_interrupted(make, start, command):
    path = make(ONE_PROGRAM)
    process = start("search", f"--search={path}", "--confirm=0", env=QUICKLY)
    assert process.first_line().startswith("trial 0: ")
    time.sleep(0.2)  # the next one compiles
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    study = opened(spec.load(path), path.parent)
    before = len(study.get_trials())
    assert of_states(study, "RUNNING") == []  # marked as failed when it was opened
    assert len(of_states(study, "FAIL")) == 1
    ended = len(of_states(study, "COMPLETE", "PRUNED"))
    done = command("search", f"--search={path}", f"--trials={ended + 1}", "--confirm=0", figures=True, env=QUICKLY)
    assert done.returncode == 0, done.stderr
    assert len(opened(spec.load(path), path.parent).get_trials()) == before + 1
    assert "It has not been compared with the original config on new seeds." in done.stdout
    assert "1 interrupted" in (path.parent / "report.md").read_text()
    assert (path.parent / "history.png").stat().st_size > 5_000


@pytest.mark.exhaustive
def test_a_signal_ends_a_search_with_its_code(make, start):
    path = make(ONE_PROGRAM)
    process = start("search", f"--search={path}", env=QUICKLY)
    assert process.first_line().startswith("trial 0: ")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert "SIGTERM: stopped: finished trials are kept; run the same command again to resume" in err
    assert "Traceback" not in err


def test_a_line_of_the_journal_that_a_crash_cut_short_is_removed(make, monkeypatch):
    search = spec.load(make())
    monkeypatch.setattr(trials, "_score", peak)
    study = opened(search, search.folder)
    trials.run(search, study, fake, None, trials=3, minutes=1, on_trial=lambda one: None, log=print)
    journal = search.folder / storage.JOURNAL
    journal.write_bytes(journal.read_bytes()[:-7])
    study = opened(search, search.folder)
    trials.run(search, study, fake, None, trials=4, minutes=1, on_trial=lambda one: None, log=print)
    again = opened(search, search.folder)
    assert len(of_states(again, "COMPLETE", "PRUNED")) == 4


@pytest.mark.exhaustive
def test_two_processes_share_one_study(make, caches):
    path = make()
    line = [sys.executable, "-m", "hwr_jax.search", f"--search={path}", "--trials=8", "--confirm=2"]
    both = [subprocess.Popen(line, env=caches, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in "ab"]
    outputs = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    study = opened(spec.load(path), path.parent)
    ended = of_states(study, "COMPLETE", "PRUNED")
    assert 8 <= len(ended) <= 9  # one may have begun while the other ended the eighth
    assert all("trial " in out for out, _ in outputs)
    owners = {one.user_attrs[storage.OWNER] for one in ended}
    assert len(owners) == 2
    rates = [one.params["optim.learning_rate"] for one in ended]
    assert len(set(rates)) == len(rates)
    assert "With 2 new seeds it reaches" in (path.parent / "report.md").read_text()


def test_a_database_will_do_too(make, monkeypatch, tmp_path):
    search = spec.load(make())
    monkeypatch.setattr(trials, "_score", peak)
    study = storage.open_study(search, tmp_path, f"sqlite:///{tmp_path}/trials.db", sampler_seed=0)
    trials.run(search, study, fake, None, trials=3, minutes=1, on_trial=lambda one: None, log=print)
    again = storage.open_study(search, tmp_path, f"sqlite:///{tmp_path}/trials.db", sampler_seed=0)
    assert len(again.get_trials()) == 3
    for one in (study, again):  # Optuna leaves the connections open, of which Python 3.13 warns in a later test
        one._storage._backend.remove_session()
        one._storage._backend.engine.dispose()


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("1e-5", "1e-4", "SPACE"),
        ("SEEDS = 2", "SEEDS = 7", "SEEDS"),
        ("model.name = 2", "model.name = 9", "config"),
    ],
)
def test_trials_of_another_search_are_not_mixed_in(make, old, new, what):
    search = spec.load(make())
    opened(search, search.folder)
    other = spec.load(make(SEARCH.replace(old, new)))
    with pytest.raises(ConfigError, match=f"has trials of this search with another {what}: choose another --out"):
        opened(other, other.folder)


def test_other_data_than_in_the_first_trial_are_refused(make):
    search = spec.load(make())
    study = opened(search, search.folder)
    study.set_user_attr("data", "others")
    with pytest.raises(ConfigError, match="has changed since the first trial: choose another --out"):
        trials.run(search, study, lambda config: fake(), None, trials=1, minutes=1, on_trial=print, log=print)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("SPACE = {", "SPACES = {", "has no SPACE: see hwr_jax/tuning/spec.py"),
        ("SEEDS = 2", "SEEDS = 0", "SEEDS=0 must be 1 or more"),
        ('("log", 1e-5, 1.0)', '("log", 0, 1.0)', "a logarithmic axis must start above 0"),
        ('("log", 1e-5, 1.0)', '("log", 1.0, 0.1)', "give the lowest and then the highest number"),
        ('("log", 1e-5, 1.0)', '("lag", 1.0, 2.0)', "use a tuple that starts with log, linear, int, choice"),
        ('("log", 1e-5, 1.0)', '("choice", 1.0)', "leaves no choice: give two values or more"),
        ('("int", 32, 64, 32)', '("int", 32.5, 64)', "give integers"),
        ('("int", 32, 64, 32)', '("int", 32, 64, 0)', "the step must be 1 or more"),
        ('("int", 32, 64, 32)', '("choice", "a", "b")', "config.batch_size='a' does not fit"),
        ('"batch_size":', '"batchsize":', "there is no config.batchsize: did you mean config.batch_size?"),
        ("config.epochs, ", 'config.nonfinite.policy = "rollback"; config.epochs, ', "rollback needs checkpoints"),
    ],
)
def test_a_wrong_search_is_explained_in_a_sentence(make, old, new, words):
    assert old in SEARCH
    with pytest.raises(ConfigError) as caught:
        spec.load(make(SEARCH.replace(old, new)))
    assert words in str(caught.value)


def test_a_choice_that_the_config_does_not_know_is_refused_before_anything_is_trained(make, command):
    path = make(SEARCH.replace('"batch_size": ("int", 32, 64, 32)', '"optim.name": ("choice", "adam", "adm", "adamw")'))
    done = command("search", f"--search={path}")
    assert done.returncode == 64
    assert "config.optim.name='adm' is not known: use one of" in done.stderr


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        ((), 64, "--search is missing: name one"),
        (("--search=none.py",), 64, "--search=none.py is not a file"),
        (("--search={}", "--trials=0"), 64, "--trials=0 is not possible: use"),
        (("--search={}", "--storage=nodb://x/y"), 74, "--storage=nodb://x/y cannot be opened: "),
        (("--search={}", "--storage=/nowhere/x.log"), 74, "--storage=/nowhere/x.log cannot be opened: "),
    ],
)
def test_a_wrong_flag_is_explained_in_a_sentence(make, command, flags, code, words):
    done = command("search", *(f.format(make()) for f in flags))
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_without_optuna_the_message_says_how_to_install_it(make, command, tmp_path, caches):
    (tmp_path / "optuna.py").write_text("raise ImportError('not here')")
    done = command("search", f"--search={make()}", env={"PYTHONPATH": f"{tmp_path}:{caches['PYTHONPATH']}"})
    assert done.returncode == 64
    assert "the search needs Optuna: pip install 'hwr_jax[search]'" in done.stderr


def test_a_search_without_finished_trials_says_that_there_is_nothing_to_report(make, command):
    done = command("search", f"--search={make()}", "--minutes=0")
    assert done.returncode == 0, done.stderr
    assert "No trial has finished yet" in done.stdout
