"""Statistics that are merged chunk by chunk are those of the whole."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collidekit.analysis.features import Feature
from collidekit.dataset.statistics import PERCENTILES, FeatureStatistics

PLAIN = Feature(name="x")


def merged(chunks: list[np.ndarray], feature: Feature = PLAIN) -> FeatureStatistics:
    """As a construction does it: each chunk goes through JSON."""
    total = FeatureStatistics()
    for chunk in chunks:
        part = FeatureStatistics.of(chunk.astype(np.float32), feature)
        total = total.merge(FeatureStatistics.read(json.loads(json.dumps(part.content()))))
    return total


@settings(deadline=None)
@given(
    st.lists(st.lists(st.floats(-1e4, 1e4, width=32).filter(lambda x: x != -999), max_size=20), min_size=1, max_size=8)
)
def test_merged_is_whole(chunks: list[list[float]]) -> None:
    values = np.asarray([x for chunk in chunks for x in chunk], dtype=np.float64)
    found = merged([np.asarray(chunk) for chunk in chunks], Feature(name="x", default=-999))
    assert found.count == len(values)
    if len(values):
        assert found.mean == pytest.approx(values.mean(), abs=1e-6)
        assert found.std == pytest.approx(values.std(), rel=1e-6, abs=1e-3)
        assert (found.low, found.high) == (values.min(), values.max())


def test_defaults_are_left_out() -> None:
    values = np.array([-9.0, 1, 2, 3, -9, -9])
    found = merged([values, np.full(4, -9.0), values], Feature(name="x", default=-9))
    assert (found.count, found.missing, found.mean, found.low, found.high) == (6, 10, 2, 1, 3)
    assert found.percentiles()["50"] == 2
    none = merged([np.full(4, -9.0)], Feature(name="x", default=-9)).summary()
    assert (none["count"], none["missing"], none["std"]) == (0, 4, 0)
    json.dumps(none, allow_nan=False)


def check_percentiles(found: FeatureStatistics, values: np.ndarray, error: float) -> None:
    """The rank of each estimate is right within an error."""
    for percent, estimate in zip(PERCENTILES, found.percentiles().values(), strict=True):
        rank = (values < estimate).mean()
        assert abs(rank - percent / 100) < max(error, 4 * np.sqrt(percent * (100 - percent)) / 100 * error)


def test_percentiles_of_few_values_are_those_of_numpy() -> None:
    values = np.random.default_rng(0).normal(size=1001)
    found = FeatureStatistics.of(values.astype(np.float32), PLAIN).percentiles()
    for percent, estimate in zip(PERCENTILES, found.values(), strict=True):
        assert estimate == pytest.approx(np.percentile(values, percent), abs=0.05)


def test_percentiles_of_files_in_order_of_class_and_of_unequal_chunks() -> None:
    """The last chunks must not count more than the first, nor small ones more than large ones."""
    generator = np.random.default_rng(1)
    chunks = [generator.normal(0, 1, 5000) for _ in range(60)] + [generator.normal(6, 1, 5000) for _ in range(60)]
    chunks += [generator.normal(30, 1, 100) for _ in range(60)] + [generator.normal(3, 1, 300_000)]
    found = merged(chunks)
    assert len(found.sample) <= 64_000
    check_percentiles(found, np.concatenate(chunks), 0.015)


def test_percentiles_survive_a_thousand_merges() -> None:
    generator = np.random.default_rng(2)
    chunks = [generator.exponential(1 + i / 500, 2500) for i in range(1000)]
    check_percentiles(merged(chunks), np.concatenate(chunks), 0.01)
