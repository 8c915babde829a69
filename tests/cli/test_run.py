"""``collidekit run`` and ``collidekit demo``."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from luigi.task_register import Register
from tests.cli.conftest import Run, Trained, invoke
from tests.cli.samples import ANALYSIS, jets, write_root

from collidekit.tasks import demo


def test_goes_all_the_way_to_the_report(trained: Trained) -> None:
    lines = trained.output.splitlines()
    assert "SvsB" in trained.output
    assert "1/εB" in trained.output
    assert lines[-1].startswith("Report: ")
    assert Path(lines[-1].removeprefix("Report: ")).is_file()


def test_the_table_is_shown_once(trained: Trained) -> None:
    assert trained.output.count("discriminator ") == 1


def test_again_shows_the_same_numbers_and_makes_nothing_anew(trained: Trained) -> None:
    before = (trained.task / "best_model.pt").stat().st_mtime_ns
    result = invoke(trained.words, trained.folder / "results")
    assert result.exit_code == 0
    assert (trained.task / "best_model.pt").stat().st_mtime_ns == before
    assert "Training" not in result.output
    assert "existing result" in result.output
    row = next(line for line in trained.output.splitlines() if "SvsB" in line)
    assert row in result.output


def test_workers_and_threads_decide_nothing(trained: Trained) -> None:
    result = invoke([*trained.words, "--workers", "2", "--threads", "1"], trained.folder / "results")
    assert "existing result" in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "epoch=3"), "did you mean 'epochs'"),
        (("--set", "epochs"), "write it as name=value"),
        (("--set", "epochs=many"), "'epochs=many': 'many' is not a whole number"),
        (("--set", "dropped=1"), "known are"),
        (("--epochs", "0"), "--epochs"),
        (("--model", "pnf"), "did you mean 'pfn'"),
        (("--set", "optimizer=Adamm"), "--optimizer"),
        (("--set", "augmentation=rotaton"), "did you mean 'rotation'"),
        (("--from", "nothing.pt"), "nothing.pt: there is no such checkpoint"),
        (("--set", "freeze=network.phi.*"), "--freeze: is for a training that starts from a checkpoint"),
    ],
)
def test_wrong_settings(trained: Trained, refused: Callable[..., str], words: tuple[str, ...], said: str) -> None:
    assert said in refused(*trained.words, *words)


def test_settings_reach_the_training(trained: Trained) -> None:
    from collidekit.tasks.to_report import parse_settings, report_task

    settings = parse_settings(["ema_decay=0.9", "mixed-precision=true", 'model-options={"f": [4]}', "betas=0.8,0.9"])
    config = report_task(
        trained.analysis, [trained.training], settings={**settings, "epochs": 7, "seed": None}
    ).training_config()
    assert (config.ema_decay, config.mixed_precision, config.epochs, config.betas) == (0.9, True, 7, (0.8, 0.9))
    assert config.model_options == {"f": [4]}
    assert config.batch_size == 64, "what the analysis recommends stays"


def test_test_files_that_are_training_files_are_loud(trained: Trained, tmp_path: Path) -> None:
    """The warning is in the log and the report, for the training file and a copy of it, but not for other files."""
    assert "TESTED ON TRAINING ROWS" not in trained.output
    copy = tmp_path / "copy.root"
    copy.write_bytes(Path(trained.training).read_bytes())
    words = ["run", trained.analysis, "--files", trained.training, "--test-files", copy]
    results = tmp_path / "results"  # others look at those of the fixture
    shutil.copytree(trained.folder / "results", results)
    Register.clear_instance_cache()
    result = invoke(words, results)
    Register.clear_instance_cache()
    assert result.exit_code == 0, result.output
    assert "TESTED ON TRAINING ROWS: 1 of 1 test files (copy.root)" in " ".join(result.output.split())
    reports = (results / "ReportTask").rglob("report.html")
    loud = ["TESTED ON TRAINING ROWS" in page.read_text(encoding="utf-8") for page in reports]
    assert sorted(loud) == [False, True]


def test_fine_tuning(trained: Trained, tmp_path: Path) -> None:
    """Invalid settings are errors before anything is written."""
    words = [*trained.words, "--from", trained.task]
    result = invoke([*words, "--set", "freeze=network.fi.*"], tmp_path)
    assert result.exit_code == 2
    assert "'network.fi.*' matches no parameter" in result.stderr
    assert not list(tmp_path.iterdir())
    result = invoke([*words, "--set", "freeze=network.phi.*"], tmp_path)
    assert result.exit_code == 0, result.output
    assert f"starting with the weights of {trained.task / 'best_model.pt'} and a new head" in result.output


def test_unknown_analysis(refused: Callable[..., str]) -> None:
    assert "did you mean 'top_tagging" in refused("run", "top_taggin")
    assert "no such analysis file" in refused("run", "nothing.yaml")


def test_missing_files(trained: Trained, refused: Callable[..., str]) -> None:
    assert "nothing.root: there is no such file" in refused("run", trained.analysis, "--files", "nothing.root")
    assert "has no training files" in refused("run", trained.analysis)


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_empty_files_are_skipped(
    tmp_path: Path, trained: Trained, refused: Callable[..., str], run: Run, workers: tuple[str, ...]
) -> None:
    columns = jets(100, seed=7)
    empty = write_root(tmp_path / "empty.root", {name: values[:0] for name, values in columns.items()})
    full = write_root(tmp_path / "full.root", columns)
    words = ["run", trained.analysis, "-f", empty, "-f", full, "--test-files", trained.test, *workers]
    assert "empty.root: holds no entries; take it out of the list or pass --skip-bad-files" in refused(*words)
    result = run(*words, "--skip-bad-files")
    assert result.exit_code == 0, result.output
    manifest = next(path for path in tmp_path.rglob("manifest.json") if "empty.root" in path.read_text())
    assert "empty.root: holds no entries" in manifest.read_text()
    said = refused("run", trained.analysis, "-f", empty, "--test-files", trained.test, "--skip-bad-files")
    assert said.rstrip().endswith("empty.root: holds no entries"), "the option was given"


def test_an_empty_csv_file_is_skipped(tmp_path: Path, run: Run) -> None:
    rows = "\n".join(f"{i % 2},{i % 7}" for i in range(200))
    (tmp_path / "full.csv").write_text(f"label,x\n{rows}\n")
    (tmp_path / "empty.csv").write_text("label,x\n")
    (tmp_path / "a.yaml").write_text(
        "files: {training: [empty.csv, full.csv]}\nclasses: {b: label == 0, s: label == 1}\ninputs: {row: {features: [x]}}\n"
        "discriminators: {SvsB: {signal: s, background: b}}\ntraining: {model_name: mlp, epochs: 1}\n"
    )
    result = run("run", "a.yaml", "--skip-bad-files")
    assert result.exit_code == 0, result.output


def test_missing_branch(tmp_path: Path, trained: Trained, refused: Callable[..., str]) -> None:
    columns = jets(50)
    columns["part_d"] = columns.pop("part_d0")
    said = refused("run", trained.analysis, "--files", write_root(tmp_path / "other.root", columns))
    assert "'part_d0'" in said
    assert "did you mean 'part_d'" in said
    assert "other.root" in said


def test_demo_says_what_it_does_and_what_next(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    path = trained.folder / "again" / "jets.yaml"  # the same analysis, and the same results
    path.parent.mkdir()
    path.write_text(ANALYSIS + "files: {training: ../train.root, test: ../test.root}\n")
    monkeypatch.setitem(demo.DEMOS, "little", (str(path), "heavy jets against light ones"))
    result = invoke(["demo", "--sample", "little"], trained.folder / "results")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("collidekit demo: heavy jets against light ones.")
    assert "SvsB" in result.output
    assert "report.html" in result.output
    next_steps = result.output.split("Next steps")[1]
    assert next_steps.count("collidekit ") == 3
    command = next(line for line in next_steps.splitlines() if "collidekit predict" in line)
    assert Path(command.split()[2]).is_file()
    assert Path(command.split()[3]).is_file()


def test_demo_of_an_unknown_sample(refused: Callable[..., str]) -> None:
    assert "did you mean 'top-tagging'" in refused("demo", "--sample", "top-taging")


def test_an_empty_class(tmp_path: Path, trained: Trained, refused: Callable[..., str], run: Run) -> None:
    columns = jets(50)
    columns["label"][:] = 0
    assert "no row is in class 'signal'" in refused(
        "run", trained.analysis, "-f", write_root(tmp_path / "one.root", columns)
    )
    assert not list(tmp_path.rglob("manifest.json"))


def test_a_network_that_loses_to_boosted_trees_is_loud(tmp_path: Path, run: Run) -> None:
    """The warning is in the log, in the report, and in a second run; with a learning rate near 0 the network does not improve."""
    write_root(tmp_path / "train.root", jets(1600, seed=1))
    write_root(tmp_path / "test.root", jets(1600, seed=2))
    (tmp_path / "jets.yaml").write_text(ANALYSIS)
    words = ("run", "jets.yaml", "--files", "train.root", "--test-files", "test.root", "--learning-rate", "1e-9")
    result = run(*words)
    assert result.exit_code == 0, result.output
    said = "THE NETWORK LOSES TO BOOSTED TREES on the same 1,600 rows: SvsB has AUC 0."
    assert said in " ".join(result.output.split())
    report = Path(result.output.splitlines()[-1].removeprefix("Report: ")).read_text(encoding="utf-8")
    assert said in report
    assert ">Boosted trees</" in report
    assert said in " ".join(run(*words).output.split())


def test_nothing_is_said_where_rows_are_few(trained: Trained) -> None:
    assert "BOOSTED TREES" not in trained.output


def test_a_tracker_is_chosen_by_name(trained: Trained, refused: Callable[..., str], tmp_path: Path) -> None:
    words = (*trained.words, "--epochs", "1")
    assert "--track: there is no tracker 'mlflo' (did you mean 'mlflow'?)" in refused(*words, "--track", "mlflo")
    assert "--track: the value is empty" in refused(*words, "--track", "")
    assert "--track-files: does nothing without --track" in refused(*words, "--track-files")
    (tmp_path / "mine.py").write_text("class Mine: pass\n")
    assert "derive from collidekit.tracking.Tracker: none" in refused(*words, "--track", "csv,mine.py")
