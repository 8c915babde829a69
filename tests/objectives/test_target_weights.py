"""Learned weights of losses: their known optimum, and what they are refused for."""

import pytest
import torch

from collidekit.analysis.load import parse_analysis
from collidekit.errors import CollidekitError
from collidekit.objectives.target_weights import LearnedWeights


def test_two_squared_losses_end_with_their_residual_variances() -> None:
    """Two linear fits with one slope each: the weights are 1 / (2 sigma^2) of what is left."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(20_000, generator=generator)
    sigmas = torch.tensor([0.3, 4.0])
    y = x[:, None] * torch.tensor([2.0, -1.0]) + sigmas * torch.randn(20_000, 2, generator=generator)
    slopes = torch.zeros(2, requires_grad=True)
    weights = LearnedWeights({"small": 1.0, "large": 1.0})
    optimizer = torch.optim.Adam([slopes, *weights.parameters()], lr=0.05)
    for _ in range(1500):
        losses = (y - x[:, None] * slopes).square().mean(dim=0)
        optimizer.zero_grad()
        weights.total({"small": losses[0], "large": losses[1]}).backward()
        optimizer.step()
    assert slopes.tolist() == pytest.approx([2.0, -1.0], abs=0.1)
    assert list(weights.weights().values()) == pytest.approx((1 / (2 * sigmas**2)).tolist(), rel=0.03)


def test_the_total_by_hand() -> None:
    weights = LearnedWeights({"classes": 1.0, "mass": 2.0, "vertex": 0.5})
    assert weights.weights() == pytest.approx({"classes": 1.0, "mass": 2.0, "vertex": 0.5})
    mass, vertex, classes = torch.tensor(3.0), torch.tensor(0.2), torch.tensor(0.7)
    rows, members = weights.totals(classes, {"mass": mass, "vertex": vertex}, ["mass"])
    assert rows.item() == pytest.approx(0.7 + 2 * 3 - 0.5 * 0.6931472)
    assert members.item() == pytest.approx(0.5 * 0.2 + 0.5 * 0.6931472)
    alone = LearnedWeights({"mass": 2.0, "vertex": 0.5})
    without, _ = alone.totals(torch.tensor(9.0), {"mass": mass, "vertex": vertex}, ["mass"])
    assert without.item() == pytest.approx(2 * 3 - 0.5 * 0.6931472)


def test_a_batch_without_truth_moves_no_weight() -> None:
    weights = LearnedWeights({"classes": 1.0, "mass": 2.0})
    rows, _ = weights.totals(torch.tensor(0.7), {"mass": torch.tensor(0.0)}, ["mass"])
    rows.backward()
    assert weights.logarithms.grad is not None
    assert weights.logarithms.grad.tolist() == pytest.approx([0.7 - 0.5, 0.0])


def test_a_negative_loss_is_an_error() -> None:
    weights = LearnedWeights({"classes": 1.0, "mass": 2.0})
    weights.refuse_negative({"classes": 0.5, "mass": 0.0, "other": -1.0})
    with pytest.raises(CollidekitError, match=r"the loss of 'mass' is -0\.2 on the validation rows"):
        weights.refuse_negative({"classes": 0.5, "mass": -0.2})


INPUTS = "inputs: {jets: {limit: 2, features: [pt]}}"
CLASSES = "classes: {a: x == 0, b: x == 1}"


@pytest.mark.parametrize(
    ("text", "objective", "message"),
    [
        (f"{CLASSES}\n{INPUTS}", "classification", "needs at least two losses"),
        (f"{INPUTS}\ntargets: {{mass: {{values: {{m: y}}}}}}", "classification", "needs at least two losses"),
        (f"{CLASSES}\n{INPUTS}\ntargets: {{mass: {{values: {{m: y}}}}}}", "relegation", "not relegation"),
        (f"{CLASSES}\n{INPUTS}\ntargets: {{classes: {{values: {{m: y}}}}}}", "classification", "another name"),
    ],
)
def test_what_cannot_be_meant_is_an_error(text: str, objective: str, message: str) -> None:
    analysis, _ = parse_analysis(text)
    with pytest.raises(CollidekitError, match=message):
        LearnedWeights.of(analysis, list(analysis.targets), objective)
