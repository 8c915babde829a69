"""Importance of each setting, the fraction of the variance of the values that it explains: fANOVA (Hutter et al., ICML 2014) by optuna, with an error."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from collidekit.extras import need
from collidekit.search.space import Space
from collidekit.search.trials import TrialRecord

FEWEST = 10
"""Smallest number of complete trials for an importance."""
FORESTS = 5
"""Number of random forests with different seeds; their spread is the error."""


def importances(found: Sequence[TrialRecord], space: Space, direction: str) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation over forests of each setting's fraction of the variance, the largest first.

    The result is empty for fewer than FEWEST complete trials, or if all values are equal.
    """
    optuna = need("optuna", "search")
    complete = [trial for trial in found if trial.state == "complete"]
    if len(complete) < FEWEST or len({trial.value for trial in complete}) < 2:
        return {}
    study: Any = optuna.create_study(direction=direction)
    distributions = space.distributions()
    for trial in complete:
        params = {one.name: one.drawn(trial.settings[one.name]) for one in space}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=trial.value))
    drawn = []
    for seed in range(FORESTS):
        evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=64, max_depth=64, seed=seed)
        with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
            drawn.append(optuna.importance.get_param_importances(study, evaluator=evaluator, normalize=True))
    means = {name: float(np.mean([one.get(name, 0.0) for one in drawn])) for name in space.names}
    spreads = {name: float(np.std([one.get(name, 0.0) for one in drawn], ddof=1)) for name in space.names}
    return {name: (means[name], spreads[name]) for name in sorted(means, key=lambda name: -means[name])}
