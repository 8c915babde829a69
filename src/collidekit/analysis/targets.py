"""What a network may learn besides the classes of rows: a kind each, told apart by its keys in the analysis file."""

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
"""In which exchangeable parents may stand: each of them is compared with the truth."""
Scale = Literal["standard", "robust", "log", "none"]
Loss = Literal["huber", "mse", "mae", "relative"]
COMPONENTS = ("px", "py", "pz")


def as_text(value: Any) -> Any:
    """A bare number in YAML is a valid expression."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def as_texts(value: Any) -> Any:
    """``as_text`` of each entry of a mapping."""
    return {key: as_text(item) for key, item in value.items()} if isinstance(value, dict) else value


class Kind(Strict):
    """What all targets have; none of them is needed for prediction."""

    weight: Annotated[FiniteFloat, Field(ge=1e-6, le=1e6)] = 1.0
    """What its loss is multiplied by."""

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, data: Any) -> Any:
        """Checkpoints of earlier versions write the key that a target does not have, as null or empty."""
        return {key: value for key, value in data.items() if _is_given(key, value)} if isinstance(data, dict) else data


class MemberClasses(Kind):
    """What each constituent of a collection is."""

    collection: Name
    classes: dict[Name, Expression]
    """A condition for each class of constituents; those of no class are not learned from."""

    _texts = field_validator("classes", mode="before")(as_texts)

    @model_validator(mode="after")
    def _several(self) -> "MemberClasses":
        if len(self.classes) < 2:
            raise ValueError("needs at least two classes")
        return self


class SameOrigin(Kind):
    """Which constituents of a collection come from one place, such as a vertex."""

    collection: Name
    same: Expression
    """An integer for each constituent that pairs of the same origin share; a negative one is of none."""

    _text = field_validator("same", mode="before")(as_text)


def constituent(text: str) -> tuple[str, int]:
    """Return collection and place of ``leptons[0]``."""
    if not (found := re.fullmatch(r"(\w+)\[(\d+)\]", text)):
        raise ValueError(f"{text!r} must be a constituent, such as leptons[0]")
    return found[1], int(found[2])


def _is_constituent(text: str) -> str:
    constituent(text)
    return text


Constituent = Annotated[str, AfterValidator(_is_constituent)]
"""``leptons[0]``: a constituent by its place among those that are kept."""


class WMass(Strict):
    """A cost for estimated neutrinos that do not have the mass of the W boson with their lepton."""

    weight: Annotated[FiniteFloat, Field(gt=0, le=1e6)]
    """What ((m - 80.379 GeV) / 80.379 GeV)^2 is multiplied by before it is added to the loss."""
    leptons: Annotated[list[Constituent], Field(min_length=1)]
    """The lepton of each momentum among the values, in their order."""


def _plain(value: Any) -> Any:
    """Tuples as lists, as JSON has them."""
    return list(value) if isinstance(value, tuple) else value


class Regression(Kind):
    """Numbers of each row, such as a momentum: the network gives an estimate of each."""

    values: Annotated[dict[Name, Expression], Field(min_length=1)]
    """The truth of each number. Rows in which one is NaN or infinite are not learned from by this target."""
    unit: Unit = ""
    """Of all the values."""
    scale: Scale = "standard"
    """What is learned: standard, (x - mean) / standard deviation; robust, (x - median) / half the range of the 16th to 84th
    percentile; log, the standard scale of log x; none, x itself. Predictions are in the unit, whatever the scale."""
    loss: Loss = "huber"
    """Of the scaled difference d: huber, d^2 / 2 up to 1 and |d| - 1/2 beyond; mse, d^2; mae, |d|. The mean over all values. For momenta also relative: of pt, pz and azimuth, to those of the truth."""
    w_mass: WMass | None = None
    """Only for momenta of neutrinos."""

    estimate: Estimate = "value"
    """What is given for each value: value, one number; gaussian, mean and standard deviation; quantiles; binned, a histogram; flow,
    draws from the joint distribution of all values."""
    quantiles: Levels = LEVELS
    """The levels of ``quantiles``."""
    median_loss: Literal["pinball", "logcosh"] = "pinball"
    """Of the median of ``quantiles``, whose other levels have the pinball loss: pinball, |d| / 2; logcosh, log cosh d."""
    bins: Annotated[int, Field(ge=2, le=1000)] = 10
    """Number of bins of ``binned``; each bin holds as many training rows."""
    draws: Annotated[int, Field(ge=FEWEST_DRAWS, le=10_000)] = 128
    """Number of draws of ``flow`` for each row."""
    on_shell: Annotated[list[Constituent], Field(min_length=1)] | None = None
    """Only for momenta of neutrinos and ``flow``: the lepton of each. The draw is given whose W bosons are nearest to 80.379 GeV."""

    _texts = field_validator("values", mode="before")(as_texts)

    @model_validator(mode="after")
    def _momenta_are_momenta(self) -> "Regression":
        if not (key := self._key_of_momenta):
            return self
        names = list(self.values)
        triples = [names[i : i + 3] for i in range(0, len(names), 3)]
        for triple in triples:
            if [name[-2:] for name in triple] != list(COMPONENTS) or len({name[:-2] for name in triple}) > 1:
                raise ValueError(
                    f"{key} needs values in threes, such as nu_px, nu_py, nu_pz, and not {', '.join(triple)}"
                )
        if self.scale == "log":
            raise ValueError(f"{key}: momenta may be negative; take another scale than log")
        if self.leptons and self.unit != "GeV":
            raise ValueError(f"{key} needs momenta in GeV; add 'unit: GeV' if they are")
        if self.leptons and len(self.leptons) != len(triples):
            raise ValueError(f"{key}: {len(triples)} momenta need as many leptons, not {len(self.leptons)}")
        return self

    @property
    def _key_of_momenta(self) -> str:
        """The key that asks for values that are momenta; empty where none does."""
        return "loss: relative" if self.loss == "relative" else self.key_of_leptons

    @property
    def key_of_leptons(self) -> str:
        """The key that names the lepton of each neutrino; empty where none does."""
        return "on_shell" if self.on_shell else "w_mass" if self.w_mass else ""

    @property
    def leptons(self) -> list[str]:
        """The lepton of each neutrino, where a key names them."""
        return self.on_shell or (self.w_mass.leptons if self.w_mass else [])

    @model_validator(mode="after")
    def _every_key_acts(self) -> "Regression":
        if refused := refused_key(self.estimate, self.model_fields_set):
            raise wrong(refused[1], refused[0])
        return self

    @model_serializer(mode="wrap")
    def _keys_that_act(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without keys that have no meaning for the estimate, which would be refused when they are read again."""
        left_out = {key for key, kinds in KEYS.items() if self.estimate not in kinds}
        left_out |= {"estimate"} if self.estimate == "value" else set()
        left_out |= set() if self.on_shell else {"on_shell"}
        found: dict[str, Any] = handler(self)
        return {key: value for key, value in found.items() if key not in left_out}

    @property
    def suffixes(self) -> list[str]:
        """The suffixes of the columns of each value beside ``pred_<value>``."""
        return [*suffixes_of(self.estimate, self.quantiles), *(["shell"] if self.on_shell else [])]

    @property
    def outputs(self) -> int:
        """How many outputs the network must have for it."""
        if self.estimate == "flow":
            return CONTEXT
        numbers = {"gaussian": 2, "quantiles": len(self.quantiles), "binned": self.bins}
        return len(self.values) * numbers.get(self.estimate, 1)

    @property
    def form(self) -> list[Any]:
        """The estimate and its keys; nothing for a plain value, as before there were others."""
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
    """A place of a parent that one constituent may fill."""

    index: Expression
    """The position of the true constituent in its collection as the file has it, from 0; a negative one: not in the event."""
    collection: Name | None = None
    """The collection that may fill the slot, where it is another one than the target's."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: Any) -> Any:
        """``b: b_index`` is short for ``b: {index: b_index}``."""
        return data if isinstance(data, dict | Slot) else {"index": as_text(data)}


class Assignment(Kind):
    """Which constituent of each row is which decay product of which parent, such as the b quark of the top."""

    collection: Name
    """The collection whose constituents fill the slots."""
    parents: Annotated[dict[Name, Annotated[dict[Name, Slot], Field(min_length=1, max_length=3)]], Field(min_length=1)]
    """The slots of each parent. Rows in which a position is NaN or infinite are not learned from by this target."""
    symmetries: list[Annotated[list[str], Field(min_length=2)]] = Field([])
    """Parents, or slots of one parent written ``t1.q1``, that may be exchanged: nothing tells them apart."""
    partners: dict[Name, str] = Field({})
    """``t: leptons[0]``: the constituent, by its place among those that are kept, that comes from the same parent for sure."""
    focal: Annotated[FiniteFloat, Field(ge=0, le=10)] = 0.0
    """The cross entropy of each parent is multiplied by (1 - p)^focal, with the probability p of what is true."""
    exclusivity: Annotated[FiniteFloat, Field(ge=0, le=1e6)] = 0.0
    """The weight of the probability that two parents use the same constituent, which is added to the loss."""

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
                raise ValueError(f"symmetries: {min(twice)!r} stands twice")
            seen |= set(group)
            if next(iter(kinds)) and len({self.collection_of(*name.split(".")) for name in group}) > 1:
                raise ValueError(
                    f"symmetries: {', '.join(group)} are filled by other collections, so they can be told apart"
                )
        if prod(factorial(len(group)) for group in self.symmetries if "." not in group[0]) > MOST_ORDERS:
            raise ValueError(f"symmetries: the parents have more than {MOST_ORDERS} orders; let fewer be exchanged")
        for parent in self.partners:
            if parent not in self.parents:
                raise ValueError(f"partners: there is no parent {parent!r}{_near(parent, self.parents)}")
            partner = self.partner_of(parent)
            others = [other for other in self.partners if other != parent and self.partner_of(other) == partner]
            if others:
                raise ValueError(
                    f"partners: {self.partners[parent]} is the partner of both {parent!r} and {others[0]!r}; it comes from one of them"
                )
        return self

    def _can_be_exchanged(self, group: list[str]) -> None:
        """Raise an error where something tells parents apart: slots, collections, exchangeable slots or a partner."""
        slots = {tuple((slot, self.collection_of(parent, slot)) for slot in self.parents[parent]) for parent in group}
        if len(slots) > 1:
            raise ValueError(
                f"symmetries: the parents {', '.join(group)} have other slots (or in another order), so they can be told apart"
            )
        if len({str(self.alike(parent)) for parent in group}) > 1:
            raise ValueError(
                f"symmetries: other slots of the parents {', '.join(group)} may be exchanged, so they can be told apart; write the "
                "same symmetries of slots for each"
            )
        if known := next((parent for parent in group if parent in self.partners), None):
            raise ValueError(f"symmetries: {known!r} of {', '.join(group)} has a partner, so they can be told apart")

    @model_validator(mode="after")
    def _parents_fit_together(self) -> "Assignment":
        for group in self.symmetries:
            if "." not in group[0]:
                self._can_be_exchanged(group)
        names = [f"{parent}_{slot}" for parent, slots in self.parents.items() for slot in slots]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"parents: two slots would be {twice!r} in the predictions; give one of them another name")
        return self

    def _kind_of(self, name: str) -> str:
        """Nothing for a parent, the parent for a slot of it."""
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
        """Return collection and place of the constituent that comes from a parent for sure."""
        if parent not in self.partners:
            return None
        try:
            return constituent(self.partners[parent])
        except ValueError as error:
            raise ValueError(f"partners: {error}") from None

    @property
    def values(self) -> dict[str, str]:
        """The expression of the position of each slot, by ``<parent>_<slot>``."""
        return {
            f"{parent}_{name}": slot.index for parent, slots in self.parents.items() for name, slot in slots.items()
        }

    @property
    def columns(self) -> list[str]:
        """The columns of predictions, but for ``probabilities_of_event``."""
        kinds = ("assignment", "detection")
        indices = [f"{kind}_{name}" for name in self.values for kind in ("index", "true_index")]
        return [*indices, *(f"{parent}_{kind}_probability" for parent in self.parents for kind in kinds)]

    @staticmethod
    def probabilities_of_event(name: str) -> list[str]:
        """The columns of a target of this name that are of all its parents together."""
        return [f"{name}_probability", f"{name}_complete_probability"]

    def exchanges(self) -> list[list[str]]:
        """Return the orders of parents among which nothing tells the difference; the first is that of the file."""
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
        """Return groups of slots of a parent, by their number, that may be exchanged; one that may not is a group of its own."""
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
    """Return the collections that a target looks at, each with the key of the target that names it."""
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
    """The kind of a target, by its keys; nothing where they are not those of one kind."""
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
