"""What a well-behaved command sees and leaves in each engine."""

import os
from pathlib import Path

import pytest
from sandboxes import make_job

from collidekit.benchmark.sandbox.job import Mount, Sandbox
from collidekit.benchmark.sandbox.readable import readable
from collidekit.errors import CollidekitError


def test_output_log_and_environment(engine: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "submission").mkdir()
    (tmp_path / "submission" / "tagger.sh").write_text(
        "cat /data/features.parquet > $COLLIDEKIT_OUTPUT/predictions.csv; echo said"
    )
    job = make_job(
        tmp_path,
        "sh tagger.sh; mkdir /output/more; echo 1 > /output/more/plot; pwd",
        environment={"COLLIDEKIT_OUTPUT": "/output"},
    )
    outcome = engine.run(job)
    assert outcome.ok, outcome
    assert outcome.exit_code == 0
    assert outcome.reason == ""
    assert (job.output / "predictions.csv").read_bytes() == b"features"
    assert (job.output / "more" / "plot").read_text() == "1\n"
    assert job.log.read_text() == "said\n/submission\n"
    assert (job.output / "predictions.csv").stat().st_uid == os.getuid()


def test_the_python_of_the_runner_is_inside(engine: Sandbox, tmp_path: Path) -> None:
    job = make_job(tmp_path, 'python -c "import numpy, collidekit; print(numpy.arange(3).sum())"', memory=256 << 20)
    assert engine.run(job).ok, job.log.read_text()
    assert job.log.read_text() == "3\n"


def test_files_for_their_owner_alone_are_readable_inside(engine: Sandbox, tmp_path: Path) -> None:
    private = tmp_path / "private"
    (private / "folder").mkdir(parents=True)
    (private / "folder" / "code").write_text("echo hello")
    (private / "link").symlink_to("/etc/hostname")
    (private / "folder" / "code").chmod(0o600)
    (private / "folder").chmod(0o700)
    private.chmod(0o700)
    job = make_job(tmp_path, "sh /code/folder/code; readlink /code/link", (Mount(private, "/code"),))
    assert engine.run(job).ok, job.log.read_text()
    assert job.log.read_text() == "hello\n/etc/hostname\n"
    assert (private / "folder" / "code").stat().st_mode & 0o777 == 0o600


def test_a_large_folder_for_its_owner_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "training").mkdir(mode=0o700)
    with (tmp_path / "training" / "x").open("wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(
        CollidekitError, match=r"too large \(2 GB\) to be copied for each run; let everyone read it: chmod -R o\+rX"
    ):
        readable((Mount(tmp_path / "training", "/data/training"),), tmp_path)
    (tmp_path / "training").chmod(0o755)
    mounts = (Mount(tmp_path / "training", "/data/training"),)
    assert readable(mounts, tmp_path) == mounts


def test_use_is_measured(engine: Sandbox, tmp_path: Path) -> None:
    text = "import time; x = bytearray(24 << 20); begin = time.process_time()\nwhile time.process_time() < begin + 0.6: pass"
    outcome = engine.run(make_job(tmp_path, f"python -S -c '{text}'"))
    assert outcome.ok, outcome
    assert outcome.cpu_seconds is not None
    assert 0.4 < outcome.cpu_seconds < 2
    assert outcome.wall_seconds > 0.55
    assert outcome.peak_memory is not None
    assert 24 << 20 < outcome.peak_memory < 64 << 20


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("exit 3", "the command ended with exit code 3; its log may say why"),
        ("no-such-program", "the command was not found (exit code 127); its log may say why"),
        ("kill -SEGV $$", "the command was ended by the signal SIGSEGV; its log may say why"),
    ],
)
def test_a_command_that_fails(engine: Sandbox, tmp_path: Path, text: str, reason: str) -> None:
    if "SEGV" in text:
        text = f"sh -c '{text}'; exit $?"  # the first process of a container has no default signals
    outcome = engine.run(make_job(tmp_path, f"echo x > /output/predictions.csv; {text}"))
    assert not outcome.ok
    assert outcome.reason.startswith(reason)
    assert not outcome.service_fault
    assert not list((tmp_path / "output").iterdir())


@pytest.mark.parametrize("engine", ["podman", "bubblewrap"], indirect=True)
def test_half_a_cpu(engine: Sandbox, tmp_path: Path) -> None:
    outcome = engine.run(make_job(tmp_path, "while :; do :; done", walltime=1.5, cpus=0.5))
    assert outcome.reason.startswith("the command took longer than the limit of 2s")
    assert outcome.cpu_seconds is not None
    assert outcome.cpu_seconds < 0.75 * outcome.wall_seconds


def test_no_truth_among_the_mounts(engine: Sandbox, tmp_path: Path) -> None:
    truth = tmp_path / "benchmark" / "truth.parquet"
    truth.parent.mkdir()
    truth.write_text("1")
    engine.private = (truth,)  # type: ignore[attr-defined]
    try:
        for source in (truth.parent, truth):
            with pytest.raises(CollidekitError, match="is private"):
                engine.run(make_job(tmp_path, "true", (Mount(source, "/data/x"),)))
        assert engine.run(make_job(tmp_path, "true")).ok
    finally:
        engine.private = ()  # type: ignore[attr-defined]
