"""Memory that is lent again."""

import torch

from collidekit.models.workspace import Workspace

CPU = torch.device("cpu")


def test_what_was_given_back_is_lent_again() -> None:
    workspace = Workspace()
    first = workspace.take(100, 8, torch.float32, CPU)
    assert first.shape[0] >= 100
    assert first.shape[1] == 8
    second = workspace.take(100, 8, torch.float32, CPU)
    assert second.data_ptr() != first.data_ptr()
    workspace.give(first)
    assert workspace.take(90, 8, torch.bfloat16, CPU).dtype == torch.bfloat16
    assert workspace.take(90, 8, torch.float32, CPU) is first


def test_one_that_is_too_small_is_replaced() -> None:
    workspace = Workspace()
    small = workspace.take(10, 4, torch.float32, CPU)
    workspace.give(small)
    large = workspace.take(1000, 4, torch.float32, CPU)
    assert large.shape[0] >= 1000
    workspace.give(large)
    assert workspace.take(10, 4, torch.float32, CPU) is large
    assert workspace.take(10, 4, torch.float32, CPU) is not small
