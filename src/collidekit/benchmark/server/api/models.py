"""Requests and responses of the API."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from collidekit.benchmark.states import Fault, State
from collidekit.benchmark.store import Attempt, Event, QueuePlace, Role, Run, User, WorkerRow
from collidekit.benchmark.store.clock import moment
from collidekit.benchmark.store.text import LONGEST_NAME

EXAMPLE_RUN: JsonDict = {
    "id": 17, "benchmark": "top_tagging", "version": 1, "phase": "public", "entry": "particle_net", "user": "ada", "state": "pending",
    "reason": "waits for a worker",
}  # fmt: skip


class Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Limits(Out):
    """Limits of this server."""

    title: str
    version: str
    upload_bytes: int = Field(description="Largest zip file.", examples=[200_000_000])
    public: bool = Field(description="Whether boards are shown without a token.")


class Me(Out):
    """The user of a token."""

    id: int
    name: str = Field(examples=["ada"])
    role: Role
    created_at: datetime
    disabled: bool = False

    @classmethod
    def of(cls, user: User) -> "Me":
        return cls(
            id=user.id,
            name=user.name,
            role=user.role,
            created_at=moment(user.created_at),
            disabled=user.disabled_at is not None,
        )


class NewUser(In):
    """A user to add."""

    name: str = Field(min_length=1, max_length=LONGEST_NAME, examples=["grace"])
    role: Role = Field(Role.PARTICIPANT, examples=["participant"])


class UserToken(Out):
    """A user and its new token, which is shown this once."""

    user: Me
    token: str = Field(examples=["ckb_v7cS..."])


class PhaseOut(Out):
    name: str
    start: datetime | None
    end: datetime | None
    submissions_per_day: int
    submissions: int
    board_shown: bool = Field(description="False until the end of a phase whose board is hidden.")


class BenchmarkOut(Out):
    """A benchmark: what a participant needs to know; no path and no truth."""

    name: str = Field(examples=["top_tagging"])
    version: int
    title: str
    description: str
    instructions: str
    rules: str
    task: str
    metrics: list[dict[str, Any]]
    order: list[str]
    parameters: list[dict[str, Any]]
    output: dict[str, Any]
    limits: dict[str, Any]
    phases: list[PhaseOut]


class NewMember(In):
    """A user who may submit under the name of an entry."""

    user: str = Field(min_length=1, max_length=LONGEST_NAME, description="Name of the user.", examples=["bob"])


class NewRun(In):
    """A submission of a container image and commands."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "particle_net", "image": "registry.example.org/group/tagger:1.0",
                                         "tagger": "python /code/tag.py", "seed": 1}]},
    )  # fmt: skip
    name: str = Field(min_length=1, max_length=LONGEST_NAME, description="Name of the entry on the leaderboard.")
    image: str = Field(min_length=1, max_length=500, description="Container image that holds the code.")
    preprocess: str = Field("", max_length=4000, description="Command of the optional first step.")
    tagger: str = Field(min_length=1, max_length=4000, description="Command that writes the predictions.")
    parameters: dict[str, Any] = {}
    seed: int = Field(0, ge=0, lt=2**31, description="Random seed that the submission gets.")


class NewRuns(Out):
    """Runs that were added to the queue."""

    runs: list[int] = Field(description="Their numbers.", examples=[[18, 19]])


class Place(Out):
    """Place of a run in the queue."""

    position: int = Field(description="1 is the next; 0 where the run does not wait.")
    running: int
    workers: int
    waited_seconds: float
    estimate_seconds: float | None

    @classmethod
    def of(cls, place: QueuePlace) -> "Place":
        return cls.model_validate(place)


class ScoreOut(Out):
    value: float
    error: float | None = None
    spread: float | None = None
    limit: bool = False


