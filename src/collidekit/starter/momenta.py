"""Four-momenta among columns, in any of the usual spellings, and how to write pt, eta, phi and momenta with them."""

from collections.abc import Iterable
from dataclasses import dataclass

from collidekit.analysis.names import simple_name

_SPELLINGS = {
    "px": ("px", "p_x", "mom_x"),
    "py": ("py", "p_y", "mom_y"),
    "pz": ("pz", "p_z", "mom_z"),
    "energy": ("energy", "e", "en"),
    "pt": ("pt", "p_t"),
    "eta": ("eta",),
    "phi": ("phi",),
    "mass": ("mass", "m"),
}


@dataclass(frozen=True)
class Momentum:
    """Expressions for the parts of a four-momentum; an empty one is not known."""

    pt: str
    eta: str
    phi: str
    px: str = ""
    py: str = ""
    pz: str = ""
    energy: str = ""
    mass: str = ""
    columns: tuple[str, ...] = ()
    """The columns it is made from."""

    @property
    def cartesian(self) -> tuple[str, str, str, str] | None:
        """px, py, pz, E; without mass and energy that of a massless particle."""
        if self.px:
            return (self.px, self.py, self.pz, self.energy) if self.energy else None
        energy = self.energy or f"energy({self.pt}, {self.eta}, {self.mass or 0})"
        return f"px({self.pt}, {self.phi})", f"py({self.pt}, {self.phi})", f"pz({self.pt}, {self.eta})", energy


def find_momentum(names: Iterable[str], prefix: str = "") -> Momentum | None:
    """The four-momentum among columns that begin with a prefix: pt, eta, phi where they are, else px, py, pz."""
    found: dict[str, str] = {}
    for name in names:
        plain = simple_name(name.strip("`")).removeprefix("INPUTS_")
        if not plain.lower().startswith(prefix.lower()):
            continue
        rest = plain[len(prefix) :].lower().lstrip("_")
        for part, spellings in _SPELLINGS.items():
            if rest in spellings:
                found.setdefault(part, name)
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
