"""A worker of a search: it runs trials until the requested number is finished."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from collidekit.errors import CollidekitError
from collidekit.extras import need
from collidekit.search.measured import (
    Epochs,
    Measured,
    PrunedError,
    SearchError,
    TakenOverError,
    Train,
    by_epoch,
    value_of,
)
from collidekit.search.owner import BEAT, OWNER, Heartbeat, this_process
from collidekit.search.storage import storage_errors
from collidekit.search.study import SearchPlan
from collidekit.search.trials import BEFORE, COST, DRAW, ERROR, RETRY, SURPLUS, counts, release, release_lost
from collidekit.training.stopping import StoppedError

LONGEST_WAIT = 5.0
VALIDATION = "validation rows"
Say = Callable[[str], None]


def work(study: Any, plan: SearchPlan, train: Train, say: Say = lambda text: None) -> None:
    """Run trials until this process and others have finished the number of trials of the plan."""
    optuna = need("optuna", "search")
    with storage_errors(plan.storage):
        while True:
            for number in release_lost(study, plan.heartbeat, plan.retries):
                say(f"trial {number}: its process ended; its settings are tried again")
            trials = study.get_trials(deepcopy=False)
            taken = [trial for trial in trials if counts(trial)]
            if len(taken) >= plan.trials:
                if not any(trial.state.name == "RUNNING" for trial in taken):
                    return
                time.sleep(min(LONGEST_WAIT, plan.heartbeat / 2))
                continue
            trial = study.ask(fixed_distributions=plan.space.distributions())
            trial.set_user_attr(OWNER, this_process())
            if _is_surplus(study, plan, trial):
                trial.set_user_attr(SURPLUS, True)
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                if given := _queued_settings(study, trial):
                    kept = (RETRY, BEFORE, DRAW)
                    study.enqueue_trial(given, user_attrs={k: v for k, v in trial.user_attrs.items() if k in kept})
                if plan.sampler == "grid" and not given:
                    return
                continue
            _run(study, plan, train, trial, say)


def _queued_settings(study: Any, trial: Any) -> dict[str, Any]:
    """Return the settings of a trial from the queue; empty for a trial whose settings are drawn."""
    found: dict[str, Any] = study._storage.get_trial(trial._trial_id).system_attrs.get("fixed_params", {})
    return found


def _is_surplus(study: Any, plan: SearchPlan, trial: Any) -> bool:
    """Return whether earlier trials reach the requested number, or all points of a grid are used."""
    if plan.sampler == "grid" and not _queued_settings(study, trial):
        return True
    others = study.get_trials(deepcopy=False)
    return sum(counts(other) for other in others if other.number < trial.number) >= plan.trials


def _run(study: Any, plan: SearchPlan, train: Train, trial: Any, say: Say) -> None:
    """Run one trial and report its result to the study."""
    optuna = need("optuna", "search")
    settings = plan.space.values(trial.params)
    label = ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in settings.items()
    )
    say(f"trial {trial.number}: {label}")
    beat = Heartbeat(lambda told: trial.set_user_attr(BEAT, told), plan.heartbeat)
    state, value, told = optuna.trial.TrialState.COMPLETE, None, {}
    try:
        with beat:
            found = _train_all(study, plan, train, trial, settings)
        told = _summary(found, plan.metric)
        value = told["value"]
    except PrunedError:
        state = optuna.trial.TrialState.PRUNED
    except (TakenOverError, optuna.exceptions.UpdateFinishedTrialError):
        say(
            f"trial {trial.number}: another process has taken it over, because this process did not update its heartbeat"
        )
        return
    except (KeyboardInterrupt, StoppedError, SearchError) as error:
        trial.set_user_attr(COST, beat.cost())
        release(study, trial, str(error) if isinstance(error, SearchError) else "stopped")
        raise
    except (CollidekitError, RuntimeError, MemoryError) as error:
        state = optuna.trial.TrialState.FAIL
        told = {ERROR: " ".join(str(error).split())[:400] or type(error).__name__}
    try:
        for name, entry in {**told, COST: beat.cost()}.items():
            if name != "value":
                trial.set_user_attr(name, entry)
        study.tell(trial, value if state is optuna.trial.TrialState.COMPLETE else None, state=state)
    except (optuna.exceptions.UpdateFinishedTrialError, ValueError):
        if study._storage.get_trial(trial._trial_id).state.name == "RUNNING":
            raise
        say(f"trial {trial.number}: another process has taken it over; this result is dropped")
        return
    say(_summary_line(trial.number, state.name, value, told, plan.metric))


def _summary_line(number: int, state: str, value: float | None, told: dict[str, Any], metric: str) -> str:
    if state == "COMPLETE":
        spread = f" ± {told['spread']:.2g}" if told["spread"] is not None else ""
        return f"trial {number}: {metric} {value:.6g}{spread}"
    return f"trial {number}: pruned" if state == "PRUNED" else f"trial {number}: failed: {told[ERROR]}"


def _train_all(study: Any, plan: SearchPlan, train: Train, trial: Any, settings: dict[str, Any]) -> list[Measured]:
    """Train once with each seed; the first training is compared with those of other trials for pruning."""
    found = []
    for i, seed in enumerate(plan.seeds):
        reporter = _reporter(plan, trial) if i == 0 and plan.warmup >= 0 else _only_check(study, trial)
        one = train(settings, seed, reporter)
        _check_rows(study, one)
        found.append(one)
    return found


def _reporter(plan: SearchPlan, trial: Any) -> Callable[[Epochs], None]:
    reported: set[int] = set()

    def report(epochs: Epochs) -> None:
        _check_owner(trial)
        for epoch, value in by_epoch(epochs, plan.metric).items():
            if epoch not in reported:
                reported.add(epoch)
                trial.report(value, epoch)
                if plan.may_prune_at(epoch) and trial.should_prune():
                    raise PrunedError

    return report


def _only_check(study: Any, trial: Any) -> Callable[[Epochs], None]:
    return lambda epochs: _check_owner(trial)


def _check_owner(trial: Any) -> None:
    if trial.storage.get_trial(trial._trial_id).state.name != "RUNNING":
        raise TakenOverError


def _check_rows(study: Any, one: Measured) -> None:
    """Raise an error if a training was validated on other rows than earlier ones."""
    first = study.user_attrs.get(VALIDATION)
    if first is None:
        study.set_user_attr(VALIDATION, one.validation)
    elif first != one.validation:
        raise SearchError(
            f"{one.folder}: was validated on other rows ({one.validation}) than the trials before ({first}); they cannot be compared: "
            "search only settings that do not change the rows"
        )


def _summary(found: Sequence[Measured], metric: str) -> dict[str, Any]:
    """Return the attributes of a complete trial: means over seeds, their standard deviation, and each training."""
    values = [value_of(one.figures, metric) for one in found]
    common = [name for name in found[0].figures if all(name in one.figures for one in found)]
    return {
        "value": float(np.mean(values)),
        "spread": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "figures": {name: float(np.mean([one.figures[name] for one in found])) for name in common},
        "seeds": [
            {"seed": one.seed, "value": value, "epoch": one.epoch, "folder": str(one.folder), "hash": one.hash}
            for one, value in zip(found, values, strict=True)
        ],
        "parameters": found[0].parameters,
    }
