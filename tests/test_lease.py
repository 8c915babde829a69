"""A lease: one holder, also where locks do not work; a dead holder does not keep it."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

from collidekit import lease
from collidekit.lease import leased


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    path, inside, most = tmp_path / ".lease", [0], [0]

    def hold() -> None:
        with leased(path, dead=30):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.05)
            inside[0] -= 1

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert not list(tmp_path.iterdir())


def test_a_dead_process_of_this_system_is_replaced_at_once(tmp_path: Path) -> None:
    path = tmp_path / ".lease"
    path.write_text(
        json.dumps({"id": "x", "machine": lease.machine_name(), "pid": os.getpid(), "born": "1", "beat": 0})
    )
    begun = time.monotonic()
    with leased(path):
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert time.monotonic() - begun < 5


def test_a_silent_holder_elsewhere_is_replaced_after_a_while(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / ".lease"
    path.write_text(
        json.dumps({"id": "x", "machine": "another", "pid": 1, "host": "n7", "job": "42", "user": "ann", "beat": 5})
    )
    begun = time.monotonic()
    with leased(path, dead=1.0) as waited:
        assert waited
    assert time.monotonic() - begun >= 1.0
    assert "held by ann on n7 in job 42" in "".join(capsys.readouterr())


def test_a_renewed_lease_is_not_taken_whatever_the_clocks_say(tmp_path: Path) -> None:
    path, taken = tmp_path / ".lease", threading.Event()
    holder = {"id": "x", "machine": "another", "pid": 1, "beat": 0}
    path.write_text(json.dumps(holder))
    os.utime(path, (0, 0))

    def wait() -> None:
        with leased(path, dead=1.0):
            taken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    for beat in range(1, 15):
        time.sleep(0.2)
        temporary = tmp_path / "new"
        temporary.write_text(json.dumps({**holder, "beat": beat}))
        temporary.replace(path)
        assert not taken.is_set()
    thread.join()
    assert taken.is_set()


def test_a_holder_that_lost_its_lease_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, codes = tmp_path / ".lease", []
    monkeypatch.setattr(lease, "_END", codes.append)
    with leased(path, renewed=0.05):
        path.write_text(json.dumps({"id": "other"}))
        time.sleep(0.12)
        assert codes
        assert codes[0] == lease.LOST_LEASE
    path.unlink(missing_ok=True)
