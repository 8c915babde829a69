"""Ragged collections and batches against plain Python lists."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from collidekit.dataset.batch import Batch, Ragged, concatenate

COUNTS = st.lists(st.integers(0, 5), min_size=1, max_size=12)


def ragged(counts: list[int], first: float = 0) -> Ragged:
    total = sum(counts)
    data = torch.arange(total, dtype=torch.float32)[:, None] + torch.tensor([first, first + 0.5])
    return Ragged(data, torch.tensor([0, *counts]).cumsum(0), 2)


def lists(entry: Ragged) -> list[list[list[float]]]:
    edges = entry.offsets.tolist()
    return [entry.values[a:b].tolist() for a, b in pairwise(edges)]


def batch(counts: list[int], first: int = 0) -> Batch:
    rows = torch.arange(first, first + len(counts))
    return Batch(
        inputs={"parts": ragged(counts, first * 100), "jet": rows[:, None].float()},
        labels=rows % 3,
        weights=rows.float(),
        spectators={"pt": rows.float()},
        event={"event": rows},
        keys=rows,
        processes=rows,
        source=torch.stack([rows, rows], 1),
        index=rows,
    )


@settings(deadline=None)
@given(COUNTS, st.data())
def test_take_in_any_order_with_repeats(counts: list[int], data: st.DataObject) -> None:
    index = data.draw(st.lists(st.integers(0, len(counts) - 1), max_size=20))
    entry = ragged(counts)
    taken = entry.take(torch.tensor(index, dtype=torch.int64))
    assert lists(taken) == [lists(entry)[i] for i in index]
    assert int(taken.offsets[0]) == 0


@settings(deadline=None)
@given(COUNTS, st.data())
def test_slice_and_rows(counts: list[int], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(counts)))
    stop = data.draw(st.integers(start, len(counts)))
    entry = ragged(counts)
    part = entry.slice(start, stop)
    assert lists(part) == lists(entry)[start:stop]
    assert part.counts.tolist() == counts[start:stop]
    assert part.rows.tolist() == [i for i, count in enumerate(counts[start:stop]) for _ in range(count)]


@settings(deadline=None)
@given(st.lists(COUNTS, min_size=1, max_size=4))
def test_concatenate_is_the_inverse_of_slicing(pieces: list[list[int]]) -> None:
    first, batches = 0, []
    for counts in pieces:
        batches.append(batch(counts, first))
        first += len(counts)
    whole = concatenate(batches)
    assert whole.index.tolist() == list(range(first))
    expected = [row for b in batches for row in lists(b.inputs["parts"])]  # type: ignore[arg-type]
    assert lists(whole.inputs["parts"]) == expected  # type: ignore[arg-type]
    position = 0
    for b in batches:
        again = whole.slice(position, position + len(b))
        assert lists(again.inputs["parts"]) == lists(b.inputs["parts"])  # type: ignore[arg-type]
        assert torch.equal(again.source, b.source)
        position += len(b)


def test_momenta_and_coordinates_by_their_place() -> None:
    data = torch.arange(16.0).reshape(2, 8)
    entry = Ragged(data, torch.tensor([0, 2]), 2, has_momenta=True)
    assert entry.values.tolist() == [[0, 1], [8, 9]]
    assert entry.momenta.tolist() == [[2, 3, 4, 5], [10, 11, 12, 13]]
    assert entry.coordinates.tolist() == [[6, 7], [14, 15]]
    changed = entry.with_values(-entry.values)
    assert changed.values.tolist() == [[0, -1], [-8, -9]]
    assert torch.equal(changed.momenta, entry.momenta)
    with pytest.raises(ValueError, match="no momenta"):
        _ = ragged([1]).momenta
    with pytest.raises(ValueError, match="no coordinates"):
        _ = ragged([1]).coordinates


def test_to_changes_inputs_and_weights_only() -> None:
    moved = batch([2, 0, 1]).to("cpu", torch.float64)
    assert moved.inputs["jet"].dtype == torch.float64  # type: ignore[union-attr]
    assert moved.inputs["parts"].data.dtype == torch.float64  # type: ignore[union-attr]
    assert moved.weights.dtype == torch.float64
    assert moved.labels.dtype == torch.int64
    assert moved.spectators["pt"].dtype == torch.float32
