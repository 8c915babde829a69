"""The split for few rows: the one of the analysis if it has every class in both sets, else another one."""

import awkward as ak
import numpy as np
import pytest

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.parts import Split
from collidekit.dataset.rows import build_rows
from collidekit.starter.few_rows import find_split
from collidekit.starter.treat import Sampled

TEXT = "classes: {qcd: top == 0, top: top == 1}\nevent: [event]\ninputs: {jet: {features: [x]}}\n"
ROWS = 2000


def sample(label: np.ndarray) -> Sampled:
    return Sampled("x", 0, 0, ak.Array({"top": label, "event": np.arange(ROWS), "x": np.arange(ROWS) * 1.0}))


@pytest.mark.parametrize(("given", "found"), [("", None), ("0.9", 0.85), ("0.8", None)])
def test_the_split_of_the_analysis_is_tested(given: str, found: float | None) -> None:
    """One of two tops is for validation with a fraction of 0.85 for training, but not with 0.9."""
    plan = Plan(*parse_analysis(TEXT + (f"training: {{train_val_split: {given}}}\n" if given else "")))
    keys = build_rows(plan, sample(np.zeros(ROWS, int)).chunk, "x", 0, 0).arrays.keys
    training = {share: Split(share).rows(keys, "training") for share in (0.5, 0.85, 0.9)}
    label = np.zeros(ROWS, int)
    label[[np.flatnonzero(training[0.5])[0], np.flatnonzero(training[0.9] & ~training[0.85])[0]]] = 1
    few = find_split(plan, [sample(label)])
    assert (few.share if few else None) == found
