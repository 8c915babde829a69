"""Trials of a study: which ones count, which ones were lost, and a record of each for tables and plots."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from attrs import field, frozen

from collidekit.extras import need
from collidekit.search.owner import BEAT, OWNER, is_lost

LOST, SURPLUS, RETRY, ERROR, COST = "lost", "surplus", "retry of", "error", "cost"
"""Attributes of trials: process ended; more trials than requested; number of the repeated trial; reason of a failure; cost."""
BEFORE = "lost before"
"""Attribute: number of times that the settings were lost."""
DRAW = "draw"
"""Attribute: index of the draw of the settings. A repeated trial has the index of the first one, and a lost or surplus one uses up none."""


@frozen
class TrialRecord:
    """One trial, as tables and plots show it."""

    number: int
    state: str
    """``complete``, ``pruned``, ``failed``, ``lost``, ``running``, ``waiting``."""
    settings: dict[str, Any]
    value: float | None
    """Mean of the metric over the seeds; for a pruned trial, the last value that was compared."""
    figures: dict[str, float] = field(factory=dict)
    """Mean of each column of the kept epochs over the seeds."""
    by_seed: list[dict[str, Any]] = field(factory=list)
    """Seed, value, epoch, folder and hash of each training."""
    spread: float | None = None
    """Standard deviation of the value over the seeds (n - 1); None with fewer than two."""
    cpu_seconds: float = 0.0
    seconds: float = 0.0
    error: str = ""
    intermediate: dict[int, float] = field(factory=dict)
    retry_of: int | None = None
    began: str = ""
    ended: str = ""


def counts(trial: Any) -> bool:
    """Return whether a trial counts as one of the requested trials: it is not waiting, lost or surplus."""
    return trial.state.name != "WAITING" and not is_repeated(trial) and SURPLUS not in trial.user_attrs


def draw_of(trial: Any, trials: Callable[[], Sequence[Any]]) -> int:
    """Return the index of the draw of a trial; ``trials`` returns all trials of the study."""
    told = trial.user_attrs
    if DRAW in told or RETRY in told or trial.state.name != "RUNNING":
        return int(told.get(DRAW, told.get(RETRY, trial.number)))
    drawn = (
        other
        for other in trials()
        if other.number < trial.number
        and not other.user_attrs.keys() & {RETRY, SURPLUS}
        and (other.params or not is_repeated(other))
    )
    return 1 + max((int(other.user_attrs.get(DRAW, other.number)) for other in drawn), default=-1)


def is_repeated(trial: Any) -> bool:
    """Return whether a trial was lost, so that another trial has its settings or its place."""
    return LOST in trial.user_attrs and trial.state.name == "FAIL"


def records(study: Any, space: Any) -> list[TrialRecord]:
    """Return all trials except surplus ones, by number."""
    return [_record(trial, space) for trial in study.get_trials(deepcopy=False) if SURPLUS not in trial.user_attrs]


def _record(trial: Any, space: Any) -> TrialRecord:
    told = trial.user_attrs
    drawn = trial.params or trial.system_attrs.get("fixed_params", {})
    names = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting"}
    cost = told.get(COST) or told.get(BEAT, {})
    return TrialRecord(
        number=trial.number,
        state="lost" if is_repeated(trial) else names[trial.state.name],
        settings=space.values(drawn) if drawn.keys() >= set(space.names) else {},
        value=trial.value if trial.state.name in ("COMPLETE", "PRUNED") else None,
        figures=told.get("figures", {}),
        by_seed=told.get("seeds", []),
        spread=told.get("spread"),
        cpu_seconds=cost.get("cpu_seconds", 0.0),
        seconds=cost.get("seconds", 0.0),
        error=told.get(ERROR, ""),
        intermediate={int(epoch): value for epoch, value in sorted(trial.intermediate_values.items())},
        retry_of=told.get(RETRY),
        began=str(trial.datetime_start or ""),
        ended=str(trial.datetime_complete or ""),
    )


def release(study: Any, trial: Any, why: str, retries: int | None = None) -> bool:
    """End a running trial whose process stopped, and put its settings back into the queue.

    With ``retries``, the settings are put back at most this number of times.

    Return False if another process has already released the trial, or if the trial was finished.
    """
    optuna = need("optuna", "search")
    number, identity = trial.number, trial._trial_id
    storage = study._storage
    stored = storage.get_trial(identity)
    if stored.state.name != "RUNNING":
        return False
    before = stored.user_attrs.get(BEFORE, 0)
    again = retries is None or before < retries
    try:
        storage.set_trial_user_attr(identity, LOST if again else ERROR, why)
        if not storage.set_trial_state_values(identity, state=optuna.trial.TrialState.FAIL):
            return False
    except optuna.exceptions.UpdateFinishedTrialError:
        return False
    if again and stored.params:
        told = {RETRY: stored.user_attrs.get(RETRY, number), BEFORE: before + (retries is not None)}
        draw = {DRAW: stored.user_attrs[DRAW]} if DRAW in stored.user_attrs else {}
        study.enqueue_trial(stored.params, user_attrs={**told, **draw})
    return True


def release_lost(study: Any, interval: float, retries: int) -> list[int]:
    """Release the running trials whose processes have ended; return their numbers."""
    found = []
    for trial in study.get_trials(deepcopy=False, states=_states("RUNNING")):
        begun = trial.datetime_start.timestamp() if trial.datetime_start else time.time()
        if is_lost(trial.user_attrs, interval, begun) and release(
            study, trial, f"its process on {trial.user_attrs.get(OWNER, {}).get('host', 'a machine')} ended", retries
        ):
            found.append(trial.number)
    return found


def _states(*names: str) -> Sequence[Any]:
    state = need("optuna", "search").trial.TrialState
    return tuple(state[name] for name in names)


def best_trial(found: Sequence[TrialRecord], direction: str) -> TrialRecord | None:
    """Return the complete trial with the best value, the first one of equal values."""
    sign = 1.0 if direction == "minimize" else -1.0
    complete = [trial for trial in found if trial.state == "complete" and trial.value is not None]
    return min(complete, key=lambda trial: (sign * float(trial.value or 0.0), trial.number), default=None)
