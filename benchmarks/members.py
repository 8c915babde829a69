"""Compare `members` with `where: JetPFCands_jetIdx == row_index` for constituents of PFNano jets, in rows per second.

    python benchmarks/members.py [--events 20000] [--jets 8] [--candidates 150]

The events are random and in memory. The measured time is that of the construction of a chunk after reading. Both ways must give
the same rows. The output is the best of three runs, and the ratio.
"""

import argparse
import time

import awkward as ak
import numpy as np
import torch

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.rows import build_rows

ANALYSIS = """
rows: Jet
{members}
classes: {{light: Jet_flavour == 0, b: Jet_flavour == 5}}
variables:
  pf_pt: pick(PFCands_pt, JetPFCands_pFCandsIdx)
  pf_deta: pick(PFCands_eta, JetPFCands_pFCandsIdx) - Jet_eta
  pf_dphi: delta_phi(pick(PFCands_phi, JetPFCands_pFCandsIdx), Jet_phi)
inputs:
  constituents:
    limit: 64
    order: pf_pt
    {where}
    features: [pf_deta, pf_dphi, {{name: pf_logptrel, expression: log(pf_pt / Jet_pt)}}, JetPFCands_sip3d]
event: [event]
"""
WAYS = {
    "members": ANALYSIS.format(members="members: {JetPFCands: JetPFCands_jetIdx}", where=""),
    "where": ANALYSIS.format(members="", where="where: JetPFCands_jetIdx == row_index"),
}


def events(number: int, jets: int, candidates: int) -> ak.Array:
    """Return events with these mean numbers of jets and candidates; two thirds of the candidates are in a jet, in order of pT."""
    random = np.random.default_rng(1)
    n_jets, n_all = random.poisson(jets, number), random.poisson(candidates, number)
    n_inside = np.where(n_jets > 0, n_all * 2 // 3, 0)

    def lists(counts: np.ndarray, values: np.ndarray) -> ak.Array:
        return ak.unflatten(values.astype(np.float32), counts)

    columns = {f"Jet_{x}": lists(n_jets, random.normal(0, 1, n_jets.sum())) for x in ("eta", "phi")}
    columns |= {f"PFCands_{x}": lists(n_all, random.normal(0, 1, n_all.sum())) for x in ("eta", "phi")}
    columns |= {
        "event": np.arange(number),
        "Jet_pt": lists(n_jets, random.exponential(40, n_jets.sum()) + 20),
        "Jet_flavour": ak.unflatten(random.choice([0, 5], n_jets.sum()), n_jets),
        "PFCands_pt": ak.sort(lists(n_all, random.exponential(3, n_all.sum()) + 0.1), axis=1, ascending=False),
        "JetPFCands_sip3d": lists(n_inside, random.normal(0, 2, n_inside.sum())),
        "JetPFCands_pFCandsIdx": ak.local_index(ak.unflatten(np.zeros(n_inside.sum()), n_inside)),
        "JetPFCands_jetIdx": ak.sort(
            ak.unflatten(random.integers(0, np.repeat(np.maximum(n_jets, 1), n_inside)), n_inside), axis=1
        ),
    }
    return ak.zip(columns, depth_limit=1)


def measure(text: str, chunk: ak.Array) -> tuple[float, Batch]:
    """Return the seconds of the fastest of three runs, and the rows."""
    plan, seconds = Plan(*parse_analysis(text)), []
    for _ in range(3):
        begun = time.perf_counter()
        batch = build_rows(plan, chunk, "made up", 0, 0).batch
        seconds.append(time.perf_counter() - begun)
    return min(seconds), batch


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (("events", 20_000), ("jets", 8), ("candidates", 150)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    chunk = events(options.events, options.jets, options.candidates)
    found = {name: measure(text, chunk) for name, text in WAYS.items()}
    (fast, one), (slow, other) = found["members"], found["where"]
    constituents = [batch.inputs["constituents"] for batch in (one, other)]
    assert all(isinstance(entry, Ragged) for entry in constituents)
    assert torch.equal(constituents[0].data, constituents[1].data), "the two ways differ"  # type: ignore[union-attr]
    for name, (seconds, batch) in found.items():
        print(f"{name:8} {seconds:7.2f} s {len(batch) / seconds:12,.0f} jets/s")
    print(f"ratio {slow / fast:.1f}")


if __name__ == "__main__":
    main()
