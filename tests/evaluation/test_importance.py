"""Feature importance: completeness, zeros for unused features, and toys with known importance."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toys
from attrs import evolve
from torch import Tensor, nn

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch, Input, Ragged
from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.roc_result import measure_roc
from collidekit.evaluation.importance.explain import Settings, explain_sample
from collidekit.evaluation.importance.features import SampleImportance, sample_importance
from collidekit.evaluation.importance.gradients import attribute, integrated_gradients
from collidekit.evaluation.importance.items import find_scores, items, whole_inputs
from collidekit.evaluation.importance.permutation import auc_with_influence, permutation_importance, permuted
from collidekit.evaluation.importance.row import explain_row
from collidekit.evaluation.plots.explained_row import plot_row
from collidekit.models import Network, Tagger, build_network
from collidekit.models.layers import segment_sum
from collidekit.models.network import Attentive
from collidekit.models.registry import NETWORKS
from collidekit.training.config import TrainingConfig
from collidekit.training.prepare import prepare


class Linear(Network):
    """Outputs +F and 0, with F = 2 sum(constituent feature 0) + 3 (group feature 0): every attribution is known."""

    def __init__(self, inputs: Any, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.factor = nn.Parameter(torch.tensor(1.0))

    def forward(self, inputs: dict[str, Input]) -> Tensor:
        parts, jet = inputs["constituents"], inputs["jet"]
        assert isinstance(parts, Ragged)
        assert isinstance(jet, Tensor)
        score = 2 * segment_sum(parts.values[:, :1], parts.offsets)[:, 0] + 3 * jet[:, 0]
        return torch.stack([torch.zeros_like(score), self.factor * score], dim=1)


class Momentum(Network):
    """F = ln of the sum of energies, plus the distance of the first coordinate: no feature is used."""

    def __init__(self, inputs: Any, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.factor = nn.Parameter(torch.tensor(1.0))

    def forward(self, inputs: dict[str, Input]) -> Tensor:
        parts = inputs["constituents"]
        assert isinstance(parts, Ragged)
        energy = segment_sum(parts.momenta[:, 3:], parts.offsets)[:, 0]
        score = torch.log(energy + 1) + segment_sum(parts.coordinates[:, :1].abs(), parts.offsets)[:, 0]
        return torch.stack([torch.zeros_like(score), self.factor * score], dim=1)


class Looking(Linear):
    """A linear network with attention proportional to the absolute value of the first feature."""

    def attention(self, inputs: dict[str, Input]) -> dict[str, Tensor]:
        parts = inputs["constituents"]
        assert isinstance(parts, Ragged)
        size = parts.values[:, :1].abs()
        total = segment_sum(size, parts.offsets)[parts.rows]
        return {"constituents": (size / total)[:, 0]}


class Blind(Linear):
    def forward(self, inputs: dict[str, Input]) -> Tensor:
        return super().forward(inputs).detach()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the toy with four-momenta."""
    text = toys.TOY.replace("    coordinates:", "    momenta: [part_x, part_y, part_x, part_e]\n    coordinates:")
    return toys.make_dataset(tmp_path_factory.mktemp("importance"), text, toys.toy_table(400))


@pytest.fixture(scope="module")
def batch(dataset: Any) -> Batch:
    return toys.all_rows(dataset)


def tagger_of(dataset: Any, network: Network) -> Tagger:
    """Return a tagger with the scaling of the dataset."""
    tagger = Tagger(dataset.analysis, network)
    tagger.scaling.fit(prepare(dataset, TrainingConfig(batch_size=64)).statistics)
    return tagger.eval()


def own(dataset: Any, network: type[Network]) -> Tagger:
    return tagger_of(dataset, network(dataset.analysis.inputs, 2))


@pytest.fixture(scope="module")
def linear(dataset: Any) -> Tagger:
    return own(dataset, Linear)


@pytest.fixture(scope="module")
def pfn(dataset: Any) -> Tagger:
    torch.manual_seed(3)
    options = {**toys.SMALL, "activation": "silu"}
    return tagger_of(dataset, build_network("pfn", dataset.analysis.inputs, 2, options))


def score_of(analysis: Analysis) -> Any:
    return find_scores(analysis)[0]


