"""Targets that a network learns besides the classes of rows; the keys in the analysis file give the kind of a target."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import combinations, permutations, product
from math import factorial, prod
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    FiniteFloat,
    SerializerFunctionWrapHandler,
    Tag,
    field_validator,
    model_serializer,
    model_validator,
)

from collidekit.analysis.estimates import (
    CONTEXT,
    FEWEST_DRAWS,
    KEYS,
    LEVELS,
    Estimate,
    Levels,
    refused_key,
    suffixes_of,
)
from collidekit.analysis.features import Name, Strict, Unit, wrong
from collidekit.errors import did_you_mean

Expression = Annotated[str, Field(min_length=1)]
PLACE = "place"
"""The column of a collection that holds the positions of its constituents in the file."""
MOST_ORDERS = 1000
"""Largest number of orders of exchangeable parents; each order is compared with the truth."""
Scale = Literal["standard", "robust", "log", "none"]
Loss = Literal["huber", "mse", "mae", "relative"]
COMPONENTS = ("px", "py", "pz")


def as_text(value: Any) -> Any:
    """Return a bare number in YAML as text, because it is a valid expression."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def as_texts(value: Any) -> Any:
    """Return the entries of a mapping as text (see ``as_text``)."""
    return {key: as_text(item) for key, item in value.items()} if isinstance(value, dict) else value


class Kind(Strict):
    """The base of all targets; none of them is needed for prediction."""

    weight: Annotated[FiniteFloat, Field(ge=1e-6, le=1e6)] = 1.0
    """The factor of its loss."""

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, data: Any) -> Any:
        """Drop null and empty keys of other kinds, which checkpoints of earlier versions contain."""
        return {key: value for key, value in data.items() if _is_given(key, value)} if isinstance(data, dict) else data


class MemberClasses(Kind):
    """The class of each constituent of a collection."""

    collection: Name
    classes: dict[Name, Expression]
    """A condition for each class of constituents; constituents in no class are ignored in training."""

    _texts = field_validator("classes", mode="before")(as_texts)

    @model_validator(mode="after")
    def _several(self) -> "MemberClasses":
        if len(self.classes) < 2:
            raise ValueError("needs at least two classes")
        return self


class SameOrigin(Kind):
    """Target of pairs of constituents: whether both have the same origin, such as a vertex."""

    collection: Name
    same: Expression
    """An integer for each constituent; equal integers mean the same origin, and a negative one means no origin."""

    _text = field_validator("same", mode="before")(as_text)


def constituent(text: str) -> tuple[str, int]:
    """Return the collection and the position in ``leptons[0]``."""
    if not (found := re.fullmatch(r"(\w+)\[(\d+)\]", text)):
        raise ValueError(f"{text!r} must be a constituent, such as leptons[0]")
    return found[1], int(found[2])


def _is_constituent(text: str) -> str:
    constituent(text)
    return text


Constituent = Annotated[str, AfterValidator(_is_constituent)]
"""``leptons[0]``: a constituent by its position among the kept ones."""


class WMass(Strict):
    """A loss term for estimated neutrinos whose mass with their lepton is not the mass of the W boson."""

    weight: Annotated[FiniteFloat, Field(gt=0, le=1e6)]
    """The factor of ((m - 80.379 GeV) / 80.379 GeV)^2, which is added to the loss."""
    leptons: Annotated[list[Constituent], Field(min_length=1)]
    """The lepton of each momentum among the values, in the same order."""


def _plain(value: Any) -> Any:
    """Return tuples as lists, as in JSON."""
    return list(value) if isinstance(value, tuple) else value


