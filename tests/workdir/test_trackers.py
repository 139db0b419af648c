"""Trackers: what the training tells them, and that none of them can stop, slow or change it.

The processes are real; the package `wandb` that they import is written by the test, except in the last tests, which use
the real ones where they are installed.
"""

import contextlib
import importlib.util
import io
import json
import os
import platform
import re
import signal
import sqlite3
import sys
import textwrap
import time

import pytest
from quick_runs import SMALL

from hwr_jax.cli import console
from hwr_jax.core import stats
from hwr_jax.core.errors import ConfigError
from hwr_jax.distributed import processes
from hwr_jax.distributed.signals import Signals
from hwr_jax.training import job
from hwr_jax.training.session import Session
from hwr_jax.workdir import claim, logs, trackers, wandb_writer

LINE = logs.metrics_line(1, 9, "validation", [0, 3], loss=[0.5, 1.5], accuracy=[0.75, 0.25])
FAKE = """
import json, os, time

def note(**what):
    with open(os.environ["NOTES"], "a") as file:
        file.write(json.dumps(what) + "\\n")

class Settings:
    def __init__(self, **given):
        self.given = given

class Run:
    summary = {}
    def define_metric(self, name, step_metric): pass
    def log(self, values): LOG
    def finish(self, exit_code): note(summary=self.summary, code=exit_code)

def init(**given):
    INIT
    note(**{**given, "settings": given["settings"].given})
    return Run()
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Returns fake(init=..., log=...): a package wandb that does this, and the path where it notes what it gets."""

    def write(init="pass", log="note(**values)"):
        folder = tmp_path / "fake"
        folder.mkdir()
        (folder / "wandb.py").write_text(textwrap.dedent(FAKE).replace("INIT", init).replace("LOG", log))
        monkeypatch.setenv("PYTHONPATH", str(folder))
        monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
        monkeypatch.setenv("WANDB_MODE", "offline")
        monkeypatch.syspath_prepend(str(folder))
        return tmp_path / "notes"

    return write


@pytest.fixture
def facts(tmp_path):
    return {
        "folder": str(tmp_path), "name": "run", "id": "f00", "config": {"optim.learning_rate": 0.1},
        "dataset": "digits 1", "code": "0", "seeds": [0, 3],
    }  # fmt: skip


