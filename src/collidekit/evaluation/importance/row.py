"""Explanation of one row: the contribution of each constituent and each feature to its score, and attention."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from collidekit.analysis.schema import Analysis, Collection
from collidekit.dataset.batch import Batch, Ragged
from collidekit.errors import CollidekitError
from collidekit.evaluation.importance.gradients import Baseline, integrated_gradients
from collidekit.evaluation.importance.items import Item, Score, items
from collidekit.files import plain
from collidekit.models.network import Attentive
from collidekit.models.tagger import Tagger

Floats = NDArray[np.float64]
_PT = re.compile(r"(?P<log>log\()?\w*pt(?(log)\))")
"""Pattern of expressions that are a transverse momentum or its logarithm."""


@dataclass(frozen=True, eq=False)
class ExplainedCollection:
    """The K constituents of one collection; values that the analysis does not define are None."""

    name: str
    features: tuple[str, ...]
    """Labels with units."""
    values: Floats
    """(K, F) in the units of the features."""
    attributions: Floats
    """(K, F) attributions of the features."""
    total: Floats
    """(K,) attributions with four-momentum and coordinates."""
    coordinates: Floats | None
    coordinate_labels: tuple[str, ...]
    pt: Floats | None
    """(K,) transverse momenta in GeV."""
    attention: Floats | None
    """(K,) weights, whose sum is 1 at most."""

    def as_dict(self) -> dict[str, Any]:
        content: dict[str, Any] = plain(vars(self))
        return content


@dataclass(frozen=True)
class ItemAttribution:
    """Attribution of one feature of the row, summed over constituents; ``value`` is the value of a feature of a flat group."""

    input: str
    name: str
    label: str
    attribution: float
    value: float | None


@dataclass(frozen=True, eq=False)
class ExplainedRow:
    """Explanation of one row and one score; ``gap`` is the sum of all attributions minus ``value - baseline``, 0 except for rounding."""

    score: str
    score_label: str
    value: float
    baseline: float
    gap: float
    probabilities: dict[str, float]
    truth: str | None
    items: tuple[ItemAttribution, ...]
    collections: tuple[ExplainedCollection, ...]

    def as_dict(self) -> dict[str, Any]:
        own = {key: value for key, value in vars(self).items() if key not in ("items", "collections")}
        content: dict[str, Any] = plain(
            {**own, "items": [vars(item) for item in self.items],
             "collections": [entry.as_dict() for entry in self.collections]}
        )  # fmt: skip
        return content


def explain_row(
    tagger: Tagger, analysis: Analysis, batch: Batch, score: Score, steps: int = 64, baseline: Baseline = "mean"
) -> ExplainedRow:
    """Explain a batch of one row."""
    if len(batch) != 1:
        raise CollidekitError(f"exactly one row can be explained, not {len(batch)}")
    found = integrated_gradients(tagger, batch, score, steps, baseline)
    with torch.inference_mode():
        scaled = tagger.scaling(batch.inputs)
        decoded = tagger.head.decode(tagger.outputs(scaled))
        p = [float(decoded[f"prob_{name}"][0]) for name in analysis.classes]
        network = tagger.network
        attention = network.attention(scaled) if isinstance(network, Attentive) else {}
    label = int(batch.labels[0])
    return ExplainedRow(
        score=score.name,
        score_label=score.label,
        value=float(found.score[0]),
        baseline=float(found.baseline[0]),
        gap=float(found.gap()[0]),
        probabilities=dict(zip(analysis.classes, p, strict=True)),
        truth=list(analysis.classes)[label] if label >= 0 else None,
        items=tuple(_item(batch, item, float(found.of_item(item)[0])) for item in items(analysis)),
        collections=tuple(
            _collection(analysis, name, entry, batch, found.inputs[name], attention.get(name))
            for name, entry in analysis.collections.items()
        ),
    )


def _item(batch: Batch, item: Item, attribution: float) -> ItemAttribution:
    entry = batch.inputs[item.input]
    value = None if isinstance(entry, Ragged) else float(entry[0, item.columns][0])
    return ItemAttribution(item.input, item.name, item.label, attribution, value)


def _collection(
    analysis: Analysis,
    name: str,
    entry: Collection,
    batch: Batch,
    attributions: torch.Tensor,
    attention: torch.Tensor | None,
) -> ExplainedCollection:
    data = batch.inputs[name]
    assert isinstance(data, Ragged)
    return ExplainedCollection(
        name=name,
        features=tuple(analysis.axis(feature) for feature in entry.features),
        values=_numbers(data.values),
        attributions=_numbers(attributions[:, : data.num_features]),
        total=_numbers(attributions.sum(dim=1)),
        coordinates=_numbers(data.coordinates) if entry.coordinates else None,
        coordinate_labels=tuple(analysis.expression_label(text) for text in entry.coordinates or ()),
        pt=_transverse_momenta(entry, data),
        attention=None if attention is None else _numbers(attention),
    )


def _numbers(values: torch.Tensor) -> Floats:
    return np.asarray(values.double().numpy())


def _transverse_momenta(entry: Collection, data: Ragged) -> Floats | None:
    """Return transverse momenta (K,) from the four-momenta, or from a feature with an expression such as ``trk_pt`` or ``log(trk_pt)``."""
    if data.has_momenta:
        return _numbers(torch.hypot(data.momenta[:, 0], data.momenta[:, 1]))
    for i, feature in enumerate(entry.features):
        if found := _PT.fullmatch(feature.expression.replace(" ", "")):
            values = _numbers(data.values[:, i])
            return np.exp(values) if found["log"] else values
    return None