class Regression(Kind):
    """Numbers of each row, such as a momentum: the network estimates each of them."""

    values: Annotated[dict[Name, Expression], Field(min_length=1)]
    """The truth of each number. Rows in which one is NaN or infinite are ignored by this target."""
    unit: Unit = ""
    """The unit of all values."""
    scale: Scale = "standard"
    """The scale for training: standard, (x - mean) / standard deviation; robust, (x - median) / half the range of the 16th to 84th
    percentile; log, the standard scale of log x; none, x itself. Predictions are in the unit for every scale."""
    loss: Loss = "huber"
    """The loss of the scaled difference d, averaged over all values: huber, d^2 / 2 up to 1 and |d| - 1/2 beyond; mse, d^2; mae, |d|.
    For momenta also relative: the differences of pt, pz and azimuth relative to the truth."""
    w_mass: WMass | None = None
    """The penalty on the mass of the W boson, for momenta of neutrinos only."""

    estimate: Estimate = "value"
    """The form of the estimate: value, one number; gaussian, mean and standard deviation; quantiles; binned, a histogram; flow,
    draws from the joint distribution of all values."""
    quantiles: Levels = LEVELS
    """The levels for ``quantiles``."""
    median_loss: Literal["pinball", "logcosh"] = "pinball"
    """The loss of the median for ``quantiles`` (the other levels have the pinball loss): pinball, |d| / 2; logcosh, log cosh d."""
    bins: Annotated[int, Field(ge=2, le=1000)] = 10
    """Number of bins for ``binned``; each bin holds the same number of training rows."""
    draws: Annotated[int, Field(ge=FEWEST_DRAWS, le=10_000)] = 128
    """Number of draws per row for ``flow``."""
    on_shell: Annotated[list[Constituent], Field(min_length=1)] | None = None
    """Only for momenta of neutrinos with ``flow``: the lepton of each. The estimate is the draw with W masses nearest to 80.379 GeV."""

    _texts = field_validator("values", mode="before")(as_texts)

    @model_validator(mode="after")
    def _momenta_are_momenta(self) -> "Regression":
        if not (key := self._key_of_momenta):
            return self
        names = list(self.values)
        triples = [names[i : i + 3] for i in range(0, len(names), 3)]
        for triple in triples:
            if [name[-2:] for name in triple] != list(COMPONENTS) or len({name[:-2] for name in triple}) > 1:
                raise ValueError(f"{key} needs values in threes, such as nu_px, nu_py, nu_pz, not {', '.join(triple)}")
        if self.scale == "log":
            raise ValueError(f"{key}: momenta may be negative; use another scale than log")
        if self.leptons and self.unit != "GeV":
            raise ValueError(f"{key} needs momenta in GeV; add 'unit: GeV' if they are")
        if self.leptons and len(self.leptons) != len(triples):
            raise ValueError(f"{key}: {len(triples)} momenta need {len(triples)} leptons, not {len(self.leptons)}")
        return self

    @property
    def _key_of_momenta(self) -> str:
        """The key that needs momenta as values; empty if there is none."""
        return "loss: relative" if self.loss == "relative" else self.key_of_leptons

    @property
    def key_of_leptons(self) -> str:
        """The key that gives the lepton of each neutrino; empty if there is none."""
        return "on_shell" if self.on_shell else "w_mass" if self.w_mass else ""

    @property
    def leptons(self) -> list[str]:
        """The lepton of each neutrino, if a key gives them."""
        return self.on_shell or (self.w_mass.leptons if self.w_mass else [])

    @model_validator(mode="after")
    def _every_key_acts(self) -> "Regression":
        if refused := refused_key(self.estimate, self.model_fields_set):
            raise wrong(refused[1], refused[0])
        return self

    @model_serializer(mode="wrap")
    def _keys_that_act(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out keys that do not apply to the estimate, because reading them again would be an error."""
        left_out = {key for key, kinds in KEYS.items() if self.estimate not in kinds}
        left_out |= {"estimate"} if self.estimate == "value" else set()
        left_out |= set() if self.on_shell else {"on_shell"}
        found: dict[str, Any] = handler(self)
        return {key: value for key, value in found.items() if key not in left_out}

    @property
    def suffixes(self) -> list[str]:
        """The suffixes of the columns of each value other than ``pred_<value>``."""
        return [*suffixes_of(self.estimate, self.quantiles), *(["shell"] if self.on_shell else [])]

    @property
    def outputs(self) -> int:
        """The number of network outputs that this target needs."""
        if self.estimate == "flow":
            return CONTEXT
        numbers = {"gaussian": 2, "quantiles": len(self.quantiles), "binned": self.bins}
        return len(self.values) * numbers.get(self.estimate, 1)

    @property
    def form(self) -> list[Any]:
        """The estimate and its keys; empty for a plain value, as in files of earlier versions."""
        keys = [getattr(self, key) for key in ("quantiles", "bins", "draws") if self.estimate in KEYS[key]]
        shell = [self.on_shell] if self.on_shell else []
        return [] if self.estimate == "value" else [self.estimate, *map(_plain, keys), *shell]

    @property
    def columns(self) -> list[str]:
        """The columns of predictions."""
        found = [f"{kind}_{name}" for name in self.values for kind in ("pred", "true")]
        found += [f"pred_{name}_{suffix}" for name in self.values for suffix in self.suffixes]
        return found + [f"pit_{name}" for name in self.values if self.estimate in ("binned", "flow")]


class Slot(Strict):
    """A slot of a parent, to be filled by one constituent."""

    index: Expression
    """The position of the true constituent in its collection in the file, from 0; negative if it is not in the event."""
    collection: Name | None = None
    """The collection that fills the slot, if it is not the collection of the target."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: Any) -> Any:
        """Convert ``b: b_index`` to ``b: {index: b_index}``."""
        return data if isinstance(data, dict | Slot) else {"index": as_text(data)}


class Assignment(Kind):
    """Target that assigns constituents to the decay products of parents, such as the b quark of a top quark."""

    collection: Name
    """The collection whose constituents fill the slots."""
    parents: Annotated[dict[Name, Annotated[dict[Name, Slot], Field(min_length=1, max_length=3)]], Field(min_length=1)]
    """The slots of each parent. Rows in which a position is NaN or infinite are ignored by this target."""
    symmetries: list[Annotated[list[str], Field(min_length=2)]] = Field([])
    """Parents, or slots of one parent written ``t1.q1``, that are indistinguishable and may be exchanged."""
    partners: dict[Name, str] = Field({})
    """``t: leptons[0]``: a constituent, by its position among the kept ones, that is known to come from this parent."""
    focal: Annotated[FiniteFloat, Field(ge=0, le=10)] = 0.0
    """The cross entropy of each parent is multiplied by (1 - p)^focal, where p is the probability of the truth."""
    exclusivity: Annotated[FiniteFloat, Field(ge=0, le=1e6)] = 0.0
    """The factor of the probability that two parents use the same constituent, which is added to the loss."""

    @model_validator(mode="after")
    def _parents_share_a_collection(self) -> "Assignment":
        used = [{self.collection_of(parent, slot) for slot in slots} for parent, slots in self.parents.items()]
        if self.exclusivity and not any(one & other for one, other in combinations(used, 2)):
            raise ValueError(
                "exclusivity: no two parents are filled from one collection, so none can use a constituent twice"
            )
        return self

    @model_validator(mode="after")
    def _symmetries_are_known(self) -> "Assignment":
        seen: set[str] = set()
        for group in self.symmetries:
            kinds = {self._kind_of(name) for name in group}
            if len(kinds) > 1:
                raise ValueError(f"symmetries: {', '.join(group)} are not all parents, or all slots of one parent")
            if twice := seen & set(group) or {name for name in group if group.count(name) > 1}:
                raise ValueError(f"symmetries: {min(twice)!r} is given twice")
            seen |= set(group)
            if next(iter(kinds)) and len({self.collection_of(*name.split(".")) for name in group}) > 1:
                raise ValueError(
                    f"symmetries: {', '.join(group)} are filled from different collections, so they can be distinguished"
                )
        if prod(factorial(len(group)) for group in self.symmetries if "." not in group[0]) > MOST_ORDERS:
            raise ValueError(f"symmetries: the parents have more than {MOST_ORDERS} orders; exchange fewer of them")
        for parent in self.partners:
            if parent not in self.parents:
                raise ValueError(f"partners: there is no parent {parent!r}{_near(parent, self.parents)}")
            partner = self.partner_of(parent)
            others = [other for other in self.partners if other != parent and self.partner_of(other) == partner]
            if others:
                raise ValueError(
                    f"partners: {self.partners[parent]} is the partner of both {parent!r} and {others[0]!r}, but it can come from only one"
                )
        return self

    def _can_be_exchanged(self, group: list[str]) -> None:
        """Raise an error if the parents can be distinguished: by slots, collections, exchangeable slots or a partner."""
        slots = {tuple((slot, self.collection_of(parent, slot)) for slot in self.parents[parent]) for parent in group}
        if len(slots) > 1:
            raise ValueError(
                f"symmetries: the parents {', '.join(group)} have other slots (or in another order), so they can be distinguished"
            )
        if len({str(self.alike(parent)) for parent in group}) > 1:
            raise ValueError(
                f"symmetries: other slots of the parents {', '.join(group)} may be exchanged, so they can be distinguished; write the "
                "same symmetries of slots for each"
            )
        if known := next((parent for parent in group if parent in self.partners), None):
            raise ValueError(f"symmetries: {known!r} of {', '.join(group)} has a partner, so they can be distinguished")

    @model_validator(mode="after")
    def _parents_fit_together(self) -> "Assignment":
        for group in self.symmetries:
            if "." not in group[0]:
                self._can_be_exchanged(group)
        names = [f"{parent}_{slot}" for parent, slots in self.parents.items() for slot in slots]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"parents: two slots would be {twice!r} in the predictions; rename one of them")
        return self

    def _kind_of(self, name: str) -> str:
        """Return the parent of a slot; empty for a parent."""
        parent, dot, slot = name.partition(".")
        if parent not in self.parents:
            raise ValueError(f"symmetries: there is no parent {parent!r}{_near(parent, self.parents)}")
        if dot and slot not in self.parents[parent]:
            raise ValueError(f"symmetries: parent {parent!r} has no slot {slot!r}{_near(slot, self.parents[parent])}")
        return parent if dot else ""

    def collection_of(self, parent: str, slot: str) -> str:
        """Return the collection that fills a slot."""
        return self.parents[parent][slot].collection or self.collection

    @property
    def collections(self) -> list[str]:
        """The collections that fill slots."""
        return list(
            dict.fromkeys(self.collection_of(parent, slot) for parent, slots in self.parents.items() for slot in slots)
        )

    def partner_of(self, parent: str) -> tuple[str, int] | None:
        """Return the collection and position of the constituent that is known to come from a parent."""
        if parent not in self.partners:
            return None
        try:
            return constituent(self.partners[parent])
        except ValueError as error:
            raise ValueError(f"partners: {error}") from None

    @property
    def values(self) -> dict[str, str]:
        """The expression for the position of each slot, by ``<parent>_<slot>``."""
        return {
            f"{parent}_{name}": slot.index for parent, slots in self.parents.items() for name, slot in slots.items()
        }

    @property
    def columns(self) -> list[str]:
        """The columns of predictions, except ``probabilities_of_event``."""
        kinds = ("assignment", "detection")
        indices = [f"{kind}_{name}" for name in self.values for kind in ("index", "true_index")]
        return [*indices, *(f"{parent}_{kind}_probability" for parent in self.parents for kind in kinds)]

    @staticmethod
    def probabilities_of_event(name: str) -> list[str]:
        """Return the columns of a target for all its parents together."""
        return [f"{name}_probability", f"{name}_complete_probability"]

    def exchanges(self) -> list[list[str]]:
        """Return the equivalent orders of parents; the first one is the order of the file."""
        orders: list[list[str]] = []
        groups = [group for group in self.symmetries if "." not in group[0]]
        for exchanged in product(*(permutations(group) for group in groups)):
            new = {
                old: now
                for group, order in zip(groups, exchanged, strict=True)
                for old, now in zip(group, order, strict=True)
            }
            orders.append([new.get(parent, parent) for parent in self.parents])
        return orders

    def alike(self, parent: str) -> list[list[int]]:
        """Return groups of exchangeable slots of a parent, by their numbers; other slots are groups of one."""
        names = list(self.parents[parent])
        groups = [
            sorted(names.index(name.split(".")[1]) for name in group)
            for group in self.symmetries
            if group[0].startswith(f"{parent}.")
        ]
        alone = set(range(len(names))) - {slot for group in groups for slot in group}
        return sorted([*groups, *([slot] for slot in alone)])


