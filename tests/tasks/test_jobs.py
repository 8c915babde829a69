"""Batch jobs of tasks with their requirements, and of commands."""

from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import invoke

from collidekit.batch.job import Job
from collidekit.batch.site import load_site
from collidekit.errors import CollidekitError
from collidekit.tasks import grid as grid_module
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.command_job import without_batch_options
from collidekit.tasks.grid import GridTask, run_grid_as_jobs
from collidekit.tasks.jobs import jobs_of, run_as_jobs
from collidekit.tasks.pipelines import MoonsRun
from collidekit.tasks.report import ReportTask
from collidekit.tasks.robustness import RobustnessTask
from collidekit.tasks.search import SearchTask
from collidekit.tasks.send import JobsFailedError, send
from collidekit.tasks.training import TrainingTask
from collidekit.tasks.work import task_of, words_of

SITE = load_site("slurm")
FILES: dict[str, Any] = {"config": "toy.yaml", "filelist": ("train.root",)}
TESTED = {**FILES, "test_filelist": ("test.parquet",)}


def families(jobs: list[Job]) -> list[str]:
    return [job.name.partition("_")[0] for job in jobs]


def of_family(jobs: list[Job], family: str) -> list[Job]:
    return [job for job in jobs if job.name.startswith(family)]


def test_seeds_are_jobs_beside_each_other(place: Path) -> None:
    jobs = jobs_of(ReportTask(**TESTED, seeds=("1", "2", "3")), SITE)
    trainings = of_family(jobs, "TrainingTask")
    assert len(trainings) == 3
    assert {job.needs for job in trainings} == {(of_family(jobs, "DatasetConstructorTask")[0].name,)}
    assert len(of_family(jobs, "InferenceTask")) == 4  # one for each, and one that combines them
    assert families(jobs)[-1] == "ReportTask"
    known: set[str] = set()
    for job in jobs:
        assert known.issuperset(job.needs)
        known.add(job.name)


def test_folds_are_jobs_beside_each_other(place: Path) -> None:
    jobs = jobs_of(ReportTask(**FILES, folds=3), SITE)
    assert len(of_family(jobs, "TrainingTask")) == 3
    assert len({job.needs for job in of_family(jobs, "TrainingTask")}) == 1


def test_points_of_a_grid_and_trainings_of_robustness_are_jobs(place: Path) -> None:
    jobs = jobs_of(GridTask(**FILES, over="epochs=1,2", seeds=("1", "2")), SITE)
    assert families(jobs) == ["DatasetConstructorTask", *["TrainingTask"] * 4, "GridTask"]
    assert set(jobs[-1].needs) == {job.name for job in jobs[1:-1]}
    jobs = jobs_of(RobustnessTask(**TESTED, seeds=("1", "2"), attack="fgsm", attack_magnitude=0.1), SITE)
    assert families(jobs).count("TrainingTask") == 4
    assert [job.kind for job in jobs][-1] == "attacks"


def test_workers_of_a_search_are_jobs_that_share_the_study(place: Path) -> None:
    pytest.importorskip("optuna")
    (place / "space.yaml").write_text("learning_rate: [0.001, 0.002]")
    jobs = jobs_of(SearchTask(**FILES, space="space.yaml", workers=3), SITE)
    workers = of_family(jobs, "SearchTask")
    assert [job.name[-8:] for job in workers] == ["worker_1", "worker_2", "worker_3"]
    assert len({(job.command, job.output, job.needs) for job in workers}) == 1
    made = task_of(list(workers[0].command[2:]))
    assert (made.workers, made.folder) == (1, workers[0].output)


def test_a_pipeline_becomes_the_jobs_of_its_report(place: Path) -> None:
    jobs = jobs_of(MoonsRun(**TESTED), SITE)
    assert families(jobs)[-1] == "ReportTask"


def test_a_job_of_a_task_sends_no_jobs(place: Path) -> None:
    task = TrainingTask(**FILES, workflow="slurm")
    assert task.deps() == []
    assert task.folder == TrainingTask(**FILES).folder
    assert not task_of(list(words_of(task))).workflow


