"""Training rows are refused in skimmed, merged or converted files, and counted if they are few."""

from pathlib import Path

import awkward as ak
import pytest
import toys

from collidekit.dataset.learned import LearnedFrom
from collidekit.dataset.loader import Dataset
from collidekit.dataset.parts import Split
from collidekit.errors import CollidekitError
from collidekit.inference.predict import predict_dataset, predict_files
from collidekit.inference.predict_to_file import predict_to_file
from collidekit.inference.predicted import Predicted
from collidekit.inference.seen import warning_of
from collidekit.training.checkpoint import Checkpoint, load_checkpoint, load_content, save_checkpoint

ROWS = 600


@pytest.fixture(scope="module")
def training() -> ak.Array:
    return toys.toy_table(ROWS)


@pytest.fixture(scope="module")
def other() -> ak.Array:
    return toys.toy_table(4000, seed=9)


@pytest.fixture(scope="module")
def chosen(dataset: Dataset, checkpoint: Checkpoint) -> list[int]:
    """Rows of the training file that are in the training set."""
    mask = checkpoint.config.split.rows(dataset.column("key"), "training")
    return [i for i in range(ROWS) if mask[i]]


def predict(model: Checkpoint, folder: Path, table: ak.Array, name: str = "rows.parquet", **more: bool) -> Predicted:
    file = toys.write_table(folder / name, table)
    return predict_to_file(model.path, [str(file)], folder / "scores.parquet", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["skim.root", "skim.parquet"])
def test_a_skimmed_file_is_refused(
    checkpoint: Checkpoint, training: ak.Array, chosen: list[int], tmp_path: Path, name: str
) -> None:
    part = [i for i in chosen if 100 <= i < 300]
    table = training[100:300]
    with pytest.raises(CollidekitError) as error:
        predict(checkpoint, tmp_path, table, name)
    assert str(error.value) == (
        f"{tmp_path / name}: {len(part)} of 200 rows have the inputs of rows that the model was trained on (up to 3 rows or 0.1% of a file may be equal by chance); "
        "predict other rows, or pass --allow-training-rows to predict these rows anyway"
    )
    assert not (tmp_path / "scores.parquet").exists()
    done = predict(checkpoint, tmp_path, table, name, allow_training_rows=True)
    assert done.warning == (
        f"TRAINING ROWS: {len(part)} of 200 rows have the inputs of rows that the model was trained on, so all results look better "
        "than they are; use other rows"
    )
    assert any(f"{200 - len(part)} of 200 rows are validation rows" in note for note in done.notes)


@pytest.mark.parametrize(("known", "refused"), [(0, False), (3, False), (4, False), (5, True)])
def test_few_rows_may_be_equal_by_chance(
    checkpoint: Checkpoint,
    training: ak.Array,
    other: ak.Array,
    chosen: list[int],
    tmp_path: Path,
    known: int,
    refused: bool,
) -> None:
    """Of 4,000 rows these are four."""
    table = ak.concatenate([other[: 4000 - known], training[chosen[:known]]])
    if refused:
        with pytest.raises(
            CollidekitError, match=r"5 of 4,000 rows have the inputs of rows that the model was trained on"
        ):
            predict(checkpoint, tmp_path, table)
        return
    done = predict(checkpoint, tmp_path, table)
    assert done.warning == ""
    assert done.notes == ([
        f"{known} of 4,000 rows have the inputs of rows that the model was trained on; up to 3 rows or 0.1% of a file may be equal by chance"
    ] if known else [])  # fmt: skip


def test_the_first_of_several_files_with_training_rows_is_named(
    checkpoint: Checkpoint, training: ak.Array, other: ak.Array, tmp_path: Path
) -> None:
    tables = {"a.parquet": other[:50], "b.root": training[:60], "c.root": training[60:90], "d.root": other[50:80]}
    files = [str(toys.write_table(tmp_path / name, table)) for name, table in tables.items()]
    with pytest.raises(CollidekitError, match=r"b\.root: \d+ of 60 rows have the inputs"):
        predict_files(checkpoint, checkpoint.plan(), files, batch_size=7)
    found, _ = predict_files(checkpoint, checkpoint.plan(), [files[0], files[3]])
    assert len(found) == 80