def test_a_linear_network_has_the_attributions_that_it_must(dataset: Any, batch: Batch, linear: Tagger) -> None:
    found = integrated_gradients(linear, batch, score_of(dataset.analysis), steps=4)
    scaled = linear.scaling(batch.inputs)
    parts, jet = scaled["constituents"], scaled["jet"]
    assert isinstance(parts, Ragged)
    assert torch.allclose(found.inputs["constituents"][:, 0], 2 * parts.values[:, 0], atol=1e-5)
    assert torch.allclose(found.inputs["jet"][:, 0], 3 * jet[:, 0], atol=1e-5)
    assert not found.inputs["constituents"][:, 1:].any()
    assert not found.inputs["jet"][:, 1:].any()
    assert np.allclose(found.baseline, 0)


def test_attributions_of_a_network_sum_to_the_score_difference(dataset: Any, batch: Batch, pfn: Tagger) -> None:
    found = integrated_gradients(pfn, batch, score_of(dataset.analysis), steps=32)
    difference = found.score - found.baseline
    assert np.abs(difference).max() > 0.1
    assert np.abs(found.gap()).max() < 1e-3 * np.abs(difference).max()
    by_item = sum(found.of_item(item) for item in items(dataset.analysis))
    assert np.allclose(by_item, difference, atol=1e-3 * np.abs(difference).max())


def test_more_steps_are_closer(dataset: Any, batch: Batch, pfn: Tagger) -> None:
    score = score_of(dataset.analysis)
    gaps = [np.abs(integrated_gradients(pfn, batch, score, steps).gap()).mean() for steps in (2, 16)]
    assert gaps[1] < 0.3 * gaps[0]


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_attributions_are_complete_for_every_network(name: str, dataset: Any, batch: Batch) -> None:
    """The scores of networks that recompute neighbours have steps, so the integral is less exact."""
    torch.manual_seed(2)
    tagger = tagger_of(dataset, build_network(name, dataset.analysis.inputs, 2, {}))
    with torch.no_grad():  # as after a training: without biases the baseline is a corner of networks that normalise
        for place, parameter in tagger.network.named_parameters():
            if place.endswith("bias"):
                parameter.add_(0.3 * torch.randn_like(parameter))
    few = batch.slice(0, 12)  # with an empty row, and one of a single constituent
    found = integrated_gradients(tagger, few, score_of(dataset.analysis), steps=32)
    difference = found.score - found.baseline
    assert np.isfinite(found.gap()).all()
    assert any(values.any() for values in found.inputs.values())
    assert np.median(np.abs(found.gap())) < 0.05 * np.abs(difference).mean()


def test_rows_do_not_see_one_another(dataset: Any, batch: Batch, pfn: Tagger) -> None:
    """The first rows have 0, 1 and 40 constituents."""
    score = score_of(dataset.analysis)
    together = integrated_gradients(pfn, batch, score)
    whole = together.of_item(whole_inputs(dataset.analysis)[0])
    for row in range(3):
        alone = integrated_gradients(pfn, batch.slice(row, row + 1), score)
        assert alone.of_item(whole_inputs(dataset.analysis)[0])[0] == pytest.approx(whole[row], abs=1e-5)
    assert whole[0] == 0  # no constituent, nothing to attribute
    assert together.score[0] - together.baseline[0] == pytest.approx(
        together.of_item(whole_inputs(dataset.analysis)[1])[0], abs=1e-4
    )


def test_momenta_and_coordinates_are_attributed_too(dataset: Any, batch: Batch) -> None:
    tagger = own(dataset, Momentum)
    found = integrated_gradients(tagger, batch, score_of(dataset.analysis), steps=32)
    by_name = {item.name: found.of_item(item) for item in items(dataset.analysis)}
    difference = found.score - found.baseline
    assert np.allclose(by_name["four-momentum"] + by_name["coordinates"], difference, atol=1e-3)
    assert np.abs(by_name["four-momentum"]).max() > 0.1
    assert np.abs(by_name["coordinates"]).max() > 0.1
    assert all(not values.any() for name, values in by_name.items() if name not in ("four-momentum", "coordinates"))
    parts = batch.inputs["constituents"]
    assert isinstance(parts, Ragged)
    reach = segment_sum(parts.coordinates[:, :1].abs(), parts.offsets)[:, 0].numpy()
    assert np.allclose(by_name["coordinates"], reach * (1 - 1e-3), rtol=1e-3, atol=1e-4)


