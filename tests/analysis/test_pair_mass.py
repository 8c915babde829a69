"""Features of pairs of two collections: against the branches of the bundled sample, in exact arithmetic, and where they cannot be."""

import math
from decimal import Decimal, getcontext
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
import vector

from collidekit.analysis.expressions import Expression

SAMPLE = Path(__file__).parents[2] / "samples" / "ttbar_dilepton" / "test.root"
WITH_LEPTON = "lep_pt, {i}), at(lep_eta, {i}), at(lep_phi, {i}), at(lep_e, {i})"
MASS = "pair_mass(jet_pt, jet_eta, jet_phi, jet_e, at(" + WITH_LEPTON + ")"
DISTANCE = "delta_r(jet_eta, jet_phi, at(lep_eta, {i}), at(lep_phi, {i}))"


def pair_mass(*numbers: float) -> float:
    names = [f"x{i}" for i in range(8)]
    scope = {name: ak.Array([number]) for name, number in zip(names, numbers, strict=True)}
    found = Expression(f"pair_mass({', '.join(names)})").evaluate(scope)
    return float(found[0])


@pytest.fixture(scope="module")
def events() -> dict[str, ak.Array]:
    with uproot.open(SAMPLE) as file:
        arrays = file["tree"].arrays(filter_name=["lep_*", "jet_*", "m_l*", "dR_*"])
    return {name: ak.values_astype(arrays[name], np.float64) for name in arrays.fields}


DIGITS = 2.0**-16
"""Rounding of the branches of the sample."""


@pytest.mark.parametrize("lepton", [0, 1])
def test_masses_and_distances_are_those_of_the_sample(events: dict[str, ak.Array], lepton: int) -> None:
    mass, distance = (Expression(text.format(i=lepton)).evaluate(events) for text in (MASS, DISTANCE))
    expected = events[f"m_l{lepton + 1}j"]
    assert ak.num(mass).tolist() == ak.num(expected).tolist()
    energies = events["jet_e"] + events["lep_e"][:, lepton]
    assert ak.max(abs(mass**2 - expected**2) / energies**2) < 8 * DIGITS  # of E^2, pt^2 and cosh^2(eta)
    assert np.median(ak.flatten(abs(mass / expected - 1))) < DIGITS
    assert ak.max(abs(distance - events[f"dR_l{lepton + 1}j"])) < 8 * DIGITS  # of four angles, up to pi


def test_masses_are_those_of_vector() -> None:
    generator = np.random.default_rng(3)
    one, two = (
        vector.array(
            {
                "pt": generator.exponential(50, 2000),
                "eta": generator.normal(0, 2, 2000),
                "phi": generator.uniform(-3.1, 3.1, 2000),
                "mass": generator.uniform(0, 20, 2000),
            }
        )
        for _ in range(2)
    )
    given = {
        f"{n}{k}": ak.Array(getattr(v, n)) for k, v in ((1, one), (2, two)) for n in ("pt", "eta", "phi", "energy")
    }
    found = Expression("pair_mass(pt1, eta1, phi1, energy1, pt2, eta2, phi2, energy2)").evaluate(given)
    np.testing.assert_allclose(found, (one + two).mass, rtol=1e-9)


@pytest.mark.parametrize("angle", [1.0, 1e-3, 1e-6, 1e-9])
def test_massless_particles_side_by_side(angle: float) -> None:
    """m^2 = 2 pt1 pt2 (cosh delta_eta - cos delta_phi), with 60 digits; E^2 - p^2 in double precision has none right."""
    getcontext().prec = 60
    eta, half = 1.25, Decimal(angle) / 2
    sinh = (half.exp() - (-half).exp()) / 2
    expected = float((4 * Decimal(500) * Decimal(30)).sqrt() * sinh)
    energies = 500 * math.cosh(eta), 30 * math.cosh(eta + angle)
    found = pair_mass(500, eta, 0.5, energies[0], 30, eta + angle, 0.5, energies[1])
    assert found == pytest.approx(expected, rel=1e-6)  # eta + angle is rounded
    around = pair_mass(500, eta, math.pi, energies[0], 30, eta, -math.pi, 30 * math.cosh(eta))
    assert around < 1e-6  # both at the same azimuth


def test_a_particle_beside_itself_has_twice_its_mass() -> None:
    energy = math.hypot(40 * math.cosh(1.0), 4.8)
    assert pair_mass(40, 1, 2, energy, 40, 1, 2, energy) == pytest.approx(9.6, rel=1e-9)
    rounded = float(np.float32(40 * math.cosh(1.0))) * (1 - 1e-7)  # below the momentum by the rounding of a file
    assert pair_mass(40, 1, 2, rounded, 40, 1, 2, rounded) == 0


@pytest.mark.parametrize("place", range(8))
def test_what_cannot_be_is_nan(place: int) -> None:
    good = [40.0, 0.5, 1.0, 60.0, 30.0, -0.5, 2.0, 50.0]
    assert math.isfinite(pair_mass(*good))
    bad = list(good)
    bad[place] = math.nan
    assert math.isnan(pair_mass(*bad))
    if place % 4 in (0, 3):  # padding; and a mass in place of the energy
        for wrong in (-999.0, 5.0):
            bad[place] = wrong
            possible = place % 4 == 0 and wrong > 0
            assert math.isfinite(pair_mass(*bad)) == possible


def test_a_lepton_that_is_not_there_gives_nan_for_each_jet() -> None:
    scope = {
        **{name: ak.Array([[50.0, 40.0], [30.0]]) for name in ("jet_pt",)},
        **{f"jet_{name}": ak.Array([[0.5, 0.4], [0.3]]) for name in ("eta", "phi")},
        "jet_e": ak.Array([[80.0, 70.0], [60.0]]),
        **{f"lep_{name}": ak.Array([[20.0, 25.0], [20.0]]) for name in ("pt",)},
        **{f"lep_{name}": ak.Array([[0.1, 0.2], [0.1]]) for name in ("eta", "phi")},
        "lep_e": ak.Array([[30.0, 35.0], [30.0]]),
    }
    for text in (MASS, DISTANCE):
        found = Expression(text.format(i=1)).evaluate(scope).tolist()
        assert all(math.isfinite(value) for value in found[0])
        assert len(found[1]) == 1
        assert math.isnan(found[1][0])
