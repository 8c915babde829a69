"""The law command, as used with b-hive."""

import re
from pathlib import Path

import pytest
import toys

SEVEN = {
    "DatasetConstructorTask",
    "TrainingTask",
    "InferenceTask",
    "ROCCurveTask",
    "WorkingPointTask",
    "AssignmentTask",
    "ReconstructionTask",
    "ResidualTask",
    "InputHistogrammerTask",
    "HistogramPlotterTask",
}
PIPELINES = {
    "TopTaggingRun",
    "TopTaggingReferenceRun",
    "JetFlavourRun",
    "JetFlavourTracksRun",
    "JetFlavour2016Run",
    "GridTask",
    "SearchTask",
    "ExportTask",
    "RobustnessTask",
    "CompareTask",
    "NanoAODJetsRun",
    "PFNanoJetsRun",
    "MoonsRun",
    "DeepJetRun",
    "DeepJetRunHLT",
    "DeepJetRunHLTPhase2",
    "ParticleNetRunHLT",
}

DATASET_PARAMETERS = "chunk-size config debug filelist verbose coffea-worker dataset-version"
TRAINING_PARAMETERS = """
debug config verbose seed dataset-version training-precision training-version epochs model-name n-threads batch-size
learning-rate optimizer loss-function betas eps lr-scheduler lr-decay-factor mixed-precision use-torch-compile
torch-compile-mode loss-weighting resume-training resume-epoch extend-training train-val-split n-train-files
"""
"""Parameters in b-hive's log line, without those of attacks."""

FILES = ("--config", "toy.yaml", "--filelist", "train.root", "--test-filelist", "test.parquet")
CONSTRUCTED = ("--DatasetConstructorTask-coffea-worker", "2", "--DatasetConstructorTask-chunk-size", "120")


