"""Scaling lives in the model: fitted to the rows of the training without their defaults, it travels with the weights."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import toys

from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.loader import Dataset
from collidekit.dataset.statistics import merge_statistics, statistics
from collidekit.models import Tagger
from collidekit.models.scaling import Scaling


def scaled(dataset: Dataset, batch: Batch) -> tuple[Ragged, torch.Tensor]:
    scaling = Scaling(dataset.analysis.inputs)
    scaling.fit(statistics(batch, dataset.analysis))
    inputs = scaling(batch.inputs)
    return inputs["constituents"], inputs["jet"]


def test_standard_scaling_gives_mean_0_and_width_1(dataset: Dataset, batch: Batch) -> None:
    constituents, jet = scaled(dataset, batch)
    for column in (constituents.values[:, 0], constituents.values[:, 2], jet[:, 0]):
        assert column.mean().item() == pytest.approx(0, abs=1e-5)
        assert column.std(correction=0).item() == pytest.approx(1, rel=1e-5)


def test_robust_scaling_is_by_percentiles_without_defaults(dataset: Dataset, batch: Batch) -> None:
    raw = batch.inputs["constituents"].values[:, 3].numpy()  # type: ignore[union-attr]
    constituents, _ = scaled(dataset, batch)
    kept = constituents.values[:, 3].numpy()[raw != -9]
    assert 0.1 < (raw == -9).mean() < 0.3
    low, middle, high = np.percentile(kept, [16, 50, 84])
    assert (middle, (high - low) / 2) == pytest.approx((0, 1), abs=0.01)  # of a sample of the rows


def test_statistics_of_parts_scale_like_those_of_the_whole(dataset: Dataset, batch: Batch) -> None:
    parts = [statistics(batch.slice(a, a + 50), dataset.analysis) for a in range(0, len(batch), 50)]
    merged = parts[0]
    for part in parts[1:]:
        merged = merge_statistics(merged, part)
    whole, pieces = Scaling(dataset.analysis.inputs), Scaling(dataset.analysis.inputs)
    whole.fit(statistics(batch, dataset.analysis))
    pieces.fit(merged)
    for name, value in whole.state_dict().items():
        if name.startswith("jet"):
            torch.testing.assert_close(pieces.state_dict()[name], value)


def test_a_constant_feature_keeps_its_unit(dataset: Dataset, batch: Batch) -> None:
    _, jet = scaled(dataset, batch)
    assert (batch.inputs["jet"][:, 1] == 1).all()  # type: ignore[index]
    assert (jet[:, 1] == 0).all()


def test_coordinates_stay_in_their_units(dataset: Dataset, batch: Batch) -> None:
    constituents, _ = scaled(dataset, batch)
    assert torch.equal(constituents.coordinates, batch.inputs["constituents"].coordinates)  # type: ignore[union-attr]


def test_no_scaling_where_the_feature_says_so(tmp_path: Path) -> None:
    text = toys.GAUSSIANS.replace("[x, y]", "[{name: x, scaling: none}, y]")
    dataset = toys.make_dataset(tmp_path, text, toys.gaussians_table(50, 2.0))
    batch = toys.all_rows(dataset)
    scaling = Scaling(dataset.analysis.inputs)
    scaling.fit(statistics(batch, dataset.analysis))
    result = scaling(batch.inputs)["point"]
    assert torch.equal(result[:, 0], batch.inputs["point"][:, 0])  # type: ignore[index]
    assert math.isclose(result[:, 1].mean().item(), 0, abs_tol=1e-5)


def test_scaling_travels_in_the_state(tagger: Tagger, dataset: Dataset, batch: Batch) -> None:
    from collidekit.models import build_network

    other = Tagger(dataset.analysis, build_network("pfn", dataset.analysis.inputs, 2, {})).eval()
    assert not torch.equal(other(batch), tagger(batch))
    other.load_state_dict(tagger.state_dict())
    assert torch.equal(other(batch), tagger(batch))
