"""Result of a run of a submission."""

from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen

from collidekit.benchmark.sandbox.job import Outcome
from collidekit.benchmark.scoring.result import Scores
from collidekit.benchmark.states import Fault, State

WATTS = 12.0
"""Power in watts of one busy core with its share of the machine, by which the energy is estimated."""


@frozen
class StepOutcome:
    """A step of one sample and how it ended."""

    sample: str
    step: str
    outcome: Outcome
    log: str
    """Path of its log."""


@frozen
class RunResult:
    """Result of a run. Only a successful run has scores, and they are all finite."""

    state: State
    fault: Fault | None = None
    reason: str = ""
    """One sentence; empty where the run succeeded."""
    scores: Scores | None = None
    steps: tuple[StepOutcome, ...] = ()
    code_hash: str = ""
    image_digest: str = ""
    seed: int = 0
    predictions: dict[str, Path] = field(factory=dict)
    """The predictions of each sample as the reader accepted them, npz."""
    notes: tuple[str, ...] = ()
    """Notes for the participant, such as that the order of the rows could not be checked."""
    scorer_version: str = ""
    """Version of the scorer of the code that ran here."""
    details: str = ""
    """Details for the organiser, such as paths; not shown to participants."""

    @property
    def wall_seconds(self) -> float:
        """Wall time of all steps."""
        return sum(step.outcome.wall_seconds for step in self.steps)

    @property
    def cpu_seconds(self) -> float | None:
        """CPU time of all steps; None where the sandbox cannot tell it of each."""
        times = [step.outcome.cpu_seconds for step in self.steps]
        return sum(time for time in times if time is not None) if times and None not in times else None

    @property
    def peak_memory(self) -> int | None:
        """Largest memory of a step in bytes; None where it is not known."""
        return max(
            (step.outcome.peak_memory for step in self.steps if step.outcome.peak_memory is not None), default=None
        )

    @property
    def energy_joules(self) -> float | None:
        """Estimated energy: CPU seconds times ``WATTS``."""
        return None if self.cpu_seconds is None else self.cpu_seconds * WATTS

    @property
    def logs(self) -> dict[str, str]:
        """Path of the log of each step, by ``<sample>/<step>``."""
        return {f"{step.sample}/{step.step}": step.log for step in self.steps}

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "state": self.state.value,
            "fault": self.fault.value if self.fault else None,
            "reason": self.reason,
            "details": self.details,
            "scores": self.scores.as_dict() if self.scores else None,
            "steps": [asdict(step) for step in self.steps],
            "code_hash": self.code_hash,
            "image_digest": self.image_digest,
            "seed": self.seed,
            "scorer_version": self.scorer_version,
            "wall_seconds": self.wall_seconds,
            "cpu_seconds": self.cpu_seconds,
            "peak_memory": self.peak_memory,
            "energy_joules": self.energy_joules,
            "watts": WATTS,
            "notes": list(self.notes),
            "predictions": {name: str(path) for name, path in self.predictions.items()},
        }