@pytest.fixture(scope="module")
def index(law: toys.Law, law_home: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    run = law("index", "--verbose", cwd=tmp_path_factory.mktemp("elsewhere"))
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def folder(index: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("law")
    toys.write_table(folder / "train.root", toys.toy_table(300))
    toys.write_table(folder / "test.parquet", toys.toy_table(200, seed=2))
    training = "training: {model_name: pfn, model_options: {phi: [8, 8], f: [8]}, epochs: 2, batch_size: 64}\n"
    (folder / "toy.yaml").write_text(toys.TOY + training)
    return folder


@pytest.fixture(scope="module")
def status(law: toys.Law, folder: Path) -> str:
    """Log of the status before the first run."""
    run = law("run", "ROCCurveTask", *FILES, *CONSTRUCTED, "--print-status", "-1", cwd=folder)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def roc(law: toys.Law, folder: Path, status: str) -> str:
    """Log of a run of ROCCurveTask without existing outputs."""
    assert not (folder / "results").exists()
    run = law("run", "ROCCurveTask", *FILES, *CONSTRUCTED, cwd=folder)
    assert run.returncode == 0, run.stderr
    return run.stdout + run.stderr


def test_index_lists_the_tasks_of_b_hive_and_the_pipelines(index: str) -> None:
    listed = set(re.findall(r"^ +- (\w+)$", index, re.MULTILINE))
    assert listed >= SEVEN | PIPELINES | {"ReportTask"}
    assert "done" in index
    assert "error" not in index.lower()


def test_completion_finds_tasks_and_parameters(index: str, law: toys.Law, law_home: Path, tmp_path: Path) -> None:
    lines = dict(line.split(":", 2)[1:] for line in (law_home / ".law" / "index").read_text().splitlines() if line)
    assert set(lines) >= SEVEN | PIPELINES
    for name in DATASET_PARAMETERS.split():
        assert name in lines["DatasetConstructorTask"].split()
    for name in TRAINING_PARAMETERS.split():
        assert name in lines["TrainingTask"].split()
    for name in ("test-filelist", "test-dataset-version", "training-version", "epochs"):
        assert name in lines["ROCCurveTask"].split()
    script = law("completion", cwd=tmp_path).stdout.strip()
    assert Path(script).is_file()


def test_completion_works_in_bash(index: str, law: toys.Law, law_home: Path, tmp_path: Path) -> None:
    import subprocess

    script = law("completion", cwd=tmp_path).stdout.strip()
    ask = f"""
    source "{script}" ""
    COMP_WORDS=(law run DatasetConstructorTask --coff); COMP_CWORD=3
    _law_complete; echo "${{COMPREPLY[@]}}"
    COMP_WORDS=(law run ROCC); COMP_CWORD=2
    _law_complete; echo "${{COMPREPLY[@]}}"
    """
    env = {"LAW_HOME": str(law_home / ".law"), "HOME": str(law_home), "PATH": "/usr/bin:/bin"}
    run = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, env=env, timeout=30, check=False)
    assert run.stdout.split() == ["--coffea-worker", "ROCCurveTask"], run.stderr


def test_help_explains_each_parameter(index: str, law: toys.Law, tmp_path: Path) -> None:
    run = law("run", "TrainingTask", "--help", cwd=tmp_path)
    assert run.returncode == 0
    for name in TRAINING_PARAMETERS.split():
        assert f"--{name} " in run.stdout
    assert "default: training of the analysis file, else epoch_lin_decay" in " ".join(run.stdout.split())


def test_status_shows_all_that_comes_before(status: str) -> None:
    found = re.findall(r"(\d+) > (\w+)\(", status)
    assert ("0", "ROCCurveTask") in found
    assert {name for _, name in found} == {"ROCCurveTask", "InferenceTask", "TrainingTask", "DatasetConstructorTask"}
    assert status.count("absent") > 8
    assert "existent" not in status


def test_asking_for_the_roc_runs_whatever_is_missing(roc: str, folder: Path) -> None:
    ran = re.findall(r"running +(\w+)\(", roc)
    assert sorted(ran) == [
        "DatasetConstructorTask",
        "DatasetConstructorTask",
        "InferenceTask",
        "ROCCurveTask",
        "TrainingTask",
    ]
    names = {path.name for path in (folder / "results").rglob("*") if path.is_file()}
    assert {
        "roc.json",
        "roc.csv",
        "roc_b-tagging.png",
        "roc_top-tagging.pdf",
        "predictions.parquet",
        "output.root",
    } <= names
    assert {"best_model.pt", "history.csv", "manifest.json", "run.json"} <= names
    assert "This progress looks :)" in roc


def test_parameters_for_one_task_reach_it(roc: str, folder: Path) -> None:
    shards = sorted(
        len(list(path.parent.glob("shard_*.arrow"))) for path in (folder / "results").rglob("manifest.json")
    )
    assert shards == [2, 3]  # of 120 rows each: 200 and 300
    assert roc.count("chunk_size=120") >= 2


def test_log_lines_are_plain_and_come_once(roc: str) -> None:
    lines = [line for line in roc.splitlines() if "Done scheduling tasks" in line or "Informed scheduler" in line]
    assert len(lines) == len(set(lines)) == 11  # five tasks are pending, and then done
    assert all(line.startswith("INFO: ") for line in lines)
    assert "DEBUG" not in roc


def test_nothing_that_exists_is_run_again(roc: str, law: toys.Law, folder: Path) -> None:
    files = [path for path in (folder / "results").rglob("*") if path.is_file()]
    before = {path: path.stat().st_mtime_ns for path in files}
    run = law("run", "ROCCurveTask", *FILES, *CONSTRUCTED, "--n-threads", "1", "--verbose", cwd=folder)
    assert run.returncode == 0
    assert "running" not in (run.stdout + run.stderr).replace("Running Worker", "")
    assert {path: path.stat().st_mtime_ns for path in (folder / "results").rglob("*") if path.is_file()} == before


def test_nothing_is_written_to_the_home_folder(roc: str, law_home: Path) -> None:
    assert {path.name for path in law_home.iterdir()} <= {".law", ".cache", ".config"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--config", "toi.yaml"), "toi.yaml: there is no such analysis file"),
        (
            ("--config", "toy.yaml", "--filelist", "train.root", "--model-name", "pfm"),
            "there is no network 'pfm' (did you mean 'pfn'",
        ),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(
    law: toys.Law, folder: Path, words: tuple[str, ...], message: str
) -> None:
    run = law("run", "TrainingTask", *words, "--training-version", "wrong", cwd=folder)
    said = run.stdout + run.stderr
    assert run.returncode == 2
    assert "Traceback" not in said
    lines = [line for line in said.splitlines() if message in line]
    assert len(lines) == 1
    assert lines[0].startswith("ERROR: ")


def test_an_error_while_a_status_is_asked_for(law: toys.Law, folder: Path) -> None:
    run = law("run", "ROCCurveTask", "--config", "toi.yaml", "--print-status", "-1", cwd=folder)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    assert run.stderr.count("toi.yaml: there is no such analysis file") == 1
