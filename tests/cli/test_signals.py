"""SIGTERM and SIGHUP, from batch systems and closed terminals, end every verb with a one-line message."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import toys

SLOW = """
import sys, time
from collidekit.dataset import {module}

def wait(*args, **options):
    print("reached", flush=True)
    time.sleep(60)

{module}.build_rows = wait
from collidekit.cli import app
app(sys.argv[1:])
"""


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGHUP])
def test_a_construction_says_what_ended_it(tmp_path: Path, kind: signal.Signals) -> None:
    toys.write_table(tmp_path / "train.parquet", toys.toy_table(300))
    (tmp_path / "toy.yaml").write_text(toys.TOY)
    (tmp_path / "slow.py").write_text(SLOW.format(module="construct"))
    words = ["run", "toy.yaml", "--files", "train.parquet", "--test-files", "train.parquet"]
    with subprocess.Popen(
        [sys.executable, "slow.py", *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "reached\n":
            assert process.poll() is None
        process.send_signal(kind)
        _, said = process.communicate(timeout=150)
    assert process.returncode == 2
    assert f"stopped by {kind.name}; no incomplete file was written; run the same command again to continue" in said
    assert "Traceback" not in said
    assert not list(tmp_path.glob("results/**/.*.part"))


def test_ctrl_c_under_law_is_one_line(tmp_path: Path) -> None:
    toys.write_table(tmp_path / "train.parquet", toys.toy_table(300))
    (tmp_path / "toy.yaml").write_text(toys.TOY)
    command = "from collidekit.cli import app\napp(sys.argv[1:])\n"
    law = "import collidekit.tasks.dataset\nfrom luigi.cmdline import luigi_run\nluigi_run(sys.argv[1:])\n"
    (tmp_path / "slow.py").write_text(SLOW.format(module="construct").replace(command, law))
    words = ["DatasetConstructorTask", "--config", "toy.yaml", "--filelist", "train.parquet", "--local-scheduler"]
    with subprocess.Popen(
        [sys.executable, "slow.py", *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "reached\n":
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=150)
    assert process.returncode != 0
    assert said.splitlines()[-1].startswith("error: interrupted; no incomplete file was written")
    assert "Traceback" not in said
