"""Find four-momenta among columns by their usual names, and write pt, eta, phi and momenta as expressions."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from collidekit.analysis.names import simple_name

_SPELLINGS = {
    "px": ("px", "p_x", "mom_x", "fp_fx", "fcoordinates_fx"),
    "py": ("py", "p_y", "mom_y", "fp_fy", "fcoordinates_fy"),
    "pz": ("pz", "p_z", "mom_z", "fp_fz", "fcoordinates_fz"),
    "energy": ("energy", "e", "en", "fe", "fcoordinates_ft"),
    "pt": ("pt", "p_t", "fcoordinates_fpt"),
    "eta": ("eta", "fcoordinates_feta"),
    "phi": ("phi", "fcoordinates_fphi"),
    "mass": ("mass", "m", "fcoordinates_fm"),
}
"""Names of the parts; those with ``f`` are the members of ROOT's TLorentzVector and LorentzVector."""
NOMINAL = re.compile(r"_(NOSYS|nominal)$", re.IGNORECASE)
"""Suffix of names without a systematic variation."""


@dataclass(frozen=True)
class Momentum:
    """Expressions for the parts of a four-momentum; an empty one is unknown."""

    pt: str
    eta: str
    phi: str
    px: str = ""
    py: str = ""
    pz: str = ""
    energy: str = ""
    mass: str = ""
    columns: tuple[str, ...] = ()
    """Columns that it is computed from."""
    unit: str = ""
    """GeV, or empty if the unit is unknown."""

    @property
    def cartesian(self) -> tuple[str, str, str, str] | None:
        """Expressions for px, py, pz, E; the particle is massless if mass and energy are unknown."""
        if self.px:
            return (self.px, self.py, self.pz, self.energy) if self.energy else None
        energy = self.energy or f"energy({self.pt}, {self.eta}, {self.mass or 0})"
        return f"px({self.pt}, {self.phi})", f"py({self.pt}, {self.phi})", f"pz({self.pt}, {self.eta})", energy


def find_momentum(names: Iterable[str], prefix: str = "") -> Momentum | None:
    """Return the four-momentum of columns with a prefix: from pt, eta, phi if they exist, else from px, py, pz."""
    found: dict[str, str] = {}
    for name in names:
        plain = simple_name(name.strip("`")).removeprefix("INPUTS_")
        if not plain.lower().startswith(prefix.lower()):
            continue
        rest = plain[len(prefix) :].lower().lstrip("_")
        for part, spellings in _SPELLINGS.items():
            if rest in spellings:
                found.setdefault(part, name)
    return momentum_of(found)


def momentum_of(found: dict[str, str]) -> Momentum | None:
    """Return the four-momentum of parts ``px``, ``energy``, ``pt`` ... with their columns; None if parts are missing."""
    cartesian, polar = found.keys() >= {"px", "py", "pz"}, found.keys() >= {"pt", "eta", "phi"}
    if not cartesian and not polar:
        return None
    momentum = {part: found.get(part, "") for part in ("px", "py", "pz", "energy", "mass")}
    if not cartesian:
        momentum |= {"px": "", "py": "", "pz": ""}
    x, y, z = (found.get(part, "") for part in ("px", "py", "pz"))
    return Momentum(
        pt=found.get("pt") or f"pt({x}, {y})",
        eta=found.get("eta") or f"eta({x}, {y}, {z})",
        phi=found.get("phi") or f"phi({x}, {y})",
        columns=tuple(found.values()),
        **momentum,
    )


def split_part(plain: str) -> tuple[str, str]:
    """Return object and part of a momentum from a name: ``("lepPos", "px")`` of ``lepPos_fP_fX``; empty for other names."""
    plain = NOMINAL.sub("", plain)
    known = [(spelling, part) for part, spellings in _SPELLINGS.items() for spelling in spellings]
    for spelling, part in known:
        if plain.lower().endswith(f"_{spelling}"):
            return plain[: -len(spelling) - 1], part
    for spelling, part in known:
        if "_" not in spelling and re.search(rf"[a-z0-9]{spelling.capitalize()}$", plain):
            return plain[: -len(spelling)], part
    return "", ""


def find_momenta(names: dict[str, str]) -> dict[str, Momentum]:
    """Return all four-momenta among columns ``plain name -> name in expressions``, by the name of their object."""
    parts: dict[str, dict[str, str]] = {}
    for plain, name in names.items():
        stem, part = split_part(plain)
        if stem:
            parts.setdefault(stem, {}).setdefault(part, name)
    return {stem: momentum for stem, found in parts.items() if (momentum := momentum_of(found))}