class RunOut(Out):
    """A run."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_RUN]})
    id: int
    benchmark: str
    version: int
    phase: str
    entry: str
    user: str
    state: State
    fault: Fault | None = None
    reason: str = Field("", description="Why it waits, failed or was stopped: one sentence.")
    withdrawn: bool = False
    submitted_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    queue: Place | None = Field(None, description="Only while the run waits or is under way.")
    scores: dict[str, ScoreOut] | None = None
    score_notes: list[str] = Field(
        [], description="Which trainings of an ensemble count, and other notes; of a single run only."
    )
    code_hash: str = ""
    image_digest: str = ""
    seed: int = 0
    wall_seconds: float | None = None
    cpu_seconds: float | None = None
    peak_memory_bytes: float | None = None
    energy_joules: float | None = Field(None, description="Estimate: CPU seconds times the stated power.")
    parameters: dict[str, Any] = {}
    rerun_of: int | None = None
    reruns: list[int] = Field(
        [], description="Runs that repeat this one and stay on the leaderboard; in the answer to withdraw only."
    )

    @classmethod
    def of(cls, run: Run, place: QueuePlace | None = None) -> "RunOut":
        return cls(
            id=run.id, benchmark=run.benchmark, version=run.version, phase=run.phase, entry=run.group, user=run.user, state=run.state,
            fault=run.fault, reason=run.reason, withdrawn=run.withdrawn_at is not None, submitted_at=moment(run.submitted_at),
            started_at=_maybe(run.started_at), finished_at=_maybe(run.finished_at), queue=Place.of(place) if place else None,
            scores={name: ScoreOut(**score) for name, score in run.scores.items()} if run.scores else None,
            code_hash=run.code_hash, image_digest=run.image_digest, seed=run.seed, wall_seconds=run.wall_seconds,
            cpu_seconds=run.cpu_seconds, peak_memory_bytes=run.peak_memory, energy_joules=run.energy_joules,
            parameters=run.parameters, rerun_of=run.rerun_of, reruns=[], score_notes=[],
        )  # fmt: skip


class EventOut(Out):
    """An entry of the audit trail."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    details: dict[str, Any]

    @classmethod
    def of(cls, event: Event) -> "EventOut":
        return cls(
            id=event.id,
            at=moment(event.at),
            actor=event.actor,
            action=event.action,
            subject=event.subject,
            details=event.details,
        )


class WorkerOut(Out):
    """A worker."""

    name: str
    host: str
    job: str
    alive: bool
    started_at: datetime
    seen_at: datetime
    message: str

    @classmethod
    def of(cls, row: WorkerRow) -> "WorkerOut":
        return cls(
            name=row.name, host=row.host, job=row.job, alive=row.alive, started_at=moment(row.started_at), seen_at=moment(row.seen_at),
            message=row.message,
        )  # fmt: skip


class CurveOut(Out):
    """The ROC curve of an entry at some signal efficiencies, with its 68 % band."""

    signal: str
    background: str
    signal_efficiency: list[float]
    background_efficiency: list[float | None]
    low: list[float | None]
    high: list[float | None]
    signal_rows: int
    background_rows: int


class BoardEntry(Out):
    """A row of a leaderboard."""

    rank: int | None = Field(
        description="Of entries with the same rank none is better than another; null for published results."
    )
    tied: bool = False
    error_unknown: bool = Field(
        False, description="The error of the leading metric is not known: its value alone decides."
    )
    name: str
    user: str = ""
    run: int | None = None
    reference: bool = False
    source: str = ""
    notes: list[str] = []
    ensemble_runs: int | None = Field(None, description="Trainings in the predictions.")
    runs_left_out: list[int] = Field([], description="Those of them that the outlier rule leaves out.")
    scores: dict[str, ScoreOut]
    curve: CurveOut | None = Field(None, description="Only with ?curves=true, and of a metric of a ROC curve.")


class Unranked(Out):
    name: str
    reason: str


class ColumnOut(Out):
    """A metric of a leaderboard."""

    name: str
    label: str
    direction: str
    precision: int | None
    ranks: bool = Field(description="Whether the metric decides the order.")
    signal_efficiency: float | None = Field(None, description="The signal efficiency of a background rejection.")


class BoardOut(Out):
    """A leaderboard."""

    benchmark: str
    phase: str
    title: str
    columns: list[ColumnOut]
    order: list[str]
    entries: list[BoardEntry]
    unranked: list[Unranked]


class Attempts(Out):
    number: int
    worker: str
    outcome: str | None
    reason: str

    @classmethod
    def of(cls, attempt: Attempt) -> "Attempts":
        return cls.model_validate(attempt)


def _maybe(seconds: float | None) -> datetime | None:
    return None if seconds is None else moment(seconds)
