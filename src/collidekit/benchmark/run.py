"""Run a submission: its steps on each sample in a sandbox, the fixed reader, and the scorer."""

import hashlib
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, evolve, field

from collidekit.benchmark.checksums import verify
from collidekit.benchmark.definition import Benchmark, Sample
from collidekit.benchmark.places import Places, job_of
from collidekit.benchmark.rows import sample_keys
from collidekit.benchmark.run_result import RunResult, StepOutcome
from collidekit.benchmark.sandbox.job import Job, Outcome, Sandbox
from collidekit.benchmark.sandbox.log import last_line
from collidekit.benchmark.sandbox.outcome import SEE_LOG
from collidekit.benchmark.sandbox.predictions import read_predictions
from collidekit.benchmark.sandbox.private import refuse_copies_of
from collidekit.benchmark.scoring.arrays import write_predictions
from collidekit.benchmark.scoring.failures import ScoringCanceled
from collidekit.benchmark.scoring.process import score_in_process
from collidekit.benchmark.scoring.result import Scores
from collidekit.benchmark.scoring.truth import Array
from collidekit.benchmark.scoring.version import SCORER_VERSION
from collidekit.benchmark.states import Fault, State
from collidekit.benchmark.submission import Submission, check_files, code_hash
from collidekit.benchmark.without_folders import without_folders
from collidekit.errors import CollidekitError
from collidekit.files import replacing

Canceled = Callable[[], bool]
Scorer = Callable[[Benchmark, str, dict[str, Path], Canceled], Scores]
"""Function that scores the predictions of the samples; it asks whether the run was canceled, and raises ScoringCanceled then."""
SCORING_TIME = 900.0
"""Seconds that the scorer may take."""


class _Stopped(Exception):
    """The run is over: how, and who has to act."""

    def __init__(self, state: State, fault: Fault | None, reason: str, details: str = "") -> None:
        super().__init__(reason)
        self.state, self.fault, self.reason, self.details = state, fault, reason, details


def _score(benchmark: Benchmark, phase: str, predictions: dict[str, Path], canceled: Canceled) -> Scores:
    return score_in_process(benchmark, phase, predictions, SCORING_TIME, canceled=canceled)


