"""b, c and light jets of hadronic ttbar events at 13 TeV, with tracks and secondary vertices."""

from __future__ import annotations

from collections.abc import Iterator

import awkward as ak
import numpy as np

from collidekit.simulation.clustering import Jets, cluster
from collidekit.simulation.columns import Columns, collect, take
from collidekit.simulation.detector import Constituents, Detector, observe
from collidekit.simulation.generator import BoolArray, IntArray, Particles, generate
from collidekit.simulation.matching import count_near, delta_phi
from collidekit.simulation.tracks import Tracks, measure
from collidekit.simulation.vertices import Vertices, find_vertices

RADIUS = 0.4
PT_WINDOW = (20.0, 250.0)  # GeV
ETA_MAX = 2.5
HADRON_PT = 5.0  # GeV, minimum pT of heavy hadrons for the flavour label
HADRON_DISTANCE = 0.3
TTBAR = (
    "Beams:eCM = 13000",
    "Top:gg2ttbar = on",
    "Top:qqbar2ttbar = on",
    "24:onMode = off",
    "24:onIfAny = 1 2 3 4 5",
)
DETECTOR = Detector(
    track_pt_min=0.5,
    track_radius_max=50.0,
    track_pt_constant=(0.010, 0.012, 0.020),
    track_pt_slope=(1.5e-4, 2.0e-4, 4.0e-4),
)


def jet_flavour(jets: int, rng: np.random.Generator) -> Columns:
    """Return exactly `jets` shuffled jets with equal numbers of each flavour, as far as possible; jets of one event share its number."""
    wanted = {5: (jets + 2) // 3, 4: (jets + 1) // 3, 0: jets // 3}
    columns = collect(_batches(rng), "jet_flavour", wanted)
    event = np.unique(columns["event"], return_inverse=True)[1].astype(np.int64)
    return take({**columns, "event": event}, rng.permutation(jets))


def _batches(rng: np.random.Generator) -> Iterator[Columns]:
    done = 0
    for events, particles in generate(TTBAR, seed=int(rng.integers(2**31))):
        visible = particles.visible()
        constituents = observe(visible, DETECTOR, rng)
        jets = cluster(constituents, events, RADIUS, PT_WINDOW[0])
        jets = jets.select((jets.pt < PT_WINDOW[1]) & (np.abs(jets.eta) < ETA_MAX))
        tracks = _tracks(jets, constituents, visible, rng)
        vertices = find_vertices(tracks, jets)
        yield _columns(jets, flavours(jets, particles), tracks, vertices, first_event=done)
        done += events


def flavours(jets: Jets, particles: Particles) -> IntArray:
    """Return the flavour of each jet: 5, 4 or 0, from the heaviest weakly decaying hadron with pT > 5 GeV within 0.3."""
    beauty, charm = _weak_hadrons(particles, 5), _weak_hadrons(particles, 4)
    has_beauty = count_near(jets, particles.select(beauty & (particles.pt > HADRON_PT)), HADRON_DISTANCE) > 0
    has_charm = count_near(jets, particles.select(charm & (particles.pt > HADRON_PT)), HADRON_DISTANCE) > 0
    return np.select([has_beauty, has_charm], [5, 4], 0).astype(np.int64)


def _weak_hadrons(particles: Particles, quark: int) -> BoolArray:
    """Return a mask of hadrons with the quark that do not decay to another hadron with it."""
    code = np.abs(particles.pdg)
    hadron = (code > 100) & (code // 10 % 10 != 0) & (code < 1_000_000)
    heavy = hadron & (np.maximum(code // 100 % 10, code // 1000 % 10) == quark)
    passes_on = np.zeros(len(code), dtype=bool)
    passes_on[particles.mother[heavy]] = True
    weak: BoolArray = heavy & ~passes_on
    return weak


def _tracks(jets: Jets, constituents: Constituents, visible: Particles, rng: np.random.Generator) -> Tracks:
    """Return the measured tracks of the charged constituents of the jets."""
    jet = np.repeat(np.arange(len(jets.event)), ak.to_numpy(ak.num(jets.members)))
    member = ak.to_numpy(ak.flatten(jets.members))
    charged = constituents.source[member] >= 0
    jet, member = jet[charged], member[charged]
    pt = np.hypot(constituents.px[member], constituents.py[member])
    return measure(jet, jets, visible.select(constituents.source[member]), pt, rng)


def _columns(jets: Jets, flavour: IntArray, tracks: Tracks, vertices: Vertices, first_event: int) -> Columns:
    d0_sign, z0_sign = tracks.lifetime_signs(jets)
    trk = {
        "pt": tracks.pt,
        "eta": tracks.eta,
        "phi": tracks.phi,
        "charge": tracks.charge,
        "d0": d0_sign * np.abs(tracks.d0),
        "z0": z0_sign * np.abs(tracks.z0),
        "d0_err": tracks.d0_err,
        "z0_err": tracks.z0_err,
        "deta": tracks.eta - jets.eta[tracks.jet],
        "dphi": delta_phi(tracks.phi, jets.phi[tracks.jet]),
    }
    sv = {name: getattr(vertices, name) for name in Vertices.__dataclass_fields__ if name != "jet"}
    return {
        "jet_pt": jets.pt.astype(np.float32),
        "jet_eta": jets.eta.astype(np.float32),
        "jet_phi": jets.phi.astype(np.float32),
        "jet_mass": jets.mass.astype(np.float32),
        "jet_flavour": flavour.astype(np.int32),
        "trk": _collection(trk, tracks.jet, len(jets.event)),
        "sv": _collection(sv, vertices.jet, len(jets.event)),
        "event": jets.event + first_event,
        "weight": np.ones(len(jets.event), dtype=np.float32),
    }


def _collection(columns: dict[str, np.ndarray], jet: IntArray, jets: int) -> ak.Array:
    """Return flat columns, in the order of their jets, as records (J, var) in float32 or int32."""
    narrow = {
        name: values.astype(np.int32 if np.issubdtype(values.dtype, np.integer) else np.float32)
        for name, values in columns.items()
    }
    return ak.unflatten(ak.zip(narrow), np.bincount(jet, minlength=jets))
