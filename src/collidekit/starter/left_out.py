"""Names of columns that are not inputs: simulated truth, scores of other taggers, indices, event numbers, weights.

The names are those of ATLAS (derivations and flavour-tagging files), CMS (NanoAOD, PFNano, Open Data), LHCb, Belle II, SPANet, Delphes and
JetClass. A column that may be one of these is left out with a comment, because a wrong input spoils a training without any error.
"""

import re

from collidekit.starter.event_numbers import is_event_name

TRUTH = re.compile(
    r"truth|(^|_)true|(?-i:[a-z]True(?!_?Muon))|(^|_)gen(?!eral)|(?-i:Gen[A-Z]|LHE|HTXS)|mother|(^|_)mc_|(?<!deep)flav|pdgId|(^|_)pdg|parton"
    r"|(?-i:(^|_)mc(?!Event|Weight)[A-Z]|MCMatch|BKGCAT|LabDr|Ghost|[BC]Had(?![a-z]))|(^|_)orig(in)?(_|$)|[bc]Hadron|HadronCone|Pileup_|nTrue"
    r"|Matched|^(TARGETS|REGRESSIONS|CLASSIFICATIONS)_|^ttbar_mc",
    re.ASCII | re.IGNORECASE,
)
MEASURED_FOR_TAGGERS = r"(?!_?(?:EtaRel|JetDist|PPar|PtRel|PtRatio|Sip[23]d|DecayLen|DeltaR|Momentum|Jes))"
"""Names of measured quantities with ``btag`` that are not scores: ``btagSip3dSig`` of tracks in PFNano, ``pt_btagJes`` of jets in ATLAS."""
SCORE = re.compile(
    rf"btag{MEASURED_FOR_TAGGERS}|particleNet|PNet|deepFlav|deepJet|DeepCSV|DeepAK8|deepTag|deepDoubleX|deepTau|UParT|BJetTags|doubleb|JetProb"
    r"|(?-i:ParT)(?![a-z])|(^|_)(GN[123]|DL1|MV[12]|dips|rnnip|DexterV|Xbb|PrmLooseTagger)|IP[23]D_(p[bcu]|[bcu]{2})$"
    r"|score|(^|_)disc|tagger|classifier|qgl$|puIdDisc|PNetReg|[bc]Reg(Corr|Res)|(^|_)mva(?!lue)|(^|_)BDT|(^|_)nn(_?out)?$|(^|_)proba$",
    re.ASCII | re.IGNORECASE,
)
_CLASSES = (
    r"signal|sig|bkg|background|continuum\w*|phys\w*|parton\w*|qcd|top|bottom|charm|strange|light|gluon|quark|uds|higgs|tth|tt|ttbar|[bcgwzh]"
    r"|bb|cc|gg|qq|hbb|hcc|tau_?jet|[bc]jet|signal\w+"
)
CLASS_FLAG = re.compile(
    rf"(^|_)(sample_)?is_(?:{_CLASSES})(_\w+)?$|(?-i:(^|_)(sample_)?is(?=[A-Z]))(?:{_CLASSES})$",
    re.ASCII | re.IGNORECASE,
)
"""Flags of a true class, such as ``isSignal`` and ``is_b``; ``isTight`` and ``isMuon`` are measured."""
LABEL = re.compile(rf"label|(^|_)target|^y$|{CLASS_FLAG.pattern}", re.ASCII | re.IGNORECASE)
SAMPLE = re.compile(
    r"(^|_)(dsid|(mc_?)?channel_?number|dataset(_?id)?|sample(_?(id|type|name|number))?|process(_?(id|type|number))?|proc(_?id)?)$",
    re.IGNORECASE,
)
INDEX = re.compile(r"(_index|_idx|_id|Index)$|Idx|barcode", re.ASCII)
_BOOKKEEPING = re.compile(
    r"^_*(n|tot)?candidates?_*$|^(gps_?time|bcid|bunch_?crossing\w*|time_?stamp|fill_?number|polarity|entry|production)$|^__\w+__$",
    re.IGNORECASE,
)
_KINEMATIC = r"pt|p[xyz]?|e|en|energy|eta|phi|y|m|mass|charge|theta|rapidity|dr|deta|dphi"
WEIGHT = re.compile(
    rf"weight|(^|_)wgt|(?-i:[a-z]Wgt)|(^|_)(w|wt|sw|sf|xsec|xs|k_?factor|cross_?section|prescale)$|^(w|wt)_(?!({_KINEMATIC})(_|$))"
    r"|^sf_|_sf_|scale_?factor",
    re.IGNORECASE,
)
FOLD = re.compile(r"^(ttv|fold|split|kfold)$", re.IGNORECASE)
QUALITY = re.compile(r"(^|_)(jetId|puId|cleanmask)$|^Jet_((ch|ne)Multiplicity|hf(Em|H)EF|muonSubtrDelta(Eta|Phi))$")
"""Branches that only some versions of NanoAOD (v12 or v15) have."""

IS_INDEX = "looks like an index"
_REASONS = (
    (_BOOKKEEPING, "numbers candidates or periods of data taking"),
    (FOLD, "looks like the part of a split, or a fold"),
    (SAMPLE, "looks like the name or number of a simulated sample"),
    (TRUTH, "looks like simulated truth"),
    (LABEL, "looks like another label"),
    (INDEX, IS_INDEX),
    (WEIGHT, "looks like a weight"),
    (SCORE, "looks like the score of another tagger"),
    (QUALITY, "is missing in other versions of these files"),
)


def reason(name: str) -> str:
    """Return why a column with this name is not an input; empty if it may be one."""
    if is_event_name(name):
        return "identifies events or runs"
    return next((text for pattern, text in _REASONS if pattern.search(name)), "")


def is_truth(name: str) -> bool:
    """Return whether a whole collection looks like simulated truth or like weights."""
    return bool(TRUTH.search(name) or WEIGHT.search(name))
