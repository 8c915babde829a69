"""All-hadronic top pairs in the HDF5 layout of SPANet (arXiv 2106.03898): one row per event, with padded jets.

Selection: at least six jets with pT > 25 GeV and abs(eta) < 2.5, of which at least `min_bjets` are b-tagged.
"""

from __future__ import annotations

import numpy as np

from collidekit.simulation.columns import Columns, concatenate, take
from collidekit.simulation.decay_chains import TopPairs, momenta
from collidekit.simulation.generator import Particles
from collidekit.simulation.spanet_jets import MIN_JETS, check_settings, jet_columns, jets_and_tags
from collidekit.simulation.ttbar_objects import MeasuredJets, measure_top_pairs
from collidekit.simulation.ttbar_process import QUARKS, generate_top_pairs, match_jets, select_jets, w_decays

SETTINGS = {"energy": 13.0, "max_jets": 10.0, "min_bjets": 0.0}


def ttbar_hadronic(
    events: int, rng: np.random.Generator, energy: float = 13.0, max_jets: float = 10, min_bjets: float = 0
) -> Columns:
    """Return exactly `events` selected events; columns are named by their path in the file, collections are (N, max_jets).

    The `max_jets` jets with the highest pT are kept. If the jet of a target is not among them, the target is -1.
    """
    check_settings(max_jets, min_bjets)
    parts: list[Columns] = []
    missing = events
    for count, particles, pairs in generate_top_pairs(energy, w_decays(QUARKS), rng):
        jets = select_jets(measure_top_pairs(particles, count, rng).jets)
        counts, tagged = jets_and_tags(jets, count)
        rows = np.flatnonzero((counts >= MIN_JETS) & (tagged >= min_bjets))[:missing]
        parts.append(
            {
                **take(jet_columns(jets, count, int(max_jets), "Source"), rows),
                **take(_target_columns(jets, particles, pairs, int(max_jets)), rows),
                "EVENT/weight": np.ones(len(rows), dtype=np.float32),
            }
        )
        missing -= len(rows)
        if not missing:
            break
    return {**concatenate(parts), "event": np.arange(events, dtype=np.int64)}


def _target_columns(jets: MeasuredJets, particles: Particles, pairs: TopPairs, max_jets: int) -> Columns:
    """Return the targets: t1 is the top and t2 the antitop; q1 is the down-type quark of the W, q2 the up-type one, before gluon radiation."""
    rows = np.concatenate([pairs.b[:, :, None], pairs.products_born], axis=2)  # (N, 2, 3)
    jet = match_jets(jets, momenta(particles, rows.reshape(len(rows), 6)), max_jets)
    return {
        f"TARGETS/{top}/{product}": jet[:, 3 * i + j].astype(np.int64)
        for i, top in enumerate(("t1", "t2"))
        for j, product in enumerate(("b", "q1", "q2"))
    }
