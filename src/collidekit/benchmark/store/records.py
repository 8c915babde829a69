"""Rows of the store as objects."""

from enum import StrEnum
from pathlib import Path
from typing import Any

from attrs import frozen

from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.scoring.result import Scores
from collidekit.benchmark.states import Fault, State


class Role(StrEnum):
    """Role of a user."""

    OWNER = "owner"
    """Organiser: registers benchmarks, runs submissions again, sees everything."""
    PARTICIPANT = "participant"
    READER = "reader"
    """Sees what is public; submits nothing."""


@frozen
class User:
    id: int
    name: str
    role: Role
    created_at: float
    disabled_at: float | None = None


@frozen
class Token:
    """A token of a user without its secret."""

    id: int
    label: str
    created_at: float
    revoked_at: float | None


@frozen
class Version:
    """A benchmark as it was registered: its definition, the scorer and the folder of the data."""

    id: int
    name: str
    number: int
    definition_hash: str
    scorer_version: str
    definition: Benchmark
    folder: Path
    registered_at: float
    current: bool


@frozen
class Group:
    """A submission with all its runs: one row of the leaderboard."""

    id: int
    benchmark: str
    name: str
    owner: str
    members: tuple[str, ...]
    created_at: float


@frozen
class Upload:
    """A file of a participant; its content is stored once."""

    sha256: str
    name: str
    size: int
    received_at: float


@frozen
class Run:
    """A run. Times are seconds since 1970 (UTC) by the clock of the database."""

    id: int
    benchmark: str
    version: int
    version_id: int
    phase: str
    group_id: int
    group: str
    user_id: int
    user: str
    upload: str
    parameters: dict[str, Any]
    rerun_of: int | None
    state: State
    fault: Fault | None
    reason: str
    submitted_at: float
    started_at: float | None
    finished_at: float | None
    cancel_requested_at: float | None
    withdrawn_at: float | None
    worker: str | None
    attempt: int
    """Number of claims; a worker with an earlier number has lost the run."""
    losses: int
    """Tries that failed by a fault of the service, lost workers included."""
    heartbeat_at: float | None
    lease_until: float | None
    definition_hash: str
    scoring_hash: str
    """Hash of everything that decides the scores of this phase; runs with the same hash and scorer are comparable."""
    scorer_version: str
    code_hash: str
    image_digest: str
    seed: int
    wall_seconds: float | None
    cpu_seconds: float | None
    peak_memory: float | None
    energy_joules: float | None
    scores: dict[str, dict[str, Any]] | None
    """By metric: value, error, spread, limit."""
    steps: list[dict[str, Any]] | None
    notes: list[str] | None
    """Notes for the participant on a successful run."""
    folder: str
    """Folder of the last attempt, relative to that of the store."""


@frozen
class Attempt:
    """One claim of a run by a worker."""

    number: int
    worker: str
    claimed_at: float
    ended_at: float | None
    outcome: str | None
    reason: str


@frozen
class BoardRow:
    """The best run of a group, with all its scores and replicates."""

    run: Run
    scores: Scores


@frozen
class QueuePlace:
    """Place of a run in the queue."""

    position: int
    """1 is the next to be taken; 0 where the run does not wait."""
    running: int
    workers: int
    """Workers that were seen in the last minute."""
    waited_seconds: float
    estimate_seconds: float | None
    """Expected time until the start, from the last runs; None where nothing is known or no worker runs."""
    reason: str
    """One sentence that says why the run waits."""


@frozen
class WorkerRow:
    name: str
    host: str
    job: str
    started_at: float
    seen_at: float
    stopped_at: float | None
    message: str
    alive: bool


@frozen
class Event:
    """An entry of the audit trail."""

    id: int
    at: float
    actor: str
    action: str
    subject: str
    details: dict[str, Any]
