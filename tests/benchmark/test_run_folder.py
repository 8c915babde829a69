"""One run at a time writes into a folder of results."""

import os
import signal
import subprocess
import sys

import pytest

from collidekit.benchmark.run_folder import run_folder
from collidekit.errors import CollidekitError
from collidekit.files import replacing

HOLD = "import sys,time;from pathlib import Path;from collidekit.benchmark.run_folder import run_folder\nwith run_folder(Path(sys.argv[1])):\n print(1, flush=True);time.sleep(60)"


def test_a_second_run_is_refused_until_the_first_one_ends_or_is_killed(tmp_path):
    folder = tmp_path / "results" / "mine"
    with subprocess.Popen([sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(CollidekitError, match="another run writes into this folder"), run_folder(folder):
            pass
        holder.send_signal(signal.SIGKILL)
    for _ in range(2):
        with run_folder(folder) as held:
            assert held == folder
    assert os.listdir(folder) == []


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CollidekitError, match="cannot be written"), run_folder(tmp_path / "file" / "mine"):
        pass


def test_a_disk_that_cannot_be_written_names_the_file_of_the_user(tmp_path, monkeypatch):
    def refuse(path, missing_ok=False):
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    with pytest.raises(CollidekitError, match=r"board.csv: cannot be written \(Read-only file system\)"):  # noqa: SIM117
        with replacing(tmp_path / "board.csv"):
            raise OSError(30, "Read-only file system")
