"""Tasks as objects: hashes of folders, repeated outputs, and continued trainings."""

import json
from pathlib import Path
from typing import Any

import law
import numpy as np
import pytest
import torch
import toys
from parameters import OF_FILES, OF_FINE_TUNING, SIGNIFICANT

from collidekit.dataset.parts import Split
from collidekit.errors import CollidekitError
from collidekit.evaluation.report.input_histograms import InputHistograms
from collidekit.inference.predictions import Predictions
from collidekit.tasks import pipelines
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.dataset import DatasetConstructorTask
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.input_plotter import HistogramPlotterTask, InputHistogrammerTask
from collidekit.tasks.roc import ROCCurveTask
from collidekit.tasks.training import TrainingTask
from collidekit.tasks.working_points import WorkingPointTask
from collidekit.training.checkpoint import load_content
from collidekit.training.prepare import validation_rows

torch.set_num_threads(1)
FILES: dict[str, Any] = {"config": "toy.yaml", "filelist": ("train.root",)}


def roc(**parameters: Any) -> ROCCurveTask:
    return ROCCurveTask(**{**FILES, "test_filelist": ("test.parquet",), **parameters})


@pytest.mark.parametrize(
    "parameters",
    [
        {"coffea_worker": 7},
        {"executor": "dask"},
        {"executor": "dask", "scheduler": "tcp://far:8786"},
        {"jobs": 3},
        {"n_threads": 9},
        {"devices": 2},
        {"nodes": 2},
        {"track": ("csv",)},
        {"track_files": True},
        {"track_online": True},
        {"verbose": True},
        {"workflow": "slurm"},
    ],
    ids=lambda parameters: list(parameters)[-1],
)
def test_insignificant_parameters_leave_the_folder(place: Path, parameters: dict[str, Any]) -> None:
    assert roc(**parameters).folder == roc().folder


def test_every_other_parameter_is_in_the_folder(place: Path) -> None:
    folders = {str(parameters): roc(**parameters).folder for parameters in [{}, *SIGNIFICANT]}
    assert len(set(folders.values())) == len(folders)
    tested = {name for parameters in SIGNIFICANT for name in parameters} | {
        "config",
        "coffea_worker",
        "jobs",
        "allow_training_rows",
        "executor",
        "scheduler",
        "n_threads",
        "devices",
        "nodes",
        "track",
        "track_files",
        "track_online",
        "terminal_plot",
        "verbose",
        "workflow",
        *OF_FINE_TUNING,
        *OF_FILES,
    }
    known = {name for name, _ in ROCCurveTask.get_params()}
    of_law = {name for name, _ in law.Task.get_params()}
    assert known - tested <= of_law


def test_a_setting_of_the_analysis_file_is_the_same_as_on_the_command_line(place: Path) -> None:
    assert roc(epochs=2).folder == roc().folder  # the file says 2
    assert TrainingTask(**FILES).training_config().model_options == {"phi": [8, 8], "f": [8]}
    assert TrainingTask(**FILES, epochs=5).training_config().epochs == 5


def test_a_changed_analysis_is_another_dataset(place: Path) -> None:
    before = {type(task): task.hash for task in (DatasetConstructorTask(**FILES), TrainingTask(**FILES), roc())}

    def changed(old: str, new: str) -> set[type]:
        text = (place / "toy.yaml").read_text()
        assert old in text
        (place / f"{abs(hash(new))}").mkdir()
        path = place / f"{abs(hash(new))}" / "toy.yaml"
        path.write_text(text.replace(old, new))
        parameters = {**FILES, "config": str(path)}
        tasks = (DatasetConstructorTask(**parameters), TrainingTask(**parameters), roc(config=str(path)))
        return {type(task) for task in tasks if task.hash != before[type(task)]}

    everything = {DatasetConstructorTask, TrainingTask, ROCCurveTask}
    assert changed("expression: log(part_e)", "expression: log(part_e + 1)") == everything
    assert changed("weight: weight", "weight: weight * 2") == everything
    assert changed("default: -9", "default: -8") == everything
    assert changed("working_points: [0.1]", "working_points: [0.2]") == set()
    assert changed("{SvsB: {signal: signal", "{Other: {signal: signal") == {ROCCurveTask}
    assert changed("epochs: 2", "epochs: 3") == {TrainingTask, ROCCurveTask}
    assert changed("working_points: [0.1]", "class_weights: {signal: 2}") == {TrainingTask, ROCCurveTask}


def test_changed_files_are_another_dataset(place: Path) -> None:
    before = DatasetConstructorTask(**FILES).hash
    (place / "train.root").touch()
    assert DatasetConstructorTask(**FILES, verbose=True).hash == before
    toys.write_table(place / "train.root", toys.toy_table(301))
    assert DatasetConstructorTask(**FILES, coffea_worker=3).hash != before


