"""Names in ATLAS, CMS, SPANet and others that are not inputs, and similar names of measured quantities."""

import numpy as np
import pytest

from collidekit.starter.event_numbers import is_event_name, numbers_rows
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
        *((name, "identifies events") for name in (
            "event", "eventNumber", "jets_eventNumber", "luminosityBlock", "run", "evt_no", "evt_num", "evtNum", "EventNo", "EventID", "evtID",
            "event_idx", "lumi_block", "LumiBlock", "lumiBlockNumber", "lumisection", "luminosity_block", "run_no", "RunNr", "ls", "EVENTNUMBER",
        )),
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
        "n_events", "nEvents", "n_evt", "event_shape", "eventThrust", "running_sum", "runway", "luminosity_ratio", "pulls",
        "sv_ntracks", "jet_width", "Jet_area", "particle_energy",
    ],
)  # fmt: skip
def test_measured(name: str) -> None:
    assert reason(name) == ""


@pytest.mark.parametrize("name", ["event_weight", "eventWeight", "is_signal_event", "isSignalEvent"])
def test_names_with_event_that_number_nothing(name: str) -> None:
    assert not is_event_name(name)


RANDOM = np.random.default_rng(1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.arange(1000), True),
        (RANDOM.permutation(1000), True),
        (np.arange(1000) // 3, True),  # three jets of each event
        (np.tile(np.arange(500), 2), True),  # two files
        (RANDOM.poisson(400, 1000), False),
        (np.arange(1000) // 20, False),
        (np.arange(1000) - 500, False),
        (np.arange(1000) / 2, False),
        (np.arange(80), False),
    ],
)
def test_numbers_of_rows(values: np.ndarray, expected: bool) -> None:
    assert numbers_rows("x", values) == expected
    assert not numbers_rows("jet_pt", values), "the name of a measured quantity"
