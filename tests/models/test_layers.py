"""The sum over each row."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from collidekit.errors import CollidekitError
from collidekit.models.layers import mlp, segment_sum


def ragged(counts: list[int], width: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    offsets = torch.tensor([0, *counts]).cumsum(0)
    return torch.randn(int(offsets[-1]), width, dtype=torch.float64), offsets


@settings(deadline=None)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=12))
def test_segment_sum_is_the_loop(counts: list[int]) -> None:
    values, offsets = ragged(counts)
    loop = torch.stack([values[a:b].sum(dim=0) for a, b in pairwise(offsets)])
    torch.testing.assert_close(segment_sum(values, offsets), loop)


@pytest.mark.parametrize("counts", [[2, 0, 3, 1], [0, 0], [5]])
def test_segment_sum_gradient(counts: list[int]) -> None:
    values, offsets = ragged(counts)
    assert torch.autograd.gradcheck(lambda v: segment_sum(v, offsets), values.requires_grad_())


def test_segment_sum_passes_on_the_gradient_of_its_own_row() -> None:
    values, offsets = ragged([2, 0, 3])
    values.requires_grad_()
    (segment_sum(values, offsets) * torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)).sum().backward()
    assert values.grad is not None
    assert values.grad[:, 0].tolist() == [1, 1, 3, 3, 3]


def test_mlp_layers() -> None:
    assert [type(layer).__name__ for layer in mlp([2, 3, 4], "gelu", dropout=0.1)] == ["Linear", "GELU", "Dropout"] * 2
    assert [type(layer).__name__ for layer in mlp([2, 3, 4], last=False)] == ["Linear", "ReLU", "Linear"]


def test_unknown_activation() -> None:
    with pytest.raises(CollidekitError, match=r"no activation 'rellu' \(did you mean 'relu'"):
        mlp([2, 3], "rellu")