def run_submission(
    benchmark: Benchmark,
    phase: str,
    submission: Submission,
    work: Path,
    sandbox: Sandbox,
    *,
    seed: int = 0,
    canceled: Canceled = lambda: False,
    on_step: Callable[[str, str], None] = lambda sample, step: None,
    score: Scorer = _score,
) -> RunResult:
    """Run a submission on all samples of a phase and score it; ``on_step`` is told sample and step before each step.

    ``work`` is a folder for logs, outputs and predictions. Nothing is raised for a fault of the participant, the benchmark or
    the sandbox: the result says who has to act and why, in one sentence.
    """
    run = _Run(benchmark, phase, submission, work, sandbox, seed, canceled, on_step)
    result = RunResult(State.ERROR, seed=seed, scorer_version=SCORER_VERSION)
    try:
        result = evolve(result, state=State.SUCCESS, scores=run.scores(score))
    except _Stopped as stop:
        result = evolve(result, state=stop.state, fault=stop.fault, reason=stop.reason, details=stop.details)
    except CollidekitError as error:
        fault = getattr(error, "fault", Fault.ORGANISER)
        told = (
            str(error)
            if fault is not Fault.ORGANISER
            else f"the scorer failed in phase {phase}; the organiser has to act"
        )
        result = evolve(result, fault=fault, reason=told, details="" if told == str(error) else str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        told = f"a file of the service cannot be read or written ({error.strerror or type(error).__name__})"
        result = evolve(result, fault=Fault.SERVICE, reason=told, details=f"{where}{error.strerror or error}")
    digests = [step.outcome.image_digest for step in run.steps if step.outcome.image_digest]
    return evolve(
        result, steps=tuple(run.steps), image_digest=digests[-1] if digests else "", predictions=run.predictions,
        notes=tuple(run.notes), code_hash=run.code,
    )  # fmt: skip


@define
class _Run:
    """A run that goes on, and what it has so far."""

    benchmark: Benchmark
    phase: str
    submission: Submission
    work: Path
    sandbox: Sandbox
    seed: int
    canceled: Canceled
    on_step: Callable[[str, str], None]
    steps: list[StepOutcome] = field(factory=list)
    notes: list[str] = field(factory=list)
    predictions: dict[str, Path] = field(factory=dict)
    code: str = ""

    def scores(self, score: Scorer) -> Scores:
        """Run all samples and return finite scores; ``_Stopped`` where there are none."""
        self.code = _by(Fault.PARTICIPANT, self._hash)
        _organiser(self.phase, "does not fit its checksum", lambda: verify(self.benchmark, self.phase))
        samples = list(self.benchmark.phase(self.phase).samples)
        for name in sorted(samples, key=self._tag):  # their order would tell which is which
            self._sample(name)
        self.predictions = {name: self.predictions[name] for name in samples}
        self._go_on("scoring")
        self.on_step("", "scoring")
        try:
            found = score(self.benchmark, self.phase, self.predictions, self.canceled)
        except ScoringCanceled:
            raise _Stopped(State.CANCELED, None, "canceled during scoring") from None
        for metric in self.benchmark.metrics:
            value = found.metrics[metric.name].value if metric.name in found.metrics else math.nan
            if not math.isfinite(value):
                said = f"the scorer gives {value} for {metric.name}; the organiser has to look at it"
                raise _Stopped(State.ERROR, Fault.ORGANISER, said)
        return found

    def _hash(self) -> str:
        check_files(self.submission.folder)
        return code_hash(self.submission.folder)

    def _sample(self, name: str) -> None:
        """Run the steps on one sample and keep its predictions."""
        sample, places = self.benchmark.phase(self.phase).samples[name], Places(self.work, name, self._tag(name))
        try:
            self._steps(name, sample, places)
        finally:
            if places.data is not None:
                shutil.rmtree(places.data, ignore_errors=True)

    def _steps(self, name: str, sample: Sample, places: Places) -> None:
        keys = _organiser(self.phase, "cannot be used", lambda: sample_keys(self.benchmark, sample))
        for step, command, image in self.submission.steps():
            self._go_on(f"{step} on {name}")
            self.on_step(name, step)
            job = job_of(self.benchmark, sample, self.submission, places, step, command, image, self.seed)
            self._keep_apart(job)
            outcome = self.sandbox.run(job, self.canceled)
            told = (
                without_folders(outcome.reason, self.work, self.benchmark.folder)
                if outcome.service_fault
                else outcome.reason
            )
            self.steps.append(StepOutcome(name, step, evolve(outcome, reason=told), str(job.log)))
            _refuse(outcome, told, step, name, job.log)
        found = _by(Fault.PARTICIPANT, lambda: read_predictions(places.output, self.benchmark, keys))
        self.notes += [f"{name}: {note}" for note in found.notes]
        self.predictions[name] = _write(places.predictions, found.values, keys)

    def _tag(self, sample: str) -> str:
        return sample_tag(self.benchmark, self.phase, sample, self.code)

    def _keep_apart(self, job: Job) -> None:
        """Refuse a job that would see a truth file of any phase."""
        _organiser(self.phase, "cannot be kept apart", lambda: refuse_copies_of(job, self.benchmark.truth_files()))

    def _go_on(self, what: str) -> None:
        if self.canceled():
            raise _Stopped(State.CANCELED, None, f"canceled before {what}")


def sample_tag(benchmark: Benchmark, phase: str, sample: str, code: str) -> str:
    """Return what a participant is told of a sample: its name where it is the only one, else a text that tells samples apart.

    A tagger that knows which sample is shifted could undo the shift. The text depends on the code of the submission, which
    cannot hold its own hash.
    """
    if len(benchmark.phase(phase).samples) == 1:
        return sample
    return f"sample_{hashlib.sha256(f'{code} {phase} {sample}'.encode()).hexdigest()[:8]}"


def _refuse(outcome: Outcome, told: str, step: str, sample: str, log: Path) -> None:
    """End the run where a step did not end well; ``told`` is the reason that the participant reads."""
    if outcome.canceled:
        raise _Stopped(State.CANCELED, None, f"canceled during {step} on {sample}")
    if outcome.service_fault:
        details = f"{step} on {sample}: {outcome.reason}" if outcome.reason != told else ""
        raise _Stopped(State.ERROR, Fault.SERVICE, f"{step} on {sample}: {told}", details)
    if not outcome.ok:
        said = outcome.reason or "failed without a reason"
        if said.endswith(SEE_LOG) and (last := last_line(log)):
            said = f"{said.removesuffix(SEE_LOG)}; its log ends with: {last}"
        raise _Stopped(State.ERROR, Fault.PARTICIPANT, f"{step} on {sample}: {said}")


def _write(path: Path, predictions: Array, keys: Array) -> Path:
    """Write predictions, so that a file of this name is always whole; an OSError is the fault of the service."""
    try:
        with replacing(path) as temporary:
            write_predictions(temporary, predictions, keys)
    except CollidekitError as error:
        raise error.__cause__ or error from None
    return path


def _by(fault: Fault, action: Callable[[], Any]) -> Any:
    """Do something; its error is the fault of somebody."""
    try:
        return action()
    except CollidekitError as error:
        raise _Stopped(State.ERROR, getattr(error, "fault", fault), str(error)) from None


def _organiser(phase: str, said: str, action: Callable[[], Any]) -> Any:
    """Do something with the organiser's data; what participants are told of its error names no path, checksum or row."""
    try:
        return action()
    except CollidekitError as error:
        told = f"the organiser's data of phase {phase} {said}; the organiser has to act"
        raise _Stopped(State.ERROR, Fault.ORGANISER, told, str(error)) from None
