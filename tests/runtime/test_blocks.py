"""Blocks of rows: each row once, with little padding and limited size; and the tensors of a block."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from collidekit.dataset.arrays import RaggedArray, RowArrays
from collidekit.errors import CollidekitError
from collidekit.models.heads.flow import event_noise
from collidekit.runtime import blocks
from collidekit.runtime.blocks import cut, padded
from collidekit.runtime.runner import Runner, _places
from collidekit.runtime.schema import TensorIn


@pytest.mark.parametrize("collections", [1, 2])
def test_all_rows_once_with_little_padding(collections: int) -> None:
    rng = np.random.default_rng(1)
    counts = [rng.integers(0, 60, 2000) for _ in range(collections)]
    found = list(cut(counts))
    assert sorted(np.concatenate(found).tolist()) == list(range(2000))
    real = sum(int(column.sum()) for column in counts)
    slots = sum(len(rows) * sum(int(column[rows].max()) for column in counts) for rows in found)
    assert slots < 1.6 * real if collections == 2 else slots < 1.12 * real
    for rows in found:
        slots = sum(int(column[rows].max()) for column in counts)
        assert len(rows) == 1 or len(rows) * slots <= blocks.MOST_SLOTS


def test_pairs_and_draws_are_bounded() -> None:
    assert max(map(len, cut([np.full(3000, 90)]))) == blocks.MOST_SLOTS // 90
    assert max(map(len, cut([np.full(300, 600)]))) == blocks.MOST_PAIRS // 600**2
    assert max(map(len, cut([np.full(3000, 2)], fixed=1000))) == blocks.MOST_WITH_DRAWS // 1002
    assert [rows.tolist() for rows in cut([np.array([5000])])] == [[0]]
    assert list(cut([np.zeros(0, dtype=np.int64)])) == []


def test_padding_is_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = RaggedArray(np.arange(12, dtype=np.float32).reshape(6, 2), np.array([0, 2, 2, 5, 6]), 2)
    values, mask = padded(entry, np.array([2, 1, 0]))
    assert mask.tolist() == [[1, 1, 1], [0, 0, 0], [1, 1, 0]]
    assert values[0].tolist() == [[4, 5], [6, 7], [8, 9]]
    assert values[1].tolist() == [[0, 0]] * 3
    assert values[2, 2].tolist() == [0, 0]
    values, mask = padded(entry, np.array([1]))
    assert values.shape == (1, 0, 2)
    assert mask.shape == (1, 0)


def test_positions_are_those_in_the_file() -> None:
    targets = np.array([[9, 4], [9, 1], [9, 7]], dtype=np.int32)
    entry = RaggedArray(np.zeros((3, 1), np.float32), np.array([0, 2, 3, 3]), 1, targets=targets)
    position = np.array([1, 0, -1])
    assert _places(entry, position, True).tolist() == [1, 7, -1]
    assert _places(entry, position, False).tolist() == [1, 0, -1]


def make_rows(event: dict[str, Any]) -> RowArrays:
    n = 4
    zero = np.zeros(n, dtype=np.int64)
    source = np.stack([zero, np.arange(n)], axis=1)
    return RowArrays({"jet": np.ones((n, 2), np.float32)}, zero, zero, {}, event, zero, zero, source, np.arange(n))


def make_runner(*inputs: TensorIn) -> Runner:
    session = SimpleNamespace(inputs=[entry.name for entry in inputs], outputs=[], path="b/model.onnx")
    return Runner(session, SimpleNamespace(inputs=inputs, outputs=()), SimpleNamespace(assignments={}))  # type: ignore[arg-type]


@pytest.mark.parametrize("event", [{}, {"run": np.arange(4), "event": np.arange(4) + 2**60}])
def test_the_noise_of_a_flow_is_that_of_the_checkpoint(event: dict[str, Any]) -> None:
    rows = make_rows(event)
    runner = make_runner(
        TensorIn(name="jet", kind="group", of="jet", shape=("N", 2)),
        TensorIn(name="noise_nu", kind="noise", of="nu", shape=("N", 50, 3)),
    )
    found = runner.tensors(rows, np.array([3, 1]))["noise_nu"]
    batch: Any = SimpleNamespace(
        event={name: torch.from_numpy(values) for name, values in event.items()}, source=torch.from_numpy(rows.source)
    )
    expected = event_noise(batch, "nu", 50, 3).normal.numpy().astype(np.float32)
    np.testing.assert_array_equal(found, expected[[3, 1]])


def test_half_precision_never_becomes_infinite_without_a_word() -> None:
    runner = make_runner(TensorIn(name="jet", kind="group", of="jet", shape=("N", 2), dtype="float16"))
    assert runner.as_given("jet", np.array([[65504.0, np.nan]])).dtype == np.float16
    with pytest.raises(CollidekitError, match=r"input 'jet' has half precision, which cannot hold the value 70000"):
        runner.as_given("jet", np.array([[-70000.0, np.inf]]))