def told(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def summary(accuracy=(0.9, 0.7)):
    scores = {"accuracy": stats.summarise(accuracy), "loss": stats.summarise([0.5])}
    times = {"parameters": 7, "train_seconds": 1.0, "total_seconds": 2.0, "images_per_second": 3.0}
    return {"validation": scores, "test": scores, **times}


def test_a_tracker_gets_the_config_every_line_and_the_results(fake, facts, tmp_path):
    notes, said = fake(), []
    (tracker,) = trackers.start(["wandb", "wandb"], facts, said.append)
    tracker.write(LINE)
    tracker.speed(9, 1000.0)
    tracker.results(summary())
    tracker.close()
    began, first, second, end = told(notes)
    assert said == []
    assert (began["id"], began["name"], began["dir"], began["mode"]) == ("f00", "run", str(tmp_path), "offline")
    assert began["config"] == {"optim.learning_rate": 0.1, "dataset": "digits 1", "code": "0", "seeds": [0, 3]}
    assert began["settings"] == {"console": "off", "silent": True, **wandb_writer.NOTHING_ELSE}
    assert first == {
        "step": 9, "validation/loss": 1.0, "validation/loss/seed_0": 0.5, "validation/loss/seed_3": 1.5,
        "validation/accuracy": 0.5, "validation/accuracy/seed_0": 0.75, "validation/accuracy/seed_3": 0.25,
    }  # fmt: skip
    assert second == {"step": 9, "train/images_per_second": 1000.0}
    assert end["code"] == 0
    assert end["summary"]["test/accuracy"] == pytest.approx(0.8)
    assert end["summary"]["test/accuracy/low"] < 0.8 < end["summary"]["test/accuracy/high"]
    assert "test/loss/low" not in end["summary"]


def test_a_run_that_was_interrupted_is_ended_without_results(fake, facts):
    notes, said = fake(), []
    (tracker,) = trackers.start(["wandb"], facts, said.append)
    tracker._patience_s = 60.0
    tracker.write(LINE)
    tracker.close()
    assert said == []
    assert told(notes)[-1] == {"summary": {}, "code": 1}


@pytest.mark.parametrize(
    ("init", "log", "why"),
    [
        ("raise OSError('no such host')", "pass", "no such host"),
        ("pass", "raise ValueError('step went back')", "step went back"),
        ("os._exit(3)", "pass", "it ended with code 3"),
        ("pass", "os.kill(os.getpid(), 9)", "it ended with code -9"),
    ],
)
def test_a_tracker_that_fails_is_named_once_with_the_reason(fake, facts, init, log, why):
    fake(init, log)
    said = []
    (tracker,) = trackers.start(["wandb"], facts, said.append)
    tracker._patience_s = 60.0
    for _ in range(3):
        tracker.write(LINE)
    tracker.close()
    tracker.write(LINE)  # nobody is there
    tracker.close()
    assert said == [f"warning: the tracker wandb failed, and the training goes on without it: {why}"]


def test_a_tracker_that_hangs_never_makes_the_training_wait(fake, facts):
    fake("time.sleep(600)")
    said = []
    (tracker,) = trackers.start(["wandb"], facts, said.append)
    process, tracker._patience_s = tracker._process.pid, 0.2
    for _ in range(2000):  # more than the pipe takes
        tracker.write(LINE)
    assert len(tracker._left) > 100_000
    tracker.close()
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    assert said == [f"warning: the tracker wandb is slow: process {process} keeps sending after the training has ended"]


def test_what_waits_for_a_tracker_has_a_limit(fake, facts, monkeypatch):
    fake("time.sleep(600)")
    monkeypatch.setattr(trackers, "MOST_BYTES", 1000)
    said = []
    (tracker,) = trackers.start(["wandb"], facts, said.append)
    process = tracker._process.pid
    for _ in range(2000):
        tracker.write(LINE)
    tracker.close()
    os.kill(process, signal.SIGKILL)
    assert said == ["warning: the tracker wandb failed, and the training goes on without it: it does not keep up"]


def test_a_tracker_that_reads_no_more_is_not_waited_for_before_the_end(fake, facts):
    notes, said = fake("note(); os.close(0); time.sleep(3); os._exit(7)"), []
    (tracker,) = trackers.start(["wandb"], facts, said.append)
    while not notes.exists():
        time.sleep(0.01)
    time.sleep(0.1)
    before = time.monotonic()
    for _ in range(10):
        tracker.write(LINE)
    assert time.monotonic() - before < 0.5
    assert said == []  # it may yet say why
    tracker._patience_s = 60.0
    tracker.close()
    assert said == ["warning: the tracker wandb failed, and the training goes on without it: it ended with code 7"]


def test_a_tracker_that_cannot_be_started_is_one_warning(facts, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    said = []
    (tracker,) = trackers.start(["wandb"], facts, said.append)
    tracker.write(LINE)
    tracker.close()
    assert len(said) == 1
    assert said[0].startswith("warning: the tracker wandb failed, and the training goes on without it: [Errno 2]")


def test_a_training_is_the_same_with_a_tracker_that_dies_in_its_middle(fake, smoke, digits, here, tmp_path):
    notes = fake(log="note(**values) if values['step'] < 20 else os._exit(5)")
    config, out, summaries = smoke(epochs=2, **SMALL), io.StringIO(), []
    with Signals() as signals, contextlib.redirect_stdout(out):
        for name, names in (("alone", ()), ("tracked", ("wandb",))):
            session = Session(tmp_path / name, console.make_console(), signals, devices=1, track=names)
            summaries.append(job.run(config, digits, session).summary)
    assert summaries[0]["state_sha256"] == summaries[1]["state_sha256"]
    first, second = ((tmp_path / name / "metrics.jsonl").read_bytes() for name in ("alone", "tracked"))
    assert first == second
    assert told(notes)[0]["config"]["optim.name"] == config.optim.name
    assert told(notes)[0]["name"] == "tracked"
    failed = "warning: the tracker wandb failed, and the training goes on without it: it ended with code 5"
    assert out.getvalue().count("warning: the tracker") == out.getvalue().count(failed) == 1
    with Signals() as signals, contextlib.redirect_stdout(out):
        session = Session(tmp_path / "tracked", console.make_console(), signals, devices=1, track=("wandb",))
        assert job.run(config, digits, session).status == "finished"
    assert out.getvalue().endswith("the run is finished: nothing is reported to wandb\n")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["tensorbored"], "--track=tensorbored is not known: use some of wandb, mlflow"),
        (["wandb"], r"--track=wandb needs wandb: pip install 'hwr_jax\[wandb\]'"),
    ],
)
def test_a_tracker_that_is_not_there_is_a_wrong_flag(names, words, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=words):
        trackers.check(names)


