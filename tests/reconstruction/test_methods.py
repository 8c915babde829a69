"""All methods through one interface: bad input, order of events and jets, boosts along the beam."""

import json
from dataclasses import replace

import numpy as np
import pytest
from top_decays import decays

from collidekit.errors import CollidekitError
from collidekit.reconstruction.events import (
    DileptonEvents,
    Reconstruction,
    Status,
    join,
    opposite_charges,
    order_by_charge,
)
from collidekit.reconstruction.four_momenta import boost_along_beam, mass
from collidekit.reconstruction.masses import Masses
from collidekit.reconstruction.method import Jets
from collidekit.reconstruction.methods import METHODS, build_method, method_from_file

TOY = decays(40, seed=21)
SMALL = {"neutrino_weighting": {"points": 21}, "smeared_ellipse": {"smearings": 10}}
NEUTRINOS = ["ellipse", "sonnenschein", "neutrino_weighting", "smeared_ellipse", "likelihood"]


def method(name, **settings):
    if name == "chi_square":
        settings = {"neutrinos": build_method("ellipse"), **settings}
    return build_method(name, **SMALL.get(name, {}), **settings)


def same(one, other, rtol=0.0, atol=0.0):
    np.testing.assert_array_equal(one.status, other.status)
    np.testing.assert_array_equal(one.jets, other.jets)
    np.testing.assert_allclose(one.score, other.score, rtol=rtol, atol=atol)
    np.testing.assert_allclose(one.neutrinos, other.neutrinos, rtol=rtol, atol=atol)


EVENT_METHODS = [name for name in METHODS if name != "given"]


@pytest.mark.parametrize("name", EVENT_METHODS)
def test_shapes_and_meaning(name):
    found = method(name, jets=Jets("all")).reconstruct(TOY.events(2))
    assert found.jets.shape == (40, 2)
    assert found.neutrinos.shape == (40, 2, 4)
    assert found.score.shape == found.status.shape == (40,)
    solved = found.status == Status.SOLVED
    assert solved.mean() > 0.8
    assert (found.jets[solved] >= 0).all()
    assert (found.jets[solved, 0] != found.jets[solved, 1]).all()
    assert np.isfinite(found.score[solved]).all()
    if name in NEUTRINOS:
        assert np.isfinite(found.neutrinos[solved]).all()
        np.testing.assert_allclose(
            found.neutrinos[solved][..., 0], np.linalg.norm(found.neutrinos[solved][..., 1:], axis=-1), rtol=1e-9
        )
    assert sum(found.counts().values()) == 40


@pytest.mark.parametrize("name", EVENT_METHODS)
def test_bad_events_have_a_status_and_change_no_others(name):
    events = TOY.events(2)
    good = method(name).reconstruct(events)
    jets, leptons, met, mask = events.jets.copy(), events.leptons.copy(), events.met.copy(), events.mask.copy()
    jets[3, 1, 2], leptons[5, 0, 0], met[7, 1] = np.nan, np.inf, np.nan
    mask[9, 1:], mask[11] = False, False
    bad = DileptonEvents(leptons, jets, mask, events.btag, met, events.event, events.weights)
    found = method(name).reconstruct(bad)
    assert found.status[[3, 5, 7]].tolist() == [Status.NOT_FINITE] * 3
    assert found.status[[9, 11]].tolist() == [Status.TOO_FEW_JETS] * 2
    rows = [3, 5, 7, 9, 11]
    assert (found.jets[rows] == -1).all()
    assert np.isnan(found.neutrinos[rows]).all()
    assert np.isnan(found.score[rows]).all()
    keep = np.setdiff1d(np.arange(40), rows)
    same(*(Reconstruction(*(getattr(r, n)[keep] for n in ("jets", "neutrinos", "score", "status"))) for r in (found, good)), rtol=1e-6, atol=1e-6)  # fmt: skip
    problems = bad.problems()
    assert problems["not finite"] == 3
    assert problems["fewer than two jets"] == 2


