"""Leptons, jets and missing momentum of whole events among the columns of a file, as expressions of lists and numbers."""

import re
from dataclasses import dataclass

import numpy as np

from collidekit.starter.columns import Column
from collidekit.starter.momenta import NOMINAL, Momentum, find_momenta
from collidekit.starter.particle_names import is_true, kind_of_list, may_be_true, role_of, words
from collidekit.starter.units import divided
from collidekit.starter.variables import Variables

_CHARGE = ("charge", "q")
_PARTICLE_ID = ("pid", "pdgid", "pdg_id", "pdg", "pdgcode", "type", "flavour", "flavor")
_MASSES = {"electrons": "0.000511", "muons": "0.10566"}
_B_TAGS = (r"quantile", r"(^|_)(is)?_?b_?tag(ged)?$", r"b_?tag|GN2|DL1|DeepFlav|UParT|PNet.*B$|csv")
"""In which order columns of jets are taken for the b tag."""
_MET = re.compile(
    r"^(?:reco_?)?(?:(?:puppi|pf|calo|tst|type1)_?)?(?:met|missing_?et|etmiss|met_tst|mpt)"
    r"(?:_?(met|pt|et|tst|phi|m?px|m?py|x|y|ex|ey|fp_fx|fp_fy|fx|fy|fcoordinates_fpt|fcoordinates_fphi|fcoordinates_fx|fcoordinates_fy))?$",
    re.IGNORECASE,
)
_MET_PARTS = {
    **dict.fromkeys(("", "met", "pt", "et", "tst", "fcoordinates_fpt"), "pt"),
    **dict.fromkeys(("phi", "fcoordinates_fphi"), "phi"),
    **dict.fromkeys(("px", "mpx", "x", "ex", "fp_fx", "fx", "fcoordinates_fx"), "px"),
    **dict.fromkeys(("py", "mpy", "y", "ey", "fp_fy", "fy", "fcoordinates_fy"), "py"),
}


@dataclass(frozen=True)
class Objects:
    """A collection: expressions of lists, momenta in GeV."""

    momentum: Momentum
    energy: str
    charge: str = ""
    muon: str = ""
    b_tag: str = ""
    b_tag_column: str = ""
    where: str = ""
    joined: bool = False
    """True if electrons and muons are separate in the file."""


@dataclass(frozen=True)
class Met:
    """Missing transverse momentum in GeV."""

    pt: str
    px: str
    py: str


def find_jets(variables: Variables) -> Objects | None:
    """Return the jets with the most members, with their b tag if there is one."""
    columns = variables.columns
    lists = find_momenta(variables.lists())
    found = {stem: momentum for stem, momentum in lists.items() if kind_of_list(stem) == "jets"}
    if not found:
        return None
    stem = max(found, key=lambda name: (_members(variables, found[name]), -len(name)))
    momentum = variables.in_gev(found[stem])
    like = np.asarray(columns[found[stem].columns[0]].counts)
    tags = [
        c
        for c in columns.values()
        if c.counts is not None and like is not None and np.array_equal(c.counts, like) and not is_true(c.plain)
    ]
    tag = next((c for pattern in _B_TAGS for c in tags if _is_tag(c, pattern)), None)
    energy = momentum.energy or f"energy({momentum.pt}, {momentum.eta}, {momentum.mass or 0})"
    return Objects(
        momentum, energy, b_tag=tag.name if tag else "", b_tag_column=tag.name if tag else "",
        where=_where(variables, found[stem], momentum),
    )  # fmt: skip


def _is_tag(column: Column, pattern: str) -> bool:
    return bool(re.search(pattern, NOMINAL.sub("", column.plain), re.IGNORECASE)) and len(column.distinct) > 1


def _members(variables: Variables, momentum: Momentum) -> int:
    return len(variables.columns[momentum.columns[0]].values)


def _where(variables: Variables, found: Momentum, momentum: Momentum) -> str:
    """A condition for members that are there, where lists are filled up with numbers such as -999 or 0."""
    pt = variables.columns.get(found.pt)
    return f"{momentum.pt} > 0" if pt is not None and bool((pt.finite <= 0).any()) else ""


def find_leptons(variables: Variables) -> Objects | None:
    """Return the leptons of a file: one list, a list of electrons and one of muons, or two of one lepton each."""
    lists = {kind_of_list(stem): (stem, momentum) for stem, momentum in find_momenta(variables.lists()).items()}
    if "leptons" in lists:
        stem, momentum = lists["leptons"]
        return _of_one_list(variables, stem, momentum)
    if {"electrons", "muons"} <= set(lists):
        return _joined(variables, [(kind, *lists[kind]) for kind in ("electrons", "muons")])
    return _of_two_numbers(variables)


def _of_one_list(variables: Variables, stem: str, found: Momentum) -> Objects | None:
    known = variables.lists()
    charge, identity = _member(known, stem, _CHARGE), _member(known, stem, _PARTICLE_ID)
    if not charge and not identity:
        return None
    momentum = variables.in_gev(found)
    return Objects(
        momentum, _energy(momentum), charge=charge or f"where({identity} < 0, 1, -1)",
        muon=f"abs({identity}) == 13" if identity else "", where=_where(variables, found, momentum),
    )  # fmt: skip


