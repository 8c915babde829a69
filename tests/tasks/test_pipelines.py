"""Pipelines with b-hive's names, and outputs of the pipeline of the moons."""

from pathlib import Path

import pytest
import toys

from collidekit.errors import CollidekitError
from collidekit.tasks.pipelines import DeepJetRun, DeepJetRunHLTPhase2, MoonsRun, ParticleNetRunHLT
from collidekit.tasks.report import ReportTask

MERIT = "figure_of_merit: {variable: jet_mass, window: [0, 99], signal: [signal], events: 99, signal_fraction: 0.1}\n"
FILES = {"config": "toy.yaml", "filelist": ("train.root",), "test_filelist": ("test.parquet",)}


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toys.write_table(tmp_path / "train.root", toys.toy_table(60))
    toys.write_table(tmp_path / "test.parquet", toys.toy_table(40, seed=2))
    (tmp_path / "toy.yaml").write_text(toys.TOY + MERIT)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("task", "network"), [(DeepJetRun, "deepjet"), (DeepJetRunHLTPhase2, "deepjet_hlt"), (ParticleNetRunHLT, "particlenet")]
)  # fmt: skip
def test_a_pipeline_of_b_hive_fixes_the_network_and_the_versions(task: type, network: str) -> None:
    report = task(**FILES, version="v7", epochs=2).requires()["report"]
    assert report.folder == ReportTask(
        **FILES, model_name=network, epochs=2, dataset_version="v7", training_version="v7", test_dataset_version="testfiles_v7"
    ).folder  # fmt: skip
    assert "v7/v7/testfiles_v7" in str(report.folder)
    with pytest.raises(CollidekitError, match=f"--model-name: {task.__name__} always trains {network}"):
        task(**FILES, model_name="pfn").requires()


def test_the_pipeline_of_the_moons_makes_the_significance_too() -> None:
    made = MoonsRun(**FILES, objective="relegator", seed=5, epochs=2).requires()
    assert sorted(made) == ["report", "significance"]
    trained = {
        task.training_config().seed for name, task in made["significance"].requires().items() if "relegator" in name
    }
    assert trained == {5}
    inference = made["significance"].requires()["relegator 5"]
    assert inference.folder == made["report"].requires()["inference"].folder  # one training serves both


def test_a_pipeline_ends_well_where_its_report_is_there() -> None:
    """luigi runs the pipeline after its requirements."""
    ParticleNetRunHLT(**FILES).run()
    assert not Path("results").exists()
