"""Where a dileptonic top pair stands among the inputs, for the classical methods of reconstruction."""

from collections.abc import Mapping
from typing import Any

from collidekit.analysis.features import Name, Strict, wrong
from collidekit.analysis.targets import Assignment, Regression
from collidekit.errors import did_you_mean


class Dilepton(Strict):
    """The inputs that methods such as the ellipse need, and the targets that hold the truth they are compared with.

    Momenta are in GeV. The assignment has two parents of one slot, filled by jets; the first parent decays to the positive lepton.
    """

    assignment: Name
    """The target that assigns a jet to each lepton."""
    leptons: Name = "leptons"
    """The collection of the two leptons; it needs momenta."""
    charge: Name
    """The feature of the leptons that is their charge."""
    b_tag: Name
    """The feature of the jets that is larger for b jets."""
    met: tuple[Name, Name]
    """The features of a flat group that are x and y of the missing transverse momentum."""
    neutrinos: Name | None = None
    """The target with px, py, pz of the neutrino, then of the antineutrino."""
    mass: Name | None = None
    """The value of a target that is the mass of the top pair."""


def check_dilepton(found: Dilepton, inputs: Mapping[str, Any], targets: Mapping[str, Any]) -> None:
    """Raise an error that names the key where something is missing."""

    def known(key: str, name: str, names: list[str], what: str) -> None:
        if name not in names:
            raise wrong(f"no {what} {name!r}{did_you_mean(name, names)}", "dilepton", key)

    known("assignment", found.assignment, [n for n, t in targets.items() if isinstance(t, Assignment)], "assignment")
    assignment = targets[found.assignment]
    if [len(slots) for slots in assignment.parents.values()] != [1, 1] or len(assignment.collections) != 1:
        raise wrong("needs two parents of one slot each, filled by one collection", "dilepton", "assignment")
    collections = [name for name, entry in inputs.items() if getattr(entry, "momenta", None)]
    known("leptons", found.leptons, collections, "collection with momenta")
    if assignment.collection not in collections:
        raise wrong(f"the collection {assignment.collection!r} needs momenta", "dilepton", "assignment")
    for key, collection in (("charge", found.leptons), ("b_tag", assignment.collection)):
        known(key, getattr(found, key), [f.name for f in inputs[collection].features], f"feature of {collection}")
    flat = [f.name for entry in inputs.values() if not hasattr(entry, "limit") for f in entry.features]
    for name in found.met:
        known("met", name, flat, "feature of a flat group")
    regressions = {name: target for name, target in targets.items() if isinstance(target, Regression)}
    if found.neutrinos:
        known("neutrinos", found.neutrinos, list(regressions), "target with values")
        if len(regressions[found.neutrinos].values) != 6:
            raise wrong(
                "needs six values: px, py, pz of the neutrino, then of the antineutrino", "dilepton", "neutrinos"
            )
    if found.mass:
        known("mass", found.mass, [v for target in regressions.values() for v in target.values], "value of a target")
