"""Jets matched to quarks: comparison with a plain loop, uniqueness, independence of the order of quarks and of the azimuth."""

import numpy as np
import pytest

from collidekit.simulation.grouping import padded
from collidekit.simulation.matching import match_unique
from collidekit.simulation.ttbar_objects import MeasuredJets
from collidekit.simulation.ttbar_process import match_jets


def toy(events: int, seed: int) -> tuple[MeasuredJets, np.ndarray]:
    """Events with 0 to 7 jets, some of them close to four quarks, many at the border of -pi and pi."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 8, events)
    quarks = np.stack([rng.uniform(-2, 2, (events, 4)), rng.normal(np.pi, 0.6, (events, 4))], axis=-1)
    event = np.repeat(np.arange(events), counts)
    near = quarks[event, rng.integers(0, 4, len(event))] + rng.normal(0, 0.3, (len(event), 2))
    eta, phi = near.T
    pt = 50.0
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    zero = np.zeros(len(event), dtype=np.int64)
    jets = MeasuredJets(event, px, py, pz, np.sqrt(px**2 + py**2 + pz**2), zero, zero)
    eta, phi = quarks[..., 0], quarks[..., 1]
    momenta = 30 * np.stack([np.cosh(eta), np.cos(phi), np.sin(phi), np.sinh(eta)], axis=-1)
    return jets, momenta


def plain(jets: MeasuredJets, quarks: np.ndarray) -> list[list[int]]:
    """Match one event after the other, by the definition."""
    found = []
    for event, of_event in enumerate(quarks):
        own = jets.select(jets.event == event)
        nearest = []
        for _, px, py, pz in of_event:
            best, at = 0.4, -1
            for i, (x, y, z) in enumerate(zip(own.px, own.py, own.pz, strict=True)):
                deta = np.arcsinh(pz / np.hypot(px, py)) - np.arcsinh(z / np.hypot(x, y))
                dphi = np.abs(np.angle(complex(px, py) / complex(x, y)))
                if (distance := np.hypot(deta, dphi)) < best:
                    best, at = distance, i
            nearest.append(at)
        found.append([jet if nearest.count(jet) == 1 else -1 for jet in nearest])
    return found


def test_matching_is_the_definition() -> None:
    jets, quarks = toy(400, seed=1)
    found = match_jets(jets, quarks)
    assert found.tolist() == plain(jets, quarks)
    assert np.mean(found >= 0) > 0.2
    for row in found:
        matched = row[row >= 0]
        assert len(set(matched)) == len(matched), "no jet belongs to two quarks"


def test_order_of_quarks_and_rotations_do_not_matter() -> None:
    jets, quarks = toy(200, seed=2)
    found = match_jets(jets, quarks)
    np.testing.assert_array_equal(match_jets(jets, quarks[:, ::-1]), found[:, ::-1])
    turned = MeasuredJets(jets.event, -jets.py, jets.px, jets.pz, jets.energy, jets.flavour, jets.b_tag)
    np.testing.assert_array_equal(match_jets(turned, quarks[..., [0, 2, 1, 3]] * [1, -1, 1, 1]), found)


def test_a_jet_beyond_the_limit_is_missing() -> None:
    jets, quarks = toy(200, seed=3)
    free, limited = match_jets(jets, quarks), match_jets(jets, quarks, limit=2)
    np.testing.assert_array_equal(limited, np.where(free < 2, free, -1))
    assert (free >= 2).any()


def test_shared_jets_match_nobody() -> None:
    distance = np.array([[[0.1, 0.9], [0.2, 0.9], [0.9, 0.3]]])
    assert match_unique(distance, 0.4).tolist() == [[-1, -1, 1]]
    assert match_unique(distance, 0.15).tolist() == [[0, -1, -1]], "a quark that is too far away shares nothing"
    assert match_unique(np.empty((2, 3, 0)), 0.4).tolist() == [[-1] * 3] * 2


@pytest.mark.parametrize("size", [1, 3, 6])
def test_padding(size: int) -> None:
    group = np.array([0, 0, 0, 2, 4, 4])
    found = padded(group, np.arange(6.0), 5, size, -9)
    expected = [
        ([0, 1, 2] + [-9] * 6)[:size],
        [-9] * size,
        ([3] + [-9] * 6)[:size],
        [-9] * size,
        ([4, 5] + [-9] * 6)[:size],
    ]
    assert found.tolist() == expected
