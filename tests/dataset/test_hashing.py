"""Hashes tell rows apart, and nothing but their content decides them."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from collidekit.dataset.batch import Ragged
from collidekit.dataset.hashing import hash_columns, hash_inputs, mix, uniform


def ragged(rows: list[list[list[float]]]) -> Ragged:
    flat = [member for row in rows for member in row]
    data = torch.tensor(flat, dtype=torch.float32).reshape(len(flat), 2)
    return Ragged(data, torch.tensor([0, *(len(row) for row in rows)]).cumsum(0), 2)


MEMBER = st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=2)
ROWS = st.lists(st.lists(MEMBER, max_size=4), min_size=2, max_size=6)


@given(ROWS, st.randoms())
def test_equal_rows_have_equal_hashes_wherever_they_stand(rows: list[list[list[float]]], random: object) -> None:
    rows = [*rows, rows[0]]
    hashes = hash_inputs({"parts": ragged(rows)})
    rounded = [repr(np.asarray(row, np.float32).reshape(-1, 2) + 0) for row in rows]
    for i in range(len(rows)):
        for j in range(len(rows)):
            assert (hashes[i] == hashes[j]) == (rounded[i] == rounded[j])
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert (hash_inputs({"parts": ragged([rows[i] for i in order])}) == hashes[order]).all()


def test_the_order_of_constituents_matters_and_so_does_the_number_of_zeros() -> None:
    a, b, zero = [1.0, 2.0], [3.0, 4.0], [0.0, 0.0]
    rows = [[a, b], [b, a], [a], [a, zero], [a, zero, zero], [], [zero], [zero, a], [[2.0, 1.0]]]
    assert len(set(hash_inputs({"parts": ragged(rows)}).tolist())) == len(rows)


def test_the_sign_of_zero_does_not_matter() -> None:
    hashes = hash_inputs({"jet": torch.tensor([[0.0, 1.0], [-0.0, 1.0]])})
    assert hashes[0] == hashes[1]


def test_no_collisions_among_many_similar_rows() -> None:
    """2^32 values would give one collision in 10^5 rows; 64 bits give none."""
    number = np.arange(100_000)
    grid = torch.from_numpy(np.stack([number % 317, number // 317, number * 0], 1).astype(np.float32))
    assert len(np.unique(hash_inputs({"jet": grid}))) == 100_000
    parts = Ragged(grid[:, :2].repeat_interleave(2, 0), torch.arange(0, 200_001, 2), 2)
    assert len(np.unique(hash_inputs({"parts": parts, "jet": grid}))) == 100_000
    assert len(np.unique(hash_columns([number // 1000, number % 1000]))) == 100_000
    assert len(np.unique(mix(number))) == 100_000


def test_event_numbers_are_not_interchangeable() -> None:
    assert hash_columns([np.array([1, 2]), np.array([2, 1])])[0] != hash_columns([np.array([2]), np.array([1])])[0]


def test_uniform_is_uniform_and_a_function_of_its_salts() -> None:
    keys = torch.arange(100_000)
    numbers = uniform(keys, 5, 0)
    counts, _ = np.histogram(numbers, 100, (0, 1))
    assert ((counts - 1000) ** 2 / 1000).sum() < 99 + 5 * np.sqrt(2 * 99)
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 4 / np.sqrt(len(numbers))
    assert abs(np.corrcoef(numbers, uniform(keys, 5, 1))[0, 1]) < 4 / np.sqrt(len(numbers))
    assert (numbers == uniform(keys, 5, 0)).all()
    assert (numbers < 1).all()
    assert (numbers >= 0).all()
