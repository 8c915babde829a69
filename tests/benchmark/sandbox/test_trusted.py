"""Without a sandbox there are limits, and it says what it does not promise."""

import os
import re
import time
from pathlib import Path

import pytest
from sandboxes import make_job, processes_with

from collidekit.benchmark.sandbox.job import Mount
from collidekit.benchmark.sandbox.trusted import Trusted, outside


def test_paths_are_those_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "submission").mkdir()
    (tmp_path / "submission" / "tagger.sh").write_text(
        'cat "$COLLIDEKIT_FEATURES" > "$COLLIDEKIT_OUTPUT/predictions.csv"; pwd'
    )
    names = {"COLLIDEKIT_FEATURES": "/data/features.parquet", "COLLIDEKIT_OUTPUT": "/output", "COLLIDEKIT_SEED": "7"}
    job = make_job(tmp_path, "sh tagger.sh; echo $COLLIDEKIT_SEED", environment=names)
    outcome = Trusted().run(job)
    assert outcome.ok, (outcome, job.log.read_text())
    assert (job.output / "predictions.csv").read_bytes() == b"features"
    assert job.log.read_text() == f"{tmp_path}/submission\n7\n"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("collidekit-")]


def test_secrets_of_the_environment_are_not_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "SECRET")
    job = make_job(tmp_path, "env")
    assert Trusted().run(job).ok
    assert "SECRET" not in job.log.read_text()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("trap '' TERM; while :; do :; done", "took longer than the limit of 1s"),
        ("while :; do echo 0123456789012345678901234567890123456789; done", "more than 64 kB to its log"),
        ("python -S -c 'x = [bytearray(b\"x\" * (1 << 20)) for _ in range(1000)]'", "memory|exit code"),
        (
            "i=0; while [ $i -lt 90 ]; do head -c 100000 /dev/zero > $COLLIDEKIT_OUTPUT/$i; i=$((i+1)); sleep 0.01; done",
            "more than 4 MB to /output",
        ),
        ("head -c 50000000 /dev/zero > $COLLIDEKIT_OUTPUT/x", "more than 4 MB to /output"),
        ("ln -s /etc/passwd $COLLIDEKIT_OUTPUT/predictions.csv", "is a symbolic link"),
        ("exit 4", "exit code 4"),
    ],
)
def test_limits(tmp_path: Path, text: str, reason: str) -> None:
    begin = time.monotonic()
    job = make_job(
        tmp_path, text, environment={"COLLIDEKIT_OUTPUT": "/output"}, walltime=1 if "longer" in reason else 15
    )
    outcome = Trusted().run(job)
    assert not outcome.ok
    assert re.search(reason, outcome.reason), outcome
    assert not list(job.output.iterdir())
    assert time.monotonic() - begin < 12


def test_cancel(tmp_path: Path) -> None:
    begin = time.monotonic()
    outcome = Trusted().run(make_job(tmp_path, "trap '' TERM; sleep 41322; sleep 41322"), lambda: True)
    assert outcome.canceled
    assert time.monotonic() - begin < 4
    assert not processes_with("sleep\x0041322")


def test_images_are_refused(tmp_path: Path) -> None:
    from attrs import evolve

    outcome = Trusted().run(evolve(make_job(tmp_path, "true"), image="python:3.12"))
    assert not outcome.service_fault, "no other try would end better"
    assert "leave python:3.12 out" in outcome.reason


def test_it_says_what_it_does_not_promise() -> None:
    found = Trusted().probe()
    assert found.works, found
    assert {"walltime limit", "log limit"} <= set(found.enforced)
    assert {"network", "files", "read-only"}.isdisjoint(found.enforced)
    assert any("truth" in line for line in found.not_enforced)
    assert any("network" in line for line in found.not_enforced)


def test_outside(tmp_path: Path) -> None:
    job = make_job(tmp_path, "true", (Mount(tmp_path, "/data/training"),))
    assert outside(job, Path("/x/out"), "/output/a") == "/x/out/a"
    assert outside(job, Path("/x/out"), "/output2") == "/output2"
    assert outside(job, Path("/x/out"), "/data/training/a.parquet") == f"{tmp_path}/a.parquet"
    assert outside(job, Path("/x/out"), "signal") == "signal"
    assert os.path.isabs(outside(job, Path("out"), "/output"))
