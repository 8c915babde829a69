"""A bundle refuses training rows in any file, and predicts rows of folds with the graph that was not trained on them."""

import json
from dataclasses import replace
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import toys
from toy_bundles import make_bundle, make_model

from collidekit import Bundle
from collidekit.analysis.schema import Analysis
from collidekit.dataset.learned import LearnedFrom
from collidekit.dataset.loader import Dataset
from collidekit.dataset.parts import Folds, Split, fold_of
from collidekit.errors import CollidekitError
from collidekit.inference.predict import predict_files
from collidekit.runtime.schema import SCHEMA
from collidekit.sealed import read_sealed, write_sealed

K = 3


@pytest.fixture(scope="module")
def dataset(table: ak.Array, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return toys.make_dataset(tmp_path_factory.mktemp("training"), toys.TOY, table)


@pytest.fixture(scope="module")
def skim(table: ak.Array, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Rows of the training between others, in another order."""
    rows = ak.concatenate([table[250:100:-1], toys.toy_table(40, seed=4)])
    return str(toys.write_table(tmp_path_factory.mktemp("skim") / "skim.root", rows))


def bundle_of_folds(folder: Path, analysis: Analysis, dataset: Dataset, size: int) -> tuple[Path, list[object]]:
    models = [make_model(analysis, 10 + k, (LearnedFrom.of(dataset, Folds(K, k), size),)) for k in range(K)]
    return make_bundle(folder, models, folds=range(K)), models


def test_rows_of_a_skimmed_file_are_refused(analysis: Analysis, dataset: Dataset, skim: str, tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "b", [make_model(analysis, 1, (LearnedFrom.of(dataset, Split(0.6)),))])
    batch = toys.all_rows(dataset)
    places = batch.source[:, 1].numpy()
    number = (Split(0.6).rows(batch.keys.numpy(), "training") & (places > 100) & (places <= 250)).sum()
    with pytest.raises(CollidekitError) as error:
        Bundle(folder).predict(skim, batch_size=20)
    assert str(error.value) == (
        f"{skim}: {number} of 190 rows have the inputs of rows that {folder} was trained on (up to 3 rows or 0.1% of a file may be equal by chance); "
        "predict other rows, or pass --allow-training-rows to predict these rows anyway"
    )
    assert len(Bundle(folder).predict(skim, allow_training_rows=True)) == 190


@pytest.mark.parametrize("size", [1000, 60], ids=["all rows", "a fraction"])
def test_rows_of_a_skimmed_file_go_to_the_graph_that_held_them_out(
    analysis: Analysis, dataset: Dataset, skim: str, tmp_path: Path, size: int
) -> None:
    folder, models = bundle_of_folds(tmp_path / "b", analysis, dataset, size)
    found = Bundle(folder).predict(skim, batch_size=30)
    each = [predict_files(m, m.plan(), skim, allow_training_rows=True)[0].probabilities for m in models]  # type: ignore
    from collidekit.dataset.hashing import hash_columns

    fold = fold_of(hash_columns([found.event["event"]]), K)
    expected = np.where((np.arange(190) < 150)[:, None], np.choose(fold[:, None], each), np.mean(each, axis=0))
    # where only a fraction is looked up, the other rows of the file are taken for rows of the training
    compared = np.arange(190) < (190 if size == 1000 else 150)
    np.testing.assert_allclose(found.probabilities[compared], expected[compared], atol=2e-6)


def test_folds_without_the_graph_of_a_fold_refuse_its_rows(
    analysis: Analysis, dataset: Dataset, skim: str, tmp_path: Path
) -> None:
    models = [make_model(analysis, 10 + k, (LearnedFrom.of(dataset, Folds(K, k)),)) for k in (0, 1)]
    folder = make_bundle(tmp_path / "b", models, folds=(0, 1))
    with pytest.raises(CollidekitError, match=r"\d+ of 190 rows have the inputs of rows that .* was trained on"):
        Bundle(folder).predict(skim)


def test_sketches_are_files_with_a_checksum(analysis: Analysis, dataset: Dataset, skim: str, tmp_path: Path) -> None:
    folder, _ = bundle_of_folds(tmp_path / "b", analysis, dataset, 1000)
    files = sorted(folder.glob("training_rows_*.json"))
    assert len(files) == K
    assert "content" not in json.dumps([g["learned_from"] for g in read_sealed(folder / SCHEMA)["graphs"]])
    content = bytearray(files[0].read_bytes())
    content[40] ^= 1
    files[0].write_bytes(content)
    with pytest.raises(CollidekitError, match=r"training_rows_.*\.json: is damaged or was changed: .* copy the bundle"):
        Bundle(folder)
    files[0].unlink()
    with pytest.raises(CollidekitError, match=r"training_rows_.*\.json: is missing; copy the bundle again"):
        Bundle(folder)


def test_a_bundle_of_an_earlier_version_knows_no_rows_in_other_files(
    analysis: Analysis, dataset: Dataset, skim: str, tmp_path: Path
) -> None:
    model = make_model(analysis, 1, (LearnedFrom.of(dataset, Split(0.6)),))
    old = make_bundle(tmp_path / "b", [replace(model, learned_from=())])
    schema = read_sealed(old / SCHEMA)
    entry = model.learned_from[0].as_dict()
    del entry["sketch"]
    schema["graphs"][0]["learned_from"] = [entry]
    write_sealed(old / SCHEMA, schema)
    assert len(Bundle(old).predict(skim)) == 190
    with pytest.raises(CollidekitError, match="was trained on"):
        Bundle(old).predict(dataset.manifest.files)