def test_only_the_main_process_needs_the_package_of_a_tracker(smoke, tmp_path, monkeypatch):
    class Others(Exception):
        pass

    def wait(status):
        raise Others

    monkeypatch.setattr(processes, "is_main_process", lambda: False)
    monkeypatch.setattr(processes, "from_main_process", wait)
    session = Session(tmp_path, console.make_console(quiet=True), None, track=("tensorbored",))
    with pytest.raises(Others):
        job.run(smoke(), None, session)
    monkeypatch.setattr(processes, "is_main_process", lambda: True)
    with pytest.raises(ConfigError, match="--track=tensorbored is not known"):
        job.run(smoke(), None, session)


def test_weights_and_biases_stays_offline_unless_somebody_has_logged_in(monkeypatch, tmp_path):
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert wandb_writer.mode() == "offline"
    (tmp_path / "netrc").write_text("machine api.wandb.ai\n  login user\n  password 0123\n")
    assert wandb_writer.mode() == "online"
    (tmp_path / "netrc").unlink()
    monkeypatch.setenv("WANDB_API_KEY", "0123")
    assert wandb_writer.mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert wandb_writer.mode() == "disabled"


def test_the_identity_of_a_run_survives_a_resume_and_differs_between_runs(tmp_path):
    env = {
        "started": "2026",
        "dataset": {"name": "digits", "version": "1"},
        "code": {"version": "0", "sha256": "a" * 64},
    }
    first = trackers.about(tmp_path / "a", {"seeds": 1}, env, [0])
    assert trackers.about(tmp_path / "a", {"seeds": 1}, {**env, "resumed": [1]}, [0])["id"] == first["id"]
    assert trackers.about(tmp_path / "b", {"seeds": 1}, env, [0])["id"] != first["id"]
    assert trackers.about(tmp_path / "a", {"seeds": 1}, {**env, "started": "2027"}, [0])["id"] != first["id"]


@pytest.fixture
def finished(facts, monkeypatch, tmp_path):
    """Returns finished(name): a tracker of the real package has been told of a run that was interrupted and resumed."""

    def run(name):
        for variable in ("WANDB_MODE", "WANDB_API_KEY", "MLFLOW_TRACKING_URI"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        monkeypatch.setattr(trackers, "PATIENCE_S", 300.0)
        said = []
        for step in (9, 18):
            (tracker,) = trackers.start([name], facts, said.append)
            tracker._patience_s = 300.0
            tracker.write({**LINE, "step": step})
            if step == 18:
                tracker.results(summary())
            tracker.close()
        assert said == []
        return tmp_path

    return run


def needs(package):
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"needs {package}")


@pytest.mark.slow
@needs("wandb")
def test_real_weights_and_biases_writes_the_run_into_the_run_folder_offline(finished):
    folder = finished("wandb")
    runs = sorted(folder.glob("wandb/offline-run-*-f00"))
    assert len(runs) == 2  # the interruption, and what followed: `wandb sync` puts both into one
    content = b"".join((run / "run-f00.wandb").read_bytes() for run in runs)
    assert b"validation/accuracy/seed_3" in content
    assert b"optim.learning_rate" in content
    assert b"test/accuracy/low" in content
    for ours in (platform.platform(), sys.executable, str(folder), str(claim.__file__), "requirements.txt"):
        assert ours.encode() not in content
    assert [path for run in runs for path in (run / "files").iterdir()] == []  # no metadata, no list of packages
    assert {
        path.name for path in (folder / "wandb").iterdir() if not re.fullmatch(claim.FOLDERS["wandb"], path.name)
    } == set()


@pytest.mark.slow
@needs("mlflow")
def test_real_mlflow_writes_the_run_into_the_run_folder_and_resumes_it(finished):
    folder = finished("mlflow")
    with contextlib.closing(sqlite3.connect(folder / "mlflow" / "mlflow.db")) as database:

        def rows(question):
            return database.execute(question).fetchall()

        assert rows("SELECT status, name FROM runs") == [("FINISHED", "run")]
        assert rows("SELECT key, value FROM params") == [("optim.learning_rate", "0.1")]
        history = rows("SELECT step, value FROM metrics WHERE key = 'validation/loss/seed_3' ORDER BY step")
        assert history == [(9, 1.5), (18, 1.5)]
        assert rows("SELECT value FROM metrics WHERE key = 'result/test/accuracy'") == [(pytest.approx(0.8),)]
    assert [path.name for path in (folder / "mlflow").iterdir()] == ["mlflow.db"]
