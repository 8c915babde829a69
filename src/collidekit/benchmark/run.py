"""Run a submission: its steps on each sample in a sandbox, the fixed reader, and the scorer."""

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import evolve

from collidekit.benchmark.checksums import verify
from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.places import Places, job_of
from collidekit.benchmark.rows import sample_keys
from collidekit.benchmark.run_result import RunResult, StepOutcome
from collidekit.benchmark.sandbox.job import Outcome, Sandbox
from collidekit.benchmark.scoring.result import Scores
from collidekit.benchmark.states import Fault, State
from collidekit.benchmark.submission import Submission, check_files, code_hash
from collidekit.errors import CollidekitError

Scorer = Callable[[Benchmark, str, dict[str, Path]], Scores]
SCORING_TIME = 900.0
"""Seconds that the scorer may take."""


class _Stopped(Exception):
    """The run is over: how, and who has to act."""

    def __init__(self, state: State, fault: Fault | None, reason: str) -> None:
        super().__init__(reason)
        self.state, self.fault, self.reason = state, fault, reason


def run_submission(
    benchmark: Benchmark,
    phase: str,
    submission: Submission,
    work: Path,
    sandbox: Sandbox,
    *,
    seed: int = 0,
    canceled: Callable[[], bool] = lambda: False,
    on_step: Callable[[str, str], None] = lambda sample, step: None,
    score: Scorer | None = None,
) -> RunResult:
    """Run a submission on all samples of a phase and score it; ``on_step`` is told each step before it starts.

    ``work`` is a folder for logs, outputs and predictions. Nothing is raised for a fault of the participant, the benchmark or
    the sandbox: the result says who has to act and why, in one sentence.
    """
    result = RunResult(State.ERROR, seed=seed)
    steps: list[StepOutcome] = []
    notes: list[str] = []
    predictions: dict[str, Path] = {}
    try:
        result = evolve(result, code_hash=_by(Fault.PARTICIPANT, lambda: _hash(submission)))
        _by(Fault.ORGANISER, lambda: verify(benchmark, phase))
        for name in benchmark.phase(phase).samples:
            predictions[name] = _run_sample(
                benchmark, phase, name, submission, work, sandbox, seed, canceled, on_step, steps
            )
        if canceled():
            raise _Stopped(State.CANCELED, None, "canceled before it was scored")
        on_step("", "scoring")
        scores = (score or _in_process)(benchmark, phase, predictions)
        _refuse_not_finite(benchmark, scores)
        result = evolve(result, state=State.SUCCESS, scores=scores)
    except _Stopped as stop:
        result = evolve(result, state=stop.state, fault=stop.fault, reason=stop.reason)
    except CollidekitError as error:
        result = evolve(result, fault=getattr(error, "fault", Fault.ORGANISER), reason=str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        result = evolve(result, fault=Fault.SERVICE, reason=f"{where}{error.strerror or error}")
    digests = [step.outcome.image_digest for step in steps if step.outcome.image_digest]
    return evolve(
        result,
        steps=tuple(steps),
        image_digest=digests[-1] if digests else "",
        predictions=predictions,
        notes=tuple(notes),
    )


def _hash(submission: Submission) -> str:
    check_files(submission.folder)
    return code_hash(submission.folder)


def _run_sample(
    benchmark: Benchmark, phase: str, name: str, submission: Submission, work: Path, sandbox: Sandbox, seed: int,
    canceled: Callable[[], bool], on_step: Callable[[str, str], None], steps: list[StepOutcome], notes: list[str],
    code: str,
) -> Path:  # fmt: skip
    """Run the steps on one sample, read the predictions, and return where they were kept."""
    from collidekit.benchmark.sandbox.predictions import read_predictions
    from collidekit.benchmark.scoring.arrays import write_predictions

    sample, places = benchmark.phase(phase).samples[name], Places(work, name)
    keys = _by(Fault.ORGANISER, lambda: sample_keys(benchmark, sample))
    tag = sample_tag(benchmark, phase, name, code)
    for step, command, image in submission.steps():
        if canceled():
            raise _Stopped(State.CANCELED, None, f"canceled before {step} on {name}")
        on_step(name, step)
        job = job_of(benchmark, sample, submission, places, step, command, image, seed, tag)
        outcome = sandbox.run(job, canceled)
        steps.append(StepOutcome(name, step, outcome, str(job.log)))
        _refuse(outcome, step, name)
    found = _by(Fault.PARTICIPANT, lambda: read_predictions(places.output, benchmark, keys))
    notes += [f"{name}: {note}" for note in found.notes]
    return write_predictions(places.predictions, found.values, keys)


def sample_tag(benchmark: Benchmark, phase: str, sample: str, code: str) -> str:
    """Return what a participant is told of a sample: its name where it is the only one, else a text that tells samples apart.

    A tagger that knows which sample is shifted could undo the shift. The text depends on the code of the submission, which
    cannot hold its own hash.
    """
    if len(benchmark.phase(phase).samples) == 1:
        return sample
    return f"sample_{hashlib.sha256(f'{code} {phase} {sample}'.encode()).hexdigest()[:8]}"


def _refuse(outcome: Outcome, step: str, sample: str) -> None:
    if outcome.canceled:
        raise _Stopped(State.CANCELED, None, f"canceled during {step} on {sample}")
    if outcome.service_fault:
        raise _Stopped(State.ERROR, Fault.SERVICE, f"{step} on {sample}: {outcome.reason}")
    if not outcome.ok:
        raise _Stopped(
            State.ERROR, Fault.PARTICIPANT, f"{step} on {sample}: {outcome.reason or 'failed without a reason'}"
        )


def _by(fault: Fault, action: Callable[[], Any]) -> Any:
    """Do something; its error is the fault of somebody."""
    try:
        return action()
    except CollidekitError as error:
        raise _Stopped(State.ERROR, getattr(error, "fault", fault), str(error)) from None


def _in_process(benchmark: Benchmark, phase: str, predictions: dict[str, Path]) -> Scores:
    from collidekit.benchmark.scoring.process import score_in_process

    return score_in_process(benchmark, phase, predictions, SCORING_TIME)


def _refuse_not_finite(benchmark: Benchmark, scores: Scores) -> None:
    for metric in benchmark.metrics:
        found = scores.metrics.get(metric.name)
        if found is None or not math.isfinite(found.value):
            said = "no value" if found is None else f"{found.value}"
            raise _Stopped(
                State.ERROR,
                Fault.ORGANISER,
                f"the scorer gives {said} for {metric.name}; the organiser has to look at it",
            )
