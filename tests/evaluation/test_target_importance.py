"""Permutation importance for targets: the figures equal those of the evaluation, and known losses are found."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from attrs import evolve
from torch import Tensor

from collidekit.analysis.load import parse_analysis
from collidekit.dataset.batch import Batch, Input
from collidekit.errors import CollidekitError
from collidekit.evaluation.assignment import EVENT, measure_assignment
from collidekit.evaluation.importance.explain import Settings, explain_sample, wanted_of
from collidekit.evaluation.importance.of_targets import find_targets, target_importance
from collidekit.inference.predict import predict
from collidekit.inference.sample_rows import sample_rows
from collidekit.models.network import Network
from collidekit.models.registry import build_network
from collidekit.models.tagger import Tagger, outputs_of
from collidekit.shipped import load_plan

SAMPLE = Path(__file__).parents[2] / "samples" / "ttbar_dilepton" / "test.root"
NUMBERS = """
inputs:
  flat: {features: [x, y]}
targets:
  sum: {values: {s: x, t: "3 * x"}, unit: GeV, scale: none}
  other: {values: {u: y}}
"""


class Copy(Network):
    """A network with the outputs x, 3x and 0 for the first feature x: right for the target ``sum``, for any second feature."""

    def __init__(self, inputs: Any, outputs: int) -> None:
        super().__init__(inputs, outputs)

    def forward(self, inputs: dict[str, Input]) -> Tensor:
        x = inputs["flat"][:, :1]  # type: ignore[index]
        return torch.cat([x, 3 * x, torch.zeros_like(x)], dim=1)


def flat_batch(rows: int = 400) -> Batch:
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(rows, 2, generator=generator)
    weights = torch.rand(rows, generator=generator) + 0.5
    truth = {"sum": torch.stack([values[:, 0], 3 * values[:, 0]], dim=1).double(), "other": values[:, 1:].double()}
    truth["sum"][:50] = torch.nan
    empty = torch.zeros(rows, dtype=torch.int64)
    return Batch(
        inputs={"flat": values}, labels=empty - 1, weights=weights, truth=truth, spectators={}, event={}, keys=empty, processes=empty, index=empty,
        source=torch.stack([empty, torch.arange(rows)], dim=1),
    )  # fmt: skip


def test_a_number_that_is_known_is_lost_with_its_feature() -> None:
    analysis = parse_analysis(NUMBERS, "numbers.yaml")[0]
    batch, tagger = flat_batch(), Tagger(analysis, Copy(analysis.inputs, 3)).eval()
    (found, other), notes = target_importance(tagger, analysis, [batch], ["sum", "other"], repeats=20)
    assert not notes
    assert (found.figure, found.rows, found.value) == ("mean |residual| [GeV]", 350, 0.0)
    (feature,) = found.features
    assert feature.name == "x"
    assert found.unused == ("y",)
    x = batch.inputs["flat"][:, 0].double().numpy()  # type: ignore[index]
    known, w = x[50:], batch.weights.double().numpy()[50:]
    expected = 2 * (w @ np.abs(known[:, None] - x).mean(axis=1)) / w.sum()  # (|d| + 3 |d|) / 2
    assert feature.drop is not None
    assert abs(feature.drop.value - expected) < 4 * feature.drop.error
    assert 0 < feature.drop.error < 0.15 * expected
    assert not other.features, "it looks at nothing for this target"
    y, every = np.abs(batch.truth["other"][:, 0].numpy()), batch.weights.double().numpy()
    assert other.value == pytest.approx(every @ y / every.sum())


def test_the_figures_are_those_of_the_evaluation(tmp_path: Path) -> None:
    """Efficiency and residuals of an untrained network equal those of its predictions."""
    plan = load_plan("ttbar_dilepton")
    analysis = plan.analysis
    batch = sample_rows(plan, str(SAMPLE), 150)
    torch.manual_seed(1)
    options = {"width": 8, "layers": 1, "heads": 2, "feed_forward": 16}
    tagger = Tagger(analysis, build_network("transformer_small", analysis.inputs, 7, options))
    assert outputs_of(analysis, tagger.head) == 7
    weighted = evolve(batch, weights=torch.linspace(0.5, 1.5, len(batch)))
    done = explain_sample(tagger.eval(), analysis, weighted, tmp_path, Settings(repeats=2))
    found = {one.target: one for one in done.targets}
    assert list(found) == ["tops", "neutrinos", "pair"]
    predictions = predict(tagger, analysis, [weighted])
    (event,) = [e for e in measure_assignment(predictions, "tops", analysis.assignments["tops"]) if e.what == EVENT]
    assert event.complete
    assert found["tops"].value == pytest.approx(event.complete.value, abs=1e-6)
    assert found["tops"].rows == event.complete.total
    names = list(analysis.regressions["neutrinos"].values)
    sizes = np.mean([np.abs(predictions.values[name] - predictions.truth[name]) for name in names], axis=0)
    assert found["neutrinos"].value == pytest.approx(np.average(sizes, weights=predictions.weights), rel=1e-5)
    assert not done.samples
    assert (tmp_path / "importance_tops.png").is_file()
    jets = next(f for f in found["tops"].features if f.name == "all of jets")
    assert jets.drop is not None
    assert jets.drop.value > 0, "with the jets of other events hardly any is right"


def test_what_is_wanted() -> None:
    analysis = load_plan("ttbar_dilepton").analysis
    assert wanted_of(analysis, ()) == ([], ["tops", "neutrinos", "pair"])
    assert wanted_of(analysis, ("pair",)) == ([], ["pair"])
    with pytest.raises(CollidekitError, match=r"--score: unknown target of rows 'top' \(did you mean 'tops'\?\)"):
        find_targets(analysis, ("top",))


def test_truth_that_is_not_known_is_said() -> None:
    analysis = parse_analysis(NUMBERS, "numbers.yaml")[0]
    batch, tagger = flat_batch(), Tagger(analysis, Copy(analysis.inputs, 3)).eval()
    unknown = {**batch.truth, "sum": torch.full_like(batch.truth["sum"], torch.nan)}
    found, notes = target_importance(tagger, analysis, [evolve(batch, truth=unknown)], ["sum", "other"], repeats=2)
    assert [one.target for one in found] == ["other"]
    assert notes == ["no importance for sum: its truth is unknown in these rows"]
