"""Which particle of a top pair a name means: ``lepPos``, ``truth_wminus`` or ``Ttbar_MC_Wdecay1_from_t``."""

import re

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_TRUTH = {"truth", "true", "gen", "mc", "parton", "generator"}
_FILLER = _TRUTH | {"reco", "rec", "sel", "selected", "good", "p4", "lv", "tlv", "vec", "vector", "particle", "level"}
_NOT_TRUE = {"reco", "rec", "kin", "fit", "solved", "pred", "predicted", "nn", "nw"}
"""Words of tops and neutrinos that somebody reconstructed."""
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
    """The words of a name in small letters: ``lep, pos`` of ``lepPos``."""
    return [word.lower() for word in _WORD.findall(name)]


def role_of(stem: str) -> str:
    """The particle of a top pair that the name of an object means, such as ``antitop``; empty where it is none."""
    return _ROLES.get("".join(word for word in _words_of_object(stem) if word not in _FILLER), "")


def is_true(stem: str) -> bool:
    """Whether a name says that an object is simulated truth."""
    return bool(_TRUTH & set(words(stem)))


def may_be_true(stem: str, role: str) -> bool:
    """Whether an object may be truth: a lepton must say so, tops, W bosons and neutrinos must not say that they are reconstructed."""
    return is_true(stem) or not (role.startswith("lepton") or _NOT_TRUE & set(words(stem)))


def kind_of_list(stem: str) -> str:
    """``jets``, ``leptons``, ``electrons`` or ``muons`` of the name of a collection; empty for all others."""
    found = _words_of_object(stem)
    if found and found[-1] in ("jet", "jets"):
        return "" if _OTHER_JETS & set(found) else "jets"
    return "" if is_true(stem) else _KINDS.get("".join(word for word in found if word not in _FILLER), "")


def _words_of_object(stem: str) -> list[str]:
    """The words of a name, without what TopCPToolkit writes before and inside those of partons."""
    return words(re.sub(r"_(before|after)FSR", "", re.sub(r"^Ttbar_MC_", "MC_", stem)))
