"""Losses of distributions, against torch, by hand, and at their optimum."""

import numpy as np
import pytest
import torch

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.targets import Regression
from collidekit.models.heads import RegressionHead, regression_head
from collidekit.objectives.densities import bin_cross_entropy, density_losses, gaussian_nll, log_cosh, pinball

LEVELS = (0.025, 0.16, 0.5, 0.84, 0.975)


def head(more: str, values: int = 1) -> RegressionHead:
    names = ", ".join(f"v{k}: t{k}" for k in range(values))
    text = f"inputs: {{point: {{features: [x]}}}}\ntargets: {{t: {{values: {{{names}}}, estimate: {more}}}}}\n"
    target = parse_analysis(text)[0].targets["t"]
    assert isinstance(target, Regression)
    return regression_head(target)


def test_gaussian_nll_is_that_of_torch() -> None:
    generator = torch.Generator().manual_seed(1)
    mean, truth = torch.randn(2, 50, 3, dtype=torch.float64, generator=generator)
    deviation = torch.rand(50, 3, dtype=torch.float64, generator=generator) + 0.1
    expected = -torch.distributions.Normal(mean, deviation).log_prob(truth)
    torch.testing.assert_close(gaussian_nll(mean, deviation, truth), expected)


def test_the_loss_of_the_head_is_the_mean_over_values() -> None:
    gaussian = head("gaussian", 2)
    truth = np.random.default_rng(2).normal([10, -3], [4, 0.5], (500, 2))
    gaussian.fit(truth)
    values = torch.from_numpy(truth)
    raw = torch.randn(500, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    columns = gaussian.decode(raw)
    expected = torch.zeros(500, dtype=torch.float64)
    for k in range(2):
        normal = torch.distributions.Normal(columns[f"pred_v{k}"], columns[f"pred_v{k}_sigma"])
        expected -= (normal.log_prob(values[:, k]) + gaussian.width[k].log()) / 2  # the density of the scaled value
    torch.testing.assert_close(density_losses(gaussian, raw, values), expected)


def test_the_smallest_pinball_loss_is_at_the_quantiles() -> None:
    samples = torch.from_numpy(np.random.default_rng(4).exponential(2.0, 4001))
    steps = torch.linspace(0.0, 12.0, 2401, dtype=torch.float64)
    for level in LEVELS:
        found = steps[
            torch.stack([pinball(s.expand(4001, 1, 1), samples[:, None], (level,)).mean() for s in steps]).argmin()
        ]
        assert float(found) == pytest.approx(-2 * np.log(1 - level), abs=0.3)
        assert float(found) == pytest.approx(float(np.quantile(samples.numpy(), level)), abs=0.02)


def test_pinball_by_hand() -> None:
    loss = pinball(torch.tensor([[[1.0, 2.0]]]), torch.tensor([[1.5]]), (0.1, 0.9))
    assert loss.item() == pytest.approx((0.1 * 0.5 + 0.1 * 0.5) / 2)


def test_bins_by_hand() -> None:
    logits = torch.log(torch.tensor([[[0.2, 0.3, 0.5]], [[0.6, 0.3, 0.1]]]))
    loss = bin_cross_entropy(logits, torch.tensor([[2], [0]]))
    torch.testing.assert_close(loss, -torch.log(torch.tensor([[0.5], [0.6]])))


@pytest.mark.parametrize("more", ["gaussian", "quantiles", "binned"])
def test_rows_without_truth_leave_no_trace_in_the_gradient(more: str) -> None:
    one = head(more)
    one.fit(np.random.default_rng(5).normal(1e9, 1, (400, 1)))
    truth = torch.tensor([[1e9 + 1], [float("nan")], [1e9]], dtype=torch.float64)
    raw = torch.zeros(3, one.outputs, requires_grad=True)
    losses = density_losses(one, raw, truth)
    assert losses.isfinite().all()
    (losses * truth.isfinite().all(dim=1)).sum().backward()
    assert raw.grad is not None
    assert raw.grad[1].abs().sum() == 0
    assert raw.grad[0].abs().sum() > 0


def test_log_cosh_by_hand_and_far_out() -> None:
    values = torch.tensor([0.0, 0.3, -2.0, 900.0], dtype=torch.float64)
    expected = torch.tensor([0.0, np.log(np.cosh(0.3)), np.log(np.cosh(2.0)), 900 - np.log(2)], dtype=torch.float64)
    torch.testing.assert_close(log_cosh(values), expected)


def test_the_median_may_have_log_cosh_and_the_other_quantiles_the_pinball_loss() -> None:
    usual, other = head("quantiles"), head("quantiles")
    other.target = other.target.model_copy(update={"median_loss": "logcosh"})
    truth = torch.tensor([[1.5]], dtype=torch.float64)
    raw = torch.randn(1, usual.outputs, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    quantiles = usual.parts(raw)
    difference = float(quantiles[0, 0, usual.middle]) - 1.5
    change = (np.log(np.cosh(difference)) - abs(difference) / 2) / len(LEVELS)
    assert float(density_losses(other, raw, truth) - density_losses(usual, raw, truth)) == pytest.approx(change)
