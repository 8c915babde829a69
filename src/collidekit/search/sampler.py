"""Samplers and pruners of optuna with explicit options, so that no version of optuna changes a search.

This module imports optuna: import it only to run a search.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from collidekit.search.study import FACTOR
from collidekit.search.trials import DRAW, RETRY, draw_of, is_repeated

SAMPLERS = ("tpe", "random", "grid")
STARTUP = 10
"""Number of random trials at the start of TPE."""


class SeededByDraw(BaseSampler):
    """Sampler with a random seed for each trial, from the seed of the search and the index of the draw.

    An interrupted search therefore continues with the same draws, and no two processes draw the same values.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make, self._seed = make, seed
        self._number, self._sampler = -1, make(0)

    def before_trial(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        draw = _draw(study, trial)
        if not trial.user_attrs.keys() & {DRAW, RETRY}:
            study._storage.set_trial_user_attr(trial._trial_id, DRAW, draw)
        state = np.random.SeedSequence([self._seed, draw]).generate_state(1)
        self._number, self._sampler = trial.number, self._make(int(state[0]))

    def _of(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> BaseSampler:
        if trial.number != self._number:
            self.before_trial(study, trial)
        return self._sampler

    def infer_relative_search_space(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._of(study, trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._of(study, trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Any:
        return self._of(study, trial).sample_independent(study, trial, name, distribution)


def _draw(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> int:
    return draw_of(trial, lambda: study._storage.get_all_trials(study._study_id, deepcopy=False))


class _WithoutLost:
    """A study for a pruner, without lost trials: their settings are compared once, in the repeated trial."""

    def __init__(self, study: optuna.Study) -> None:
        self._study = study

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def get_trials(self, **options: Any) -> list[optuna.trial.FrozenTrial]:
        return [trial for trial in self._study.get_trials(**options) if not is_repeated(trial)]


class _Halving(SuccessiveHalvingPruner):
    """Successive halving that gives the same result if a search is interrupted."""

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        return super().prune(_WithoutLost(study), trial)  # type: ignore[arg-type]


class _Hyperband(HyperbandPruner):
    """Hyperband whose groups depend on the index of the draw, so that it gives the same result if a search is interrupted."""

    def _get_bracket_id(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> int:
        if is_repeated(trial):
            return -1
        return super()._get_bracket_id(study, SimpleNamespace(number=_draw(study, trial)))  # type: ignore[arg-type]


def _tpe(seed: int) -> BaseSampler:
    return TPESampler(
        n_startup_trials=STARTUP, n_ei_candidates=24, seed=seed, multivariate=True, group=False, constant_liar=True
    )


def _random(seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


def build_sampler(name: str, seed: int) -> BaseSampler:
    """Return the sampler of a search; nothing is drawn for a grid, because its points are given."""
    return SeededByDraw(_tpe if name == "tpe" else _random, seed)


def build_pruner(name: str, warmup: int, epochs: int) -> BasePruner:
    """Return the pruner, which compares trials at the same epoch from epoch ``warmup`` on; none if ``warmup`` is negative.

    ``epochs`` is the number of epochs of a complete training; ``hyperband`` needs it.
    """
    if warmup < 0:
        return NopPruner()
    first = max(warmup, 1)
    if name == "halving":
        return _Halving(min_resource=first, reduction_factor=FACTOR, min_early_stopping_rate=0, bootstrap_count=0)
    if name == "hyperband":
        found = _Hyperband(
            min_resource=first, max_resource=max(epochs, first), reduction_factor=FACTOR, bootstrap_count=0
        )
        found._try_initialization(None)  # type: ignore[arg-type]  # else all trials are in one group until the first comparison
        return found
    return MedianPruner(n_startup_trials=5, n_warmup_steps=warmup, interval_steps=1, n_min_trials=1)
