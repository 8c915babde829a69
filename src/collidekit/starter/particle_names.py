"""Find the particle of a top pair from a name, such as ``lepPos``, ``truth_wminus`` or ``Ttbar_MC_Wdecay1_from_t``."""

import re

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_TRUTH = {"truth", "true", "gen", "mc", "parton", "generator"}
_FILLER = _TRUTH | {"reco", "rec", "sel", "selected", "good", "p4", "lv", "tlv", "vec", "vector", "particle", "level"}
_NOT_TRUE = {"reco", "rec", "kin", "fit", "solved", "pred", "predicted", "nn", "nw"}
"""Words in names of reconstructed tops and neutrinos."""
_SPELLINGS = {
    "top": "t top topquark",
    "antitop": "tbar topbar antitop antitopquark atop",
    "pair": "ttbar tt toppair",
    "b": "b bquark bfromt bfromtop btop",
    "bbar": "bbar bbarquark antib antibquark bfromtbar bbarfromtbar bfromantitop bantitop btbar",
    "w_plus": "wplus wp wpos wfromt wfromtop wtop",
    "w_minus": "wminus wm wneg wfromtbar wfromantitop wtbar wantitop",
    "nu": "nu neutrino nufromt nutop wdecay1fromt nuplus",
    "nubar": "nubar antinu antineutrino neutrinobar nufromtbar nutbar wdecay2fromtbar numinus anu",
    "lepton_plus": "lplus lepplus leptonplus lpos leppos leptonpos leppositive leptonpositive poslep poslepton positivelepton "
    "antilepton antilep lepbar leptonbar lbar wdecay2fromt lepfromt leptonfromtop lp lepp",
    "lepton_minus": "lminus lepminus leptonminus lneg lepneg leptonneg lepnegative leptonnegative neglep neglepton negativelepton "
    "lepton lep l wdecay1fromtbar lepfromtbar leptonfromantitop lm lepm",
}
_ROLES = {spelling: role for role, spellings in _SPELLINGS.items() for spelling in spellings.split()}
_COLLECTIONS = {
    "leptons": "lep leps lepton leptons l",
    "electrons": "el els ele eles electron electrons elec",
    "muons": "mu mus muon muons muo",
}
_KINDS = {spelling: kind for kind, spellings in _COLLECTIONS.items() for spelling in spellings.split()}
_OTHER_JETS = _TRUTH | {"fat", "large", "track", "trk", "ak8", "ak10", "ljet", "fwd", "forward", "rc", "pile", "pileup"}


def words(name: str) -> list[str]:
    """Return the words of a name in lower case: ``lep, pos`` of ``lepPos``."""
    return [word.lower() for word in _WORD.findall(name)]


def role_of(stem: str) -> str:
    """Return the particle of a top pair from the name of an object, such as ``antitop``; empty for other names."""
    return _ROLES.get("".join(word for word in _words_of_object(stem) if word not in _FILLER), "")


def is_true(stem: str) -> bool:
    """Return whether the name of an object contains a word for simulated truth."""
    return bool(_TRUTH & set(words(stem)))


def may_be_true(stem: str, role: str) -> bool:
    """Return whether an object may be truth. Leptons need a word for truth; other names must have no word for reconstruction."""
    return is_true(stem) or not (role.startswith("lepton") or _NOT_TRUE & set(words(stem)))


def kind_of_list(stem: str) -> str:
    """Return ``jets``, ``leptons``, ``electrons`` or ``muons`` from the name of a collection; empty for other names."""
    found = _words_of_object(stem)
    if found and found[-1] in ("jet", "jets"):
        return "" if _OTHER_JETS & set(found) else "jets"
    return "" if is_true(stem) else _KINDS.get("".join(word for word in found if word not in _FILLER), "")


def _words_of_object(stem: str) -> list[str]:
    """Return the words of a name, without the prefix and suffixes of partons in TopCPToolkit."""
    return words(re.sub(r"_(before|after)FSR", "", re.sub(r"^Ttbar_MC_", "MC_", stem)))