def test_the_baseline_may_be_the_default(dataset: Any, batch: Batch, linear: Tagger) -> None:
    """The default of part_d0 is -9; a constituent with this value has no attribution."""
    names = [feature.name for feature in dataset.analysis.inputs["constituents"].features]
    defaults = [
        i for i, feature in enumerate(dataset.analysis.inputs["constituents"].features) if feature.default is not None
    ]
    assert defaults, names
    (column,) = defaults
    torch.manual_seed(0)
    tagger = tagger_of(dataset, build_network("pfn", dataset.analysis.inputs, 2, toys.SMALL))
    score = score_of(dataset.analysis)
    mean, default = (integrated_gradients(tagger, batch, score, baseline=name) for name in ("mean", "default"))  # type: ignore[arg-type]
    parts = batch.inputs["constituents"]
    assert isinstance(parts, Ragged)
    missing = parts.values[:, column] == -9
    assert missing.any()
    assert default.inputs["constituents"][missing, column].abs().max() < 1e-6
    assert mean.inputs["constituents"][missing, column].abs().max() > 1e-3
    assert np.abs(default.gap()).max() < 0.05 * np.abs(default.score - default.baseline).max()


def test_permuting_what_a_network_does_not_see_changes_nothing(dataset: Any, batch: Batch, linear: Tagger) -> None:
    wanted = [*whole_inputs(dataset.analysis), *items(dataset.analysis)]
    (found,) = permutation_importance(linear, [batch], wanted, find_scores(dataset.analysis), repeats=2)
    drops = dict(zip([item.name for item in wanted], found.drops, strict=True))
    first, group = (
        dataset.analysis.inputs["constituents"].features[0].name,
        dataset.analysis.inputs["jet"].features[0].name,
    )
    seen = {first, group, "all of constituents", "all of jet"}
    for name, drop in drops.items():
        if name not in seen:
            assert drop.value == pytest.approx(0, abs=1e-12), name
            assert drop.error == pytest.approx(0, abs=1e-12), name
    assert all(drops[name].error > 0 for name in seen)
    assert found.auc_error > 0


def test_a_feature_that_is_all_that_counts_loses_all_that_is_above_one_half(dataset: Any, batch: Batch) -> None:
    """If the score is the truth itself, all AUC is lost by permutation."""
    analysis = dataset.analysis
    jet = batch.inputs["jet"]
    assert isinstance(jet, Tensor)
    told = jet.clone()
    told[:, 0] = batch.labels.float() * 100
    knowing = evolve(batch, inputs={**batch.inputs, "jet": told})
    tagger = own(dataset, Linear)
    with torch.no_grad():
        tagger.scaling.get_buffer("constituents_factor")[0] = 0.0
    wanted = [item for item in items(analysis) if item.input == "jet"]
    (found,) = permutation_importance(tagger, [knowing], wanted, find_scores(analysis), repeats=5)
    assert found.auc == 1
    assert abs(found.drops[0].value - 0.5) < 4 * found.drops[0].error
    assert 0.005 < found.drops[0].error < 0.05
    assert found.drops[1].value == 0


def test_permuted_values_stay_the_same_as_a_whole(dataset: Any, batch: Batch) -> None:
    generator = torch.Generator().manual_seed(0)
    for item in [*items(dataset.analysis), *whole_inputs(dataset.analysis)]:
        changed = permuted(batch, item, generator)
        before, after = batch.inputs[item.input], changed.inputs[item.input]
        if isinstance(before, Ragged):
            assert isinstance(after, Ragged)
            assert torch.equal(before.data.sort(dim=0).values, after.data.sort(dim=0).values)
            same = [c for c in range(before.data.shape[1]) if torch.equal(before.data[:, c], after.data[:, c])]
            moved = range(*item.columns.indices(before.data.shape[1]))
            assert not set(same) & set(moved) or item.whole
            if not item.whole:
                assert torch.equal(before.offsets, after.offsets)
                assert set(same) == set(range(before.data.shape[1])) - set(moved)
            else:
                assert torch.equal(before.counts.sort().values, after.counts.sort().values)
        for other in batch.inputs:
            if other != item.input:
                assert changed.inputs[other] is batch.inputs[other]


