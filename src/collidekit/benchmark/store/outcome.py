"""Outcome of a run as columns of its row."""

from typing import Any

from attrs import asdict

from collidekit.benchmark.run_result import RunResult
from collidekit.benchmark.scoring.result import Scores
from collidekit.benchmark.states import Fault, State
from collidekit.benchmark.store.text import clean, stored_text
from collidekit.errors import CollidekitError
from collidekit.files import plain


def columns_of(result: RunResult) -> tuple[dict[str, Any], Any]:
    """Return the columns of a run for its result, and all scores.

    A success without finite scores is recorded as a fault of the organiser.
    """
    state, fault, reason = State(result.state), result.fault, result.reason
    if not state.final:
        raise ValueError(f"a run cannot end as {state.value}")
    found = result.scores if state is State.SUCCESS else None
    if state is State.SUCCESS and (problem := _problem(found)):
        state, fault, found = State.ERROR, Fault.ORGANISER, None
        reason = f"the scorer gives no finite scores ({problem}); the organiser has to look at it"
    details = clean(plain(found.as_dict())) if found is not None else None
    values = {
        "state": state.value, "fault": Fault(fault).value if fault else None, "reason": stored_text(reason),
        "code_hash": result.code_hash, "image_digest": stored_text(result.image_digest, 200), "seed": result.seed,
        "wall_seconds": result.wall_seconds, "cpu_seconds": result.cpu_seconds, "peak_memory": result.peak_memory,
        "energy_joules": result.energy_joules, "scores": details["metrics"] if details else None,
        "steps": clean(plain([asdict(step) for step in result.steps])), "notes": clean(list(result.notes)),
    }  # fmt: skip
    return values, details


def _problem(found: Scores | None) -> str:
    if found is None or not found.metrics:
        return "there are none"
    try:
        Scores.from_dict(found.as_dict())
    except CollidekitError as error:
        return str(error)
    return ""