def test_of_a_large_training_a_fraction_of_the_rows_is_looked_up(
    checkpoint: Checkpoint, dataset: Dataset, training: ak.Array, chosen: list[int], tmp_path: Path
) -> None:
    path = tmp_path / "best_model.pt"
    content = load_content(checkpoint.path)
    learned = [LearnedFrom.of(dataset, checkpoint.config.split, size=150)]
    fraction = learned[0].sketch.fraction  # type: ignore[union-attr]
    save_checkpoint(path, content["tagger"], checkpoint.analysis, checkpoint.config, 1, {}, content["code"], learned)
    with pytest.raises(
        CollidekitError, match=r"about (\d+) of 300 rows \(0\.\d+ of them were looked up\) have"
    ) as error:
        predict(load_checkpoint(path), tmp_path, training[200:500])
    number, true = int(str(error.value).split("about ")[1].split()[0]), sum(200 <= i < 500 for i in chosen)
    assert abs(number - true) < 4 * (true * (1 - fraction) / fraction) ** 0.5


def test_a_dataset_of_a_skimmed_file(checkpoint: Checkpoint, training: ak.Array, tmp_path: Path) -> None:
    skim = toys.make_dataset(tmp_path / "skim", toys.TOY, training[40:90])
    with pytest.raises(CollidekitError, match="of 50 rows have the inputs of rows that the model was trained on"):
        predict_dataset(checkpoint, skim)
    assert len(predict_dataset(checkpoint, skim, allow_training_rows=True)) == 50


def test_rows_of_robustness_and_explanations(checkpoint: Checkpoint, training: ak.Array, tmp_path: Path) -> None:
    skim = toys.make_dataset(tmp_path / "skim", toys.TOY, training[40:90])
    rows, files = toys.all_rows(skim), skim.manifest.files
    with pytest.raises(CollidekitError, match="of 50 rows have the inputs of rows that a was trained on"):
        warning_of(checkpoint, "a", rows, files, skim.analysis, allow=False)
    assert warning_of(checkpoint, "a", rows, files, skim.analysis, allow=True).startswith("TRAINING ROWS: ")


def test_a_checkpoint_without_a_sketch_knows_no_rows_in_other_files(
    checkpoint: Checkpoint, training: ak.Array, tmp_path: Path
) -> None:
    content = load_content(checkpoint.path)
    (entry,) = content["learned_from"]
    assert entry.pop("sketch")
    path = tmp_path / "best_model.pt"
    old = [LearnedFrom.read(entry)]
    save_checkpoint(path, content["tagger"], checkpoint.analysis, checkpoint.config, 1, {}, content["code"], old)
    done = predict(load_checkpoint(path), tmp_path, training[:50])
    assert len(done.predictions) == 50
    assert done.notes == []
    assert load_checkpoint(path).learned_from[0].sketch is None


def test_a_damaged_sketch_is_one_clear_error(checkpoint: Checkpoint, tmp_path: Path) -> None:
    import torch

    content = load_content(checkpoint.path)
    content["learned_from"][0]["sketch"]["content"] = "AAAA"
    torch.save(content, tmp_path / "damaged.pt")
    with pytest.raises(
        CollidekitError, match=r"damaged\.pt: its list of training rows cannot be read .* copy it again"
    ):
        load_checkpoint(tmp_path / "damaged.pt")


def test_validation_rows_alone_are_a_note(
    checkpoint: Checkpoint, training: ak.Array, dataset: Dataset, tmp_path: Path
) -> None:
    mask = checkpoint.config.split.rows(dataset.column("key"), "validation")
    assert isinstance(checkpoint.config.split, Split)
    done = predict(checkpoint, tmp_path, training[mask])
    assert done.warning == ""
    assert done.notes == [
        f"{mask.sum()} of {mask.sum()} rows are validation rows of the model, which selected its best epoch"
    ]
