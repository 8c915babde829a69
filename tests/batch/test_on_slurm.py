"""Jobs on a real Slurm of two virtual nodes without accounting: what ends a job, and what follows."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import toys
from luigi.task_register import Register
from slurm_cluster import SlurmCluster

from collidekit.batch.job import Job
from collidekit.batch.manager import Manager
from collidekit.batch.site import Site
from collidekit.errors import CollidekitError
from collidekit.tasks.training import TrainingTask
from collidekit.tasks.work import words_of

SITE = Site.model_validate(
    {
        "system": "slurm",
        "poll": "1s",
        "stop_before_end": "10s",
        "resources": {"default": {"memory": "200 MB", "walltime": "10min"}},
    }
)
DONE = "import pathlib; o = pathlib.Path('out'); o.mkdir(exist_ok=True); (o / 'run.json').write_text('{}')"


def manage(
    code: str | tuple[str, ...],
    output: Path = Path("out"),
    site: Site = SITE,
    watch: Callable[[Manager], None] = lambda m: None,
) -> Manager:
    command = ("-c", code) if isinstance(code, str) else code
    job = Job("job", "training", command, output.absolute())

    def sleep(_: float) -> None:
        watch(manager)
        time.sleep(0.4)

    manager = Manager([job], site, Path("jobs").absolute(), print, grace=8.0, sleep=sleep)
    manager.run()
    return manager


def current(manager: Manager) -> str:
    attempt = manager._open(manager.jobs[0])
    return attempt.job_id if attempt else ""


def test_a_job_that_needs_more_memory_gets_it(slurm: SlurmCluster) -> None:
    manager = manage(f"x = b'x' * (230 << 20); import time; time.sleep(4); {DONE}")
    assert [entry["reason"] for entry in manager.failures] == ["memory"]
    assert manager.failures[0]["next"] == "again with 300 MB"
    assert manager.failures[0]["peak_memory"] > 200
    assert manager.jobs[0].complete


def test_an_error_of_the_program_is_tried_on_two_hosts(slurm: SlurmCluster) -> None:
    manager = manage("raise ValueError('pt of jet 7 is negative')")
    assert [entry["reason"] for entry in manager.failures] == ["program", "program"]
    assert {entry["host"] for entry in manager.failures} == {"n1", "n2"}
    assert manager.failures[0]["last_line"] == "ValueError: pt of jet 7 is negative"
    assert manager.failures[-1]["next"].startswith("stopped")


def test_a_cancelled_job_is_not_sent_again_and_the_same_command_goes_on(slurm: SlurmCluster) -> None:
    def cancel(manager: Manager) -> None:
        if slurm.run("squeue", "-h", "-o", "%T", f"--jobs={current(manager)}", check=False).strip() == "RUNNING":
            slurm.run("scancel", current(manager))

    manager = manage("import time; time.sleep(60)", watch=cancel)
    assert [entry["reason"] for entry in manager.failures] == ["cancelled"]
    assert manage(DONE).jobs[0].complete


def test_a_second_manager_watches_the_job_of_the_first(slurm: SlurmCluster) -> None:
    class LeftAloneError(Exception):
        pass

    def leave(manager: Manager) -> None:
        raise LeftAloneError

    with pytest.raises(LeftAloneError):
        manage(f"import time; time.sleep(3); {DONE}", watch=leave)
    assert manage(DONE).jobs[0].complete
    assert [path.name for path in Path("jobs/job").iterdir()] == ["attempt_1"]


def test_a_folder_with_a_name_that_shells_read_otherwise(slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path("my jets 100%j $HOME 'a'").absolute()
    folder.mkdir()
    monkeypatch.chdir(folder)
    manager = manage(f"print('here'); {DONE}")
    assert manager.jobs[0].complete
    assert "here" in (folder / "jobs/job/attempt_1/job.log").read_text()


def test_a_drained_node_gets_no_job(slurm: SlurmCluster) -> None:
    slurm.run("scontrol", "update", "NodeName=n1", "State=DRAIN", "Reason=test")
    try:
        manager = manage(DONE)
        assert "n2" in Path("jobs/job/attempt_1/completed.json").read_text()
        assert manager.jobs[0].complete
    finally:
        slurm.run("scontrol", "update", "NodeName=n1", "State=RESUME")


def test_an_unknown_partition(slurm: SlurmCluster) -> None:
    site = SITE.model_copy(update={"slurm": SITE.slurm.model_copy(update={"partition": "gpux"})})
    with pytest.raises(CollidekitError, match=r"there is no partition 'gpux'; there are main"):
        manage(DONE, site=site)


def teller(slurm: SlurmCluster, manager: Manager, folder: Path) -> Callable[[float], None]:
    """Return a pause between two looks that tells a training once, after its first epoch, that its walltime ends."""
    told: list[str] = []

    def sleep(_: float) -> None:
        if not told and (folder / "model_1.pt").exists():
            slurm.run("scancel", "--signal=USR1", "--batch", current(manager))
            told.append("USR1")
        time.sleep(0.05)

    return sleep


def test_the_end_of_the_walltime_changes_no_bit_of_a_training(
    slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    toys.write_table(Path("train.root"), toys.toy_table(300))
    Path("toy.yaml").write_text(
        toys.TOY + "training: {model_name: pfn, model_options: {phi: [8, 8], f: [8]}, batch_size: 16}\n"
    )
    settings = {"config": "toy.yaml", "filelist": ("train.root",), "epochs": 12, "n_threads": 1}
    weights = []
    for results in ("interrupted", "in_one_go"):
        monkeypatch.setenv("COLLIDEKIT_OUTPUT", str(Path(results).absolute()))
        Register.clear_instance_cache()  # type: ignore[no-untyped-call]
        task = TrainingTask(**settings)

        site = SITE.model_copy(update={"resources": {"default": {"memory": "1900 MB", "walltime": "10min"}}})
        words = ("-m", "collidekit.tasks.work", *words_of(task))
        job = Job(results, "training", words, task.folder)

        manager = Manager([job], site, Path("jobs").absolute(), print, grace=8.0)
        manager.sleep = teller(slurm, manager, task.folder) if results == "interrupted" else lambda _: time.sleep(0.4)
        assert manager.run()
        assert [entry["reason"] for entry in manager.failures] == (["walltime"] if results == "interrupted" else [])
        weights.append(torch.load(task.folder / "last.pt", weights_only=True)["tagger"])
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