def test_a_changed_network_of_the_users_is_another_training(place: Path) -> None:
    (place / "mine.py").write_text("a = 1\n")
    before = TrainingTask(**FILES, model_name="mine.py").hash
    (place / "mine.py").write_text("a = 2\n")
    assert TrainingTask(**FILES, model_name="mine.py", verbose=True).hash != before
    with pytest.raises(CollidekitError, match=r"--model-name: thine.py: there is no such file"):
        _ = TrainingTask(**FILES, model_name="thine.py:Mine").hash


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"optimizer": "Adamm"}, r"--optimizer: Input should be 'AdamW', .*, got 'Adamm'"),
        ({"betas": "0.9"}, r"--betas: "),
        ({"betas": "a,b"}, r"--betas: 'a,b' is not two numbers separated by a comma"),
        ({"epochs": 0}, r"--epochs: Input should be greater than or equal to 1, got 0"),
        ({"train_val_split": 1.5}, r"--train-val-split: .* got 1.5"),
    ],
)
def test_wrong_settings(place: Path, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(CollidekitError, match=message):
        TrainingTask(**FILES, **parameters).training_config()


def test_wrong_settings_in_the_file(place: Path) -> None:
    text = (place / "toy.yaml").read_text()
    (place / "wrong.yaml").write_text(text.replace("epochs: 2", "epoch: 2"))
    with pytest.raises(
        CollidekitError,
        match=r"wrong.yaml:\d+: training.epoch: unknown key \(did you mean .*; allowed are .*model_name, ",
    ):
        TrainingTask(config="wrong.yaml", filelist=("train.root",)).training_config()
    (place / "word.yaml").write_text(text.replace("epochs: 2", "epochs: two"))
    with pytest.raises(CollidekitError, match=r"word.yaml:\d+: training.epochs: .*, got 'two'"):
        TrainingTask(config="word.yaml", filelist=("train.root",)).training_config()


def test_a_bad_file_has_no_part_in_the_name_of_a_dataset_without_it(place: Path) -> None:
    (place / "empty.root").touch()
    files = {"config": "toy.yaml", "filelist": ("train.root", "empty.root")}
    with pytest.raises(CollidekitError, match=r"empty.root: is empty"):
        DatasetConstructorTask(**files).output()
    task = DatasetConstructorTask(**files, skip_bad_files=True)
    task.run()
    assert [entry.get("skipped", "") for entry in task.dataset().manifest.inputs] == [
        "", "empty.root: is empty (0 bytes); write it again or leave it out"
    ]  # fmt: skip


def test_no_files_anywhere(place: Path) -> None:
    with pytest.raises(CollidekitError, match=r"toy.yaml: has no training files; give them with .*--filelist"):
        DatasetConstructorTask(config="toy.yaml").files()


def test_spectators_and_working_points_of_a_run(place: Path) -> None:
    inference = InferenceTask(**FILES, test_filelist=("test.parquet",))
    points = WorkingPointTask(**FILES, test_filelist=("test.parquet",))
    run_with_requirements(points)
    found = Predictions.read(inference.folder / "predictions.parquet")
    assert list(found.spectators) == ["jet_mass", "label", "weight", "jet_pt"]
    assert found.event["event"].tolist() == list(range(1000, 1200))
    np.testing.assert_array_equal(found.spectators["label"], found.labels)
    assert {path.name for path in points.folder.iterdir()} >= {"working_points.json", "working_points.yaml", "run.json"}
    content = json.loads((inference.folder / "run.json").read_text())
    assert content["settings"]["training"] == TrainingTask(**FILES).hash
    assert content["versions"]["torch"] == torch.__version__


def test_without_test_files_the_validation_rows_are_predicted(place: Path) -> None:
    task = InferenceTask(**FILES, train_val_split=0.6)
    run_with_requirements(task)
    events = task.predictions().event["event"]
    seen = validation_rows(TrainingTask(**FILES, train_val_split=0.6).requires()["dataset"].dataset(), Split(0.6))
    assert events.tolist() == [int(event) for batch in seen for event in batch.event["event"]]
    assert 80 < len(events) < 160


def test_input_histograms(place: Path) -> None:
    task = InputHistogrammerTask(**FILES)
    run_with_requirements(task)
    assert task.complete()
    assert len(InputHistograms.load(task.folder / "histograms.npz").axes) == 6
    assert HistogramPlotterTask(**FILES).requires()["histograms"].folder == task.folder


def test_each_analysis_that_ships_has_a_pipeline_to_its_report() -> None:
    found = [
        task for task in vars(pipelines).values() if isinstance(task, type) and task.__module__ == pipelines.__name__
    ]
    runs = [task for task in found if not (task.exclude_index or issubclass(task, pipelines.BHivePipeline))]
    shipped = Path(__file__).parents[2] / "analyses"
    assert sorted(task.config._default for task in runs) == sorted(path.stem for path in shipped.glob("*.yaml"))
    for task in runs:
        assert issubclass(task, law.WrapperTask)
        needed = law.util.flatten(task(filelist=("train.root",), test_filelist=("test.parquet",)).requires())
        made = ["ReportTask", *(["SignificanceTask"] if task is pipelines.MoonsRun else [])]
        assert [(type(one).__name__, one.config) for one in needed] == [(name, task.config._default) for name in made]


# where a training goes on


def train(**parameters: Any) -> TrainingTask:
    task = TrainingTask(**FILES, **parameters)
    run_with_requirements(task)
    return task


def test_an_interrupted_training_goes_on(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = train()
    steps = (task.folder / "steps.csv").read_bytes()
    (task.folder / "last.pt").write_bytes((task.folder / "model_1.pt").read_bytes())
    (task.folder / "run.json").unlink()
    assert not task.complete()
    capsys.readouterr()
    train()
    assert "continuing after epoch 1" in capsys.readouterr().out
    assert (task.folder / "steps.csv").read_bytes() == steps


def test_resume_training_false_begins_anew(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = train()
    steps = (task.folder / "steps.csv").read_bytes()
    (task.folder / "model_9.pt").write_bytes(b"of an earlier one")
    (task.folder / "run.json").unlink()
    capsys.readouterr()
    again = train(resume_training=False)
    assert "going on" not in capsys.readouterr().out
    assert again.folder == task.folder
    assert (task.folder / "steps.csv").read_bytes() == steps
    assert not (task.folder / "model_9.pt").exists()


def test_resume_epoch(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = train(epochs=3)
    weights = load_content(task.folder / "best_model.pt")["tagger"]
    (task.folder / "run.json").unlink()
    with pytest.raises(CollidekitError, match=r"model_7.pt: there is no checkpoint of epoch 7"):
        train(epochs=3, resume_epoch=7)
    train(epochs=3, resume_epoch=2)
    assert "continuing after epoch 2" in capsys.readouterr().out
    again = load_content(task.folder / "best_model.pt")["tagger"]
    assert all(torch.equal(value, again[name]) for name, value in weights.items())


def test_fine_tuning(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder depends on the first weights, not on their path."""
    base = train()
    start = base.folder / "best_model.pt"
    tuned = {"from_checkpoint": str(base.folder), "epochs": 1}
    (place / "copy.pt").write_bytes(start.read_bytes())
    assert (
        TrainingTask(**FILES, **{**tuned, "from_checkpoint": "copy.pt"}).folder == TrainingTask(**FILES, **tuned).folder
    )
    others: list[dict[str, Any]] = [
        {}, {"keep_head": True}, {"freeze": "network.phi.*"}, {"from_checkpoint": str(base.folder / "model_1.pt")},
    ]  # fmt: skip
    folders = {TrainingTask(**FILES, **{**tuned, **more}).folder for more in others}
    assert len({base.folder, *folders}) == 5
    with pytest.raises(CollidekitError, match=r"--freeze: is for a training that starts from a checkpoint"):
        TrainingTask(**FILES, freeze="network.phi.*").training_config()
    capsys.readouterr()
    task = train(**tuned, freeze="network.phi.*", verbose=True)
    said = capsys.readouterr().out
    assert f"starting with the weights of {start}" in said
    assert "network.phi.constituents.0.weight (8x4) is frozen" in said
    assert "network.output.0.weight (2x8) is trained" in said
    old, new = (load_content(path)["tagger"] for path in (start, task.folder / "best_model.pt"))
    assert torch.equal(old["network.phi.constituents.0.weight"], new["network.phi.constituents.0.weight"])
    assert not torch.equal(old["network.f.0.weight"], new["network.f.0.weight"])
    settings = json.loads((task.folder / "run.json").read_text())["settings"]["config"]
    assert len(settings["from_checkpoint"]) == 64
    more = train(**tuned, extend_training=1)
    assert json.loads((more.folder / "run.json").read_text())["settings"]["extends"] == train(**tuned).hash


def test_extend_training(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = train(extend_training=2)
    base = TrainingTask(**FILES)
    assert base.complete()
    assert task.folder != base.folder
    assert "continuing after epoch 2" in capsys.readouterr().out
    rows = (task.folder / "history.csv").read_text().splitlines()
    assert rows[:3] == (base.folder / "history.csv").read_text().splitlines()
    assert len(rows) == 5
    assert json.loads((task.folder / "run.json").read_text())["settings"]["extends"] == base.hash
    assert task.complete()


def test_verbose_prints_files_statistics_and_settings(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = {}
    for verbose in (False, True):
        task = TrainingTask(**FILES, epochs=1, dataset_version=f"said_{verbose}", verbose=verbose)
        run_with_requirements(task)
        said[verbose] = capsys.readouterr().out
    for text in ("rows in train.root", "missing", "learning_rate ="):
        assert text in said[True]
        assert text not in said[False]


def test_the_points_of_each_curve_are_written(place: Path) -> None:
    task = roc(epochs=1, replicates=5)
    run_with_requirements(task)
    names = list(task.analysis.discriminators)
    assert names
    for name in names:
        curve = np.genfromtxt(task.folder / f"curve_{name}.csv", delimiter=",", names=True)
        assert len(curve) > 2


def test_what_a_killed_process_left_is_removed_by_the_next_one(place: Path) -> None:
    task = DatasetConstructorTask(**FILES)
    run_with_requirements(task)
    (task.folder / "run.json").rename(task.folder / ".run.machine.1.part.json")  # killed before the last rename
    run_with_requirements(task)
    assert (task.folder / "run.json").is_file()
    assert not list(task.folder.glob(".*"))
