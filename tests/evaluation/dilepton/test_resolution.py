"""Resolutions: zero for the truth itself, known widths of toys, wrapped angles, weights and events without a solution."""

from dataclasses import replace

import numpy as np
import pytest
from top_pairs import decays, sample

from collidekit.evaluation.dilepton.kinematics import TopPair
from collidekit.evaluation.dilepton.resolution import QUANTITIES, Resolution, measure_resolutions
from collidekit.reconstruction.four_momenta import with_energy

TRUTH = decays(1600)


def by_name(found: list[Resolution], method: str = "toy") -> dict[str, Resolution]:
    return {one.quantity.name: one for one in found if one.method == method}


SOME = tuple(quantity for quantity in QUANTITIES if quantity.name in ("top_pt", "top_mass", "top_y", "top_phi"))


def smeared(scale: np.ndarray) -> TopPair:
    """Return the truth with the four-momenta of both tops multiplied by (N, 2)."""
    assert TRUTH.tops is not None
    return replace(TRUTH, tops=TRUTH.tops * scale[:, :, None])


def test_the_truth_has_no_residuals() -> None:
    found = by_name(measure_resolutions(sample(TRUTH, {"toy": TRUTH})))
    assert list(found) == [quantity.name for quantity in QUANTITIES]
    for one in found.values():
        assert (one.all.bias, one.all.width, one.all.deviation) == (0, 0, 0)


def test_a_known_smearing_gives_the_known_width_and_bias() -> None:
    scale = np.random.default_rng(5).normal(1.1, 0.2, (1600, 2))
    found = by_name(measure_resolutions(sample(TRUTH, {"toy": smeared(scale)}), SOME))
    for name in ("top_pt", "top_mass"):
        spread = found[name].all
        assert spread.rows == 3200
        assert spread.bias == pytest.approx(scale.mean() - 1, abs=1e-12)
        assert spread.deviation == pytest.approx(scale.std(), abs=1e-12)
        assert spread.width == pytest.approx(0.2 * 0.994458, abs=4 * spread.width_error)  # 16 % to 84 % of a Gaussian
        assert spread.bias_error == pytest.approx(0.2 / 3200**0.5, rel=0.25)
    assert found["top_y"].all.width == pytest.approx(0, abs=1e-12)
    bins = found["top_pt"].bins["half"]
    assert bins[0].bias == pytest.approx(scale[::2].mean() - 1, abs=1e-12)
    assert bins[1].rows == 1600


def test_both_tops_of_an_event_are_drawn_together() -> None:
    """Two equal residuals of an event contain the same information as one."""
    same = np.repeat(np.random.default_rng(6).normal(1, 0.2, (1600, 1)), 2, axis=1)
    spread = by_name(measure_resolutions(sample(TRUTH, {"toy": smeared(same)}), SOME))["top_pt"].all
    assert spread.bias_error == pytest.approx(0.2 / 1600**0.5, rel=0.2)


def test_differences_of_azimuth_are_wrapped() -> None:
    assert TRUTH.tops is not None
    turned = TRUTH.tops.copy()
    angle = 3.0
    x, y = TRUTH.tops[..., 1], TRUTH.tops[..., 2]
    turned[..., 1], turned[..., 2] = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    spread = by_name(measure_resolutions(sample(TRUTH, {"toy": replace(TRUTH, tops=turned)}), SOME))["top_phi"].all
    assert spread.bias == pytest.approx(3.0, abs=1e-9)
    assert spread.deviation == pytest.approx(0, abs=1e-6)


def test_weights_reach_every_number() -> None:
    scale = np.where(np.arange(1600) % 4 == 0, 1.5, 1.0)[:, None] * np.ones(2)
    weights = np.where(np.arange(1600) % 4 == 0, 3.0, 1.0)
    spread = by_name(measure_resolutions(sample(TRUTH, {"toy": smeared(scale)}, weights=weights), SOME))["top_pt"].all
    assert spread.bias == pytest.approx(0.25)
    assert spread.deviation == pytest.approx(0.25)
    signed = np.where(np.arange(1600) % 4 == 0, -1.0, 1.0)
    negative = by_name(measure_resolutions(sample(TRUTH, {"toy": smeared(scale)}, weights=signed), SOME))["top_pt"].all
    assert negative.bias == pytest.approx(0.5 * -400 / 800)


def test_events_without_an_answer_are_left_out_and_the_common_ones_are_the_same_for_all() -> None:
    scale = np.full((1600, 2), 1.2)
    holes = scale.copy()
    holes[:400] = np.nan
    scale[:400] = 1.6
    methods = {"toy": smeared(scale), "holes": smeared(holes), "no tops": TopPair(leptons=TRUTH.leptons)}
    found = measure_resolutions(sample(TRUTH, methods), SOME)
    assert not by_name(found, "no tops")
    assert by_name(found, "holes")["top_pt"].all.rows == 2400
    one = by_name(found)["top_pt"]
    assert (one.all.rows, one.common.rows) == (3200, 2400)
    assert one.all.bias == pytest.approx(0.3)
    assert one.common.bias == pytest.approx(0.2)


def test_unknown_truth_and_infinite_estimates_are_no_residuals() -> None:
    assert TRUTH.tops is not None
    tops, true = TRUTH.tops.copy(), TRUTH.tops.copy()
    tops[0] = np.inf
    true[1] = np.nan
    tops[2] = with_energy(np.zeros((2, 3)), np.ones(2))  # at rest: no pseudorapidity, but a rapidity of 0
    found = by_name(measure_resolutions(sample(replace(TRUTH, tops=true), {"toy": replace(TRUTH, tops=tops)}), SOME))
    assert found["top_pt"].all.rows == 2 * 1598
    assert np.isfinite(found["top_pt"].all.deviation)


def test_without_truth_of_tops_neutrinos_are_compared() -> None:
    found = by_name(measure_resolutions(sample(replace(TRUTH, tops=None, ws=None), {"toy": TRUTH})))
    assert list(found) == ["neutrino_px", "neutrino_py", "neutrino_pz"]
