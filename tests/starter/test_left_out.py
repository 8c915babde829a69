"""Names in ATLAS, CMS, SPANet and others that are not inputs, and similar names of measured quantities."""

import pytest

from collidekit.starter.left_out import reason


@pytest.mark.parametrize(
    ("name", "why"),
    [
        *((name, "simulated truth") for name in (
            "HadronConeExclTruthLabelID", "HadronGhostTruthLabelPt", "jets_PartonTruthLabelID", "truthOriginLabel",
            "tracks_truthVertexIndex", "Jet_hadronFlavour", "Jet_partonFlavour", "Jet_nBHadrons", "Jet_genJetIdx",
            "GenPart_pt", "genWeight", "LHE_HT", "Muon_genPartFlav", "aux_genpart_pid", "Pileup_nTrueInt", "flavour",
            "jet_flav", "TARGETS_t1_q1", "REGRESSIONS_EVENT_mass", "CLASSIFICATIONS_EVENT_signal", "Jet_Flavor",
        )),
        *((name, "the score of another tagger") for name in (
            "jets_GN2v01_pb", "GN1_pc", "DL1dv01_pu", "jet_DL1r_pb", "MV2c10", "rnnip_pb", "dipsLoose20220314v2_pb",
            "IP3D_bu", "Jet_btagDeepFlavB", "Jet_btagPNetB", "Jet_btagUParTAK4B", "FatJet_particleNet_TvsQCD",
            "FatJet_deepTag_WvsQCD", "Jet_PNetRegPtRawCorr", "Jet_UParTAK4RegPtRawCorr", "Tau_idDeepTau2017v2p1VSjet",
            "Jet_qgl", "INPUTS_Source_btag", "jet_score", "Muon_mvaTTH", "Jet_bRegCorr", "ParTScore",
        )),
        *((name, "label") for name in ("label3", "label_QCD", "target", "is_signal_new")),
        *((name, "identifies events") for name in ("event", "eventNumber", "jets_eventNumber", "luminosityBlock", "run")),
        ("ttv", "split"), ("trk_vtx_index", "index"), ("Jet_electronIdx1", "index"), ("mcEventWeight", "weight"),
    ],
)  # fmt: skip
def test_left_out(name: str, why: str) -> None:
    assert why in reason(name)


@pytest.mark.parametrize(
    "name",
    [
        "part_pt", "part_charge", "part_isChargedHadron", "jet_pt", "trk_d0", "trk_d0sig", "Jet_chHEF", "Jet_nConstituents",
        "JetPFCands_btagSip3dSig", "JetPFCands_btagEtaRel", "n_vertices", "jet_tau21", "tracks_numberOfPixelHits", "met",
        "tracks_IP3D_signed_d0_significance", "SV1_masssvx", "JetFitter_N2Tpair", "hydrogen_density", "general_angle",
        "sv_ntracks", "jet_width", "Jet_area", "particle_energy",
    ],
)  # fmt: skip
def test_measured(name: str) -> None:
    assert reason(name) == ""
