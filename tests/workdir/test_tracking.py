"""What a tracker's client is given, run by run: by fakes of the packages that keep the rules of the real ones.

`test_trackers` has the processes, and in its last tests the real packages.
"""

import io
import json
import os
import re
import sys
import time
from types import ModuleType, SimpleNamespace

import pytest

from hwr_jax.workdir import tracking
from hwr_jax.workdir.mlflow_writer import MlflowWriter
from hwr_jax.workdir.wandb_writer import WandbWriter


@pytest.fixture
def facts(tmp_path):
    return {
        "folder": str(tmp_path), "name": "run", "id": "f00", "config": {"optim.learning_rate": 0.1, "seeds": 2},
        "dataset": "digits 1", "code": "0 (abc)", "seeds": [0, 3],
    }  # fmt: skip


class Kept:
    """A writer that keeps what it is given."""

    def __init__(self, about):
        self.given = [about]

    def write(self, step, values):
        self.given.append((step, values))

    def end(self, results):
        self.given.append(results)


LINES = [{"about": {"id": "f00"}}, {"step": 9, "values": {"a": 1.0}}, {"step": 18, "values": {"a": 2.0}}]


@pytest.mark.parametrize(("last", "results"), [([{"results": {"b": 3.0}}], {"b": 3.0}), ([], None)])
def test_the_lines_of_a_run_reach_its_writer_in_order_and_end_it(last, results):
    kept = []
    tracking.feed(lambda about: kept.append(Kept(about)) or kept[0], map(json.dumps, [*LINES, *last]))
    assert kept[0].given == [{"id": "f00"}, (9, {"a": 1.0}), (18, {"a": 2.0}), results]


def test_a_training_that_ended_before_its_first_line_opens_no_run():
    tracking.feed(pytest.fail, [])


@pytest.fixture
def timers(monkeypatch):
    """The timers that were started, none of which runs."""
    started = []

    class Timer(SimpleNamespace):
        def start(self):
            started.append(self)

    monkeypatch.setattr(tracking.threading, "Timer", lambda *given: Timer(given=given))
    return started


def test_a_line_that_the_training_did_not_finish_is_left_out_and_the_client_has_a_while_to_end(monkeypatch, timers):
    kept = []
    monkeypatch.setattr(tracking, "_open", lambda name: lambda about: kept.append(Kept(about)) or kept[0])
    text = "".join(json.dumps(line) + "\n" for line in LINES) + '{"step": 27, "val'
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert tracking.main("wandb") == 0
    assert kept[0].given[1:] == [(9, {"a": 1.0}), (18, {"a": 2.0}), None]
    assert [(timer.given, timer.daemon) for timer in timers] == [((tracking.LEAVE_S, os._exit, [1]), True)]


@pytest.mark.parametrize(
    ("error", "said"), [(OSError("no\n  such host"), "no such host"), (KeyError(), "KeyError"), ("x" * 400, "x" * 300)]
)
def test_what_goes_wrong_is_one_short_line(monkeypatch, capsys, error, said):
    def fail(about):
        raise error if isinstance(error, Exception) else ValueError(error)

    monkeypatch.setattr(tracking, "_open", lambda name: fail)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(LINES[0]) + "\n"))
    assert tracking.main("mlflow") == 1
    assert capsys.readouterr().err == f"{said}\n"


@pytest.mark.parametrize(("name", "writer"), [("wandb", WandbWriter), ("mlflow", MlflowWriter)])
def test_each_tracker_has_its_writer(name, writer):
    assert tracking._open(name) is writer


class WandbRun:
    """A run of W&B: values without a step of their own axis get a counter that only rises."""

    def __init__(self, given):
        self.given, self.axes, self.logged, self.summary, self.code = given, {}, [], {}, None

    def define_metric(self, name, *, step_metric):
        self.axes[name] = step_metric

    def log(self, values):
        self.logged.append(values)

    def finish(self, *, exit_code):
        self.code = exit_code


@pytest.fixture
def wandb(monkeypatch):
    """The runs that were opened."""
    module, runs = ModuleType("wandb"), []
    module.Settings = SimpleNamespace
    module.init = lambda **given: runs.append(WandbRun(given)) or runs[-1]
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return runs


def test_a_resumed_run_of_weights_and_biases_has_its_id_and_its_own_axis_of_steps(wandb, facts, monkeypatch):
    writer = WandbWriter(facts)
    writer.write(18, {"validation/loss": 0.5})
    writer.end(None)
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    writer = WandbWriter(facts)
    writer.write(9, {"validation/loss": 0.7})  # the training returned to a checkpoint
    writer.end({"test/accuracy": 0.8})
    first, second = wandb
    assert [run.given["id"] for run in wandb] == ["f00", "f00"]
    assert [run.given["resume"] for run in wandb] == ["allow", "allow"]
    assert [run.given["project"] for run in wandb] == ["hwr_jax", "mine"]
    assert [run.axes for run in wandb] == [{"*": "step"}] * 2
    assert first.logged + second.logged == [
        {"step": 18, "validation/loss": 0.5}, {"step": 9, "validation/loss": 0.7}
    ]  # fmt: skip
    assert [run.code for run in wandb] == [1, 0]
    assert [run.summary for run in wandb] == [{}, {"test/accuracy": 0.8}]


