"""From a checkpoint to a bundle to predictions of files: bundle and checkpoint give the same columns."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toys
import yaml

from collidekit import Bundle
from collidekit.analysis.load import load_analysis
from collidekit.analysis.schema import Analysis
from collidekit.export.options import Options
from collidekit.export.sample import read_sample
from collidekit.export.write import write_bundle
from collidekit.inference.predict import predict_files
from collidekit.models.registry import build_network
from collidekit.models.tagger import Tagger, outputs_of
from collidekit.objectives import head_of
from collidekit.training.checkpoint import Checkpoint
from collidekit.training.config import TrainingConfig

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "samples" / "ttbar_dilepton" / "test.root"
SMALL = {"width": 16, "layers": 1, "heads": 2, "feed_forward": 16, "head": [8], "pair_width": 8}
OF_TRUTH = ("pit_", "nll_")


def untrained(analysis: Analysis, name: str, options: Mapping[str, Any]) -> Checkpoint:
    """A tagger with first weights."""
    torch.manual_seed(3)
    config = TrainingConfig(model_name=name, model_options=dict(options))
    head = head_of(config.objective, analysis)
    network = build_network(name, analysis.inputs, outputs_of(analysis, head), options)
    with torch.no_grad():  # inputs are not scaled, and exp of what comes out of them would be beyond single precision
        for parameter in network.output.parameters():
            parameter.mul_(0.01)
    return Checkpoint(Tagger(analysis, network, head).eval(), analysis, config, 1, {})


def agree(
    folder: Path, checkpoint: Checkpoint, files: list[str], rows: int, tolerance: float = 1e-5, **options: Any
) -> None:
    members = {"model": checkpoint}
    sample = read_sample(members, files, rows)
    write_bundle(members, sample, folder, "toy", Options(**options))
    found = Bundle(folder).predict(files).columns()
    wanted = predict_files(checkpoint, checkpoint.plan(), files)[0].columns()
    assert set(found) == {name for name in wanted if not name.startswith(OF_TRUTH)}
    for name, values in found.items():
        other = wanted[name].astype(np.float64)
        spread = max(1.0, float(np.nanstd(other)))
        np.testing.assert_allclose(
            values.astype(np.float64), other, rtol=tolerance, atol=tolerance * spread, err_msg=name
        )


@pytest.fixture
def events(tmp_path: Path) -> Analysis:
    """Dilepton events with selected, sorted and truncated jets, so that positions in the file differ from positions in the input."""
    content = yaml.safe_load((ROOT / "analyses" / "ttbar_dilepton.yaml").read_text())
    content["inputs"]["jets"] |= {"limit": 4, "order": "jet_b_tag * 1000 + jet_pt", "where": "jet_pt > 35"}
    content["targets"]["neutrinos"] |= {"estimate": "flow", "draws": 40}
    content = {
        name: value for name, value in content.items() if name not in ("files", "training", "recipes", "dilepton")
    }
    (tmp_path / "events.yaml").write_text(yaml.safe_dump(content))
    return load_analysis(tmp_path / "events.yaml")


def test_draws_and_positions_are_those_of_the_checkpoint(tmp_path: Path, events: Analysis) -> None:
    checkpoint = untrained(events, "pair_transformer", SMALL)
    agree(tmp_path / "bundle", checkpoint, [str(EVENTS)], rows=80)


CONSTITUENTS = """
targets:
  kind: {collection: constituents, classes: {near: "part_r < 1", far: "part_r >= 1"}}
"""


def test_targets_of_constituents_are_columns_of_the_graph(tmp_path: Path) -> None:
    toys.write_table(tmp_path / "rows.root", toys.toy_table(60))
    (tmp_path / "toy.yaml").write_text(toys.TOY + CONSTITUENTS)
    checkpoint = untrained(load_analysis(tmp_path / "toy.yaml"), "pfn", toys.SMALL)
    agree(tmp_path / "bundle", checkpoint, [str(tmp_path / "rows.root")], rows=60)
    with np.load(tmp_path / "bundle" / "golden.npz", allow_pickle=False) as golden:
        cases = golden["cases"].tolist()
        case = cases.index("length 2")
        assert golden[f"{case}.out.0.kind"].shape == (1, 2)
        assert golden[f"{case}.out.0.kind"].dtype == np.int8


def test_half_precision_is_near(tmp_path: Path) -> None:
    toys.write_table(tmp_path / "rows.root", toys.toy_table(60))
    (tmp_path / "toy.yaml").write_text(toys.TOY)
    checkpoint = untrained(load_analysis(tmp_path / "toy.yaml"), "pfn", toys.SMALL)
    agree(tmp_path / "bundle", checkpoint, [str(tmp_path / "rows.root")], rows=60, tolerance=2e-2, precision="float16")
