"""Another unit changes the plots, but not the dataset."""

from pathlib import Path

import pytest
from luigi.task_register import Register

from collidekit.tasks.base import results_folder
from collidekit.tasks.importance import ImportanceTask
from collidekit.tasks.report import ReportTask

FILES = {"config": "toy.yaml", "filelist": ("train.root",), "test_filelist": ("test.parquet",)}


def test_plots_with_another_unit_are_drawn_anew(place: Path) -> None:
    before, explained = ReportTask(**FILES), ImportanceTask(**FILES)
    old = (before.hash, explained.hash, before.requires()["inference"].hash)
    Register.clear_instance_cache()
    (place / "toy.yaml").write_text((place / "toy.yaml").read_text() + "units: {jet_mass: MeV}\n")
    after = ReportTask(**FILES)
    assert after.hash != old[0]
    assert ImportanceTask(**FILES).hash != old[1]
    assert after.requires()["inference"].hash == old[2]


def test_the_home_folder_in_the_name_of_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLIDEKIT_OUTPUT", "~/results of mine")
    assert results_folder() == Path.home() / "results of mine"
    monkeypatch.setenv("COLLIDEKIT_OUTPUT", "")
    assert results_folder() == Path("results").absolute()