def _joined(variables: Variables, parts: list[tuple[str, str, Momentum]]) -> Objects | None:
    known = variables.lists()
    charges = [_member(known, stem, _CHARGE) for _, stem, _ in parts]
    if not all(charges):
        return None
    momenta = [variables.in_gev(momentum) for *_, momentum in parts]
    energies = [_energy(momentum, _MASSES[kind]) for (kind, *_), momentum in zip(parts, momenta, strict=True)]
    first, second = charges
    return Objects(
        _combined("join", momenta), f"join({', '.join(energies)})", charge=f"join({first}, {second})",
        muon=f"join(0 * {first}, 0 * {second} + 1)", joined=True,
    )  # fmt: skip


def _of_two_numbers(variables: Variables) -> Objects | None:
    """A positive and a negative lepton, or a first and a second one with their charges."""
    known = variables.numbers()
    momenta = {stem: momentum for stem, momentum in find_momenta(known).items() if not is_true(stem)}
    roles = {role_of(stem): stem for stem in momenta}
    numbered = {found[1]: s for s in momenta if (found := re.fullmatch(r"(?:lep|lepton|l)(\d)", "".join(words(s))))}
    if {"lepton_plus", "lepton_minus"} <= set(roles):
        stems = [roles["lepton_plus"], roles["lepton_minus"]]
    elif len(numbered) == 2:
        stems = [numbered[key] for key in sorted(numbered)]
    else:
        return None
    both = [variables.in_gev(momenta[stem]) for stem in stems]
    momentum = _combined("list", both)
    charges = [_member(known, stem, _CHARGE) for stem in stems]
    identities = [_member(known, stem, _PARTICLE_ID) for stem in stems]
    if numbered and len(numbered) == 2 and not (all(charges) or all(identities)):
        return None
    charge = f"list({charges[0]}, {charges[1]})" if all(charges) else f"1 - 2 * position({momentum.px or momentum.pt})"
    identity = f"list({identities[0]}, {identities[1]})" if all(identities) else ""
    if identity and not all(charges):
        charge = f"where({identity} < 0, 1, -1)"
    energy = f"list({_energy(both[0])}, {_energy(both[1])})"
    return Objects(momentum, energy, charge=charge, muon=f"abs({identity}) == 13" if identity else "")


def _energy(momentum: Momentum, mass: str = "0") -> str:
    return momentum.energy or f"energy({momentum.pt}, {momentum.eta}, {momentum.mass or mass})"


def _combined(function: str, momenta: list[Momentum]) -> Momentum:
    """The lists of several momenta as one: cartesian where all are, else polar."""
    cartesian = all(momentum.px for momentum in momenta)
    parts = ("px", "py", "pz") if cartesian else ("pt", "eta", "phi")
    x, y, z = (f"{function}({', '.join(getattr(one, part) for one in momenta)})" for part in parts)
    if not cartesian:
        return Momentum(pt=x, eta=y, phi=z)
    return Momentum(pt=f"pt({x}, {y})", eta=f"eta({x}, {y}, {z})", phi=f"phi({x}, {y})", px=x, py=y, pz=z)


def _member(known: dict[str, str], stem: str, names: tuple[str, ...]) -> str:
    """The column of an object with one of these names, such as ``lep_charge`` or ``lepPosCharge``."""
    for plain, name in known.items():
        rest = NOMINAL.sub("", plain)
        if rest.startswith(stem) and rest[len(stem) :].lstrip("_").lower() in names:
            return name
    return ""


def find_met(variables: Variables) -> Met | None:
    """Return the missing transverse momentum, from its size and direction or from its components."""
    found: dict[str, str] = {}
    for plain, name in variables.numbers().items():
        match = _MET.fullmatch(NOMINAL.sub("", plain))
        if match and not is_true(plain):
            found.setdefault(_MET_PARTS[(match[1] or "").lower()], name)
    pair = ("px", "py") if {"px", "py"} <= set(found) else ("pt", "phi")
    if not set(pair) <= set(found):
        return None
    a, b = (found[part] for part in pair)
    size = found.get("pt", a)
    if variables.is_mev([size]):
        a, b = divided(a), divided(b) if pair[0] == "px" else b
    if pair[1] == "phi":
        b = variables.in_radians(b)
    if pair[0] == "px":
        return Met(f"pt({a}, {b})", a, b)
    return Met(a, f"px({a}, {b})", f"py({a}, {b})")


def find_true_momenta(variables: Variables) -> dict[str, Momentum]:
    """Return the true four-momenta in GeV by the role of the particle; after radiation where there are several copies."""
    found: dict[str, tuple[int, Momentum]] = {}
    for stem, momentum in find_momenta({p: n for p, n in variables.numbers().items() if not NOMINAL.search(p)}).items():
        role = role_of(stem)
        if role and may_be_true(stem, role):
            rank = ("beforeFSR" in stem) != (role in ("b", "bbar"))
            if role not in found or rank < found[role][0]:
                found[role] = (rank, variables.in_gev(momentum))
    return {role: momentum for role, (_, momentum) in found.items()}
