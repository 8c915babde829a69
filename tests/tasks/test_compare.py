"""CompareTask: a training compared with attacks on its rows, other runs and scores in the files."""

import json
from pathlib import Path

import pytest
import torch

from collidekit.errors import CollidekitError
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.compare import CompareTask
from collidekit.tasks.roc import ROCCurveTask

torch.set_num_threads(1)
FILES = {"config": "toy.yaml", "filelist": ("train.root",), "test_filelist": ("test.parquet",)}


def test_nominal_attacked_noisy_and_another_run(place: Path) -> None:
    other = ROCCurveTask(**FILES, seed=5, replicates=20)
    run_with_requirements(other)
    names = ("rows as they are", "fgsm", "noise", "another seed")
    settings = {
        **FILES,
        "under": ("fgsm:0.3", "noise:0.3"),
        "replicates": 20,
        "names": names,
        "taggers": ("mass=jet_mass",),
    }
    task = CompareTask(**settings, runs=(str(other.folder),))
    run_with_requirements(task)
    found = json.loads((task.folder / "comparison.json").read_text())
    assert [entry["name"] for entry in found["compared"]] == [
        "rows as they are", "fgsm, under fgsm 0.3", "noise, under noise 0.3", "another seed", "mass",
    ]  # fmt: skip
    assert all(entry["paired"] for entry in found["differences"])
    assert "CompareTask/toy" in str(task.folder)
    by_hash = CompareTask(**settings, runs=(other.requires()["inference"].requires()["training"].hash,))
    assert by_hash.folder == task.folder, "the same predictions"
    assert CompareTask(**settings, runs=()).hash != task.hash


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "there is only one curve"),
        ({"under": ("fgsmm:0.1",)}, "did you mean 'fgsm'"),
        ({"under": ("fgsm",)}, "--under: 'fgsm': write attack and magnitude"),
        ({"under": ("fgsm:0.1",), "names": ("a",)}, "--names: 1 given for 2 curves"),
        ({"under": ("fgsm:0.1",), "f_c": 2.0}, "--f-c 2: is not between 0 and 1"),
        ({"runs": ("ffffff",)}, "no complete training or report"),
    ],
)
def test_refused_before_anything_is_written(place: Path, given: dict[str, tuple[str, ...]], said: str) -> None:
    with pytest.raises(CollidekitError, match=said):
        CompareTask(**FILES, **given).complete()
    assert not (place / "results").exists()


def test_settings_of_plots_are_in_the_hash(place: Path) -> None:
    (place / "drawn.yaml").write_text((place / "toy.yaml").read_text() + "plots: {experiment: ATLAS}\n")
    task, drawn = (CompareTask(**{**FILES, "config": name}, under=("fgsm:0.3",)) for name in ("toy.yaml", "drawn.yaml"))
    assert drawn.identity() == task.identity(), "the same predictions"
    assert drawn.hash != task.hash, "another page"
