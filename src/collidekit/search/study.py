"""A study: created by the first process, opened by the others, and never used with other settings."""

import time
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from collidekit.errors import CollidekitError
from collidekit.extras import need
from collidekit.search.space import Space
from collidekit.search.storage import open_storage, storage_errors, without_password

FACTOR = 3
"""Reduction factor of successive halving and Hyperband: one of 3 trials continues, to 3 times as many epochs."""
RECORD, READY = "collidekit", "ready"
WAIT = 60.0
"""Seconds that a process waits for the process that creates the study."""


@frozen
class SearchPlan:
    """Complete definition of a search."""

    name: str
    """The name of the study."""
    storage: str
    space: Space
    fixed: Mapping[str, Any]
    """Hashes and settings that are the same for all trials, for JSON."""
    metric: str
    direction: str
    """``minimize`` or ``maximize``."""
    sampler: str
    seed: int
    """Random seed of the sampler."""
    seeds: tuple[int, ...]
    """Seeds of the trainings of each trial."""
    warmup: int
    """Epochs before a trial may be pruned; negative: no pruning."""
    trials: int
    heartbeat: float = 60.0
    retries: int = 3
    """Number of times that a lost trial is run again."""
    pruner: str = "median"
    """``median``, ``halving`` or ``hyperband``."""
    epochs: int = 0
    """Epochs of each training; 0 if epochs are searched."""

    def record(self) -> dict[str, Any]:
        """Return the definition that a study must have, for JSON."""
        return {
            "space": self.space.as_dict(),
            "space_hash": self.space.hash,
            "fixed": dict(self.fixed),
            "metric": self.metric,
            "direction": self.direction,
            "sampler": self.sampler,
            "sampler_seed": self.seed,
            "seeds": list(self.seeds),
            "pruning": self._pruning(),
            "grid": [list(point.values()) for point in self.space.grid()] if self.sampler == "grid" else [],
        }

    def _pruning(self) -> Any:
        if self.warmup < 0:
            return "none"
        if self.pruner == "median":
            return {"median after epochs": self.warmup}
        return {f"{self.pruner} from epoch": max(self.warmup, 1), "of epochs": self.epochs, "factor": FACTOR}

    def may_prune_at(self, epoch: int) -> bool:
        """Return whether a trial may be pruned after an epoch; halving and Hyperband never prune it at its last epoch."""
        return self.pruner == "median" or not self.epochs or epoch < self.epochs


def open_study(plan: SearchPlan) -> Any:
    """Return the study of a plan, created if necessary; raise an error if it was created with another plan."""
    optuna = need("optuna", "search")
    from collidekit.search.sampler import build_pruner, build_sampler

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = open_storage(plan.storage)
    parts = {
        "sampler": build_sampler(plan.sampler, plan.seed),
        "pruner": build_pruner(plan.pruner, plan.warmup, plan.epochs),
    }
    with storage_errors(plan.storage):
        try:
            study = optuna.create_study(storage=storage, study_name=plan.name, direction=plan.direction, **parts)
        except optuna.exceptions.DuplicatedStudyError:
            study = optuna.load_study(storage=storage, study_name=plan.name, **parts)
            _wait_until_ready(study, plan)
            check_same(plan, study)
            return study
        study.set_user_attr(RECORD, plan.record())
        if plan.sampler == "grid":
            for point in plan.space.grid():
                study.enqueue_trial(point)
        study.set_user_attr(READY, True)
    return study


def _wait_until_ready(study: Any, plan: SearchPlan) -> None:
    begun = time.monotonic()
    while not study.user_attrs.get(READY):
        if time.monotonic() - begun > WAIT:
            raise CollidekitError(
                f"study {plan.name!r} in {without_password(plan.storage)}: is not a study of collidekit, or its creation was interrupted; "
                "give another --study or --storage"
            )
        time.sleep(0.2)


def check_same(plan: SearchPlan, study: Any) -> None:
    """Raise an error that lists the differences if a study was created with another space or other settings."""
    stored, mine = study.user_attrs[RECORD], plan.record()
    if different := differences(stored, mine):
        raise CollidekitError(
            f"study {plan.name!r} in {without_password(plan.storage)}: was created with another space or other settings than {plan.space.path} and this "
            f"command: {'; '.join(different[:4])}; give another --study, or the same space and settings"
        )


def differences(stored: Mapping[str, Any], mine: Mapping[str, Any]) -> list[str]:
    """Return the differences between the records of two searches, in words."""
    found = []
    one, other = stored.get("space", {}), mine["space"]
    for name in dict.fromkeys([*one, *other]):
        if name not in other:
            found.append(f"the study varies {name}, and the space file does not")
        elif name not in one:
            found.append(f"the study does not vary {name}, and the space file does")
        elif one[name] != other[name]:
            found.append(f"{name} is {_shown(one[name])} in the study and {_shown(other[name])} in the space file")
    left, right = {**stored, **stored.get("fixed", {})}, {**mine, **mine["fixed"]}
    for name in dict.fromkeys([*left, *right]):
        if name not in ("space", "space_hash", "fixed", "grid") and left.get(name) != right.get(name):
            found.append(f"{name.replace('_', ' ')} was {_shown(left.get(name))} and is {_shown(right.get(name))}")
    if not found and stored != mine:
        found.append("the grid has other points")
    return found


def _shown(value: Any) -> str:
    if isinstance(value, Mapping) and "values" in value:
        return str(value["values"])
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {entry}" for key, entry in sorted(value.items())) + "}"
    return str(value)
