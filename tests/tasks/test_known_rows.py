"""Tasks recognise training rows in any file: in one process or parts, with attacks, after fine-tuning."""

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import torch
import toys

from collidekit.errors import CollidekitError
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.calibrate import calibrate
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.training import TrainingTask
from collidekit.training.checkpoint import load_checkpoint

torch.set_num_threads(1)
FILES: dict[str, Any] = {"config": "toy.yaml", "filelist": ("train.root",)}


def done(task: Any) -> Any:
    run_with_requirements(task)
    return task


@pytest.fixture
def trained(place: Path) -> tuple[Path, int]:
    """Folder of a training, and number of training rows in ``skim.parquet``, the first 120 rows of its file."""
    task = done(TrainingTask(**FILES))
    toys.write_table(place / "skim.parquet", toys.toy_table(300)[:120])
    dataset = task.requires()["dataset"].dataset()
    learned = load_checkpoint(task.folder).config.split.rows(dataset.column("key"), "training")
    return task.folder, int((learned & (toys.all_rows(dataset).source[:, 1].numpy() < 120)).sum())


def test_a_checkpoint_is_not_judged_by_rows_that_it_knows(trained: tuple[Path, int], place: Path) -> None:
    folder, number = trained
    merged = ak.concatenate([toys.toy_table(2500, seed=9), toys.toy_table(300)[:120]])
    toys.write_table(place / "merged.root", merged)
    given: dict[str, Any] = {"config": "toy.yaml", "checkpoint": (str(folder),), "test_filelist": ("merged.root",)}
    said = rf"merged.root: {number} of 2,620 rows have the inputs of rows that the model was trained on"
    with pytest.raises(CollidekitError, match=said):
        done(InferenceTask(**given))
    of_parts = InferenceTask(**given, jobs=2)
    for part in of_parts.parts.values():  # as in two processes
        part.folder.mkdir(parents=True)
        part.make()
        assert 0 < np.load(part.folder / "known.npy").shape[1] < 2620
    with pytest.raises(CollidekitError, match=said):
        of_parts.make()
    allowed = done(InferenceTask(**given, allow_training_rows=True))
    assert allowed.overlap_note.startswith(f"TRAINING ROWS: {number} of 2,620 rows have the inputs of rows")


def test_attacked_rows_are_known_by_what_they_were(trained: tuple[Path, int]) -> None:
    folder, number = trained
    given: dict[str, Any] = {"config": "toy.yaml", "checkpoint": (str(folder),), "test_filelist": ("skim.parquet",)}
    with pytest.raises(CollidekitError, match=rf"{number} of 120 rows have the inputs of rows"):
        done(InferenceTask(**given, test_attack="noise", test_attack_magnitude=0.5))


def test_a_fine_tuned_network_knows_the_rows_of_the_first_training(trained: tuple[Path, int], place: Path) -> None:
    folder, number = trained
    toys.write_table(place / "second.root", toys.toy_table(150, seed=5))
    more: dict[str, Any] = {"config": "toy.yaml", "filelist": ("second.root",), "from_checkpoint": str(folder)}
    second = done(TrainingTask(**more, keep_head=True, epochs=1))
    assert [len(entry.sketch.hashes) for entry in load_checkpoint(second.folder).learned_from] == [150, 300]
    with pytest.raises(CollidekitError, match=rf"skim.parquet: {number} of 120 rows have the inputs of rows"):
        done(InferenceTask(config="toy.yaml", checkpoint=(str(second.folder),), test_filelist=("skim.parquet",)))


def test_a_temperature_is_not_fitted_to_rows_that_were_learned_from(trained: tuple[Path, int], place: Path) -> None:
    folder, number = trained
    with pytest.raises(CollidekitError) as error:
        calibrate(folder, ["skim.parquet"])
    assert f"{number} of 120 rows have the inputs of rows" in str(error.value)
    assert str(error.value).endswith("leave out the files to use the validation rows, or give other files")


def test_a_run_with_jets_of_its_training_among_its_test_files_says_so(place: Path) -> None:
    """Keys of file and entry have no meaning in another file."""
    text = """
rows: Jet
classes: {light: Jet_label == 0, b: Jet_label == 1}
inputs: {jet: {features: [Jet_x]}}
discriminators: {b_tag: {signal: b, background: light}}
training: {model_name: mlp, epochs: 1}
"""
    random = np.random.default_rng(1)
    counts = random.integers(1, 4, 200)
    jets = {"Jet_label": np.arange(counts.sum()) % 2, "Jet_x": random.normal(size=counts.sum())}
    table = ak.zip({name: ak.unflatten(values, counts) for name, values in jets.items()}, depth_limit=1)
    toys.write_table(place / "jets.root", table)
    toys.write_table(place / "some.root", table[:60])
    (place / "jets.yaml").write_text(text)
    task = done(InferenceTask(config="jets.yaml", filelist=("jets.root",), test_filelist=("some.root",)))
    assert task.overlap_note.startswith("TRAINING ROWS: ")
    assert f"of {counts[:60].sum()} rows have the inputs of rows" in task.overlap_note
