"""Known layouts of files, recognised by the names of their columns, and the bundled analyses for them."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """A published layout: columns that all its files have, and its bundled analyses, if any."""

    name: str
    columns: tuple[str, ...]
    analysis: str = ""
    """The bundled analysis that is used."""
    named: str = ""
    """A bundled analysis that is only mentioned, because the guess from the columns performs better."""


KNOWN = (
    Layout(
        "CMS PFNano (NanoAOD of the b-tagging group)",
        ("Jet_pt", "Jet_hadronFlavour", "JetPFCands_jetIdx", "JetPFCands_pFCandsIdx", "PFCands_pt"),
        "pfnano_jets",
    ),
    Layout("CMS NanoAOD", ("Jet_pt", "Jet_hadronFlavour", "Jet_chHEF", "Jet_nConstituents", "Muon_pt"), named="nanoaod_jets"),
    Layout(
        "Top Quark Tagging Reference Dataset (Zenodo 2603256)", ("E", "PX", "PY", "PZ", "is_signal_new"), "top_tagging_reference"
    ),
    Layout("JetClass (arXiv:2202.03772)", ("label_QCD", "label_Tbqq", "part_px", "part_d0val", "part_d0err")),
    Layout("ATLAS flavour tagging (training-dataset-dumper)", ("jets_HadronConeExclTruthLabelID",)),
    Layout("SPANet (arXiv:2106.03898)", ("TARGETS",)),
    Layout("Delphes", ("Jet_PT", "Jet_Eta", "Jet_Phi", "Jet_BTag")),
)  # fmt: skip
"""Known layouts, from the most specific to the most general one."""


def find_layout_of(columns: Iterable[str]) -> Layout | None:
    """Return the layout of a file with these columns, by their plain names; None if it is unknown."""
    names = {name.strip("`").replace(".", "_") for name in columns}
    return next((layout for layout in KNOWN if set(layout.columns) <= names), None)