def test_the_table_of_a_grid_holds_what_was_trained_where_jobs_were_given_up(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    task = GridTask(**FILES, over="epochs=1,2")

    def first_only(*_: Any) -> bool:
        run_with_requirements(task.trainings[0, 0])
        lost = f"TrainingTask_{task.trainings[1, 0].hash}"
        raise JobsFailedError("1 outputs are missing", {lost: "3 nodes failed"})

    monkeypatch.setattr(grid_module, "run_as_jobs", first_only)
    with pytest.raises(CollidekitError, match="1 of 2 trainings failed"):
        run_grid_as_jobs(task, "slurm", None, False)
    assert "Best point" in capsys.readouterr().out
    assert "3 nodes failed" in (task.folder / "grid.json").read_text()
    assert not task.complete()


def test_the_words_of_a_command_for_its_job() -> None:
    words = ["predict", "m.pt", "a.root", "--on", "slurm", "-o", "p.root", "--site=s.yaml", "--dry-run", "--", "--on"]
    assert without_batch_options(words) == ["predict", "m.pt", "a.root", "-o", "p.root", "--", "--on"]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["simulate", "moons", "-n", "10", "-o", "m.root"], "simulate --workers 1 moons -n 10 -o m.root"),
        (["predict", "top-tagging/pfn", "a.root", "-o", "p.root"], "predict top-tagging/pfn a.root -o p.root"),
        (["predict", "top-tagging/pfn", "root://host//a/*.root", "-o", "p.root"],
         "predict top-tagging/pfn 'root://host//a/*.root' -o p.root"),
        (["robustness", "top-tagging/pfn", "-f", "a.root"], "robustness top-tagging/pfn -f a.root"),
    ],
)  # fmt: skip
def test_commands_that_become_one_job(
    words: list[str], kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.root").write_text("not read here")
    done = invoke([*words, "--on", "htcondor", "--dry-run"], tmp_path)
    assert done.exit_code == 0, done.output
    assert f" -m collidekit {kind}\n" in done.output
    assert "request_memory = 4096MB" in done.output
    assert "has an effect only with --on or --site; give one of them" in invoke([*words, "--dry-run"], tmp_path).output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predict", "nosuch.pt", "a.root", "-o", "p.root"], "nosuch.pt: there is no such checkpoint"),
        (["predict", "top-tagging/pfn", "b.root", "-o", "p.root"], "b.root: there is no such file"),
        (["predict", "top-tagging/pfn", "empty.root", "-o", "p.root"], "empty.root: is empty"),
        (["predict", "top-tagging/pfn", "a.root", "-o", "p.csv"], "p.csv: predictions are written as"),
        (["robustness", "nosuch.pt", "-f", "a.root"], "nosuch.pt: there is no such checkpoint"),
        (["robustness", "top-tagging/pfn", "-f", "b.root"], "b.root: there is no such file"),
        (["robustness", "top-tagging/pfn", "-f", "a.root", "--attacks", "nois"], "nois"),
        (["robustness", "top-tagging/pfn", "-f", "a.root", "-o", "a.root"], "a.root: is a file"),
        (["simulate", "moonz", "-n", "10", "-o", "m.root"], "unknown sample 'moonz'"),
        (["simulate", "moons", "-n", "10", "-o", "no/m.root"], "the folder no does not exist"),
    ],
)
def test_a_mistake_is_found_before_the_job(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.root").write_text("not read here")
    (tmp_path / "empty.root").touch()
    done = invoke([*words, "--on", "htcondor", "--dry-run"], tmp_path)
    assert done.exit_code == 2
    assert said in done.stderr
    assert "-m collidekit" not in done.output


def test_a_dry_run_without_anything_to_do_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert not send([], load_site("", "slurm"), dry_run=True)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "No job to send: all outputs exist.\n")


def test_too_little_memory_or_time_is_named_before_anything_is_sent(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "site.yaml").write_text("profile: slurm\nresources: {construction: {memory: 1 MB, cores: 16}}\n")
    task = TrainingTask(**FILES)
    run_as_jobs(task, None, "site.yaml", dry_run=True)
    said = capsys.readouterr().err
    assert "site.yaml: memory of construction: 1 MB is below the estimate of check" in said
    assert said.count("\n") == 1
    task.folder.mkdir(parents=True)
    (task.folder / "history.csv").write_text("epoch,seconds\n1,90000\n")
    run_as_jobs(task, "slurm", None, dry_run=True)
    said = capsys.readouterr().err
    assert "walltime of training: 12h is shorter than an epoch, which took 1d 1h" in said
    assert "memory" not in said
