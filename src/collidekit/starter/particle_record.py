"""Particles of a top pair in the record of a generator, such as ``Particle`` of Delphes or ``GenPart`` of NanoAOD."""

from collidekit.starter.momenta import Momentum, find_momenta
from collidekit.starter.variables import Variables

_MOTHERS = ("M1", "genPartIdxMother", "mother", "mother1", "motherIdx")
_IDENTITIES = ("PID", "pdgId", "pid", "pdg")
_DECAYS = {
    "b": ("in (1, 3, 5)", "6"),
    "bbar": ("in (-1, -3, -5)", "-6"),
    "nu": ("in (12, 14, 16)", "24"),
    "nubar": ("in (-12, -14, -16)", "-24"),
    "lepton_plus": ("in (-11, -13, -15)", "24"),
    "lepton_minus": ("in (11, 13, 15)", "-24"),
}
"""PDG ID of each decay product and of its mother, which is the copy that decays."""
_MOTHER_OF = {"top": "b", "antitop": "bbar", "w_plus": "nu", "w_minus": "nubar"}


def find_recorded_momenta(variables: Variables) -> dict[str, Momentum]:
    """Return the true momenta in GeV by role, as expressions that find each particle by its PDG ID and its mother."""
    known = variables.lists()
    for stem, found in find_momenta(known).items():
        identity = next((known[f"{stem}_{name}"] for name in _IDENTITIES if f"{stem}_{name}" in known), "")
        mother = next((known[f"{stem}_{name}"] for name in _MOTHERS if f"{stem}_{name}" in known), "")
        if identity and mother:
            return _momenta(variables, variables.in_gev(found), identity, mother)
    return {}


def _momenta(variables: Variables, all_of_them: Momentum, identity: str, mother: str) -> dict[str, Momentum]:
    mothers = variables.add("mother_pid", f"at({identity}, {mother})")
    places = {}
    for role, (own, of_mother) in _DECAYS.items():
        text = f"argmax(where({identity} {own} and {mothers} == {of_mother}, 1, nan))"
        places[role] = variables.add(f"place_{role}", text)
    for role, product in _MOTHER_OF.items():
        places[role] = variables.add(f"place_{role}", f"at({mother}, {places[product]})")
    parts = ("pt", "eta", "phi", "px", "py", "pz", "energy", "mass")
    return {
        role: Momentum(**{part: _at(getattr(all_of_them, part), place) for part in parts}, columns=all_of_them.columns)
        for role, place in places.items()
    }


def _at(text: str, place: str) -> str:
    return f"at({text}, {place})" if text else ""
