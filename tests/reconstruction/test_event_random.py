"""Random numbers of events: their distribution, and their dependence only on the event."""

import numpy as np
from scipy.stats import kstest

from collidekit.reconstruction.event_random import (
    normal,
    seeds_from_columns,
    seeds_from_kinematics,
    seeds_from_numbers,
    uniform,
)


def test_they_belong_to_the_event():
    numbers = np.array([7, 2**63 + 5, 3, 7], dtype=np.uint64)
    seeds = seeds_from_numbers(numbers)
    assert seeds[0] == seeds[3]
    np.testing.assert_array_equal(seeds_from_numbers(numbers[::-1]), seeds[::-1])
    np.testing.assert_array_equal(normal(seeds[1:2], 5), normal(seeds, 5)[1:2])
    np.testing.assert_array_equal(normal(seeds, 3), normal(seeds, 5)[:, :3])
    assert not (seeds_from_numbers(numbers, 1) == seeds).any()
    assert not (seeds_from_numbers(np.array([-3, -1, 4])) == seeds[:3]).any()


def test_columns_count_by_their_names_and_integers_in_any_type():
    run, event = np.array([1, 1, 2]), np.array([5, -6, 5])
    seeds = seeds_from_columns({"run": run, "event": event})
    assert len(set(seeds)) == 3
    np.testing.assert_array_equal(
        seeds_from_columns({"event": event.astype(float), "run": run.astype(np.int32)}), seeds
    )
    assert not (seeds_from_columns({"run": event, "event": run}) == seeds)[[1, 2]].any()
    assert not (seeds_from_columns({"run": run, "event": event}, 1) == seeds).any()
    halves = seeds_from_columns({"event": np.array([0.5, 1.5, np.nan, -np.nan, 0.0, -0.0])})
    assert len(set(halves)) == 4
    assert halves[2] == halves[3]
    assert halves[4] == halves[5] == seeds_from_numbers(np.array([0]))[0]


def test_kinematics_to_single_precision():
    values = np.random.default_rng(1).normal(0, 100, (100, 4))
    seeds = seeds_from_kinematics(values)
    assert len(np.unique(seeds)) == 100
    np.testing.assert_array_equal(seeds, seeds_from_kinematics(values.astype(np.float32)))
    np.testing.assert_array_equal(seeds[5:6], seeds_from_kinematics(values[5:6]))
    assert seeds_from_kinematics(values[:1], 1) != seeds[0]


def test_distributions():
    seeds = seeds_from_numbers(np.arange(2000))
    flat, bell = uniform(seeds, 50), normal(seeds, 50)
    assert kstest(flat.ravel(), "uniform").pvalue > 1e-3
    assert kstest(bell.ravel(), "norm").pvalue > 1e-3
    assert ((flat > 0) & (flat < 1)).all()
    between_events, within_events = np.corrcoef(flat[:-1].ravel(), flat[1:].ravel()), np.corrcoef(flat.T)
    assert abs(between_events[0, 1]) < 0.015
    assert np.abs(within_events - np.eye(50)).max() < 0.1
