"""Options of law: wrong values, options of single tasks, the log file, removal."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import law
import pytest
from luigi.cmdline_parser import CmdlineParser

from collidekit.errors import CollidekitError
from collidekit.tasks.base import AnalysisTask, run_with_requirements
from collidekit.tasks.dataset import DatasetConstructorTask
from collidekit.tasks.differences import differences
from collidekit.tasks.report import ReportTask
from collidekit.tasks.roc import ROCCurveTask
from collidekit.tasks.to_report import parse_settings
from collidekit.tasks.training import TrainingTask

FILES: dict[str, Any] = {"config": "toy.yaml", "filelist": ("train.root",)}
WORDS = ("--config", "toy.yaml", "--filelist", "train.root", "--test-filelist", "test.parquet")


@contextmanager
def typed(monkeypatch: pytest.MonkeyPatch, *words: str) -> Iterator[AnalysisTask]:
    """Return the task of a command line of law."""
    with CmdlineParser.global_instance(list(words)) as parser:
        task: AnalysisTask = parser.get_task_obj()
        for name, value in {"_root_task": task, "_root_task_cls": type(task)}.items():
            monkeypatch.setattr(law.parser, name, value)
        for name in ("_full_parser", "_root_task_parser", "_global_cmdline_args", "_global_cmdline_values"):
            monkeypatch.setattr(law.parser, name, None)
        yield task


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--epochs", "abc", "--epochs: 'abc' is not a whole number"),
        ("--learning-rate", "fast", "--learning-rate: 'fast' is not a number"),
        ("--resume-epoch", "False", "--resume-epoch: 'False' is not a whole number"),
        ("--resume-training", "maybe", "--resume-training: 'maybe' is not True or False"),
        ("--mixed-precision", "half", "--mixed-precision: 'half' is not True or False"),
        ("--model-options", "{phi: 8}", r"--model-options: '\{phi: 8\}' is not JSON \(Expecting property name"),
        ("--attack-magnitude", "x", "--attack-magnitude: 'x' is not a number"),
        ("--chunk-size", "1e5", "--chunk-size: '1e5' is not a whole number"),
    ],
)
def test_a_wrong_value_is_one_line(monkeypatch: pytest.MonkeyPatch, option: str, value: str, said: str) -> None:
    with (
        pytest.raises(CollidekitError, match=said),
        typed(monkeypatch, "TrainingTask", "--config", "toy.yaml", option, value),
    ):
        pass
    if option != "--resume-epoch" and option != "--resume-training":
        with pytest.raises(CollidekitError, match=rf"--set '{option[2:]}.*: .* (is not|is neither)"):
            parse_settings([f"{option[2:]}={value}"])


def test_a_missing_analysis_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CollidekitError, match="--config: is missing"), typed(monkeypatch, "TrainingTask"):
        pass


def test_an_option_of_one_task_acts_or_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def complete(task: str, *words: str) -> bool:
        with typed(monkeypatch, task, *WORDS[: 4 if task == "TrainingTask" else 6], *words) as root:
            return root.complete()

    for words in (
        ("ROCCurveTask", "--TrainingTask-epochs", "1"),
        ("ReportTask", "--ROCCurveTask-seed", "1"),
        ("ROCCurveTask", "--InferenceTask-calibrated"),
        ("ReportTask", "--InputHistogrammerTask-bins", "7"),
    ):
        option = words[1].split("-", 3)[-1]
        with pytest.raises(CollidekitError, match=rf"{words[1]}: has no effect here, .* passes its own --{option} on"):
            complete(*words)
    with pytest.raises(CollidekitError, match="--ROCCurveTask-replicates: TrainingTask does not need ROCCurveTask"):
        complete("TrainingTask", "--ROCCurveTask-replicates", "7")
    assert not complete("ReportTask", "--ROCCurveTask-replicates", "7")
    assert not complete("ReportTask", "--HistogramPlotterTask-bins", "7")
    assert not complete("ROCCurveTask", "--DatasetConstructorTask-chunk-size", "70")
    assert not complete("TrainingTask", "--TrainingTask-epochs", "1")


def test_the_log_file_holds_what_is_said(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = place / "logs" / "made.txt"
    run_with_requirements(DatasetConstructorTask(**FILES, log_file=str(log)))
    assert "Constructing toy from 1 file" in log.read_text()
    assert "Constructing toy from 1 file" in capsys.readouterr().out
    run_with_requirements(DatasetConstructorTask(**FILES, chunk_size=50, log_file=str(log)))
    assert log.read_text().count("Constructing toy") == 2
    with pytest.raises(CollidekitError, match=r"--log-file: train.root/x: cannot be written"):
        run_with_requirements(DatasetConstructorTask(**FILES, chunk_size=60, log_file="train.root/x"))


def test_the_log_file_holds_the_error(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object) -> None:
        raise CollidekitError("it broke")

    monkeypatch.setattr(DatasetConstructorTask, "make", fail)
    with pytest.raises(CollidekitError, match="it broke"):
        DatasetConstructorTask(**FILES, chunk_size=61, log_file="log.txt").run()
    assert (place / "log.txt").read_text() == "ERROR: it broke\n"


def test_removal_takes_everything_that_a_task_wrote(place: Path) -> None:
    task = TrainingTask(**FILES)
    run_with_requirements(task)
    dataset = task.requires()["dataset"]
    assert len(list(task.folder.iterdir())) > 6
    assert not task._remove_output(("0", "d"))
    assert task.complete()
    assert not task._remove_output(("0", "a"))
    assert not task.folder.exists()
    assert dataset.complete()
    assert task._remove_output(("-1", "a", "True"))
    assert not dataset.folder.exists()
    assert not [path for path in (place / "results").rglob("*") if not path.is_dir()]
    with pytest.raises(CollidekitError, match="--remove-output: there is no mode 'x'"):
        task._remove_output(("0", "x"))


def test_an_interrupted_output_is_removed_too(place: Path) -> None:
    task = TrainingTask(**FILES, seed=4)
    task.folder.mkdir(parents=True)
    (task.folder / "last.pt").write_bytes(b"half")
    assert not task._remove_output(("0", "a"))
    assert not task.folder.exists()


def test_nothing_behind_a_link_is_removed(place: Path) -> None:
    task = DatasetConstructorTask(**FILES)
    run_with_requirements(task)
    elsewhere = place / "elsewhere"
    task.folder.rename(elsewhere)
    task.folder.symlink_to(elsewhere)
    with pytest.raises(CollidekitError, match="is behind a link, so it is not removed"):
        task._remove_output(("0", "a"))
    assert (elsewhere / "manifest.json").exists()


def test_a_report_removes_itself_alone(place: Path) -> None:
    assert not ReportTask(**FILES)._remove_output(("0", "a"))
    assert ROCCurveTask(**FILES).lock.name.endswith(".lock")


def test_two_outputs_of_one_version_say_what_differs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = TrainingTask(**FILES)
    run_with_requirements(first)
    capsys.readouterr()
    run_with_requirements(TrainingTask(**FILES, epochs=1, learning_rate=0.002))
    said = " ".join(capsys.readouterr().out.split())
    assert f"different settings than in {first.hash}: config.learning_rate 0.001 -> 0.002; config.epochs 2 -> 1" in said


def test_outputs_that_differ_by_what_they_are_made_from_say_nothing(tmp_path: Path) -> None:
    other = tmp_path / "aaaaaaaaaa"
    other.mkdir()
    (other / "run.json").write_text('{"settings": {"training": "0123456789", "replicates": 200}}')
    mine = tmp_path / "bbbbbbbbbb"
    assert not differences(mine, {"training": "abcdef0123", "replicates": 200})
    assert "replicates 200 -> 20" in differences(mine, {"training": "abcdef0123", "replicates": 20})