def test_the_influence_gives_the_error_of_the_bootstrap() -> None:
    generator = np.random.default_rng(0)
    truth = generator.random(3000) < 0.3
    scores = np.round(generator.normal(size=3000) + truth, 1)  # with ties
    weights = generator.uniform(0.2, 2, 3000)
    auc, influence = auc_with_influence(scores, truth, weights)
    expected = measure_roc("x", scores, truth, weights, replicates=400)
    assert auc == pytest.approx(expected.auc, abs=1e-12)
    assert np.sqrt((influence**2).sum()) == pytest.approx(expected.auc_error, rel=0.12)
    assert influence.sum() == pytest.approx(0, abs=1e-12)


def test_a_trained_network_looks_at_what_separates(tmp_path: Path) -> None:
    """Return two Gaussians that differ in x; y contains no information."""
    from collidekit.training.checkpoint import load_checkpoint
    from collidekit.training.loop import Training

    dataset = toys.make_dataset(tmp_path, toys.GAUSSIANS, toys.gaussians_table(1500, 2.0))
    config = TrainingConfig(
        model_name="mlp", model_options={"hidden": [8]}, epochs=5, batch_size=64, learning_rate=0.02
    )
    checkpoint = load_checkpoint(Training(config, dataset, tmp_path / "training", accelerator="cpu").run())
    batch = toys.all_rows(dataset)
    (found,), notes = sample_importance(
        checkpoint.tagger, dataset.analysis, [batch], find_scores(dataset.analysis), repeats=3
    )
    x, y = found.features
    assert not notes
    assert found.auc == pytest.approx(0.921, abs=0.02)  # Phi(2 / sqrt 2)
    assert x.drop is not None
    assert y.drop is not None
    assert abs(x.drop.value - (found.auc - 0.5)) < 5 * x.drop.error
    assert abs(y.drop.value) < 0.02
    assert x.attribution is not None
    assert y.attribution is not None
    assert x.attribution.size > 5 * y.attribution.size
    assert found.completeness is not None
    assert found.completeness < 0.02


def test_files_without_truth_have_gradients_only(dataset: Any, batch: Batch, pfn: Tagger, tmp_path: Path) -> None:
    unknown = evolve(batch, labels=torch.full_like(batch.labels, -1))
    done = explain_sample(pfn, dataset.analysis, unknown, tmp_path, Settings(repeats=2, steps=4))
    (found,) = done.samples
    assert found.auc is None
    assert all(feature.drop is None and feature.attribution for feature in found.features)
    assert "no permutation importance" in done.notes[0]
    name = find_scores(dataset.analysis)[0].name
    assert {path.name for path in tmp_path.iterdir()} == {
        "importance.json", f"importance_{name}.png", f"importance_{name}.pdf",
    }  # fmt: skip
    content = json.loads((tmp_path / "importance.json").read_text())
    assert SampleImportance.read(content["results"][0]).as_dict() == found.as_dict()


def test_a_network_without_gradient_has_permutation_only(dataset: Any, batch: Batch) -> None:
    (found,), notes = sample_importance(
        own(dataset, Blind), dataset.analysis, [batch], find_scores(dataset.analysis), repeats=2
    )
    assert "no gradients: network Blind" in notes[0]
    assert found.completeness is None
    assert all(feature.attribution is None for feature in found.features)
    unknown = evolve(batch, labels=torch.full_like(batch.labels, -1))
    with pytest.raises(CollidekitError, match="no importance can be measured: no permutation importance"):
        sample_importance(own(dataset, Blind), dataset.analysis, [unknown], find_scores(dataset.analysis))


def test_what_a_network_does_not_look_at_is_said(dataset: Any, batch: Batch, linear: Tagger) -> None:
    (found,), _ = sample_importance(linear, dataset.analysis, [batch], find_scores(dataset.analysis), repeats=2)
    assert len(found.features) == 4  # two features, and their two inputs as a whole
    assert len(found.unused) == len(items(dataset.analysis)) - 2


def test_the_same_seed_gives_the_same_numbers(dataset: Any, batch: Batch, linear: Tagger) -> None:
    wanted, scores = items(dataset.analysis), find_scores(dataset.analysis)
    a, b, c = (permutation_importance(linear, [batch], wanted, scores, 2, seed)[0] for seed in (1, 1, 2))
    assert a == b
    assert a != c


