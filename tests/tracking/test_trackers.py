"""A tracker hears of a training what it should, in order, and can do it no harm."""

import csv
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.tracking.conftest import Make, warnings_of

from collidekit.errors import CollidekitError
from collidekit.tracking import Tracker, Tracking, active
from collidekit.tracking.registry import TRACKERS, find_trackers
from collidekit.training.loop import Training

OWN = '''
import json
from collidekit.tracking import Tracker

class Lines(Tracker):
    """A line of JSON for each call."""

    def _write(self, *line):
        with open(f"{self.tracking.title}.txt", "a") as file:
            file.write(json.dumps(line) + "\\n")

    def begin(self, settings, analysis, folder):
        self._write("begin", self.run_id, settings["epochs"], analysis)

    def epoch(self, row):
        self._write("epoch", row["epoch"])

    def end(self, kept_epoch, files):
        self._write("end", kept_epoch, [path.name for path in files])
'''


class Recorder(Tracker):
    """Remembers each call."""

    calls: ClassVar[list[tuple[Any, ...]]] = []

    def begin(self, settings: Mapping[str, Any], analysis: str, folder: Path) -> None:
        self.calls.append(("begin", self.run_id, dict(settings), analysis, folder))

    def epoch(self, row: Mapping[str, float]) -> None:
        self.calls.append(("epoch", dict(row)))

    def end(self, kept_epoch: int, files: Sequence[Path]) -> None:
        self.calls.append(("end", kept_epoch, [path.name for path in files]))

    def stop(self) -> None:
        self.calls.append(("stop",))


class Gone(Recorder):
    """A server that is gone after the first epoch."""

    def epoch(self, row: Mapping[str, float]) -> None:
        super().epoch(row)
        if row["epoch"] > 1:
            raise ConnectionError("https://me:pass/w@rd@far.org/api?token=abc is gone\nand more")


class Slow(Recorder):
    """A server that does not answer."""

    def begin(self, settings: Mapping[str, Any], analysis: str, folder: Path) -> None:
        time.sleep(8)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    for kind in (Recorder, Gone, Slow):
        monkeypatch.setitem(TRACKERS, kind.__name__.lower(), kind)
    Recorder.calls.clear()
    return Recorder.calls


def test_it_hears_settings_epochs_and_the_end(make: Make, recorder: list[tuple[Any, ...]]) -> None:
    training = make("recorder")
    training.run()
    begin, *epochs, end = recorder
    assert begin[2]["model_options.hidden"] == "[8]"
    assert begin[2]["epochs"] == 3
    assert begin[3:] == (training.analysis.name, training.folder)
    assert [name for name, _ in epochs] == ["epoch"] * 3
    with (training.folder / "history.csv").open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert [row for _, row in epochs] == rows
    assert end == ("end", int(training.best["epoch"]), [])
    assert not warnings_of(training)


def test_files_are_given_only_when_asked_for(make: Make, recorder: list[tuple[Any, ...]]) -> None:
    make("recorder", files=True).run()
    assert recorder[-1][2] == ["best_model.pt", "history.csv", "steps.csv"]


def test_the_model_is_given_after_the_last_change_of_it(make: Make, recorder: list[tuple[Any, ...]]) -> None:
    make("recorder").run(lambda: recorder.append(("finish",)))
    time.sleep(0.1)
    assert recorder[-1][0] == "end"
    assert ("finish",) in recorder


def test_a_continued_training_is_the_same_run(make: Make, recorder: list[tuple[Any, ...]]) -> None:
    done = make("recorder")
    done.run()
    run = recorder[0][1]
    recorder.clear()
    again = make("recorder")
    again.resume(done.folder / "model_1.pt")
    again.run()
    assert recorder[0][1] == run
    assert [call[1]["epoch"] for call in recorder[1:-1]] == [1, 2, 3]
    recorder.clear()
    make("recorder", folder="b").run()
    assert recorder[0][1] != run


def test_an_interrupted_run_is_closed(make: Make, recorder: list[tuple[Any, ...]]) -> None:
    training = make("recorder")

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.run(interrupt)
    assert recorder[-1] == ("stop",)


