"""The key ``pairs`` of a collection: quantities of each member with each member of another collection."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from collidekit.analysis.features import Feature, wrong
from collidekit.errors import did_you_mean

if TYPE_CHECKING:
    from collidekit.analysis.schema import Collection

Quantity = Literal["mass", "log_mass", "delta_r", "delta_eta", "delta_phi"]
MOST_PARTNERS = 8
"""Largest ``limit`` of the other collection, because each of its members adds features."""
_UNITS = {"mass": "GeV", "log_mass": "log GeV"}


def check_pairs(group: str, other: str, collections: Mapping[str, Any]) -> None:
    """Raise an error that names the line if two collections cannot form pairs."""
    place = ("inputs", group, "pairs", other)
    if other not in collections:
        raise wrong(f"no collection {other!r} among the inputs{did_you_mean(other, list(collections))}", *place)
    if other == group:
        raise wrong(f"pairs need a collection other than {group!r}", *place)
    for name in (group, other):
        if not collections[name].momenta:
            raise wrong(f"the collection {name!r} has no momenta, which pairs need; give them", *place)
    if (limit := collections[other].limit) > MOST_PARTNERS:
        raise wrong(f"{other!r} has a limit of {limit}, but pairs allow at most {MOST_PARTNERS}", *place)


def pair_features(entry: "Collection", other: str, partner: "Collection", quantities: Sequence[str]) -> list[Feature]:
    """Return the features ``<quantity>_<other>_<place>`` for the places 0, 1 ... of the kept members of ``other``.

    If a row has no such member, the expression is NaN.
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
    """Return expressions of pt, eta, phi and energy, made from the expressions of px, py, pz and energy."""
    x, y, z, energy = momentum
    return {"pt": f"pt({x}, {y})", "eta": f"eta({x}, {y}, {z})", "phi": f"phi({x}, {y})", "energy": energy}


def _kept(text: str, partner: "Collection") -> str:
    """Return the list of an expression with its kept members first, in their order, and the other members as NaN."""
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