def test_scores_are_discriminators_or_classes(dataset: Any) -> None:
    analysis = dataset.analysis
    first, second = analysis.classes
    (score,) = find_scores(analysis, [second])
    outputs = torch.tensor([[0.3, 1.5], [2.0, -1.0]])
    p = torch.softmax(outputs, dim=1)
    assert torch.allclose(score.log_odds(outputs), torch.log(p[:, 1] / p[:, 0]))
    assert score.label == f"ln(p({second}) / p({first}))"
    with pytest.raises(CollidekitError, match="--score: unknown discriminator or class 'nothing'"):
        find_scores(analysis, ["nothing"])


def test_permutations_need_a_spread(dataset: Any, batch: Batch, linear: Tagger) -> None:
    with pytest.raises(CollidekitError, match="--repeats: 1 permutation has no spread"):
        permutation_importance(linear, [batch], items(dataset.analysis), find_scores(dataset.analysis), repeats=1)


def test_one_row_with_attention(dataset: Any, batch: Batch, tmp_path: Path) -> None:
    tagger = own(dataset, Looking)
    one = batch.slice(2, 3)  # 40 constituents
    found = explain_row(tagger, dataset.analysis, one, score_of(dataset.analysis))
    (parts,) = found.collections
    assert len(parts.total) == parts.values.shape[0] > 10
    assert parts.attention is not None
    assert parts.attention.sum() == pytest.approx(1)
    assert parts.attention.argmax() == np.abs(parts.total).argmax()
    assert sum(item.attribution for item in found.items) == pytest.approx(found.value - found.baseline, abs=1e-3)
    assert found.gap == pytest.approx(0, abs=1e-3)
    assert sum(found.probabilities.values()) == pytest.approx(1)
    written = {path.name for path in plot_row(tmp_path, "row", found, "note")}
    assert written == {
        f"row_{name}.{end}" for name in ("features", "constituents", "constituents_attention") for end in ("png", "pdf")
    }
    assert json.loads(json.dumps(found.as_dict()))["collections"][0]["name"] == "constituents"


@pytest.mark.parametrize("name", [name for name, network in sorted(NETWORKS.items()) if hasattr(network, "attention")])
def test_attention_of_the_networks_that_have_it(name: str, dataset: Any, batch: Batch) -> None:
    """Attention gives one weight for each constituent, in their order, independent of the rest of the batch."""
    torch.manual_seed(1)
    tagger = tagger_of(dataset, build_network(name, dataset.analysis.inputs, 2, {}))
    assert isinstance(tagger.network, Attentive)

    def attention(rows: Batch) -> Tensor:
        with torch.inference_mode():
            return tagger.network.attention(tagger.scaling(rows.inputs))["constituents"]  # type: ignore[operator]

    parts = batch.inputs["constituents"]
    assert isinstance(parts, Ragged)
    few = parts.slice(0, 12)
    together = attention(batch.slice(0, 12))
    assert together.shape == (len(few.data),)
    assert (together >= 0).all()
    sums = segment_sum(together[:, None], few.offsets)[:, 0]
    assert (sums <= 1 + 1e-5).all()
    assert sums[0] == 0  # no constituent
    assert (sums[1:] > 0.01).all()
    first, last = few.offsets[2:4].tolist()
    assert torch.allclose(attention(batch.slice(2, 3)), together[first:last], atol=1e-5)


def test_an_empty_row_is_explained_by_its_flat_groups(dataset: Any, batch: Batch, pfn: Tagger, tmp_path: Path) -> None:
    found = explain_row(pfn, dataset.analysis, batch.slice(0, 1), score_of(dataset.analysis))
    (parts,) = found.collections
    assert len(parts.total) == 0
    assert {item.input for item in found.items if item.attribution} == {"jet"}
    assert {path.name for path in plot_row(tmp_path, "row", found)} == {"row_features.png", "row_features.pdf"}


def test_batches_are_put_together(dataset: Any, batch: Batch, pfn: Tagger) -> None:
    wanted, score = items(dataset.analysis), score_of(dataset.analysis)
    parts = [batch.slice(0, 150), batch.slice(150, len(batch))]
    together, apart = (attribute(pfn, batches, score, wanted, 4) for batches in ([batch], parts))
    for one, other in zip(together, apart, strict=True):
        assert np.allclose(one, other, atol=1e-5)
