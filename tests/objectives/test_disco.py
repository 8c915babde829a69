"""Distance correlation, against its definition written as loops, and DisCo's pull away from the mass."""

import numpy as np
import torch

from collidekit.objectives.disco import distance_correlation


def by_definition(x: np.ndarray, y: np.ndarray) -> float:
    """Szekely et al., arXiv 0803.4101, definition 4, squared."""

    def centred(v: np.ndarray) -> np.ndarray:
        d = np.abs(v[:, None] - v[None, :])
        return d - d.mean(axis=0)[None, :] - d.mean(axis=1)[:, None] + d.mean()

    a, b = centred(x), centred(y)
    return float((a * b).mean() / np.sqrt((a * a).mean() * (b * b).mean()))


def test_against_the_definition() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=60)
    for y in (x**2, random.normal(size=60), 3 - 2 * x):
        found = distance_correlation(torch.tensor(x), torch.tensor(y), torch.ones(60, dtype=torch.float64)).item()
        assert abs(found - by_definition(x, y)) < 1e-12
    assert abs(distance_correlation(torch.tensor(x), torch.tensor(3 - 2 * x), torch.ones(60)).item() - 1) < 1e-6


def test_a_row_of_weight_two_is_two_rows() -> None:
    random = np.random.default_rng(1)
    x, y = torch.tensor(random.normal(size=(2, 30)))
    weights = torch.ones(30, dtype=torch.float64)
    weights[:10] = 2
    index = torch.cat([torch.arange(30), torch.arange(10)])
    twice = distance_correlation(x[index], y[index], torch.ones(40, dtype=torch.float64))
    torch.testing.assert_close(distance_correlation(x, y, weights / weights.mean()), twice)


def test_the_gradient_lowers_it() -> None:
    torch.manual_seed(0)
    y = torch.randn(200)
    x = (y + 0.1 * torch.randn(200)).requires_grad_()
    optimizer = torch.optim.Adam([x], 0.05)
    first = distance_correlation(x, y, torch.ones(200)).item()
    for _ in range(100):
        optimizer.zero_grad()
        distance_correlation(x, y, torch.ones(200)).backward()
        optimizer.step()
    assert distance_correlation(x, y, torch.ones(200)).item() < 0.3 * first


def test_a_constant_is_not_a_nan() -> None:
    x = torch.ones(20, requires_grad=True)
    found = distance_correlation(x, torch.randn(20), torch.ones(20))
    found.backward()
    assert found.item() == 0
    assert torch.isfinite(x.grad).all()
