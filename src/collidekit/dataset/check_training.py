"""What a check says of the training files as a whole: their split and their kinematics."""

from collections.abc import Iterator

import numpy as np

from collidekit.analysis.estimates import require_packages
from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.check_part import Part
from collidekit.dataset.check_problems import Problem
from collidekit.dataset.kinematics import support_notes
from collidekit.dataset.parts import FEWEST_FOLDS, MOST_FOLDS, Folds, RowSplit, Split
from collidekit.dataset.split import (
    by_inputs,
    constant_event,
    group_squares,
    groups_note,
    large_groups,
    missed_share,
    repeated_keys,
)
from collidekit.errors import CollidekitError


def training_problems(plan: Plan, part: Part) -> Iterator[Problem]:
    """Return what would spoil the split into training and validation, and the weights of kinematics; a package that is missing."""
    try:
        require_packages(plan.analysis.estimates)
    except CollidekitError as error:
        yield Problem(str(error), error=True)
    if not part.split_keys:
        return
    yield from _split_problems(plan, part)
    if part.kinematic_weights is not None:
        for text in support_notes(plan.analysis, part.kinematic_weights, part.kinematic_counts):
            yield Problem(f"{part.name}: {text}")


def _split_problems(plan: Plan, part: Part) -> Iterator[Problem]:
    analysis = plan.analysis
    keys = np.concatenate(part.split_keys)
    if by_inputs(analysis):
        groups = large_groups([repeated_keys(keys)], len(keys))
        if said := groups_note(len(groups), sum(groups.values()), len(keys)):
            yield Problem(f"{part.name}: {said}")
        return
    if analysis.event and len(keys) > 1 and (keys == keys[0]).all():
        yield Problem(constant_event(analysis, part.name), error=True)
        return
    split = _recommended(analysis)
    training = int(split.rows(keys, "training").sum())
    if said := missed_share(training, len(keys), split, group_squares(keys)):
        yield Problem(f"{part.name}: {said}")


def _recommended(analysis: Analysis) -> RowSplit:
    """Return the split that the analysis file recommends, or the default where its setting is wrong."""
    folds, share = analysis.training.get("folds"), analysis.training.get("train_val_split")
    if isinstance(folds, int) and FEWEST_FOLDS <= folds <= MOST_FOLDS:
        return Folds(folds, 0)
    return Split(float(share)) if isinstance(share, int | float) and 0 < share < 1 else Split()
