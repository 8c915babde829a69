"""Each optimizer that can be named makes a step, with the settings that it has."""

import math

import pytest
import torch

from collidekit.training.ema import WeightAverage
from collidekit.training.optimizers import OPTIMIZERS, build_optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_goes_downhill(name: str) -> None:
    torch.manual_seed(1)
    layer, x = torch.nn.Linear(3, 1), torch.randn(64, 3)
    optimizer = build_optimizer(name, layer.parameters(), 1e-2, (0.9, 0.99), 1e-7, 0.01)
    losses = []
    for _ in range(20):
        loss = (layer(x) - x.sum(dim=1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    for group in optimizer.param_groups:
        given = {"lr": 1e-2, "betas": (0.9, 0.99), "eps": 1e-7, "momentum": 0.9}
        assert {key: group[key] for key in given if key in group} == {key: given[key] for key in given if key in group}
        assert "betas" in group or "momentum" in group or name == "Adagrad"


def test_biases_are_not_decayed() -> None:
    layer = torch.nn.Linear(3, 2)
    optimizer = build_optimizer("AdamW", layer.parameters(), 1e-3, (0.9, 0.99), 1e-8, 0.5)
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert (decay[id(layer.weight)], decay[id(layer.bias)]) == (0.5, 0.0)


def test_average_is_its_formula() -> None:
    layer = torch.nn.Linear(2, 2)
    average = WeightAverage(layer, 0.9)
    expected = layer.weight.detach().clone()
    for step in range(1, 200):
        with torch.no_grad():
            layer.weight.add_(torch.randn(2, 2))
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * layer.weight.detach()
        average.update(layer, step)
    torch.testing.assert_close(average.model.weight, expected)
    assert not average.model.weight.requires_grad  # type: ignore[union-attr]


def test_statistics_are_averaged_and_other_buffers_taken_as_they_are() -> None:
    norm = torch.nn.BatchNorm1d(3)
    norm.register_buffer("limits", torch.tensor([-torch.inf, 1.0]))
    average = WeightAverage(norm, 0.99)
    expected = norm.running_mean.clone()
    for step in range(1, 5):
        norm(torch.randn(20, 3) + 5 * step)
        norm.limits += 1
        average.update(norm, step)
        decay = (1 + step) / (10 + step)
        expected = decay * expected + (1 - decay) * norm.running_mean
    torch.testing.assert_close(average.model.running_mean, expected)
    assert torch.equal(average.model.limits, norm.limits)
    assert average.model.num_batches_tracked == 4
    assert not average.model.training


def test_an_average_of_a_network_with_batch_normalisation_is_of_use_at_once() -> None:
    """Its statistics are of the same age as its weights: they fit, where those of the last step do not."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 1))
    average = WeightAverage(network, 0.99)
    x = torch.randn(256, 2)
    for step in range(1, 200):
        with torch.no_grad():
            network[0].weight.mul_(1.02)  # what comes to the normalisation grows
        network(x)
        average.update(network, step)
    seen = average.model[0](x).var(dim=0).mean().log()
    apart, apart_now = ((seen - norm.running_var.mean().log()).abs() for norm in (average.model[1], network[1]))
    assert apart < 0.7 * apart_now


def test_average_of_bfloat16_weights_is_kept_in_float32() -> None:
    layer = torch.nn.Linear(1, 1).bfloat16()
    average = WeightAverage(layer, 0.9999)
    begin = average.model.weight.item()  # type: ignore[operator]
    with torch.no_grad():
        layer.weight.add_(1)
    for step in range(10_000, 10_010):
        average.update(layer, step)
    # ten steps of a decay of min(0.9999, 10,001 / 10,010): the second
    share = 1 - math.prod((1 + step) / (10 + step) for step in range(10_000, 10_010))
    assert average.model.weight.item() - begin == pytest.approx(share * (layer.weight.item() - begin), rel=0.02)  # type: ignore[operator]
