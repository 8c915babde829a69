"""Runs of MLflow, in a SQLite file of the results folder or at ``MLFLOW_TRACKING_URI``."""

import logging
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from collidekit.extras import need
from collidekit.files import one_at_a_time, remove_abandoned, replacing
from collidekit.tracking.base import Tracker, Tracking

EXPERIMENT = "collidekit"
STORE, FILES = "mlflow.db", "mlflow-files"
LONGEST = 500
"""Number of characters of a parameter that every version of the server accepts."""


class Mlflow(Tracker):
    """Tracker that uses only the client of MLflow, which adds no user name, program or environment to the run."""

    @classmethod
    def check(cls, tracking: Tracking) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        need("mlflow", "mlflow")
        if not os.environ.get("MLFLOW_TRACKING_URI"):
            need("sqlalchemy", "mlflow")
            need("alembic", "mlflow")

    def begin(self, settings: Mapping[str, Any], analysis: str, folder: Path) -> None:
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        given = os.environ.get("MLFLOW_TRACKING_URI")
        store = self.store_of(folder).absolute()
        store.mkdir(parents=True, exist_ok=True)
        if not given:
            _create(store / STORE)
        self._client = need("mlflow", "mlflow").MlflowClient(given or f"sqlite:///{store / STORE}")
        experiment = self._experiment(None if given else (store / FILES).as_uri())
        runs = self._client.search_runs([experiment], f"tags.`collidekit.run` = '{self.run_id}'", max_results=1)
        if runs:
            self._run: str = runs[0].info.run_id
            self._client.update_run(self._run, status="RUNNING")
            self._done = {metric.step for metric in self._client.get_metric_history(self._run, "val_loss")}
            return
        tags = {"collidekit.run": self.run_id, "collidekit.folder": self.link(folder), "collidekit.analysis": analysis}
        self._run = self._client.create_run(experiment, tags=tags, run_name=self.tracking.title).info.run_id
        self._done = set()
        entities = need("mlflow.entities", "mlflow")
        params = [entities.Param(_key(name), str(value)[:LONGEST]) for name, value in settings.items()]
        self._client.log_batch(self._run, params=params)

    def _experiment(self, files: str | None) -> str:
        """Return the id of the experiment; another process may create it at the same time."""
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        if found := self._client.get_experiment_by_name(name):
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name, artifact_location=files))
        except Exception:
            if found := self._client.get_experiment_by_name(name):
                return str(found.experiment_id)
            raise

    def epoch(self, row: Mapping[str, float]) -> None:
        """Record the numbers of an epoch in one request, against the epoch."""
        step, now = int(row["epoch"]), int(time.time() * 1000)
        if step in self._done:
            return
        metric = need("mlflow.entities", "mlflow").Metric
        metrics = [metric(_key(name), float(value), now, step) for name, value in row.items() if name != "epoch"]
        self._client.log_batch(self._run, metrics=metrics)
        self._done.add(step)

    def end(self, kept_epoch: int, files: Sequence[Path]) -> None:
        self._client.set_tag(self._run, "collidekit.kept_epoch", str(kept_epoch))
        for path in files:
            self._client.log_artifact(self._run, str(path))
        self._client.set_terminated(self._run, "FINISHED")

    def stop(self) -> None:
        self._client.set_terminated(self._run, "KILLED")


def _create(path: Path) -> None:
    """Create the SQLite file under a temporary name: MLflow cannot use a file whose creation was killed."""
    with one_at_a_time(path.with_name(f".{path.name}.lock")):
        remove_abandoned(path)
        if not path.exists():
            with replacing(path) as temporary:
                need("mlflow", "mlflow").MlflowClient(f"sqlite:///{temporary}").search_experiments()


def _key(name: str) -> str:
    """Return a name with the characters that MLflow allows."""
    return re.sub(r"[^\w\-. /]", "_", name)
