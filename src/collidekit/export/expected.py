"""Expected columns of a bundle, computed with the ragged network, which training and evaluation use."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from collidekit.analysis.schema import Analysis
from collidekit.export.cases import Array, Row, batch_of, generic_arrays
from collidekit.export.graph import TaggerGraph
from collidekit.models.heads.discriminators import discriminators
from collidekit.models.heads.flow import event_noise
from collidekit.models.tagger import Tagger


@torch.inference_mode()
def expected(tagger: Tagger, graph: TaggerGraph, rows: Sequence[Row], analysis: Analysis) -> dict[str, Array]:
    """Return the columns ``graph.output_names`` of rows, (N,) from the ragged network, (N, L) of constituents from the padded one.

    ``tagger`` must be in evaluation mode. Values may be NaN or infinite; the caller must check them.
    """
    batch = batch_of(rows, analysis)
    head = graph.tagger.head
    before, tagger.head = tagger.head, head  # with the temperature of the graph
    try:
        columns: dict[str, Any] = dict(tagger.predict(batch))
    finally:
        tagger.head = before
    columns |= discriminators(columns, analysis.discriminators)
    if graph.constituent_outputs:
        given = generic_arrays(rows, analysis, noise_of(graph, rows, analysis))
        padded = graph.columns(*(torch.from_numpy(given[name]) for name in graph.input_names))
        columns |= {name: padded[name] for name in graph.constituent_outputs}
    return {name: columns[name].numpy() for name in graph.output_names}


def noise_of(graph: TaggerGraph, rows: Sequence[Row], analysis: Analysis) -> Mapping[str, Array]:
    """Return the noise (N, K, V) of each flow from the event numbers of the rows, as in prediction."""
    batch = batch_of(rows, analysis)
    return {
        name: event_noise(batch, name, head.target.draws, len(head.target.values)).normal.numpy()
        for name, head in graph.flows.items()
    }


def is_finite(columns: Mapping[str, Array]) -> Array:
    """Return flags (N,) of the rows that are finite in all columns."""
    found: Array = np.all(
        [np.isfinite(values).reshape(len(values), -1).all(axis=1) for values in columns.values()], axis=0
    )
    return found
