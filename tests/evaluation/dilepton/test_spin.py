"""Spin: the truth as a method has an ideal response and exact closure; a diluted method is corrected to the injected D."""

from dataclasses import replace

import numpy as np
import pytest
from top_pairs import decays, sample

from collidekit.evaluation.dilepton.closure import measure_closure
from collidekit.evaluation.dilepton.kinematics import TopPair
from collidekit.evaluation.dilepton.response import measure_response
from collidekit.evaluation.dilepton.sample import Sample
from collidekit.evaluation.dilepton.spin import TRUTH as OF_TRUTH
from collidekit.evaluation.dilepton.spin import measure_spin
from collidekit.reconstruction.four_momenta import boost, mass, with_mass
from collidekit.reconstruction.spin import c_hel

COUNT = 8000
TRUTH = decays(COUNT, seed=2)
COSINE = c_hel(TRUTH.tops[:, 0], TRUTH.tops[:, 1], TRUTH.leptons[:, 0], TRUTH.leptons[:, 1])  # type: ignore[index]
INJECTED = {"none": 1 + 0 * COSINE, "half": 1 + 0.5 * COSINE, "singlet": 1 + COSINE}


def diluted(fraction: float) -> TopPair:
    """Return the truth, with leptons in random directions in the rest frames of their tops in some of the events."""
    chance = np.random.default_rng(4)
    chosen = chance.random(COUNT) < fraction
    assert TRUTH.tops is not None
    random = boost(with_mass(chance.normal(0, 1, (COUNT, 2, 3))), TRUTH.tops[..., 1:] / TRUTH.tops[..., :1])
    return replace(TRUTH, leptons=np.where(chosen[:, None, None], random, TRUTH.leptons))


def spin_sample(method: TopPair, **given: object) -> Sample:
    return sample(TRUTH, {"toy": method}, spin_weights=INJECTED, **given)


def test_d_of_the_injected_correlations_in_bins_of_the_mass() -> None:
    weights = np.random.default_rng(1).uniform(-0.2, 1.5, COUNT)
    lines = measure_spin(spin_sample(TRUTH, weights=weights))
    found = {(line.correlation, line.method, line.mass_bin): line for line in lines}
    assert found["singlet", OF_TRUTH, "all"].d == pytest.approx(-1, abs=4 * found["singlet", OF_TRUTH, "all"].d_error)
    assert found["half", OF_TRUTH, "all"].d == pytest.approx(-0.5, abs=4 * found["half", OF_TRUTH, "all"].d_error)
    assert TRUTH.pair is not None
    chosen = (mass(TRUTH.pair) >= 380) & (mass(TRUTH.pair) < 500)
    by_hand = -3 * np.average(COSINE[chosen], weights=(weights * INJECTED["half"])[chosen])
    line = found["half", "toy", "380–500"]
    assert line.events == chosen.sum()
    assert line.d == pytest.approx(by_hand, abs=1e-9)
    # <c_han> of a singlet is 1/9 (arXiv 2003.02280: C = -1)
    han = found["singlet", "toy", "all"]
    assert han.c_han == pytest.approx(1 / 9, abs=4 * han.c_han_error)


@pytest.mark.parametrize("name", ["m_tt", "c_hel", "c_han"])
def test_the_truth_as_a_method_has_an_ideal_response(name: str) -> None:
    found = measure_response(spin_sample(TRUTH), "toy", name)
    assert found is not None
    np.testing.assert_array_equal(
        found.matrix[np.isfinite(found.matrix[:, 0])], np.eye(len(found.texts))[np.isfinite(found.matrix[:, 0])]
    )
    filled = found.stability.total > 0
    assert filled.sum() >= 4
    np.testing.assert_array_equal(found.stability.value[filled], 1)
    np.testing.assert_array_equal(found.purity.value[filled], 1)


def test_a_response_by_hand_with_negative_weights() -> None:
    weights = np.where(np.arange(COUNT) % 5 == 0, -0.5, 1.0)
    method = diluted(0.6)
    found = measure_response(spin_sample(method, weights=weights), "toy", "c_hel")
    assert found is not None
    assert method.directions is not None
    edges = np.linspace(-1, 1, 7)
    counts = np.histogram2d(COSINE, method.directions.c_hel, [edges, edges], weights=weights)[0]
    np.testing.assert_allclose(found.matrix, counts / counts.sum(axis=1, keepdims=True), atol=1e-9)
    np.testing.assert_allclose(found.stability.value, np.diag(counts) / counts.sum(axis=1), atol=1e-9)
    np.testing.assert_allclose(found.purity.value, np.diag(counts) / counts.sum(axis=0), atol=1e-9)


def test_the_truth_as_a_method_is_corrected_to_itself() -> None:
    found = [one for one in measure_closure(spin_sample(TRUTH)) if np.isfinite(one.corrected)]
    assert {("D", "all"), ("D", "threshold"), ("c_han", "all")} <= {(one.observable, one.region) for one in found}
    for one in found:
        assert one.slope == pytest.approx(1, abs=1e-9)
        assert one.corrected == pytest.approx(one.truth, abs=1e-9)
        assert one.pull == 0


