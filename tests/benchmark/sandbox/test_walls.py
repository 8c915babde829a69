"""The walls of each engine, tried from inside."""

import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandboxes import make_job

from collidekit.benchmark.sandbox.job import Sandbox

ESCAPE = Path(__file__).with_name("escape.py")


@pytest.fixture
def around(tmp_path: Path) -> Iterator[list[str]]:
    """The arguments of the attempts: this process, a truth beside the scores of another, and two servers, which nobody may reach."""
    truth = tmp_path / "truth.parquet"
    truth.write_text("1")
    truth.with_name("scores.json").write_text("1")
    (tmp_path / "submission").mkdir()
    (tmp_path / "submission" / "link").symlink_to(truth)
    shutil.copyfile(ESCAPE, tmp_path / "submission" / "escape.py")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as abstract:
        name = f"collidekit-test-{os.getpid()}"
        abstract.bind("\0" + name)
        abstract.listen()
        yield [str(os.getpid()), str(truth), str(server.getsockname()[1]), name]


def test_no_way_out(engine: Sandbox, tmp_path: Path, around: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "SECRET-OF-THE-RUNNER")
    monkeypatch.setenv("HTTPS_PROXY", "http://SECRET-OF-THE-RUNNER@proxy")
    job = make_job(tmp_path, f"env; exec python -S /submission/escape.py {shlex.join(around)}", walltime=30)
    outcome = engine.run(job)
    assert "not refused: []" in job.log.read_text()
    assert outcome.ok, outcome
    assert "SECRET" not in job.log.read_text()
    assert "PYTEST" not in job.log.read_text()


def test_the_same_attempts_succeed_without_a_sandbox(tmp_path: Path, around: list[str]) -> None:
    """Those that harm nothing; so the test above can fail."""
    harmless = [
        "the truth by its path", "the truth through its parent", "the truth through a link in the submission", "the scores of another",
        "users of the machine", "a server on loopback", "an abstract socket", "the runner by its process", "the name of the machine",
    ]  # fmt: skip
    text = ESCAPE.read_text().replace('"/submission/link"', repr(str(tmp_path / "submission" / "link")))
    words = [sys.executable, "-S", "-c", text, *around, ",".join(harmless)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    for name in harmless:
        assert name in done.stdout, (name, done)


def test_a_program_with_rights_stays_in_the_sandbox_without_them(engine: Sandbox, tmp_path: Path) -> None:
    job = make_job(tmp_path, "cp /usr/bin/id /output/id; chmod 6755 /output/id; id -u; mkdir -m 777 /output/open")
    assert engine.run(job).ok, job.log.read_text()
    assert (job.output / "id").stat().st_mode & 0o7111 == 0
    assert (job.output / "open").stat().st_mode & 0o7022 == 0
    assert job.log.read_text().strip() != "0"


def test_two_commands_do_not_see_each_other(engine: Sandbox, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    assert engine.run(
        make_job(first, "echo mine > /tmp/file; echo mine > /dev/shm/file; echo 1 > /output/predictions.csv")
    ).ok
    job = make_job(
        second,
        "ls /tmp /dev/shm /output; [ ! -e /tmp/file ] && [ ! -e /dev/shm/file ] && [ ! -e /output/predictions.csv ]",
    )
    assert engine.run(job).ok, job.log.read_text()
