"""Spin observables: known values, invariances, an independent computation, and closure of injected correlations."""

import numpy as np
import pytest
import vector

from collidekit.errors import CollidekitError
from collidekit.reconstruction.spin import c_han, c_hel, decay_directions, spin_marker
from collidekit.reconstruction.spin_weights import correlated, leading_order_correlation, spin_weights

RNG_SEED = 5
TOP = 172.5


def to_frame(p: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """From the rest frame of `frame` to the one in which `frame` is given, with the package vector."""
    moved = four(p).boost_p4(four(frame))
    return np.stack([moved.E, moved.px, moved.py, moved.pz], axis=-1)


def four(p: np.ndarray) -> vector.MomentumNumpy4D:
    return vector.array({"E": p[..., 0], "px": p[..., 1], "py": p[..., 2], "pz": p[..., 3]})


def unit(rng: np.random.Generator, n: int) -> np.ndarray:
    v = rng.normal(size=(n, 3))
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def toy(n: int, seed: int = RNG_SEED) -> dict[str, np.ndarray]:
    """Top pairs of any velocity and direction, isotropic massless leptons of any energy, and the directions drawn."""
    rng = np.random.default_rng(seed)
    beta, k = rng.uniform(0.02, 0.99, n), unit(rng, n)
    energy = TOP / np.sqrt(1 - beta**2)
    top = np.concatenate([energy[:, None], (energy * beta)[:, None] * k], axis=1)
    antitop = top * [1, -1, -1, -1]
    plus, minus = unit(rng, n), unit(rng, n)
    mass = 2 * energy
    p = rng.normal(0, 200, (n, 3))
    pair = np.concatenate([np.sqrt(mass**2 + np.sum(p**2, axis=1))[:, None], p], axis=1)
    leptons = [rng.uniform(10, 80, n)[:, None] * np.concatenate([np.ones((n, 1)), v], axis=1) for v in (plus, minus)]
    moved = [to_frame(to_frame(q, own), pair) for q, own in zip(leptons, (top, antitop), strict=True)]
    return {
        "p": (to_frame(top, pair), to_frame(antitop, pair), *moved),  # type: ignore[dict-item]
        "plus": plus, "minus": minus, "k": k, "beta": beta, "is_gg": rng.random(n) < 0.8,
    }  # fmt: skip


def test_directions_are_the_ones_drawn() -> None:
    events = toy(2000)
    found = decay_directions(*events["p"])
    np.testing.assert_allclose(found.plus, events["plus"], atol=1e-8)
    np.testing.assert_allclose(found.minus, events["minus"], atol=1e-8)
    np.testing.assert_allclose(found.beta, events["beta"], rtol=1e-8)
    np.testing.assert_allclose(found.cos_theta, events["k"][:, 2], atol=1e-8)
    np.testing.assert_allclose(found.c_hel, np.sum(events["plus"] * events["minus"], axis=1), atol=1e-8)
    flipped = events["minus"] - 2 * np.sum(events["minus"] * events["k"], axis=1, keepdims=True) * events["k"]
    np.testing.assert_allclose(found.c_han, np.sum(events["plus"] * flipped, axis=1), atol=1e-8)


def test_the_basis_is_right_handed_in_the_order_of_the_paper() -> None:
    found = decay_directions(*toy(500)["p"])
    k, r, n = (found.basis[:, i] for i in range(3))
    np.testing.assert_allclose(
        found.basis @ found.basis.swapaxes(1, 2), np.broadcast_to(np.eye(3), (500, 3, 3)), atol=1e-12
    )
    np.testing.assert_allclose(np.cross(r, k), n, atol=1e-12)
    sine = np.sqrt(1 - found.cos_theta**2)
    np.testing.assert_allclose(
        found.cos_theta[:, None] * k + sine[:, None] * r, np.tile([0, 0, 1], (500, 1)), atol=1e-12
    )


def test_boosts_along_the_beam_rotations_about_it_and_units_change_nothing() -> None:
    events = toy(300)
    before = decay_directions(*events["p"])
    turn = np.array([[1, 0, 0, 0], [0, np.cos(1), -np.sin(1), 0], [0, np.sin(1), np.cos(1), 0], [0, 0, 0, 1]])
    along = np.array([[np.cosh(1), 0, 0, np.sinh(1)], [0, 1, 0, 0], [0, 0, 1, 0], [np.sinh(1), 0, 0, np.cosh(1)]])
    for change in (turn, 1000 * np.eye(4)):
        after = decay_directions(*(p @ change.T for p in events["p"]))
        np.testing.assert_allclose(after.c_hel, before.c_hel, atol=1e-9)
        np.testing.assert_allclose(after.c_han, before.c_han, atol=1e-9)
        np.testing.assert_allclose(after.cos_theta, before.cos_theta, atol=1e-9)
    at_rest = [to_frame(p, (q := events["p"][0] + events["p"][1]) * [1, -1, -1, -1]) for p in events["p"]]
    moved, still = (decay_directions(*(p @ m.T for p in at_rest)) for m in (along, np.eye(4)))
    assert len(q) == 300
    np.testing.assert_allclose(moved.c_hel, still.c_hel, atol=1e-9)
    np.testing.assert_allclose(moved.cos_theta, still.cos_theta, atol=1e-9)


def test_functions_of_momenta_are_those_of_the_directions() -> None:
    events = toy(50)
    directions = decay_directions(*events["p"])
    np.testing.assert_array_equal(c_hel(*events["p"]), directions.c_hel)
    np.testing.assert_array_equal(c_han(*events["p"]), directions.c_han)


@pytest.mark.parametrize(
    ("matrix", "mean_c_hel", "mean_c_han"),
    [
        (np.zeros((3, 3)), 0, 0),
        (-np.eye(3), 1 / 3, 1 / 9),  # spin singlet
        (np.diag([-1.0, 1.0, 1.0]), -1 / 9, -1 / 3),  # 3P0 along k
    ],
)
def test_closed_values(matrix: np.ndarray, mean_c_hel: float, mean_c_han: float) -> None:
    """<l+_i l-_j> = -C_ij / 9, measured on weighted toy decays."""
    directions = decay_directions(*toy(200_000)["p"])
    weights = correlated(directions, np.broadcast_to(matrix, (200_000, 3, 3)))
    assert weights.min() >= 0
    for cosine, expected in ((directions.c_hel, mean_c_hel), (directions.c_han, mean_c_han)):
        d, error = spin_marker(cosine, weights)
        assert error < 0.02
        assert d == pytest.approx(-3 * expected, abs=4 * error)


def test_closed_values_are_exact_on_a_grid_of_directions() -> None:
    """Means over the three axes, both signs, have the moments <l_i> = 0 and <l_i l_j> = delta_ij / 3 of all directions."""
    axes = np.concatenate([np.eye(3), -np.eye(3)])
    plus, minus = (v.reshape(-1, 3) for v in np.broadcast_arrays(axes[:, None], axes[None]))
    directions = decay_directions(*toy(36)["p"])
    fixed = type(directions)(plus, minus, np.tile(np.eye(3), (36, 1, 1)), directions.beta, directions.cos_theta)
    for matrix, mean_c_hel, mean_c_han in ((-np.eye(3), 1 / 3, 1 / 9), (np.diag([-1.0, 1, 1]), -1 / 9, -1 / 3)):
        weights = correlated(fixed, np.tile(matrix, (36, 1, 1)))
        assert weights.mean() == pytest.approx(1, abs=1e-14)
        assert np.mean(weights * fixed.c_hel) == pytest.approx(mean_c_hel, abs=1e-14)
        assert np.mean(weights * fixed.c_han) == pytest.approx(mean_c_han, abs=1e-14)


def grid() -> tuple[np.ndarray, np.ndarray]:
    beta, cosine = np.meshgrid(np.linspace(0, 0.9999, 101), np.linspace(-1, 1, 101))
    return beta, cosine


@pytest.mark.parametrize("is_gg", [True, False])
def test_the_density_matrix_is_that_of_a_state(is_gg: bool) -> None:
    beta, cosine = grid()
    c = leading_order_correlation(beta, cosine, is_gg)
    pauli = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    pairs = np.einsum("iab,jcd->ijacbd", pauli, pauli).reshape(3, 3, 4, 4)
    rho = (np.eye(4) + np.einsum("...ij,ijab->...ab", c, pairs)) / 4
    assert np.linalg.eigvalsh(rho).min() > -1e-12


def test_traces_and_limits() -> None:
    beta, cosine = grid()
    d_qq, d_gg = (np.trace(leading_order_correlation(beta, cosine, gg), axis1=-2, axis2=-1) / 3 for gg in (False, True))
    np.testing.assert_allclose(d_qq, 1 / 3, atol=1e-12)
    assert d_gg.min() == pytest.approx(-1)
    assert d_gg.max() < 1 / 3 + 1e-12
    assert d_gg.max() > 0.33
    np.testing.assert_allclose(leading_order_correlation(0, 0.3, True), -np.eye(3), atol=1e-14)
    # At threshold the tops from qq have the spin of the beam's: C is the projector on the beam axis.
    beam = np.array([0.3, np.sqrt(1 - 0.09), 0])  # in (k, r, n)
    np.testing.assert_allclose(leading_order_correlation(0, 0.3, False), np.outer(beam, beam), atol=1e-14)
    # Ultrarelativistic across the beam: the triplet with D = 1/3.
    np.testing.assert_allclose(leading_order_correlation(1, 0, True), np.diag([1, 1, -1]), atol=1e-12)


@pytest.mark.parametrize("correlation", ["sm", "singlet", "none"])
def test_weights_give_back_what_is_put_in(correlation: str) -> None:
    events = toy(200_000, seed=8)
    directions = decay_directions(*events["p"])
    weights = spin_weights(directions, events["is_gg"], correlation)  # type: ignore[arg-type]
    assert weights.min() >= 0
    assert weights.max() <= 2 + 1e-12
    assert weights.mean() == pytest.approx(1, abs=5 * weights.std() / np.sqrt(len(weights)) + 1e-12)
    c = leading_order_correlation(directions.beta, directions.cos_theta, events["is_gg"])
    injected = {"sm": np.trace(c, axis1=1, axis2=2).mean() / 3, "singlet": -1.0, "none": 0.0}[correlation]
    d, error = spin_marker(directions.c_hel, weights)
    assert abs(d - injected) < 4 * error
    if correlation == "sm":  # every coefficient, not the trace alone
        plus, minus = (np.einsum("nij,nj->ni", directions.basis, v) for v in (directions.plus, directions.minus))
        measured = -9 * np.einsum("n,ni,nj->ij", weights, plus, minus) / weights.sum()
        np.testing.assert_allclose(measured, c.mean(axis=0), atol=4 * 9 / 3 / np.sqrt(len(weights)))


def test_the_error_of_d_is_the_spread_of_repeated_samples() -> None:
    rng = np.random.default_rng(4)
    weights, cosines = rng.uniform(0.5, 2, (400, 500)), rng.uniform(-1, 1, (400, 500))
    results = np.array([spin_marker(c, w) for c, w in zip(cosines, weights, strict=True)])
    assert results[:, 0].std() == pytest.approx(results[:, 1].mean(), rel=0.12)


def test_what_is_no_pair_of_tops_is_nan() -> None:
    events = [p[:5].copy() for p in toy(5)["p"]]
    events[0][0] = np.nan
    events[1][1] = [10, 0, 0, 400]  # space-like
    events[2][2] = 0  # no lepton
    found = decay_directions(*events)
    assert np.isnan(found.c_hel).tolist() == [True, True, True, False, False]
    d, error = spin_marker(found.c_hel)
    assert np.isfinite([d, error]).all()
    assert np.isnan(spin_marker(np.array([np.nan]))).all()
    assert np.isnan(spin_marker(np.array([0.1, 0.2]), np.array([1.0, -1.0]))).all()


def test_a_top_along_the_beam_has_a_basis() -> None:
    top = np.array([200.0, 0, 0, 100.0])
    lepton = np.array([30.0, 10, 20, 20])
    found = decay_directions(top, top * [1, 1, 1, -1], lepton, lepton)
    np.testing.assert_allclose(found.basis @ found.basis.T, np.eye(3), atol=1e-14)
    assert np.isfinite(spin_weights(found, True, "sm"))


def test_an_unknown_correlation() -> None:
    found = decay_directions(*toy(2)["p"])
    with pytest.raises(CollidekitError, match="known are sm, singlet, none"):
        spin_weights(found, True, "triplet")  # type: ignore[arg-type]