def test_a_diluted_method_is_corrected_to_the_injected_d_within_its_error() -> None:
    found = [one for one in measure_closure(spin_sample(diluted(0.5))) if (one.observable, one.region) == ("D", "all")]
    assert [one.correlation for one in found] == list(INJECTED)
    for one, d in zip(found, (0, -0.5, -1), strict=True):
        assert one.slope == pytest.approx(0.5, abs=0.06)
        assert one.raw == pytest.approx(d / 2, abs=0.12)
        assert one.corrected == pytest.approx(one.truth, abs=3 * one.difference_error)
        assert 0.02 < one.difference_error < 0.15
        assert abs(one.pull) < 3


def test_events_that_move_between_bins_are_corrected_where_the_correlation_depends_on_the_mass() -> None:
    """Most events reconstructed near the threshold come from above it, where this correlation is weaker."""
    assert TRUTH.tops is not None
    assert TRUTH.leptons is not None
    scale = np.random.default_rng(5).uniform(0.7, 1.1, COUNT)[:, None, None]  # of all momenta, which changes no angle
    moved = replace(TRUTH, tops=TRUTH.tops * scale, leptons=TRUTH.leptons * scale)
    steep = np.where(mass(TRUTH.tops.sum(axis=1)) < 380, 0.9, 0.0)
    weights = {"none": INJECTED["none"], "steep": 1 + steep * COSINE, "singlet": INJECTED["singlet"]}
    found = measure_closure(sample(TRUTH, {"toy": moved}, spin_weights=weights))
    near = {one.correlation: one for one in found if (one.observable, one.region) == ("D", "threshold")}
    assert near["steep"].truth < -0.6
    assert near["steep"].raw - near["steep"].truth > 4 * near["steep"].raw_error
    for one in near.values():
        assert one.corrected == pytest.approx(one.truth, abs=3 * one.difference_error)
        assert one.difference_error < 0.5


def test_bins_of_the_mass_and_c_han_are_corrected_too() -> None:
    found = measure_closure(spin_sample(diluted(0.3)))
    regions = {(one.observable, one.region) for one in found}
    texts = [line.mass_bin for line in measure_spin(spin_sample(TRUTH)) if line.method == OF_TRUTH]
    assert regions == {
        (kind, region) for kind in ("D", "c_han") for region in ("all", "threshold", *dict.fromkeys(texts[2:]))
    } - {(kind, texts[1]) for kind in ("D", "c_han")}
    assert TRUTH.directions is not None
    han = TRUTH.directions.c_han
    odd = spin_sample(TRUTH).odd
    for one in found:
        if one.observable == "c_han" and one.region == "all":
            weight = INJECTED[one.correlation][odd]
            assert one.truth == pytest.approx(np.average(han[odd], weights=weight))
            assert np.isnan(one.pull) or abs(one.pull) < 4


def test_pulls_of_many_samples_have_a_width_of_one() -> None:
    """The bootstrap error describes the distance of the corrected D from the truth."""
    truth, method = diluted(0.0), diluted(0.5)
    pulls = []
    for part in range(20):
        rows = slice(400 * part, 400 * (part + 1))

        def cut(pair: TopPair, rows: slice = rows) -> TopPair:
            return TopPair(
                *(None if p is None else p[rows] for p in (pair.tops, pair.ws, pair.neutrinos, pair.leptons))
            )

        weights = {name: factor[rows] for name, factor in INJECTED.items()}
        small = sample(cut(truth), {"toy": cut(method)}, spin_weights=weights)
        pulls += [
            one.pull
            for one in measure_closure(small)
            if (one.observable, one.region, one.correlation) == ("D", "all", "half")
        ]
    known = np.array(pulls)[np.isfinite(pulls)]
    assert len(known) > 15
    assert 0.6 < np.std(known) < 1.5
    assert abs(known.mean()) < 0.6


def test_halves_that_are_not_there_and_methods_that_know_nothing_are_not_corrected() -> None:
    even = measure_closure(spin_sample(diluted(0.5), odd=np.zeros(COUNT, dtype=bool)))
    assert all(np.isnan(one.corrected) and np.isnan(one.pull) for one in even)
    blind = [one for one in measure_closure(spin_sample(diluted(1.0))) if (one.observable, one.region) == ("D", "all")]
    assert abs(blind[0].slope) < 0.15
    assert all(np.isnan(one.corrected) for one in blind)
    assert all(np.isfinite(one.raw) for one in blind)


def test_without_spin_weights_there_is_d_but_no_closure() -> None:
    plain = sample(TRUTH, {"toy": TRUTH, "no tops": TopPair(leptons=TRUTH.leptons)})
    assert measure_closure(plain) == []
    assert {(line.correlation, line.method) for line in measure_spin(plain)} == {
        ("as given", OF_TRUTH), ("as given", "toy")
    }  # fmt: skip
    assert measure_response(plain, "no tops", "c_hel") is None
    assert measure_spin(replace(plain, truth=replace(TRUTH, leptons=None))) == []
