"""Neutrino pairs on two ellipses, and the closest approach, compared with brute force."""

import numpy as np
import pytest
from scipy.optimize import minimize
from top_decays import TOP, W, decays

from collidekit.reconstruction.closest_approach import closest_approach
from collidekit.reconstruction.ellipse import NeutrinoEllipse, neutrino_ellipse
from collidekit.reconstruction.intersection import intersections, roots


def circle(radius, centre=(0.0, 0.0, 0.0)):
    return NeutrinoEllipse(
        np.array([[radius, 0.0, 0.0]]), np.array([[0.0, radius, 0.0]]), np.array([centre]), np.array([1.0])
    )


@pytest.mark.parametrize(
    ("distance", "number"), [(1.0, 2), (3 - 1e-6, 2), (3 + 1e-6, 0), (1 + 1e-6, 2), (1 - 1e-6, 0), (5.0, 0), (0.2, 0)]
)
def test_two_circles(distance, number):
    """Circles of radius 1 and 2 cross for distances between 1 and 3."""
    met = np.array([[distance * 0.6, distance * 0.8]])
    pairs, known = intersections(circle(1.0), circle(2.0), met)
    assert known.sum() == number or (distance == 1.0 and known.sum() == 1)  # where they touch, once or twice the same
    np.testing.assert_allclose(pairs[known][:, :, :2].sum(axis=1), np.repeat(met, known.sum(), axis=0), atol=1e-6)
    _, gap = closest_approach(circle(1.0), circle(2.0), met)
    assert gap[0] == pytest.approx(
        max(distance - 3, 1 - distance, 0), abs=1e-5
    )  # flat directions near a touching point


def test_the_same_circle_twice_has_no_single_solution():
    _, known = intersections(circle(2.0), circle(2.0), np.array([[0.0, 0.0]]))
    assert not known.any()
    _, gap = closest_approach(circle(2.0), circle(2.0), np.array([[0.0, 0.0]]))
    assert gap[0] == pytest.approx(0, abs=1e-9)


def test_roots_of_known_angles():
    """(cos(t - p) - cos d) (cos(t - q) - cos e) vanishes at p +- d and q +- e."""
    rng = np.random.default_rng(1)
    p, q, d, e = rng.uniform(0.2, 3.0, (4, 1000))
    cp, sp, cq, sq, cd, ce = np.cos(p), np.sin(p), np.cos(q), np.sin(q), np.cos(d), np.cos(e)
    coefficients = np.stack(
        [
            (cp * cq + sp * sq) / 2 + cd * ce,
            -(cp * ce + cq * cd),
            -(sp * ce + sq * cd),
            (cp * cq - sp * sq) / 2,
            (cp * sq + sp * cq) / 2,
        ],
        axis=1,
    )
    found, known = roots(coefficients)
    expected = np.sort(np.stack([p + d, p - d, q + e, q - e], axis=1) % (2 * np.pi), axis=1)
    apart = np.diff(np.c_[expected, expected[:, :1] + 2 * np.pi], axis=1).min(axis=1) > 1e-2
    assert known[apart].all()
    np.testing.assert_allclose(np.sort(found[apart] % (2 * np.pi), axis=1), expected[apart], atol=1e-9)


def ellipses_of(count, seed, wrong=True):
    toy = decays(count, seed=seed)
    bottoms = toy.bottoms[:, ::-1] if wrong else toy.bottoms
    both = neutrino_ellipse(bottoms, toy.leptons, TOP, W)
    possible = (both.z2 > 0).all(axis=1)
    first, second = (NeutrinoEllipse(*(part[possible, side] for part in both)) for side in (0, 1))
    return first, second, toy.met[possible]


def signed(first, second, met, angle):
    """|K (cos t, sin t, 1)|^2 - 1 with an inverse matrix, one event at a time."""
    matrix = np.stack([second.cosine[:2], second.sine[:2]], axis=1)
    rest = met - second.centre[:2] - first.centre[:2]
    point = first.cosine[:2, None] * np.cos(angle) + first.sine[:2, None] * np.sin(angle)
    return (np.linalg.solve(matrix, rest[:, None] - point) ** 2).sum(axis=0) - 1


@pytest.mark.parametrize("wrong", [True, False])
def test_number_of_solutions_one_event_at_a_time(wrong):
    first, second, met = ellipses_of(300, 2, wrong)
    pairs, known = intersections(first, second, met)
    angle = np.linspace(-np.pi, np.pi, 40001)
    for event in range(len(met)):
        one, other = (NeutrinoEllipse(*(part[event] for part in ellipse)) for ellipse in (first, second))
        values = signed(one, other, met[event], angle)
        crossings = int((np.sign(values[1:]) != np.sign(values[:-1])).sum())
        assert known[event].sum() == crossings
    sums = pairs[..., :2].sum(axis=2)
    np.testing.assert_allclose(sums[known], np.repeat(met, known.sum(axis=1), axis=0), atol=1e-6)


def test_order_of_the_tops_does_not_matter():
    first, second, met = ellipses_of(300, 3)
    one, known = intersections(first, second, met)
    other, also = intersections(second, first, met)
    np.testing.assert_array_equal(known.sum(axis=1), also.sum(axis=1))
    np.testing.assert_allclose(np.nansum(one, axis=1), np.nansum(other[:, :, ::-1], axis=1), rtol=1e-6, atol=1e-6)


def test_closest_approach_is_the_minimum():
    first, second, met = ellipses_of(400, 4)
    _, known = intersections(first, second, met)
    apart = np.flatnonzero(~known.any(axis=1))[:60]
    pairs, gaps = closest_approach(first.rows(apart), second.rows(apart), met[apart])
    np.testing.assert_allclose(np.hypot(*(pairs[..., :2].sum(axis=1) - met[apart]).T), gaps, rtol=1e-12)
    angles = np.linspace(-np.pi, np.pi, 200, endpoint=False)
    for event, row in enumerate(apart):
        points = [ellipse.rows(np.array([row])).at(angles[None])[0, :, :2] for ellipse in (first, second)]
        grid = np.linalg.norm(points[0][:, None] + points[1][None] - met[row], axis=-1)
        start = np.unravel_index(grid.argmin(), grid.shape)

        def distance(both, row=row):
            points = [
                ellipse.rows(np.array([row])).at(np.array([angle]))[0, :2]
                for ellipse, angle in zip((first, second), both, strict=True)
            ]
            return np.linalg.norm(points[0] + points[1] - met[row])

        best = minimize(distance, angles[list(start)], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-9}).fun
        assert gaps[event] <= best * (1 + 1e-6) + 1e-6
