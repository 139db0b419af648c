"""A job without a command: what a notebook calls, in a thread that may install no signal handlers."""

import contextlib
import io
import shutil
import signal
import threading

import jax
import optax
import pytest
from quick_runs import NETWORK, UNCHANGED

from hwr_jax.checks import reproduction
from hwr_jax.cli import console
from hwr_jax.config import configs
from hwr_jax.core import files
from hwr_jax.core.errors import ConfigError, RunFolderError
from hwr_jax.distributed.signals import Signals
from hwr_jax.training import job
from hwr_jax.training.session import Session
from hwr_jax.workdir import machine, run_folder


def quiet(folder, signals):
    return Session(folder=folder, screen=console.make_console(quiet=True), signals=signals, devices=1)


def one_epoch(**more):
    small = {**NETWORK, **UNCHANGED, "epochs": 1, "optim.gradient_norm": True}
    return configs.load("configs/digits.py:smoke", {**small, **more})


def handlers():
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


@pytest.fixture(scope="module")
def in_a_thread(caches, digits, tmp_path_factory):
    """A run, and the same again, in another thread: the folder, both results, the output, the handlers meanwhile."""
    folder, found, out = tmp_path_factory.mktemp("job") / "run", [], io.StringIO()

    def body():
        with jax.numpy_dtype_promotion("standard"), Signals() as signals:
            found.append(handlers())
            found.extend(job.run(one_epoch(), digits, quiet(folder, signals)) for _ in range(2))

    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        for key, value in caches.items():
            patch.setenv(key, value)
        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
    meanwhile, first, again = found
    return folder, first, again, out.getvalue(), meanwhile


def test_a_run_needs_no_flags_no_terminal_and_no_signal_handlers(in_a_thread):
    folder, first, again, out, meanwhile = in_a_thread
    assert (first.status, again.status) == ("new", "finished")
    assert first.summary["test"]["accuracy"]["mean"] == again.summary["test"]["accuracy"]["mean"]
    assert again.summary == files.read_json(folder / "summary.json")
    assert out == ""
    assert meanwhile == handlers()


def test_the_norm_of_the_gradient_is_reported_with_the_training_loss(in_a_thread):
    folder, _, _, _, _ = in_a_thread
    lines = {line["split"]: line["per_seed"] for line in files.read_json_lines(folder / "metrics.jsonl")}
    assert set(lines["train"]) == {"loss", "accuracy", "learning_rate", "gradient_norm"}
    assert 0.01 < lines["train"]["gradient_norm"][0] < 100
    assert "gradient_norm" not in lines["validation"]


@pytest.mark.usefixtures("here")
def test_the_learning_rate_of_the_last_step_of_an_epoch_is_recorded(in_a_thread):
    config, steps = one_epoch(), in_a_thread[1].summary["steps"]
    rate = optax.cosine_onecycle_schedule(steps, config.optim.learning_rate, pct_start=config.schedule.rise)
    train = files.read_json_lines(in_a_thread[0] / "metrics.jsonl")[0]["per_seed"]
    assert train["learning_rate"] == [pytest.approx(float(rate(steps - 1)), rel=1e-4)]


@pytest.mark.usefixtures("here")
def test_a_run_that_was_killed_before_its_evaluation_is_resumed(in_a_thread, digits, tmp_path):
    folder = shutil.copytree(in_a_thread[0], tmp_path / "run")
    before = files.read_json(folder / "summary.json")
    (folder / "summary.json").unlink()
    with Signals() as signals:
        result = job.run(one_epoch(), digits, quiet(folder, signals))
    assert result.status == "resume"
    assert result.summary["state_sha256"] == before["state_sha256"]
    assert result.summary["test"] == before["test"]
    assert files.read_json(folder / "environment.json")["resumed"][0]["step"] == before["steps"]


@pytest.mark.usefixtures("here")
def test_a_run_resumed_with_other_code_says_so_with_every_number(in_a_thread, digits, tmp_path, monkeypatch):
    folder = shutil.copytree(in_a_thread[0], tmp_path / "run")
    first, step = machine.code_digest(), files.read_json(folder / "summary.json")["steps"]
    (folder / "summary.json").unlink()
    monkeypatch.setattr(machine, "code_digest", lambda: 64 * "f")
    with Signals() as signals:
        with pytest.raises(ConfigError, match="the code has changed since; nothing in it was touched: use --resume=an"):
            job.run(one_epoch(), digits, quiet(folder, signals))
        result = job.run(one_epoch(), digits, quiet(folder, signals), resume="anyway")
        again = job.run(one_epoch(), digits, quiet(folder, signals))
    assert (result.status, again.status) == ("resume", "finished")
    found = [(code["step"], code["sha256"]) for code in result.summary["code"]]
    assert found == [(0, first), (step, 64 * "f")]
    lines = files.read_json_lines(folder / "metrics.jsonl")
    assert [(line["split"], line.get("code")) for line in lines] == [
        ("train", None),
        ("validation", None),
        ("test", 64 * "f"),
    ]
    env = run_folder.read_environment(folder)
    assert env["resumed"][0]["code"]["sha256"] == 64 * "f"
    assert f"resumed at step {step}: code.sha256: {first} -> {64 * 'f'}" in reproduction.surroundings(env, env)
    assert console.several_codes(result.summary["code"]).startswith("Several versions of the code trained this run")


def test_a_finished_run_is_reported_under_changed_code(in_a_thread, digits, monkeypatch, capsys):
    folder, first = in_a_thread[:2]
    monkeypatch.setattr(machine, "code_digest", lambda: 64 * "f")
    with Signals() as signals:
        session = quiet(folder, signals)._replace(screen=console.make_console())
        again = job.run(one_epoch(), digits, session)
    assert (again.status, again.summary["test"]) == ("finished", first.summary["test"])
    assert f"the code has changed since {folder} was trained" in capsys.readouterr().out


def test_another_run_in_the_folder_is_refused_and_so_is_a_folder_in_use(in_a_thread, digits):
    folder = in_a_thread[0]
    other = one_epoch(epochs=2)
    with Signals() as signals:
        with pytest.raises(ConfigError, match=r"epochs: 1 -> 2"):
            job.run(other, digits, quiet(folder, signals))
        with run_folder.locked(folder), pytest.raises(RunFolderError, match="another process is training in"):
            job.run(one_epoch(), digits, quiet(folder, signals))


@pytest.mark.parametrize("name", ["auto", "compiled", "patches"])
def test_the_record_names_the_convolution_and_how_the_kernel_was_built(name, kernel, caches, digits):
    config = configs.load("configs/digits.py:smoke", {"model.convolution": name})
    env = job.prepare(config, digits, devices=1, log=lambda line: None).env
    uses = name != "patches"
    assert (env["convolution"], env.get("kernel")) == ("compiled" if uses else name, kernel.what if uses else None)
