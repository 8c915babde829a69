"""The key ``pairs`` of a collection: what each of its members has in common with each member of another collection."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from collidekit.analysis.features import Feature, wrong
from collidekit.errors import did_you_mean

if TYPE_CHECKING:
    from collidekit.analysis.schema import Collection

Quantity = Literal["mass", "log_mass", "delta_r", "delta_eta", "delta_phi"]
MOST_PARTNERS = 8
"""The largest ``limit`` of the other collection: each of its members gives features of its own."""
_UNITS = {"mass": "GeV", "log_mass": "log GeV"}


def check_pairs(group: str, other: str, collections: Mapping[str, Any]) -> None:
    """Raise an error that names the line where two collections have no pairs."""
    place = ("inputs", group, "pairs", other)
    if other not in collections:
        raise wrong(f"no collection {other!r} among the inputs{did_you_mean(other, list(collections))}", *place)
    if other == group:
        raise wrong(f"pairs are made with the members of another collection than {group!r}", *place)
    for name in (group, other):
        if not collections[name].momenta:
            raise wrong(f"the collection {name!r} has no momenta, which pairs are made from; give them", *place)
    if (limit := collections[other].limit) > MOST_PARTNERS:
        raise wrong(
            f"{other!r} has a limit of {limit}, and a member has pairs with {MOST_PARTNERS} others at most", *place
        )


def pair_features(entry: "Collection", other: str, partner: "Collection", quantities: Sequence[str]) -> list[Feature]:
    """Return the features ``<quantity>_<other>_<place>``, with places 0, 1 ... among the members of ``other`` that are kept.

    Where a row has no such member, the expression is NaN.
    """
    found = []
    own = _polar(entry.momenta or [])
    for place in range(partner.limit):
        its = _polar([f"at({_kept(text, partner)}, {place})" for text in partner.momenta or []])
        for quantity in quantities:
            name, unit = f"{quantity}_{other}_{place}", _UNITS.get(quantity, "")
            found.append(Feature(name=name, expression=_expression(quantity, own, its), unit=unit))
    return found


def _polar(momentum: Sequence[str]) -> dict[str, str]:
    """Expressions of pt, eta, phi and energy from those of px, py, pz and energy."""
    x, y, z, energy = momentum
    return {"pt": f"pt({x}, {y})", "eta": f"eta({x}, {y}, {z})", "phi": f"phi({x}, {y})", "energy": energy}


def _kept(text: str, partner: "Collection") -> str:
    """The list of an expression with the members that are kept, in their order; those that are not follow as NaN."""
    by = partner.order
    if partner.where:
        by = f"where({partner.where}, {by or f'-position({text})'}, nan)"
        text = f"where({partner.where}, {text}, nan)"
    return f"sort({text}, {by})" if by else text


def _expression(quantity: str, own: Mapping[str, str], its: Mapping[str, str]) -> str:
    if quantity in ("mass", "log_mass"):
        mass = f"pair_mass({', '.join((*own.values(), *its.values()))})"
        return mass if quantity == "mass" else f"log({mass})"
    if quantity == "delta_r":
        return f"delta_r({own['eta']}, {own['phi']}, {its['eta']}, {its['phi']})"
    angle = quantity.removeprefix("delta_")
    return f"{quantity}({own[angle]}, {its[angle]})"
