"""Compare the rates of the reconstruction methods on one core with plain implementations that compute one event at a time.

    OMP_NUM_THREADS=1 python benchmarks/ttbar_solvers.py

The events are toy top pairs with smeared jets and missing momentum. Both sides take turns in one process with one thread; times are CPU
times of the process. The output is the events per second (median of the turns), the ratio to the plain implementation in the same turn
with its range, the target, and the fraction of events in which both select the same jets.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import combinations, permutations
from typing import Any

import numpy as np
import torch
from scipy.optimize import least_squares, minimize
from ttbar_events import TOP, W, mass, toy_events

from collidekit.reconstruction import four_momenta as fm
from collidekit.reconstruction.events import DileptonEvents
from collidekit.reconstruction.hadronic import HadronicChiSquare
from collidekit.reconstruction.lepton_b_mass import leading_order_density
from collidekit.reconstruction.methods import build_method

TOP_WIDTH, W_WIDTH = 1.4, 2.085
DENSITY = leading_order_density()


def two_tagged(events: DileptonEvents, event: int) -> list[int]:
    """Return the two jets with the highest b tags."""
    jets = np.flatnonzero(events.mask[event]).tolist()
    return sorted(jets, key=lambda jet: (-events.btag[event, jet], -math.hypot(*events.jets[event, jet, 1:3])))[:2]


def plain_pairing(cost: Callable[[Any, Any, Any], float], join: Callable[[float, float], float], which: str) -> Any:
    def solve(events: DileptonEvents, event: int, neutrinos: Any) -> Any:
        jets = np.flatnonzero(events.mask[event]).tolist() if which == "all" else two_tagged(events, event)
        costs: dict[Any, float] = {
            (side, jet): cost(events.leptons[event, side], events.jets[event, jet], neutrinos[event, side])
            for side in (0, 1)
            for jet in jets
        }
        return min(permutations(jets, 2), key=lambda pair: join(costs[0, pair[0]], costs[1, pair[1]]))

    return solve


def plain_delta_r(lepton: Any, jet: Any, neutrino: Any) -> float:
    etas = [math.asinh(p[3] / math.hypot(p[1], p[2])) for p in (lepton, jet)]
    phis = [math.atan2(p[2], p[1]) for p in (lepton, jet)]
    return math.hypot(etas[0] - etas[1], (phis[0] - phis[1] + math.pi) % (2 * math.pi) - math.pi)


def plain_squared(lepton: Any, jet: Any, neutrino: Any) -> float:
    return mass(lepton + jet) ** 2


def plain_chi_square(lepton: Any, jet: Any, neutrino: Any) -> float:
    return ((mass(lepton + jet + neutrino) - TOP) / 20) ** 2


def plain_greedy(events: DileptonEvents, event: int, neutrinos: Any) -> Any:
    costs = {
        (side, jet): plain_delta_r(events.leptons[event, side], events.jets[event, jet], None)
        for side in (0, 1)
        for jet in two_tagged(events, event)
    }
    side, jet = min(costs, key=lambda key: costs[key])
    other = min((key for key in costs if key[0] != side and key[1] != jet), key=lambda key: costs[key])[1]
    return (jet, other) if side == 0 else (other, jet)


def plain_ellipse(bottom: Any, lepton: Any, w_mass: float = W) -> Any:
    """Return H of arXiv:1305.1878; None for impossible masses."""
    p_b, p_l = np.linalg.norm(bottom[1:]), np.linalg.norm(lepton[1:])
    m2_b, m2_l = bottom[0] ** 2 - p_b**2, lepton[0] ** 2 - p_l**2
    c = bottom[1:] @ lepton[1:] / (p_b * p_l)
    s = math.sqrt(1 - c**2)
    beta_b, beta_l = p_b / bottom[0], p_l / lepton[0]
    x0 = -(w_mass**2 - m2_l) / (2 * lepton[0])
    s_x = (x0 * beta_l - p_l * (1 - beta_l**2)) / beta_l**2
    s_y = (-(TOP**2 - w_mass**2 - m2_b) / (2 * bottom[0]) / beta_b - c * s_x) / s
    w = (beta_l / beta_b - c) / s
    om2 = w**2 + 1 - beta_l**2
    x1, y1 = s_x - (s_x + w * s_y) / om2, s_y - (s_x + w * s_y) * w / om2
    z2 = x1**2 * om2 - (s_y - w * s_x) ** 2 - (w_mass**2 - x0**2 - w_mass**2 * (1 - beta_l**2))
    if z2 < 0:
        return None
    z = math.sqrt(z2)
    tilde = np.array([[z / math.sqrt(om2), 0, x1 - p_l], [w * z / math.sqrt(om2), 0, y1], [0, z, 0]])
    x_axis = lepton[1:] / p_l
    z_axis = np.cross(x_axis, bottom[1:])
    z_axis /= np.linalg.norm(z_axis)
    return np.stack([x_axis, np.cross(z_axis, x_axis), z_axis], axis=1) @ tilde


def plain_solutions(bottoms: Any, leptons: Any, met: Any, w: Any = (W, W), closest: bool = True) -> tuple[Any, bool]:
    """Return pairs of neutrino momenta, and whether they are exact."""
    first, second = (plain_ellipse(bottoms[i], leptons[i], w[i]) for i in (0, 1))
    if first is None or second is None:
        return [], False
    k = np.linalg.solve(second[:2, :2], np.stack([-first[:2, 0], -first[:2, 1], met - second[:2, 2] - first[:2, 2]], 1))
    one, sin, square = np.poly1d([1, 0, 1]), np.poly1d([2, 0]), np.poly1d([-1, 0, 1])
    rows = [square * k[i, 0] + sin * k[i, 1] + one * k[i, 2] for i in (0, 1)]
    roots = (rows[0] ** 2 + rows[1] ** 2 - one**2).roots
    found = []
    for angle in 2 * np.arctan(roots[np.abs(roots.imag) < 1e-12].real):
        point = np.array([math.cos(angle), math.sin(angle), 1.0])
        found.append(np.stack([first @ point, second @ np.append(k @ point, 1.0)]))
    if found or not closest:
        return found, bool(found)

    def at(angles: Any) -> Any:
        points = [np.array([math.cos(angle), math.sin(angle), 1.0]) for angle in angles]
        return np.stack([first @ points[0], second @ points[1]])

    best = least_squares(lambda angles: at(angles)[:, :2].sum(axis=0) - met, [0.0, 0.0]).x
    return [at(best)], False


def plain_quartic(bottoms: Any, leptons: Any, met: Any) -> tuple[Any, bool]:
    """Return pairs of neutrino momenta from the quartic of hep-ph/0603011."""
    forms, planes = [], []
    across = [np.array([0.0, 1, 0]), np.array([met[0], -1, 0])]
    up = [np.array([0.0, 0, 1]), np.array([met[1], 0, -1])]
    for b, lep, x, y in zip(bottoms, leptons, across, up, strict=True):
        half = (W**2 - mass(lep) ** 2) / 2
        constant = TOP**2 - W**2 - mass(b) ** 2 - 2 * (b[0] * lep[0] - b[1:] @ lep[1:]) - 2 * b[0] / lep[0] * half
        linear = 2 * b[0] / lep[0] * lep[1:] - 2 * b[1:]
        z = (np.array([constant, 0, 0]) - linear[0] * x - linear[1] * y) / linear[2]
        energy = (np.array([half, 0, 0]) + lep[1] * x + lep[2] * y + lep[3] * z) / lep[0]
        forms.append(np.outer(energy, energy) - np.outer(x, x) - np.outer(y, y) - np.outer(z, z))
        planes.append((x, y, z))
    c0, d0 = (q[2, 2] for q in forms)
    c1, d1 = (np.poly1d([2 * q[1, 2], 2 * q[0, 2]]) for q in forms)
    c2, d2 = (np.poly1d([q[1, 1], 2 * q[0, 1], q[0, 0]]) for q in forms)
    outer, inner = d2 * c0 - c2 * d0, d1 * c0 - c1 * d0
    roots = (outer**2 - inner * (c1 * d2 - d1 * c2)).roots
    found = []
    for x_value in roots[np.abs(roots.imag) < 1e-5 * (100 + np.abs(roots.real))].real:
        point = np.array([1.0, x_value, -outer(x_value) / inner(x_value)])
        found.append(np.array([[v @ point for v in plane] for plane in planes]))
    return found, bool(found)


def plain_smallest_mass(events: DileptonEvents, event: int, neutrinos: Any, solve: Any = plain_solutions) -> Any:
    options = []
    for pair in permutations(two_tagged(events, event)):
        bottoms = events.jets[event, list(pair)]
        found, exact = solve(bottoms, events.leptons[event], events.met[event])
        visible = bottoms.sum(axis=0) + events.leptons[event].sum(axis=0)
        for solution in found:
            energies = np.linalg.norm(solution, axis=1).sum()
            options.append((not exact, mass(visible + np.append(energies, solution.sum(axis=0))), pair))
    return min(options, key=lambda option: option[:2])[2] if options else (-1, -1)


def plain_smearing(events: DileptonEvents, event: int, neutrinos: Any) -> Any:
    """Average over 100 smeared copies without smeared directions; the random numbers differ from those of collidekit."""
    rng = np.random.default_rng(event)
    weights: dict[Any, float] = {}
    for pair in permutations(two_tagged(events, event)):
        weights[pair] = 0.0
        for _ in range(100):
            jets, leptons = events.jets[event, list(pair)], events.leptons[event]
            scale = 1 + rng.normal(size=2) * np.hypot(0.8 / np.sqrt(jets[:, 0]), 0.05)
            smeared = jets * np.maximum(scale, 0.1)[:, None]
            met = events.met[event] - (smeared - jets)[:, 1:3].sum(axis=0)
            w = np.clip(W + W_WIDTH / 2 * rng.standard_cauchy(2), W - 15, W + 15)
            if plain_solutions(smeared, leptons, met, w, closest=False)[1]:
                pairs = zip(leptons, smeared, strict=True)
                weights[pair] += float(np.prod([DENSITY(np.array([mass(lepton + jet)]))[0] for lepton, jet in pairs]))
    best = max(weights, key=lambda pair: weights[pair])
    return best if weights[best] else (-1, -1)


def plain_at_eta(bottom: Any, lepton: Any, eta: float) -> list[tuple[float, float]]:
    """Return transverse momenta of the neutrino at one pseudorapidity."""
    cosh, sinh = math.cosh(eta), math.sinh(eta)
    product = bottom[0] * lepton[0] - bottom[1:] @ lepton[1:]
    constants = (W**2 - mass(lepton) ** 2) / 2, (TOP**2 - W**2 - mass(bottom) ** 2) / 2 - product
    slopes = lepton[0] * cosh - lepton[3] * sinh, bottom[0] * cosh - bottom[3] * sinh
    determinant = lepton[1] * bottom[2] - lepton[2] * bottom[1]
    ax = (slopes[0] * bottom[2] - slopes[1] * lepton[2]) / determinant
    ay = (slopes[1] * lepton[1] - slopes[0] * bottom[1]) / determinant
    bx = -(constants[0] * bottom[2] - constants[1] * lepton[2]) / determinant
    by = -(constants[1] * lepton[1] - constants[0] * bottom[1]) / determinant
    a, b, c = ax**2 + ay**2 - 1, ax * bx + ay * by, bx**2 + by**2
    if b * b - a * c < 0:
        return []
    pts = [(-b + sign * math.sqrt(b * b - a * c)) / a for sign in (1, -1)]
    return [(ax * pt + bx, ay * pt + by) for pt in pts if pt > 0]


def plain_weighting(events: DileptonEvents, event: int, neutrinos: Any) -> Any:
    best, grid = math.inf, np.linspace(-5, 5, 51)
    chosen: tuple[int, ...] = (-1, -1)
    for pair in permutations(two_tagged(events, event)):
        sides = [
            [p for eta in grid for p in plain_at_eta(events.jets[event, jet], events.leptons[event, side], eta)]
            for side, jet in enumerate(pair)
        ]
        met_x, met_y = events.met[event].tolist()
        for one_x, one_y in sides[0]:
            for other_x, other_y in sides[1]:
                distance = ((met_x - one_x - other_x) / 20) ** 2 + ((met_y - one_y - other_y) / 20) ** 2
                if distance < best:
                    best, chosen = distance, pair
    return chosen


def plain_likelihood(events: DileptonEvents, event: int, neutrinos: Any) -> Any:
    best = -math.inf
    chosen: tuple[int, ...] = (-1, -1)
    leptons = events.leptons[event]
    etas = np.arcsinh(leptons[:, 3] / np.hypot(leptons[:, 1], leptons[:, 2]))
    expected = 0.72 * etas - 0.018 * etas**3
    for pair in permutations(two_tagged(events, event)):
        bottoms = events.jets[event, list(pair)]
        widths = np.hypot(0.8 / np.sqrt(bottoms[:, 0]), 0.05)

        def loss(x: Any, bottoms: Any = bottoms, widths: Any = widths) -> float:
            momenta = x[2:].reshape(2, 3) * 20
            total = (x[:2] ** 2).sum() / 2 + (((events.met[event] - momenta[:, :2].sum(axis=0)) / 20) ** 2).sum() / 2
            for side in (0, 1):
                boson = leptons[side] + np.append(np.linalg.norm(momenta[side]), momenta[side])
                top = boson + bottoms[side] * (1 + x[side] * widths[side])
                for p, centre, width in ((boson, W, W_WIDTH), (top, TOP, TOP_WIDTH)):
                    squared = p[0] ** 2 - p[1] ** 2 - p[2] ** 2 - p[3] ** 2
                    total += math.log1p(((squared - centre**2) / (centre * width)) ** 2)
                eta = math.asinh(momenta[side, 2] / math.hypot(*momenta[side, :2]))
                total += ((eta - expected[side]) / 1.16) ** 2 / 2
            return float(total) + float(np.log(widths * bottoms[:, 0]).sum())

        starts, _ = plain_solutions(bottoms, leptons, events.met[event])
        if not starts:
            half = np.hypot(*events.met[event]) / 2
            starts = [np.stack([np.append(events.met[event] / 2, half * math.sinh(eta)) for eta in etas])]
        for start in starts:
            found = -minimize(loss, np.append([0.0, 0.0], start.ravel() / 20), method="BFGS").fun
            if found > best:
                best, chosen = found, pair
    return chosen


def plain_hadronic(jets: Any) -> Any:
    number = len(jets)
    pair_mass = {pair: mass(jets[pair[0]] + jets[pair[1]]) for pair in combinations(range(number), 2)}
    tops = {}
    for b in range(number):
        for pair in combinations([jet for jet in range(number) if jet != b], 2):
            top = mass(jets[b] + jets[pair[0]] + jets[pair[1]])
            tops[b, pair] = ((pair_mass[pair] - W) / 10) ** 2 + ((top - TOP) / 20) ** 2
    sums = (
        (one + other, first, second)
        for (first, one), (second, other) in combinations(tops.items(), 2)
        if not {first[0], *first[1]} & {second[0], *second[1]}
    )
    return min(sums)


@dataclass
class Contest:
    name: str
    plain: Any
    events: int
    plain_events: int
    target: int | None


CONTESTS = [
    Contest("delta_r", plain_pairing(plain_delta_r, lambda a, b: a + b, "two"), 50_000, 1000, 100_000),
    Contest("delta_r_greedy", plain_greedy, 50_000, 1000, 100_000),
    Contest("max_m_lb", plain_pairing(plain_squared, max, "two"), 50_000, 1000, 100_000),
    Contest("sum_m_lb2", plain_pairing(plain_squared, lambda a, b: a + b, "two"), 50_000, 1000, 100_000),
    Contest("chi_square", plain_pairing(plain_chi_square, lambda a, b: a + b, "all"), 50_000, 1000, 100_000),
    Contest("ellipse", plain_smallest_mass, 10_000, 300, 5_000),
    Contest("sonnenschein", partial(plain_smallest_mass, solve=plain_quartic), 10_000, 300, None),
    Contest("neutrino_weighting", plain_weighting, 4_000, 30, 1_000),
    Contest("smeared_ellipse", plain_smearing, 400, 10, None),
    Contest("likelihood", plain_likelihood, 1_000, 10, None),
]


def cpu_seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.process_time()
    answer = run()
    return time.process_time() - begun, answer


def _each(solve: Callable[[Any], Any], events: Any) -> list[Any]:
    return [solve(event) for event in events]


def _plain(contest: Any, events: DileptonEvents, neutrinos: Any, row: int) -> Any:
    return contest.plain(events, row, neutrinos)


def report(name: str, rates: list[float], plain: list[float], target: int | None, same: str) -> None:
    ratios = [fast / slow for fast, slow in zip(rates, plain, strict=False)]
    ratio = f"{statistics.median(ratios):8,.0f} ({min(ratios):,.0f} to {max(ratios):,.0f})"
    slow = f"{statistics.median(plain):10,.1f}"
    met = "" if target is None else f"{target:,} {'reached' if statistics.median(rates) >= target else 'MISSED'}"
    print(f"{name:20} {statistics.median(rates):12,.0f} {slow} {ratio:>22} {met:>18} {same:>10}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--methods", default=",".join([contest.name for contest in CONTESTS] + ["hadronic"]))
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = options.methods.split(",")
    print(f"{'method':20} {'events/s':>12} {'plain':>10} {'ratio':>22} {'target':>18} {'same jets':>10}")
    for contest in CONTESTS:
        if contest.name not in names:
            continue
        events, neutrinos = toy_events(contest.events)
        settings = {"neutrinos": build_method("given", neutrinos=neutrinos)} if contest.name == "chi_square" else {}
        method = build_method(contest.name, **settings)
        rates, plain, same = [], [], "-"
        for _ in range(options.repeats):
            seconds, answer = cpu_seconds(partial(method.reconstruct, events))
            rates.append(len(events) / seconds)
            rows = range(contest.plain_events)
            seconds, jets = cpu_seconds(partial(_each, partial(_plain, contest, events, neutrinos), rows))
            plain.append(len(rows) / seconds)
            same = f"{(np.array(jets) == answer.jets[: len(rows)]).all(axis=1).mean():.1%}"
        report(contest.name, rates, plain, contest.target, same)
    if "hadronic" in names:
        rng = np.random.default_rng(2)
        for number in (6, 8, 10):
            jets = fm.with_mass(rng.normal(0, 70, (500, number, 3)), 8.0)
            mask, count = np.ones(jets.shape[:2], dtype=bool), 20 if number > 6 else 100
            rates, plain, same = [], [], "-"
            for _ in range(options.repeats):
                seconds, answer = cpu_seconds(partial(HadronicChiSquare().reconstruct, jets, mask))
                rates.append(len(jets) / seconds)
                seconds, found = cpu_seconds(partial(_each, plain_hadronic, jets[:count]))
                plain.append(count / seconds)
                same = f"{np.isclose(answer.chi_square[:count], [best[0] for best in found]).mean():.1%}"
            report(f"hadronic, {number} jets", rates, plain, None, same)


if __name__ == "__main__":
    main()
