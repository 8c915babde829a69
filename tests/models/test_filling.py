"""Values that are missing, infinite or out of bounds, inside the model and in the construction of a dataset."""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch
import toys
from attrs import evolve

from collidekit.analysis.load import parse_analysis
from collidekit.dataset.batch import Batch, Ragged
from collidekit.models import Tagger, build_network
from collidekit.models.filling import Filling

ANALYSIS = """
classes: {one: label == 0, two: label == 1}
inputs:
  tracks:
    limit: 20
    momenta: [px, py, pz, e]
    features:
      - {name: a, default: -5, bounds: [-1, 1]}
      - {name: b, bounds: [0, .inf]}
      - c
  jet: {features: [{name: x, default: 2, bounds: [-.inf, 1]}, y]}
event: [event]
"""
ODD = np.array([np.nan, np.inf, -np.inf, -5, 0, 0.5, 3, -3, 1e30, -1e30, 1e300, 2, 1, -1])


def raw(rows: int = 40) -> tuple[ak.Array, dict[str, np.ndarray]]:
    """A table of odd values, and its columns side by side in float32."""
    generator = np.random.default_rng(4)
    counts = generator.integers(0, 6, rows)
    tracks = {name: generator.choice(ODD, counts.sum()) for name in ("a", "b", "c", "px", "py", "pz", "e")}
    jet = {name: generator.choice(ODD, rows) for name in ("x", "y")}
    table = ak.zip(
        {"label": np.arange(rows) % 2, "event": np.arange(rows), **jet}
        | {name: ak.unflatten(values, counts) for name, values in tracks.items()},
        depth_limit=1,
    )
    with np.errstate(over="ignore"):
        columns = {
            "tracks": np.stack(list(tracks.values()), axis=1).astype(np.float32),
            "jet": np.stack(list(jet.values()), axis=1).astype(np.float32),
        }
    return table, columns


@pytest.fixture
def filled(tmp_path: Path) -> Batch:
    """As the construction of a dataset makes it."""
    return toys.all_rows(toys.make_dataset(tmp_path, ANALYSIS, raw()[0]))


def with_raw(batch: Batch) -> Batch:
    columns = {name: torch.from_numpy(values) for name, values in raw()[1].items()}
    tracks = batch.inputs["tracks"]
    assert isinstance(tracks, Ragged)
    return evolve(batch, inputs={"tracks": evolve(tracks, data=columns["tracks"]), "jet": columns["jet"]})


def data(inputs: object, name: str) -> torch.Tensor:
    entry = inputs[name]  # type: ignore[index]
    return entry.data if isinstance(entry, Ragged) else entry  # type: ignore[no-any-return]


def test_the_model_fills_as_the_construction_does(filled: Batch) -> None:
    analysis = parse_analysis(ANALYSIS, "odd.yaml")[0]
    found = Filling(analysis.inputs)(with_raw(filled).inputs)
    for name in ("tracks", "jet"):
        assert torch.equal(data(found, name), data(filled.inputs, name))
    again = Filling(analysis.inputs)(filled.inputs)
    assert all(torch.equal(data(again, name), data(filled.inputs, name)) for name in again)


def test_the_rule_by_hand() -> None:
    filling = Filling(parse_analysis(ANALYSIS, "odd.yaml")[0].inputs)
    values = torch.tensor([[torch.nan, torch.inf], [-torch.inf, 7.0], [2.0, -7.0], [3.0, 0.0]])
    jet = filling({"jet": values})["jet"]
    assert jet.tolist() == [[2, 0], [2, 7], [2, -7], [1, 0]]  # the default 2 lies beyond the bound and is kept


def test_predictions_of_raw_values(filled: Batch) -> None:
    analysis = parse_analysis(ANALYSIS, "odd.yaml")[0]
    tagger = Tagger(analysis, build_network("pfn", analysis.inputs, 2, toys.SMALL)).eval()
    with torch.no_grad():
        known, found = tagger.predict(filled), tagger.predict(with_raw(filled))
    assert known["prob_one"].isfinite().all()
    assert torch.equal(found["prob_one"], known["prob_one"])
    assert not any("filling" in name for name in tagger.state_dict())
