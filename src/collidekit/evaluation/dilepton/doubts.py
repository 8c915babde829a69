"""Checks for doubtful inputs of the methods for dileptonic top pairs, with one sentence for each problem."""

from collections.abc import Sequence
from itertools import islice

import numpy as np

from collidekit.analysis.scope import Plan
from collidekit.analysis.targets import Assignment
from collidekit.dataset.batch import Batch
from collidekit.dataset.not_finite import NotFinite
from collidekit.errors import CollidekitError
from collidekit.evaluation.dilepton.events import Dileptons, dilepton_events
from collidekit.evaluation.dilepton.truth import check_truth
from collidekit.evaluation.reconstruction import check_methods
from collidekit.inference.file_rows import rows_of_files
from collidekit.reconstruction.events import DileptonEvents

LEAST_BALANCE = 0.4
"""Minimum correlation of missing momentum and minus the sum of leptons and jets, in x and in y. In simulated events it is 0.8."""
FEWEST = 100
"""Minimum number of events for the correlation."""
LOOKED_AT = 4
"""Number of chunks of files that ``check`` reads."""


def doubts(found: Dileptons, target: Assignment) -> list[str]:
    """Return a sentence for each kind of doubtful input."""
    total = f"of {len(found.usable):,} events"
    lines = [f"{number:,} {total}: {what}" for what, number in found.problems().items() if number]
    if found.odd_charges:
        lines.append(
            f"in {found.odd_charges:,} {total} the charge of a lepton is neither 1 nor -1; check the feature in 'charge'"
        )
    if found.wrong_partner:
        lines.append(
            f"in {found.wrong_partner:,} {total} the partner of {next(iter(target.parents))} is not the positive lepton; order the leptons "
            "by charge"
        )
    balance = momentum_balance(found.events[found.usable])
    if balance is not None and min(balance) < LEAST_BALANCE:
        lines.append(
            f"the missing momentum does not balance leptons and jets (correlation {balance[0]:.2f} in x, {balance[1]:.2f} in y; about 0.8 is "
            "usual): check 'met', the units, and that angles are in radians"
        )
    return lines


def momentum_balance(events: DileptonEvents) -> tuple[float, float] | None:
    """Return the correlation of missing momentum and minus the sum of leptons and jets in x and in y; None for too few events."""
    events = events[events.finite()]
    if len(events) < FEWEST:
        return None
    visible = events.leptons.sum(axis=1) + np.where(events.mask[..., None], events.jets, 0.0).sum(axis=1)
    ranks = [np.argsort(np.argsort(values, axis=0), axis=0) for values in (events.met, -visible[:, 1:3])]
    found = [float(np.corrcoef(ranks[0][:, k], ranks[1][:, k])[0, 1]) for k in range(2)]
    return found[0], found[1]


def doubts_of_files(plan: Plan, files: Sequence[str]) -> list[str]:
    """Return the same sentences for the first events of files; none without ``dilepton``, or if the files cannot be read.

    Missing truth is reported, too.
    """
    names = plan.analysis.dilepton
    if names is None:
        return []
    read = rows_of_files(plan, list(files), False, [], NotFinite(), as_given=True)
    try:
        parts = [Batch.of(part) for part in islice(read, LOOKED_AT)]
    except CollidekitError:
        return []  # the check reports it
    if not parts:
        return []
    lines = []
    try:
        check_methods((), names)
        check_truth(plan, list(files))
    except CollidekitError as error:
        lines.append(str(error))
    try:
        found = dilepton_events(plan.analysis, parts)
    except CollidekitError as error:
        return [*lines, str(error)]
    if not found.usable.any():
        lines.append("dilepton: no event has two leptons of opposite charge, so no method can reconstruct one")
    return [*lines, *(f"dilepton: {line}" for line in doubts(found, plan.analysis.assignments[names.assignment]))]
