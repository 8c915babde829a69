"""Heads that give a distribution: order of quantiles, histogram against sampling, exact probabilities below the truth."""

import conditional
import numpy as np
import pytest
import torch
from scipy.stats import norm

from collidekit.analysis.estimates import LEVELS, suffix_of
from collidekit.analysis.load import parse_analysis
from collidekit.analysis.targets import Regression
from collidekit.errors import CollidekitError
from collidekit.models.heads import RegressionHead, regression_head
from collidekit.models.heads.binned import BinnedHead


def head(more: str, scale: str = "standard") -> RegressionHead:
    of_scale = "" if more.startswith("binned") else f", scale: {scale}"
    text = f"inputs: {{point: {{features: [x]}}}}\ntargets: {{t: {{values: {{a: u, b: v}}, estimate: {more}{of_scale}}}}}\n"
    target = parse_analysis(text)[0].targets["t"]
    assert isinstance(target, Regression)
    found = regression_head(target)
    found.fit(np.random.default_rng(1).lognormal([0, 3], [0.5, 1], (5000, 2)))
    return found


def raw(of: RegressionHead, rows: int = 200, width: float = 2.0) -> torch.Tensor:
    return width * torch.randn(rows, of.outputs, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("more", ["gaussian", "quantiles", "quantiles, quantiles: [0.1, 0.5, 0.6, 0.9]", "binned"])
@pytest.mark.parametrize("scale", ["standard", "log", "none", "robust"])
def test_columns_are_those_that_the_analysis_names(more: str, scale: str) -> None:
    one = head(more, scale)
    found = one.decode(raw(one))
    named = [column for column in one.target.columns if column.startswith("pred_")]
    assert set(found) == set(named)
    assert len(one.columns) == len(named)
    assert all(column.dtype == torch.float64 and column.shape == (200,) for column in found.values())
    torch.testing.assert_close(one.estimates(raw(one)), torch.stack([found["pred_a"], found["pred_b"]], dim=1))


@pytest.mark.parametrize("scale", ["standard", "log"])
@pytest.mark.parametrize("width", [1.0, 30.0])
def test_quantiles_never_cross(scale: str, width: float) -> None:
    one = head("quantiles, quantiles: [0.01, 0.1, 0.5, 0.6, 0.9, 0.99]", scale)
    found = one.decode(raw(one, 2000, width if scale == "standard" else 1.0))
    order = [found[f"pred_b{suffix}"] for suffix in ("_q01", "_q1", "", "_q6", "_q9", "_q99")]
    assert (torch.stack(order).diff(dim=0) >= 0).all()


def test_a_gaussian_of_the_logarithm() -> None:
    """``sigma`` is half the width of the central 68.27 % interval of the log-normal distribution."""
    one = head("gaussian", "log")
    given = raw(one, 5, 1.0)
    found = one.decode(given)
    mean, deviation = one.parts(given.double())  # type: ignore[operator]
    mean = mean * one.width + one.shift
    deviation = deviation * one.width
    low, high = ((mean + float(z) * deviation).exp() for z in norm.ppf([0.15865525, 0.84134475]))
    torch.testing.assert_close(found["pred_b"], mean[:, 1].exp())
    torch.testing.assert_close(found["pred_b_sigma"], ((high - low) / 2)[:, 1], rtol=1e-6, atol=0)


def test_a_histogram_says_what_its_samples_say() -> None:
    one = head("binned, bins: 8")
    assert isinstance(one, BinnedHead)
    given = raw(one, 3, 1.0)
    found, chance = one.decode(given), one.logits(given).double().softmax(-1).numpy()
    edges, generator = one.edges.numpy()[1], np.random.default_rng(3)
    for row in range(3):
        bins = generator.choice(8, 400_000, p=chance[row, 1])
        samples = edges[bins] + generator.uniform(size=len(bins)) * np.diff(edges)[bins]
        assert float(found["pred_b"][row]) == pytest.approx(samples.mean(), rel=0.01)
        for level in LEVELS:
            suffix = "median" if level == 0.5 else suffix_of(level)
            assert (samples < float(found[f"pred_b_{suffix}"][row])).mean() == pytest.approx(level, abs=0.003)
        truth = torch.full((3, 2), 20.0, dtype=torch.float64)
        assert float(one.cumulative(given, truth)[row, 1]) == pytest.approx((samples < 20).mean(), abs=0.003)


@pytest.mark.parametrize(("bins", "within"), [(60, 0.02), (200, 0.008)])
def test_exact_probabilities_of_bins_cover_what_they_say(bins: int, within: float) -> None:
    """The narrower the bins, the less is lost by a density that is constant within them."""
    text = (
        f"inputs: {{point: {{features: [x]}}}}\ntargets: {{t: {{values: {{a: u}}, estimate: binned, bins: {bins}}}}}\n"
    )
    one = regression_head(parse_analysis(text)[0].targets["t"])  # type: ignore[arg-type]
    assert isinstance(one, BinnedHead)
    rows = conditional.table(20_000, 2, bimodal=True)
    x, truth = np.asarray(rows["x"], dtype=np.float64), np.asarray(rows["true_energy"])
    one.fit(truth[:, None])
    centres = [conditional.mean(x) + sign * (10 + 3 * x) for sign in (-1, 1)]
    below = sum(norm.cdf(one.edges.numpy()[0][None], centre[:, None], 2.5) for centre in centres) / 2
    given = torch.from_numpy(np.log(np.diff(below, axis=1) + 1e-300))
    columns = {name: values.numpy() for name, values in one.decode(given).items()}
    for low, high, chance in (("q16", "q84", 0.68), ("q025", "q975", 0.95)):
        inside = (columns[f"pred_a_{low}"] <= truth) & (truth <= columns[f"pred_a_{high}"])
        assert inside.mean() == pytest.approx(chance, abs=within)
    pit = one.cumulative(given, torch.from_numpy(truth)[:, None])[:, 0].numpy()
    assert np.abs(np.histogram(pit, 20, (0, 1))[0] / 1000 - 1).max() < (0.2 if bins == 60 else 0.12)


def test_truth_beyond_the_histogram_and_unknown() -> None:
    one = head("binned, bins: 8")
    assert isinstance(one, BinnedHead)
    truth = torch.tensor([[-1e30, 1e30], [float("nan"), 3.0]], dtype=torch.float64)
    found = one.cumulative(raw(one, 2), truth)
    assert found[0].tolist() == [0.0, pytest.approx(1.0)]
    assert found[1].isnan().tolist() == [True, False]
    assert one.bins_of(truth)[0].tolist() == [0, 7]


def test_edges_hold_as_many_rows_each() -> None:
    one = head("binned, bins: 8")
    assert isinstance(one, BinnedHead)
    truth = np.random.default_rng(1).lognormal([0, 3], [0.5, 1], (5000, 2))
    counts = np.bincount(one.bins_of(torch.from_numpy(truth))[:, 1].numpy())
    assert counts.tolist() == [625] * 8


def test_many_equal_values_are_an_error() -> None:
    truth = np.random.default_rng(1).integers(0, 4, (1000, 2)).astype(float)
    with pytest.raises(CollidekitError, match=r"value 'a' of a target has so many equal values.*fewer 'bins'"):
        head("binned").fit(truth)
