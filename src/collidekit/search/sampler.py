"""Samplers and pruners of optuna with explicit options, so that no version of optuna changes a search.

This module imports optuna: import it only to run a search.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from collidekit.search.study import FACTOR

SAMPLERS = ("tpe", "random", "grid")
STARTUP = 10
"""Number of random trials at the start of TPE."""


class SeededByTrial(BaseSampler):
    """Sampler with a random seed for each trial, from the seed of the search and the number of the trial.

    An interrupted search therefore continues with the same draws, and no two processes draw the same values.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make, self._seed = make, seed
        self._number, self._sampler = -1, make(0)

    def _of(self, trial: optuna.trial.FrozenTrial) -> BaseSampler:
        if trial.number != self._number:
            state = np.random.SeedSequence([self._seed, trial.number]).generate_state(1)
            self._number, self._sampler = trial.number, self._make(int(state[0]))
        return self._sampler

    def infer_relative_search_space(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Any:
        return self._of(trial).sample_independent(study, trial, name, distribution)


def _tpe(seed: int) -> BaseSampler:
    return TPESampler(
        n_startup_trials=STARTUP, n_ei_candidates=24, seed=seed, multivariate=True, group=False, constant_liar=True
    )


def _random(seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


def build_sampler(name: str, seed: int) -> BaseSampler:
    """Return the sampler of a search; nothing is drawn for a grid, because its points are given."""
    return SeededByTrial(_tpe if name == "tpe" else _random, seed)


def build_pruner(name: str, warmup: int, epochs: int) -> BasePruner:
    """Return the pruner, which compares trials at the same epoch from epoch ``warmup`` on; none if ``warmup`` is negative.

    ``epochs`` is the number of epochs of a complete training; ``hyperband`` needs it.
    """
    if warmup < 0:
        return NopPruner()
    first = max(warmup, 1)
    if name == "halving":
        return SuccessiveHalvingPruner(
            min_resource=first, reduction_factor=FACTOR, min_early_stopping_rate=0, bootstrap_count=0
        )
    if name == "hyperband":
        return HyperbandPruner(
            min_resource=first, max_resource=max(epochs, first), reduction_factor=FACTOR, bootstrap_count=0
        )
    return MedianPruner(n_startup_trials=5, n_warmup_steps=warmup, interval_steps=1, n_min_trials=1)
