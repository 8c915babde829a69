"""Predictions as files: writing and reading, name conflicts, discriminators."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot

from collidekit.analysis.schema import Discriminator
from collidekit.errors import CollidekitError
from collidekit.inference.predictions import Predictions


@pytest.fixture
def predictions() -> Predictions:
    generator = np.random.default_rng(3)
    probabilities = generator.dirichlet([1, 1, 1], 40).astype(np.float32)
    return Predictions(
        classes=("b", "c", "light"),
        probabilities=probabilities,
        labels=generator.integers(-1, 3, 40),
        weights=generator.normal(1, 1, 40).astype(np.float32),
        definitions={
            "BvsL": Discriminator(signal=["b"], background=["light"]),
            "HvsL": Discriminator(signal=["b", "c"], background=["light"]),
        },
        spectators={"jet_pt": generator.exponential(50, 40).astype(np.float32)},
        event={"run": np.arange(40) + 2**40, "file": np.zeros(40, dtype=np.int64), "row": np.arange(40)},
    )


def test_discriminators_are_ratios_of_sums(predictions: Predictions) -> None:
    b, c, light = predictions.probabilities.T.astype(float)
    np.testing.assert_allclose(predictions.discriminator("BvsL"), b / (b + light))
    np.testing.assert_allclose(predictions.discriminator("HvsL"), (b + c) / (b + c + light))


def test_a_discriminator_without_any_probability_is_0(predictions: Predictions) -> None:
    certain = replace(predictions, probabilities=np.tile(np.float32([0, 1, 0]), (40, 1)))
    assert set(certain.discriminator("BvsL")) == {0.0}


def test_a_discriminator_is_judged_on_its_classes(predictions: Predictions) -> None:
    score, truth, weights = predictions.task("BvsL")
    rows = (predictions.labels == 0) | (predictions.labels == 2)
    np.testing.assert_array_equal(truth, predictions.labels[rows] == 0)
    np.testing.assert_array_equal(weights, predictions.weights[rows])
    np.testing.assert_array_equal(score, predictions.discriminator("BvsL")[rows])


def assert_same(a: Predictions, b: Predictions) -> None:
    assert (a.classes, a.definitions) == (b.classes, b.definitions)
    for name in ("probabilities", "labels", "weights"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    for name in ("spectators", "event"):
        assert list(getattr(a, name)) == list(getattr(b, name))
        for key, values in getattr(a, name).items():
            np.testing.assert_array_equal(values, getattr(b, name)[key])


def test_parquet_there_and_back(predictions: Predictions, tmp_path: Path) -> None:
    path = predictions.write(tmp_path / "new" / "p.parquet")
    assert_same(Predictions.read(path), predictions)
    assert [entry.name for entry in path.parent.iterdir()] == ["p.parquet"]


def test_root_holds_the_same_columns(predictions: Predictions, tmp_path: Path) -> None:
    parquet = pq.read_table(predictions.write(tmp_path / "p.parquet"))
    with uproot.open(predictions.write(tmp_path / "p.root")) as file:
        arrays = file["predictions"].arrays(library="np")
    assert set(arrays) == set(parquet.column_names) == set(predictions.columns())
    assert {"prob_b", "prob_c", "prob_light", "BvsL", "HvsL", "label", "weight", "jet_pt", "run", "file", "row"} == set(
        arrays
    )
    for name, values in arrays.items():
        np.testing.assert_array_equal(values, parquet.column(name).to_numpy())
    assert arrays["run"].dtype == np.int64


@pytest.mark.parametrize("suffix", [".parquet", ".root"])
def test_names_that_are_taken_get_their_kind_before_them(predictions: Predictions, tmp_path: Path, suffix: str) -> None:
    values = np.arange(40, dtype=np.float32)
    clashing = replace(
        predictions,
        definitions={**predictions.definitions, "weight": predictions.definitions["BvsL"]},
        spectators={
            name: values + i for i, name in enumerate(["label", "weight", "BvsL", "prob_b", "run", "spectator_label"])
        },
        event={**predictions.event, "label": np.arange(40) + 7},
    )
    path = clashing.write(tmp_path / f"p{suffix}")
    expected = {
        "label": clashing.labels,
        "weight": clashing.weights,
        "discriminator_weight": clashing.discriminator("weight"),
        "event_label": clashing.event["label"],
        "spectator_label": values,
        "spectator_weight": values + 1,
        "spectator_BvsL": values + 2,
        "spectator_prob_b": values + 3,
        "spectator_run": values + 4,
        "spectator_spectator_label": values + 5,
    }
    if suffix == ".root":
        with uproot.open(path) as file:
            columns = file["predictions"].arrays(library="np")
    else:
        table = pq.read_table(path)
        columns = {name: table.column(name).to_numpy() for name in table.column_names}
        assert_same(Predictions.read(path), clashing)
    for name, column in expected.items():
        np.testing.assert_array_equal(columns[name], column)


@pytest.mark.parametrize("name", ["file", "row"])
def test_event_numbers_called_as_the_place_of_a_row_are_refused(tmp_path: Path, name: str) -> None:
    import toys

    text = toys.GAUSSIANS.replace("event: [event]", f"event: [event, {name}]")
    with pytest.raises(CollidekitError, match=rf"event.1: '{name}' is another column of the predictions"):
        toys.write_analysis(tmp_path / "toy.yaml", text)


def test_other_suffixes_and_files(predictions: Predictions, tmp_path: Path) -> None:
    with pytest.raises(CollidekitError, match=r"predictions are written as \.parquet or \.root"):
        predictions.write(tmp_path / "p.csv")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(CollidekitError, match=r"broken.parquet: is not a readable Parquet file"):
        Predictions.read(tmp_path / "broken.parquet")
    import pyarrow as pa

    pq.write_table(pa.table({"x": [1]}), tmp_path / "other.parquet")
    with pytest.raises(
        CollidekitError, match=r"other.parquet: is not a file of predictions; make one with 'collidekit predict'"
    ):
        Predictions.read(tmp_path / "other.parquet")


def test_a_flipped_bit_in_what_the_file_says_of_itself_is_seen(predictions: Predictions, tmp_path: Path) -> None:
    """The checksums of pages do not cover the metadata, which say which column is what; Arrow reads them from its schema."""
    path = predictions.write(tmp_path / "p.parquet")
    content = path.read_bytes()
    begin, refused = content.index(b"ARROW:schema"), 0
    for place in range(begin + 20, len(content) - 200, 11):
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(bytes(changed))
        try:
            assert_same(Predictions.read(path), predictions)
        except CollidekitError:
            refused += 1
    assert refused > 20