def _near(name: str, known: Iterable[str]) -> str:
    return did_you_mean(name, list(known))


def collections_of(target: Kind) -> dict[str, str]:
    """Return the collections that a target uses, each with the key of the target that names it."""
    if isinstance(target, MemberClasses | SameOrigin):
        return {target.collection: "collection"}
    if isinstance(target, Regression):
        return {constituent(text)[0]: target.key_of_leptons for text in target.leptons}
    if not isinstance(target, Assignment):
        return {}
    partners = [target.partner_of(parent) for parent in target.partners]
    named = {partner[0]: "partners" for partner in partners if partner}
    return named | dict.fromkeys(target.collections, "parents") | {target.collection: "collection"}


MemberTarget = MemberClasses | SameOrigin
RowTarget = Regression | Assignment

_KINDS: dict[str, type[Kind]] = {
    "classes": MemberClasses,
    "same": SameOrigin,
    "values": Regression,
    "parents": Assignment,
}
KINDS: dict[str, type[Kind]] = {kind.__name__: kind for kind in _KINDS.values()}


def _is_given(key: str, value: Any) -> bool:
    return key not in _KINDS or (value is not None and value != {})


def _kind(entry: Any) -> str:
    """Return the kind of a target from its keys; empty if they do not belong to one kind."""
    if isinstance(entry, Kind):
        return type(entry).__name__
    keys = [key for key, value in entry.items() if _is_given(key, value)] if isinstance(entry, dict) else []
    found: list[str] = [key for key in _KINDS if key in keys]
    if not found:  # such as smae: for same:
        found = [close[0] for key in keys if key != "collection" and (close := get_close_matches(str(key), _KINDS, 1))]
    return _KINDS[found[0]].__name__ if len(found) == 1 else ""


Target = Annotated[
    Annotated[MemberClasses, Tag("MemberClasses")]
    | Annotated[SameOrigin, Tag("SameOrigin")]
    | Annotated[Regression, Tag("Regression")]
    | Annotated[Assignment, Tag("Assignment")],
    Discriminator(
        _kind,
        custom_error_type="target",
        custom_error_message="needs one of 'classes', 'same' (of constituents), 'values' or 'parents' (of rows)",
    ),
]
