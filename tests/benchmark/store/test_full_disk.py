"""A store on a full disk: it can be read, says that the disk is full, and works again when there is space."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from boards import participant, registered, submitted

from collidekit.benchmark.store import Store, StoreUnavailable


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=2M", "tmpfs", str(place)]
    if os.getuid() or subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a disk in memory")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> Path:
    """Use all space of a disk."""
    path = place / "fill"
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return path


def test_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    path = small_disk / "board.db"
    store = Store(str(path))
    registered(store, tmp_path / "toy")
    user = participant(store)
    [run] = submitted(store, user, tmp_path)
    store.close()
    filled = fill(small_disk)
    store = Store(str(path), new=False)
    assert store.run(run).group == "mine"
    assert store.board_rows("toy", "public") == []
    with pytest.raises(StoreUnavailable, match="its disk is full: free some space"):
        store.worker_seen("w1")
    filled.unlink()
    store.worker_seen("w1")
    assert store.request_cancel(run, user)
    assert Store(str(path), new=False).run(run).state.value == "canceled"


def test_a_worker_waits_for_space(small_disk: Path, tmp_path: Path) -> None:
    from threading import Thread
    from time import monotonic, sleep

    from collidekit.benchmark.sandbox.choose import choose_sandbox
    from collidekit.benchmark.worker import Worker

    path = small_disk / "board.db"
    Store(str(path)).close()
    filled = fill(small_disk)
    store, said = Store(str(path), new=False), []
    worker = Worker(store, choose_sandbox("", image="", pull=False, trust=True), poll=0.1, say=said.append)
    thread = Thread(target=worker.run_forever, daemon=True)
    thread.start()
    until = monotonic() + 30
    while not any("its disk is full" in line for line in said) and monotonic() < until:
        sleep(0.1)
    assert thread.is_alive(), said
    filled.unlink()
    while not store.workers() and monotonic() < until:
        sleep(0.1)
    worker.stop()
    thread.join(30)
    assert [row.name for row in store.workers()] == [worker.name], said
    store.close()
