"""Losses against formulas, and weights against repetition."""

import pytest
import torch
import torch.nn.functional as F

from collidekit.dataset.batch import Batch
from collidekit.models.heads import ClassesHead
from collidekit.objectives.classification import Classification


def rows(labels: list[int]) -> Batch:
    n = len(labels)
    zeros = torch.zeros(n, dtype=torch.int64)
    return Batch(
        inputs={}, labels=torch.tensor(labels), weights=torch.ones(n), spectators={}, event={}, keys=zeros, processes=zeros,
        source=torch.zeros(n, 2, dtype=torch.int64), index=zeros,
    )  # fmt: skip


@pytest.fixture
def outputs() -> torch.Tensor:
    return torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 3


@pytest.fixture
def labels() -> torch.Tensor:
    return torch.randint(3, (50,), generator=torch.Generator().manual_seed(2))


ONES = torch.ones(3)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_with_label_smoothing_by_hand(
    outputs: torch.Tensor, labels: torch.Tensor, smoothing: float
) -> None:
    target = (1 - smoothing) * F.one_hot(labels, 3) + smoothing / 3
    expected = -(target * outputs.softmax(dim=1).log()).sum(dim=1)
    torch.testing.assert_close(Classification(ONES, label_smoothing=smoothing).losses(outputs, labels), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_focal_loss_of_gamma_0_is_cross_entropy(outputs: torch.Tensor, labels: torch.Tensor, smoothing: float) -> None:
    focal = Classification(ONES, "FocalLoss", smoothing, focal_gamma=0.0)
    torch.testing.assert_close(
        focal.losses(outputs, labels), Classification(ONES, label_smoothing=smoothing).losses(outputs, labels)
    )


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_is_that_of_the_paper(outputs: torch.Tensor, labels: torch.Tensor, gamma: float) -> None:
    p = outputs.softmax(dim=1)[torch.arange(50), labels]  # arXiv 1708.02002, eq. 4
    expected = -((1 - p) ** gamma) * p.log()
    torch.testing.assert_close(Classification(ONES, "FocalLoss", focal_gamma=gamma).losses(outputs, labels), expected)


@pytest.mark.parametrize(
    ("loss", "gamma"), [("CrossEntropyLoss", 0), ("FocalLoss", 0), ("FocalLoss", 0.5), ("FocalLoss", 2)]
)
def test_extreme_outputs_give_a_finite_loss_and_gradient(loss: str, gamma: float) -> None:
    outputs = torch.tensor([[90.0, -90.0, 0.0], [-90.0, 90.0, 0.0]], requires_grad=True)
    value = Classification(ONES, loss, 0.1, gamma).loss(outputs, rows([0, 0]), torch.ones(2))  # type: ignore[arg-type]
    value.backward()
    assert value.isfinite()
    assert outputs.grad is not None
    assert outputs.grad.isfinite().all()


def test_class_weights_multiply_rows_of_their_class() -> None:
    outputs = torch.randn(4, 3)
    labels = [0, 1, 2, 1]
    single = Classification(ONES).losses(outputs, torch.tensor(labels))
    weighted = Classification(torch.tensor([1.0, 5.0, 0.0])).loss(outputs, rows(labels), torch.ones(4))
    assert weighted.item() == pytest.approx((single[0] + 5 * single[1] + 5 * single[3]).item() / 4)


@pytest.mark.parametrize("loss", ["CrossEntropyLoss", "FocalLoss"])
def test_a_weight_of_3_is_three_rows_to_the_gradient(loss: str) -> None:
    layer = torch.nn.Linear(2, 3).double()
    x, labels, weights = (
        torch.randn(3, 2, dtype=torch.float64),
        [0, 2, 1],
        torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64),
    )
    objective = Classification(torch.tensor([1.0, 0.5, 2.0]), loss, 0.1)  # type: ignore[arg-type]

    def gradient(x: torch.Tensor, labels: list[int], weights: torch.Tensor) -> torch.Tensor:
        layer.zero_grad()
        (objective.loss(layer(x), rows(labels), weights) * len(labels)).backward()
        assert layer.weight.grad is not None
        return layer.weight.grad.clone()

    repeats = weights.long()
    index = torch.repeat_interleave(torch.arange(3), repeats)
    repeated = gradient(x[index], [labels[i] for i in index], torch.ones(6, dtype=torch.float64))
    torch.testing.assert_close(gradient(x, labels, weights), repeated)


def test_the_head_has_one_output_for_each_class() -> None:
    head = ClassesHead(["a", "b", "c"])
    assert head.outputs == 3
    decoded = head.decode(torch.tensor([[0.0, 0.0, 0.0], [0.0, 100.0, 0.0]]))
    assert list(decoded) == ["prob_a", "prob_b", "prob_c"]
    torch.testing.assert_close(decoded["prob_b"], torch.tensor([1 / 3, 1.0], dtype=torch.float64))
