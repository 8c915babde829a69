"""The key ``dilepton`` of an analysis file: inputs and truth for classical reconstruction methods."""

# ruff: noqa: RUF012 - pydantic copies the defaults

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any

from pydantic import Field, FiniteFloat, field_validator, model_validator

from collidekit.analysis.features import Name, Strict, wrong
from collidekit.analysis.targets import Assignment, Expression, Regression, as_text, as_texts
from collidekit.errors import did_you_mean

Momentum = Annotated[list[Expression], Field(min_length=4, max_length=4)]
"""Expressions of pT, eta, phi and mass."""
Neutrinos = Annotated[list[Expression], Field(min_length=6, max_length=6)]
"""Expressions of px, py, pz of the neutrino, then of the antineutrino."""
MASS_BINS = (380.0, 500.0, 800.0)


class DileptonTruth(Strict):
    """The true four-momenta of a dileptonic top pair: pT, eta, phi and mass of each particle, in GeV.

    They are only read when methods are compared. They are not part of the dataset, and predictions do not need them.
    """

    top: Momentum
    antitop: Momentum
    w_plus: Momentum | None = None
    w_minus: Momentum | None = None
    lepton_plus: Momentum | None = None
    """The positive lepton; both leptons are needed for spin."""
    lepton_minus: Momentum | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_are_expressions(cls, value: Any) -> Any:
        return [as_text(item) for item in value] if isinstance(value, list) else value

    @model_validator(mode="after")
    def _pairs(self) -> "DileptonTruth":
        for one, other in (("w_plus", "w_minus"), ("lepton_plus", "lepton_minus")):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                raise ValueError(f"{one} and {other} must be given together")
        return self

    @property
    def particles(self) -> dict[str, list[str]]:
        """The expressions of each given particle."""
        return {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}


class Dilepton(Strict):
    """Inputs of methods such as the ellipse, and targets with the truth that they are compared with.

    Momenta are in GeV. The assignment has two parents with one slot each, filled by jets; the first parent decays to the positive lepton.
    """

    assignment: Name
    """The target that assigns a jet to each lepton."""
    leptons: Name = "leptons"
    """The collection of the two leptons; it needs momenta."""
    charge: Name
    """The feature of the leptons that holds their charge."""
    b_tag: Name
    """The feature of the jets that is larger for b jets."""
    met: tuple[Name, Name]
    """The features of a flat group that hold x and y of the missing transverse momentum."""
    neutrinos: Name | None = None
    """The target with px, py, pz of the neutrino, then of the antineutrino."""
    mass: Name | None = None
    """The target value that is the mass of the top pair."""
    truth: DileptonTruth | None = None
    """True four-momenta, for comparing top quarks, W bosons, the pair and spin."""
    given: dict[Name, Neutrinos] = {}
    """Neutrinos from another tool, in GeV, by the name of the tool; each jet assignment minimises the chi-square for them."""
    methods: dict[Name, dict[str, Any]] = {}
    """Settings of classical methods, by name. ``method`` gives the method if the name is not a method. See ``method_from_file``."""
    spin_weights: dict[Name, Expression] = {}
    """Factors of the event weight by name; each injects a spin correlation."""
    mass_bins: Annotated[list[Annotated[FiniteFloat, Field(gt=0)]], Field(min_length=1)] = list(MASS_BINS)
    """Edges in GeV of the bins of m(tt) in which spin is measured; the first bin is the threshold region."""

    _texts = field_validator("spin_weights", mode="before")(as_texts)

    @field_validator("given", mode="before")
    @classmethod
    def _numbers_are_expressions(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            name: [as_text(item) for item in entry] if isinstance(entry, list) else entry
            for name, entry in value.items()
        }

    @field_validator("mass_bins")
    @classmethod
    def _in_rising_order(cls, limits: list[float]) -> list[float]:
        if any(high <= low for low, high in pairwise(limits)):
            raise ValueError("must be in ascending order")
        return limits

    @model_validator(mode="after")
    def _spin_has_a_truth(self) -> "Dilepton":
        if self.spin_weights and not (self.truth and self.truth.lepton_plus):
            raise wrong("needs 'truth' with lepton_plus and lepton_minus", "spin_weights")
        if len(self.spin_weights) == 1:
            raise wrong("needs at least two, because the response is measured between them", "spin_weights")
        return self

    def identity(self) -> dict[str, Any]:
        """Return the keys that affect the results of a comparison; keys of later versions are included only if they are given."""
        later: dict[str, Any] = {
            "truth": None,
            "given": {},
            "methods": {},
            "spin_weights": {},
            "mass_bins": list(MASS_BINS),
        }
        return self.model_dump(exclude={name for name, default in later.items() if getattr(self, name) == default})


def check_dilepton(found: Dilepton, inputs: Mapping[str, Any], targets: Mapping[str, Any]) -> None:
    """Raise an error that names the key if the analysis lacks something that ``dilepton`` needs."""

    def known(key: str, name: str, names: list[str], what: str) -> None:
        if name not in names:
            raise wrong(f"no {what} {name!r}{did_you_mean(name, names)}", "dilepton", key)

    known("assignment", found.assignment, [n for n, t in targets.items() if isinstance(t, Assignment)], "assignment")
    assignment = targets[found.assignment]
    if [len(slots) for slots in assignment.parents.values()] != [1, 1] or len(assignment.collections) != 1:
        raise wrong("needs two parents of one slot each, filled by one collection", "dilepton", "assignment")
    if any(set(group) <= set(assignment.parents) for group in assignment.symmetries):
        raise wrong(
            f"'symmetries' allows the parents of {found.assignment} to be exchanged, but here the first parent decays to the positive lepton; "
            "remove this symmetry", "dilepton", "assignment",
        )  # fmt: skip
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
