"""MLflow: a run of the experiment hwr_jax. The only file that imports mlflow.

Without a server nothing leaves the machine: the run is in mlflow/mlflow.db in the run folder, an SQLite database.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

EXPERIMENT = "hwr_jax"
TAG = "hwr_jax.id"
MOST = 100  # parameters, and metrics, in a request


class MlflowWriter:
    """A run of MLflow; a resumed training continues it. See `tracking.Writer`."""

    def __init__(self, about: dict[str, Any]):
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        own = Path(about["folder"], "mlflow")
        uri, place = os.environ.get("MLFLOW_TRACKING_URI"), None
        if not uri:
            own.mkdir(exist_ok=True)
            uri, place = f"sqlite:///{own / 'mlflow.db'}", (own / "artifacts").as_uri()
        self._client = MlflowClient(tracking_uri=uri)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        known = self._client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else self._client.create_experiment(name, artifact_location=place)
        found = self._client.search_runs([experiment], f"tags.`{TAG}` = '{about['id']}'")
        if found:
            self._id = found[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
            return
        tags = {TAG: about["id"], "dataset": about["dataset"], "code": about["code"]}
        self._id = self._client.create_run(experiment, run_name=about["name"], tags=tags).info.run_id
        params = [Param(key, str(value)) for key, value in about["config"].items()]
        for some in _batched(params):
            self._client.log_batch(self._id, params=some)

    def write(self, step: int, values: dict[str, float]) -> None:
        """See `tracking.Writer`."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        for some in _batched([Metric(name, value, now, step) for name, value in values.items()]):
            self._client.log_batch(self._id, metrics=some)

    def end(self, results: dict[str, float] | None) -> None:
        """See `tracking.Writer`."""
        if results:
            self.write(0, {f"result/{name}": value for name, value in results.items()})
        self._client.set_terminated(self._id, "FINISHED" if results else "KILLED")


def _batched(values: list[Any]) -> list[list[Any]]:
    return [values[i : i + MOST] for i in range(0, len(values), MOST)]
