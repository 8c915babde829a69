"""Problems of the training files as a whole: their split and their kinematics."""

from collections.abc import Iterator

import numpy as np
from pydantic import ValidationError

from collidekit.analysis.estimates import require_packages
from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.check_part import Part
from collidekit.dataset.check_problems import Problem
from collidekit.dataset.exact import join_exact
from collidekit.dataset.kinematics import support_notes
from collidekit.dataset.parts import RowSplit, SplitSettings
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
    """Yield problems of the split into training and validation and of the kinematic weights, and missing packages."""
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
    event = {name: join_exact(part.event_numbers, name) for name in analysis.event[-1:]}
    try:
        training = int(split.rows(keys, "training", event).sum())
    except CollidekitError as error:
        yield Problem(f"{part.name}: {error}", error=True)
        return
    if said := missed_share(training, len(keys), split, group_squares(keys)):
        yield Problem(f"{part.name}: {said}")


def _recommended(analysis: Analysis) -> RowSplit:
    """Return the split that the analysis file recommends, or the default if its setting is not valid."""
    given = {name: value for name, value in analysis.training.items() if name in SplitSettings.model_fields}
    try:
        settings = SplitSettings(**given)
    except ValidationError:
        return SplitSettings().split
    return settings.model_copy(update={"fold": max(settings.fold, 0)}).split