@pytest.mark.parametrize("name", EVENT_METHODS)
def test_padding_holds_anything(name):
    events = TOY.events(1)
    padded = DileptonEvents(
        events.leptons,
        np.concatenate([events.jets, np.full((40, 2, 4), np.nan)], axis=1),
        np.concatenate([events.mask, np.zeros((40, 2), dtype=bool)], axis=1),
        np.concatenate([events.btag, np.full((40, 2), np.nan)], axis=1),
        events.met,
        events.event,
        events.weights,
    )
    one, other = (method(name, jets=Jets("all")).reconstruct(given) for given in (events, padded))
    same(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", EVENT_METHODS)
def test_permuted_jets_permute_the_answer(name):
    events = TOY.events(1)
    order = np.array([2, 0, 1])
    permuted = replace(events, jets=events.jets[:, order], mask=events.mask[:, order], btag=events.btag[:, order])
    one, other = (method(name, jets=Jets("all")).reconstruct(given) for given in (events, permuted))
    np.testing.assert_array_equal(order[other.jets], one.jets)
    np.testing.assert_array_equal(one.status, other.status)
    np.testing.assert_allclose(other.neutrinos, one.neutrinos, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", EVENT_METHODS)
def test_events_in_another_order_and_number(name):
    events = TOY.events(1)
    order = np.random.default_rng(1).permutation(40)[:13]
    whole, part = (method(name).reconstruct(given) for given in (events, events[order]))
    picked = Reconstruction(*(getattr(whole, field)[order] for field in ("jets", "neutrinos", "score", "status")))
    same(part, picked, rtol=1e-6, atol=1e-6)
    joined = join([method(name).reconstruct(events[:15]), method(name).reconstruct(events[15:])])
    same(joined, whole, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", NEUTRINOS)
def test_chunks_change_nothing(name):
    events = TOY.events(1)
    same(method(name).reconstruct(events), method(name, chunk=30).reconstruct(events), rtol=1e-6, atol=1e-6)
    if name == "likelihood":
        return
    with_masses = {"masses": Masses(top=np.linspace(171, 174, 40))}
    same(
        method(name, **with_masses).reconstruct(events),
        method(name, chunk=30, **with_masses).reconstruct(events),
        rtol=1e-6,
        atol=1e-6,
    )


@pytest.mark.parametrize("name", ["ellipse", "sonnenschein", "max_m_lb", "sum_m_lb2", "chi_square"])
def test_a_boost_along_the_beam_keeps_pairings_and_boosts_neutrinos(name):
    events = TOY.events(1)
    moved = replace(events, leptons=boost_along_beam(events.leptons, 0.7), jets=boost_along_beam(events.jets, 0.7))
    one, other = (method(name, jets=Jets("all")).reconstruct(given) for given in (events, moved))
    np.testing.assert_array_equal(one.jets, other.jets)
    np.testing.assert_allclose(other.score, one.score, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(other.neutrinos, boost_along_beam(one.neutrinos, 0.7), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", EVENT_METHODS)
def test_no_events_and_no_jets(name):
    events = TOY.events(0)
    none = method(name).reconstruct(events[:0])
    assert len(none) == 0
    assert none.neutrinos.shape == (0, 2, 4)
    without = replace(events, jets=events.jets[:, :0], mask=events.mask[:, :0], btag=events.btag[:, :0])
    assert (method(name).reconstruct(without).status == Status.TOO_FEW_JETS).all()


@pytest.mark.parametrize("name", EVENT_METHODS)
def test_massless_and_negative_jets_and_no_missing_momentum(name):
    events = TOY.events(0)
    jets = events.jets.copy()
    jets[..., 0] = np.linalg.norm(jets[..., 1:], axis=-1)
    massless = replace(events, jets=jets, met=np.zeros((40, 2)))
    found = method(name).reconstruct(massless)
    assert not np.isin(found.status, [Status.NOT_FINITE, Status.TOO_FEW_JETS]).any()
    jets = jets.copy()
    jets[:, 0, 0] *= 0.999
    negative = replace(events, jets=jets)
    assert not np.isin(method(name).reconstruct(negative).status, [Status.NOT_FINITE, Status.TOO_FEW_JETS]).any()
    assert massless.problems() == {
        "fewer than two jets": 0, "not finite": 0, "jet of negative mass": 0, "massless jet": 40, "lepton without momentum": 0,
        "jet without momentum": 0, "no missing momentum": 40,
    }  # fmt: skip
    assert negative.problems()["jet of negative mass"] == 40


@pytest.mark.parametrize("name", EVENT_METHODS)
def test_what_has_no_momentum_is_not_used(name):
    """Momenta of NaN become 0 in the dataset."""
    events = TOY.events(1)
    jets, leptons = events.jets.copy(), events.leptons.copy()
    jets[:, 2], leptons[0, 0] = 0.0, 0.0
    nothing = replace(events, jets=jets, leptons=leptons, btag=np.tile([1.0, 1.0, 5.0], (40, 1)))
    found = method(name).reconstruct(nothing)
    assert found.status[0] == Status.NOT_FINITE
    assert (found.jets != 2).all()
    without = replace(nothing, mask=np.tile([True, True, False], (40, 1)))
    same(found, method(name).reconstruct(without), rtol=1e-9, atol=1e-9)
    assert nothing.problems()["jet without momentum"] == 40
    assert nothing.problems()["lepton without momentum"] == 1


def test_exact_events_are_reconstructed():
    found = method("ellipse", choice="nearest", proposal=build_method("given", neutrinos=TOY.neutrinos))
    answer = found.reconstruct(TOY.events(3))
    assert (answer.jets == [0, 1]).all()
    np.testing.assert_allclose(answer.neutrinos, TOY.neutrinos, rtol=1e-5, atol=1e-4)
    chi_square = build_method("chi_square", neutrinos=build_method("given", neutrinos=TOY.neutrinos))
    assert (chi_square.reconstruct(TOY.events(5)).jets == [0, 1]).all()


def test_the_choice_by_m_lb_weighs_pairings():
    events = TOY.events(0)
    answer = method("ellipse", choice="m_lb").reconstruct(events)
    assert (answer.score >= 0).all()
    assert np.isfinite(answer.neutrinos).all()


def test_a_falling_spectrum_chooses_among_the_maxima_of_a_pairing():
    """The pairing and the score stay; the mass of the top pair does not grow."""
    events = TOY.events(0)
    largest, falling = (method("likelihood", spectrum_power=power).reconstruct(events) for power in (0.0, 4.0))
    np.testing.assert_array_equal(largest.jets, falling.jets)
    np.testing.assert_array_equal(largest.score, falling.score)
    visible = events.leptons.sum(axis=1) + events.jets.sum(axis=1)
    masses = [mass(visible + answer.neutrinos.sum(axis=1)) for answer in (largest, falling)]
    assert (masses[1] <= masses[0] + 1e-9).all()
    assert (masses[1] < masses[0] - 1).any()


def test_given_neutrinos_must_fit_the_events():
    given = TOY.neutrinos.copy()
    given[4] = np.nan
    answer = build_method("given", neutrinos=given).reconstruct(TOY.events())
    assert answer.status[4] == Status.NO_SOLUTION
    assert (answer.jets == -1).all()
    chi_square = build_method("chi_square", neutrinos=build_method("given", neutrinos=given)).reconstruct(TOY.events())
    assert chi_square.status[4] == Status.NO_SOLUTION
    with pytest.raises(CollidekitError, match=r"must be \(39, 2, 4\)"):
        build_method("given", neutrinos=given).reconstruct(TOY.events()[:39])


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("elipse", {}, "unknown reconstruction method 'elipse'.*did you mean 'ellipse'"),
        ("ellipse", {"mases": Masses()}, "unknown setting 'mases'.*did you mean 'masses'"),
        ("chi_square", {}, "needs neutrinos"),
        ("ellipse", {"choice": "best"}, "choice must be one of"),
        ("ellipse", {"choice": "nearest"}, "needs a proposal"),
        ("ellipse", {"proposal": build_method("delta_r")}, "cannot use a proposal"),
        ("smeared_ellipse", {"seeds_from": "time"}, "seeds_from must be"),
        ("max_m_lb", {"combine": "min"}, "combine must be 'max' or 'sum'"),
    ],
)
def test_wrong_settings(name, settings, message):
    with pytest.raises(CollidekitError, match=message):
        build_method(name, **settings)


@pytest.mark.parametrize(
    "wrong", [{"top": -1.0}, {"w": np.array([80.0, np.nan])}, {"top": np.ones((2, 2))}, {"w": 0.0}]
)
def test_masses_that_cannot_be(wrong):
    with pytest.raises(CollidekitError, match="must be a positive number in GeV"):
        Masses(**wrong)


def test_shapes_that_disagree_and_mev():
    events = TOY.events(1)
    with pytest.raises(CollidekitError, match=r"met has the shape \(40, 3\), but it must be \(40, 2\)"):
        replace(events, met=np.zeros((40, 3)))
    with pytest.raises(CollidekitError, match=r"must be .* for the mask"):
        replace(events, mask=np.ones(40, dtype=bool))
    with pytest.raises(CollidekitError, match="must be in GeV: divide values in MeV by 1000"):
        replace(events, leptons=events.leptons * 1000)


def test_some_of_the_events():
    events = TOY.events(1)
    for rows in (slice(3, 9), np.arange(40) % 3 == 0, np.array([5, 2, 2])):
        part = events[rows]
        assert len(part) == len(np.arange(40)[rows])
        np.testing.assert_array_equal(part.event, np.arange(40)[rows])
        np.testing.assert_array_equal(part.jets, events.jets[rows])
    hard = replace(events, leptons=np.concatenate([events.leptons[:1] * 1e3, events.leptons[1:]]))
    assert len(hard[:1]) == 1  # one event of hard leptons is no file in MeV


def test_leptons_are_ordered_by_charge():
    charges = np.array([[1, -1], [-1, 1], [-1, 1]])
    leptons = np.arange(24.0).reshape(3, 2, 4)
    ordered = order_by_charge(leptons, charges)
    assert ordered[:, 0, 0].tolist() == [0, 12, 20]
    for wrong in ([1, 1], [-1, -1], [0, 1], [np.nan, 1]):
        mixed = charges.astype(float)
        mixed[1] = wrong
        assert opposite_charges(mixed).tolist() == [True, False, True]
        with pytest.raises(CollidekitError, match=r"row 1 has the charges .* 1 of 3 rows have no opposite charges"):
            order_by_charge(leptons, mixed)
    with pytest.raises(CollidekitError, match="must be"):
        order_by_charge(leptons[:, :1], charges)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        (
            "ellipse",
            {"choice": "mlb"},
            "reconstruction method ellipse: choice: 'mlb' is not one of smallest_mtt, m_lb, nearest",
        ),
        ("ellipse", {"jets": 3}, "jets: must be settings"),
        ("ellipse", {"jets": {"rule": "tagged"}}, "the rule 'tagged' needs a threshold"),
        ("ellipse", {"masses": {"tops": 3}}, "masses: unknown setting 'tops' (did you mean 'top'?)"),
        ("ellipse", {"masses": {"top": -3}}, "masses: top must be a positive number"),
        ("ellipse", {"closest": 1}, "closest: must be true or false"),
        ("ellipse", {"chunk": 3}, "unknown setting 'chunk'"),
        ("sonnenschein", {"solver": "ellipse"}, "unknown setting 'solver'"),
        ("neutrino_weighting", {"points": 3.5}, "points: must be an integer"),
        ("neutrino_weighting", {"points": 1}, "points must be at least 2"),
        ("neutrino_weighting", {"resolution": [20]}, "resolution: must be 2 numbers"),
        ("neutrino_weighting", {"resolution": [True, 2]}, "must be a number, not True"),
        ("smeared_ellipse", {"smearings": 0}, "smearings must be at least 1"),
        ("mine", {}, "name the type with 'method:'"),
        ("mine", {"method": "given"}, "unknown reconstruction method 'given'"),
    ],
)
def test_settings_of_a_file_that_mean_nothing_are_one_error(name, settings, said):
    with pytest.raises(CollidekitError) as error:
        method_from_file(name, settings, build_method("given", neutrinos=TOY.neutrinos))
    assert said in str(error.value)


def test_settings_of_a_file_are_those_of_python():
    network, events = build_method("given", neutrinos=TOY.neutrinos), TOY.events(2)
    pairs = {
        (
            "tagged",
            '{"method": "ellipse", "choice": "m_lb", "jets": {"rule": "all"}, "masses": {"top": 173}}',
        ): build_method("ellipse", choice="m_lb", jets=Jets("all"), masses=Masses(top=173.0)),
        ("ellipse", '{"choice": "nearest"}'): build_method("ellipse", choice="nearest", proposal=network),
        ("chi_square", '{"width": 10}'): build_method(
            "chi_square", neutrinos=network, width=10.0, jets=Jets("two_tagged")
        ),
        ("greedy", '{"method": "delta_r_greedy"}'): build_method("delta_r_greedy"),
    }
    for (name, settings), expected in pairs.items():
        same(method_from_file(name, json.loads(settings), network).reconstruct(events), expected.reconstruct(events))
