"""Names of columns that are no inputs: simulated truth, answers of other taggers, indices, numbers of events, weights.

The names are those of ATLAS (derivations and flavour-tagging files), CMS (NanoAOD and PFNano), SPANet, Delphes and JetClass.
"""

import re

TRUTH = re.compile(
    r"truth|(^|_)gen(?!eral)|(?-i:Gen[A-Z]|LHE|HTXS)|mother|(^|_)mc_|flavou?r|(^|_)flav|genPartFlav|pdgId|(^|_)pdg|parton"
    r"|[bc]Hadron|HadronCone|HadronGhost|Pileup_|nTrue|Matched|^(TARGETS|REGRESSIONS|CLASSIFICATIONS)_|^ttbar_mc",
    re.ASCII | re.IGNORECASE,
)
MEASURED_FOR_TAGGERS = r"(?!EtaRel|JetDist|PPar|PtRel|PtRatio|Sip[23]d|DecayLen|DeltaR|Momentum)"
"""PFNano calls measured quantities of tracks ``btagSip3dSig`` and the like: they are no answers of a tagger."""
SCORE = re.compile(
    rf"btag{MEASURED_FOR_TAGGERS}|particleNet|PNet|deepFlav|deepJet|DeepCSV|DeepAK8|deepTag|deepDoubleX|deepTau|UParT"
    r"|(?-i:ParT)(?![a-z])|(^|_)(GN[123]|DL1|MV[12]|dips|rnnip|DexterV|Xbb|PrmLooseTagger)|IP[23]D_(p[bcu]|[bcu]{2})$"
    r"|score|(^|_)disc|tagger|(^|_)qgl$|puIdDisc|PNetReg|[bc]Reg(Corr|Res)|(^|_)mva(?!lue)|(^|_)BDT",
    re.ASCII | re.IGNORECASE,
)
LABEL = re.compile(r"label|(^|_)target|(^|_)y$|(^|_)is_?signal", re.IGNORECASE)
INDEX = re.compile(r"(_index|_idx|_id|Index)$|Idx|barcode", re.ASCII)
EVENT = re.compile(r"^(?:.*_)?(run|runnumber|lumi|luminosityblock|event|eventnumber|event_?id|evt)$", re.IGNORECASE)
WEIGHT = re.compile(r"weight|(^|_)wgt", re.IGNORECASE)
FOLD = re.compile(r"^(ttv|fold|split|kfold)$", re.IGNORECASE)
QUALITY = re.compile(r"(^|_)(jetId|puId|cleanmask)$")
"""Flags of a reconstruction's version, which files of other versions do not have."""

_REASONS = (
    (EVENT, "numbers events"),
    (FOLD, "seems to say which part of a split a row is in"),
    (TRUTH, "looks like simulated truth"),
    (LABEL, "looks like another label"),
    (INDEX, "looks like an index"),
    (SCORE, "looks like another tagger's answer"),
    (WEIGHT, "looks like a weight"),
    (QUALITY, "is a flag that other versions of such files do not have"),
)


def reason(name: str) -> str:
    """Return why a column of this name is no input; empty if it may be one."""
    return next((text for pattern, text in _REASONS if pattern.search(name)), "")


def is_truth(name: str) -> bool:
    """Return whether a whole collection looks like simulated truth or like weights."""
    return bool(TRUTH.search(name) or WEIGHT.search(name))
