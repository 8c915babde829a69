"""Runs of Weights & Biases, by default on the disk, from which ``wandb sync`` uploads them."""

import glob
import netrc
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from collidekit.errors import CollidekitError
from collidekit.extras import need
from collidekit.tracking.base import Tracker, Tracking

PROJECT = "collidekit"
PRIVATE = {
    "silent": True, "console": "off", "disable_git": True, "disable_code": True, "save_code": False,
    "disable_job_creation": True, "x_disable_meta": True, "x_disable_stats": True, "x_disable_machine_info": True,
    "x_save_requirements": False, "host": "hidden", "username": "hidden",
}  # fmt: skip
"""Settings that keep program, git state, packages, host name, user name and printed text out of a run."""


class WeightsAndBiases(Tracker):
    """Tracker that writes an interrupted offline run again, and continues an online run after its last epoch."""

    @classmethod
    def check(cls, tracking: Tracking) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        os.environ.setdefault("WANDB_SILENT", "true")  # its login prints the address of the server
        need("wandb", "wandb")
        if tracking.online and not _has_key():
            raise CollidekitError("--track-online: wandb has no key for its server; run 'wandb login', or leave it out")

    def begin(self, settings: Mapping[str, Any], analysis: str, folder: Path) -> None:
        wandb = need("wandb", "wandb")
        store, online = self.store_of(folder), self.tracking.online
        store.mkdir(parents=True, exist_ok=True)
        interrupted = set((store / "wandb").glob(f"offline-run-*-{glob.escape(self.run_id)}"))
        project = None if os.environ.get("WANDB_PROJECT") else PROJECT
        self._run = wandb.init(
            id=self.run_id, name=self.tracking.title, project=project, group=analysis, dir=str(store),
            config={**settings, "folder": self.link(folder)}, mode="online" if online else "offline",
            resume="allow" if online else None, settings=wandb.Settings(**PRIVATE, **({"init_timeout": 20.0} if online else {})),
        )  # fmt: skip
        for earlier in interrupted - {Path(self._run.dir).parent}:  # only now: if wandb cannot start, its epochs stay
            shutil.rmtree(earlier, ignore_errors=True)
        self._first = self._run.step if online else 0

    def epoch(self, row: Mapping[str, float]) -> None:
        """Record the numbers of an epoch, against the epoch."""
        if row["epoch"] >= self._first:
            self._run.log(dict(row), step=int(row["epoch"]))

    def end(self, kept_epoch: int, files: Sequence[Path]) -> None:
        self._run.summary["kept_epoch"] = kept_epoch
        for path in files:  # the files of this folder are uploaded with the run
            shutil.copy(path, self._run.dir)
        self._run.finish()

    def stop(self) -> None:
        self._run.finish(exit_code=1)


def _has_key() -> bool:
    """Return whether there is a key, in the environment or from ``wandb login``; without one, wandb asks in the terminal."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai").hostname or ""
    with suppress(OSError, netrc.NetrcParseError):
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    return False