def weights_of(training: Training) -> list[Any]:
    return [value.tolist() for value in training.tagger.state_dict().values()]


def test_a_server_that_is_gone_is_one_warning_and_changes_nothing(make: Make, recorder: list[tuple[Any, ...]]) -> None:
    plain = make("csv", folder="plain")
    plain.run()
    training = make("gone", "csv")
    training.run()
    assert [call[0] for call in recorder] == ["begin", "epoch", "epoch"]
    (warning,) = warnings_of(training)
    assert "gone: ConnectionError: https://***@far.org/api?token=*** is gone; the training continues" in warning
    assert weights_of(training) == weights_of(plain)


def test_a_server_that_does_not_answer_does_not_hold_the_training(
    make: Make, recorder: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(active, "WAIT", 0.2)
    training = make("slow")
    begun = time.monotonic()
    training.run()
    assert time.monotonic() - begun < 6
    assert warnings_of(training) == [
        "[yellow]slow: no answer in time; the training continues without this tracker[/yellow]"
    ]


def test_without_a_choice_there_is_tensorboard_and_nothing_else(make: Make) -> None:
    training = make()
    training.run()
    assert (training.folder / "tensorboard").is_dir()
    assert not (training.folder / "tracking.json").exists()
    assert {path.name for path in training.tracking.store.iterdir()} == {"TrainingTask"}  # type: ignore[union-attr]


def test_csv_alone_writes_no_tensorboard(make: Make) -> None:
    training = make("csv")
    training.run()
    assert (training.folder / "history.csv").is_file()
    assert not (training.folder / "tensorboard").exists()


def test_a_tracker_of_a_file(make: Make, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    training = make("mine.py:Lines", title="lines", files=True)
    training.run()
    lines = (tmp_path / "lines.txt").read_text().splitlines()
    assert len(lines) == 5
    assert lines[-1].endswith('["best_model.pt", "history.csv", "steps.csv"]]')


def test_a_tracker_of_a_package(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site-packages"
    info = site / "their_tracker.dist-info"
    info.mkdir(parents=True)
    (site / "their_tracker.py").write_text(OWN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-tracker\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[collidekit.trackers]\nlines = their_tracker:Lines\n")
    monkeypatch.syspath_prepend(str(site))
    make("lines", title="lines").run()
    assert len((tmp_path / "lines.txt").read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("tracking", "said"),
    [
        (Tracking(("mlflo",)), "--track: there is no tracker 'mlflo' .did you mean 'mlflow'..; known are csv, tensorboard, mlflow"),
        (Tracking(("",)), "--track: the value is empty"),
        (Tracking(("mine.py",)), "--track: mine.py: there is no such file"),
        (Tracking(files=True), "--track-files: does nothing without --track"),
        (Tracking(("csv", "tensorboard"), files=True), "--track-files: does nothing without --track mlflow"),
        (Tracking(("csv",), online=True), "--track-online: does nothing without --track wandb"),
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_choice_is_one_clear_error(tracking: Tracking, said: str) -> None:
    with pytest.raises(CollidekitError, match=said):
        find_trackers(tracking)


@pytest.mark.parametrize(("name", "module"), [("mlflow", "mlflow"), ("wandb", "wandb"), ("tensorboard", "tensorboard")])
def test_a_missing_package_is_an_error_before_the_training_starts(
    make: Make, name: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for missing in (module, "torch.utils.tensorboard") if module == "tensorboard" else (module,):
        monkeypatch.setitem(sys.modules, missing, None)
    training = make(name)
    with pytest.raises(CollidekitError, match=rf"this needs .*pip install 'collidekit\[{name}\]'"):
        training.run()
    assert not training.history.epochs


def test_no_package_of_a_tracker_is_imported_without_need() -> None:
    code = (
        "import sys, collidekit, collidekit.cli, collidekit.tasks.report, collidekit.tracking.registry; "
        "print([m for m in ('mlflow', 'wandb', 'tensorboard') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
