"""NaN is never written as a score, and NaN in the files is counted in a note."""

from dataclasses import replace
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch
import toys

from collidekit.analysis.load import load_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.batch import Batch
from collidekit.dataset.not_finite import NotFinite
from collidekit.errors import CollidekitError
from collidekit.inference.predict import predict_files, predict_files_each
from collidekit.inference.predictions import Predictions
from collidekit.models import Tagger
from collidekit.training.checkpoint import Checkpoint


def test_weights_of_nan(checkpoint: Checkpoint, files: list[str]) -> None:
    state = {name: value.clone() for name, value in checkpoint.tagger.state_dict().items()}
    try:
        with torch.no_grad():
            next(checkpoint.tagger.parameters()).fill_(torch.nan)
        with pytest.raises(
            CollidekitError,
            match=r"a.parquet: row 1, 2, .* the model returns NaN or infinity; its weights are NaN: train it again",
        ):
            predict_files(checkpoint, Plan(checkpoint.analysis), files)
    finally:
        checkpoint.tagger.load_state_dict(state)


def test_one_row_of_nan(checkpoint: Checkpoint, files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    predict = type(checkpoint.tagger).predict

    def spoiled(self: Tagger, batch: Batch) -> dict[str, torch.Tensor]:
        answers = predict(self, batch)
        for column in answers.values():
            column[batch.source[:, 1] == 5] = torch.nan
        return answers

    monkeypatch.setattr(type(checkpoint.tagger), "predict", spoiled)
    with pytest.raises(CollidekitError, match=r"a.parquet: row 5: the model returns NaN or infinity"):
        predict_files(checkpoint, Plan(checkpoint.analysis), files[:1])
    with pytest.raises(CollidekitError, match=r"a.parquet: row 5: model 1 returns NaN or infinity"):
        predict_files_each([checkpoint.tagger, checkpoint.tagger], Plan(checkpoint.analysis), files[:1])


def test_the_discriminator_of_nan_is_nan_and_never_0(checkpoint: Checkpoint, files: list[str]) -> None:
    found: Predictions = predict_files(checkpoint, Plan(checkpoint.analysis), files[:1])[0]
    spoiled = found.probabilities.copy()
    spoiled[3] = np.nan
    scores = replace(found, probabilities=spoiled).discriminator("SvsB")
    assert np.flatnonzero(np.isnan(scores)).tolist() == [3]


def test_nan_in_the_files_is_counted(checkpoint: Checkpoint, tmp_path: Path) -> None:
    table = toys.toy_table(30)
    pt = ak.to_numpy(table.jet_pt).copy()
    pt[[2, 7, 8]] = np.nan
    mass = ak.to_numpy(table.jet_mass).copy()
    mass[[4, 7]] = np.nan
    table = ak.with_field(ak.with_field(table, pt, "jet_pt"), mass, "jet_mass")
    file = str(toys.write_table(tmp_path / "rows.parquet", table))
    (tmp_path / "toy.yaml").write_text(toys.TOY.replace("source: {tree: tree}", "selection: jet_mass > 0"))
    counts = NotFinite()
    found = predict_files(checkpoint, Plan(load_analysis(tmp_path / "toy.yaml")), file, counts=counts)[0]
    assert len(found) == 28
    assert counts.values == {"jet.jet_pt": 2}
    assert counts.lost == {"jet_mass > 0": 2}
    assert counts.notes() == [
        "2 values of inputs were NaN or infinite and became the feature's default: jet.jet_pt 2",
        "2 rows were dropped by the selection 'jet_mass > 0' because a variable of it is NaN",
    ]