class MlflowStore:
    """Experiments and runs as MLflow's server keeps them: at most a hundred parameters in a request, and none twice."""

    def __init__(self):
        self.uris, self.experiments, self.runs = [], {}, {}

    def get_experiment_by_name(self, name):
        return SimpleNamespace(experiment_id=f"of {name}") if name in self.experiments else None

    def create_experiment(self, name, *, artifact_location):
        assert name not in self.experiments
        self.experiments[name] = artifact_location
        return f"of {name}"

    def search_runs(self, experiments, question):
        tag, value = re.fullmatch(r"tags\.`(.+)` = '(.+)'", question).groups()
        found = [run for run in self.runs.values() if run.experiment in experiments and run.tags.get(tag) == value]
        return [SimpleNamespace(info=SimpleNamespace(run_id=run.id)) for run in found]

    def create_run(self, experiment, *, run_name, tags):
        one = SimpleNamespace(
            id=f"run {len(self.runs)}", experiment=experiment, name=run_name, tags=tags, params={}, metrics=[]
        )
        one.status = ["RUNNING"]
        self.runs[one.id] = one
        return SimpleNamespace(info=SimpleNamespace(run_id=one.id))

    def log_batch(self, run_id, *, params=(), metrics=()):
        run = self.runs[run_id]
        assert run.status[-1] == "RUNNING"
        assert max(len(params), len(metrics)) <= 100
        assert not {param.key for param in params} & set(run.params)
        run.params |= {param.key: param.value for param in params}
        run.metrics += metrics

    def update_run(self, run_id, *, status):
        self.runs[run_id].status.append(status)

    def set_terminated(self, run_id, status):
        self.runs[run_id].status.append(status)


@pytest.fixture
def mlflow(monkeypatch):
    """The store that every client of the fake package shares."""
    store = MlflowStore()

    def client(*, tracking_uri):
        store.uris.append(tracking_uri)
        return store

    entities, clients = ModuleType("mlflow.entities"), ModuleType("mlflow.tracking")
    entities.Param = lambda key, value: SimpleNamespace(key=key, value=value)
    entities.Metric = lambda key, value, timestamp, step: SimpleNamespace(
        key=key, value=value, timestamp=timestamp, step=step
    )
    clients.MlflowClient = client
    for name, module in {
        "mlflow": ModuleType("mlflow"),
        entities.__name__: entities,
        clients.__name__: clients,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(variable, raising=False)
    return store


def test_a_run_of_mlflow_lies_in_the_run_folder_with_its_config_steps_and_results(mlflow, facts, tmp_path):
    before = time.time()
    writer = MlflowWriter(facts)
    writer.write(9, {"validation/loss": 0.5, "validation/loss/seed_3": 0.75})
    writer.end({"test/accuracy": 0.8})
    assert mlflow.uris == [f"sqlite:///{tmp_path}/mlflow/mlflow.db"]
    assert (tmp_path / "mlflow").is_dir()
    assert mlflow.experiments == {"hwr_jax": f"file://{tmp_path}/mlflow/artifacts"}
    (run,) = mlflow.runs.values()
    assert (run.experiment, run.name) == ("of hwr_jax", "run")
    assert run.tags == {"hwr_jax.id": "f00", "dataset": "digits 1", "code": "0 (abc)"}
    assert run.params == {"optim.learning_rate": "0.1", "seeds": "2"}
    assert [(metric.key, metric.step, metric.value) for metric in run.metrics] == [
        ("validation/loss", 9, 0.5), ("validation/loss/seed_3", 9, 0.75), ("result/test/accuracy", 0, 0.8),
    ]  # fmt: skip
    assert all(before <= metric.timestamp / 1000 + 0.001 <= time.time() + 0.001 for metric in run.metrics)
    assert run.status == ["RUNNING", "FINISHED"]


def test_a_resumed_run_of_mlflow_goes_on_and_another_run_has_its_own(mlflow, facts):
    MlflowWriter(facts).end(None)
    resumed = MlflowWriter({**facts, "config": {"optim.learning_rate": 0.5}})
    resumed.write(18, {"train/loss": 0.25})
    resumed.end({"test/accuracy": 0.8})
    MlflowWriter({**facts, "id": "f01", "name": "other"}).write(9, {"train/loss": 1.0})
    first, other = mlflow.runs.values()
    assert first.status == ["RUNNING", "KILLED", "RUNNING", "FINISHED"]
    assert first.params["optim.learning_rate"] == "0.1"
    assert [(metric.key, metric.step) for metric in first.metrics] == [("train/loss", 18), ("result/test/accuracy", 0)]
    assert (other.name, other.experiment, [metric.value for metric in other.metrics]) == ("other", "of hwr_jax", [1.0])


def test_a_config_and_a_line_of_more_than_a_hundred_values_arrive_whole(mlflow, facts):
    many = {f"key{i}": float(i) for i in range(250)}
    writer = MlflowWriter({**facts, "config": many})
    writer.write(9, many)
    (run,) = mlflow.runs.values()
    assert run.params == {key: str(value) for key, value in many.items()}
    assert {metric.key: metric.value for metric in run.metrics} == many


def test_a_server_and_an_experiment_that_the_user_names_are_used(mlflow, facts, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    MlflowWriter(facts)
    assert mlflow.uris == ["http://localhost:5000"]
    assert mlflow.experiments == {"mine": None}
    assert not (tmp_path / "mlflow").exists()
