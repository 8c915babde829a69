"""Measure the spin correlation in Pythia's top pairs without weights, and the closure of the spin weights.

    python benchmarks/ttbar_spin.py --events 50000

The events are dileptonic, without hadronisation and multiple interactions, before any selection. The leptons are defined as in
the columns `truth_...` of `simulate ttbar-dilepton`. Injected values are means of the coefficients C of each event: D = tr C / 3
and <c_han> = -(C_rr + C_nn - C_kk) / 9; measured ones are D = -3 <c_hel> and <c_han> of weighted leptons.
"""

import argparse

import numpy as np
from collidekit.simulation.four_vectors import mass_of

from collidekit.reconstruction.spin import decay_directions, spin_marker
from collidekit.reconstruction.spin_weights import leading_order_correlation, spin_weights
from collidekit.simulation.decay_chains import momenta
from collidekit.simulation.ttbar_process import LEPTONS, generate_top_pairs, w_decays

PARTONS_ONLY = ("HadronLevel:all = off", "PartonLevel:MPI = off")
BINS = ((0, 13_000), (0, 380), (380, 450), (450, 600), (600, 13_000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--energy", type=float, default=13.0)
    given = parser.parse_args()
    tops, leptons, is_gg = simulate(given.events, given.seed, given.energy)
    directions = decay_directions(tops[:, 0], tops[:, 1], leptons[:, 0], leptons[:, 1])
    mass = mass_of(tops.sum(axis=1))
    sm = leading_order_correlation(directions.beta, directions.cos_theta, is_gg)
    injected = {"none": np.zeros((3, 3)), "sm": sm, "singlet": -np.eye(3)}
    print(f"{len(mass):,} events, {is_gg.mean():.1%} from gg")
    print("| m_tt in GeV | weight | D injected | D measured | <c_han> injected | <c_han> measured | mean weight |")
    print("|---|---|---|---|---|---|---|")
    for low, high in BINS:
        rows = (mass >= low) & (mass < high)
        for kind, c in injected.items():
            weights = spin_weights(directions, is_gg, kind)[rows]  # type: ignore[arg-type]
            c = np.broadcast_to(c, (len(mass), 3, 3))[rows].mean(axis=0)
            d, d_error = spin_marker(directions.c_hel[rows], weights)
            han, han_error = (value / 3 for value in spin_marker(directions.c_han[rows], weights))
            name = "all" if high - low == 13_000 else f"{low} to {high}" if high < 13_000 else f"above {low}"
            print(
                f"| {name} | {kind} | {np.trace(c) / 3:.4f} | {d:.4f} ± {d_error:.4f} "
                f"| {-(c[1, 1] + c[2, 2] - c[0, 0]) / 9:.4f} | {-han:.4f} ± {han_error:.4f} | {weights.mean():.4f} |"
            )


def simulate(events: int, seed: int, energy: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return tops (N, 2, 4), leptons (N, 2, 4), and whether each pair comes from gg."""
    tops, leptons, is_gg = [], [], []
    for count, particles, pairs in generate_top_pairs(
        energy, (*w_decays(LEPTONS), *PARTONS_ONLY), np.random.default_rng(seed)
    ):
        tops.append(momenta(particles, pairs.top))
        leptons.append(momenta(particles, pairs.products[..., 0]))
        is_gg.append(pairs.is_gg)
        if count * len(tops) >= events:
            break
    return np.concatenate(tops)[:events], np.concatenate(leptons)[:events], np.concatenate(is_gg)[:events]


if __name__ == "__main__":
    main()
