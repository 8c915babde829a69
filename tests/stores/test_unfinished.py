"""The state of an unfinished training in a store of each kind: complete, from one writer, and never replaced by an older one."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.stores.test_output import PLACE, SRC, make, output, sent

from collidekit.errors import CollidekitError
from collidekit.outputs.clean_store import clean_stores
from collidekit.stores import sender
from collidekit.stores.listing import InStore, find_stored
from collidekit.stores.sender import StateSender
from collidekit.stores.server import server_at
from collidekit.stores.unfinished import STATE, UNFINISHED, StoredState

STATES = f"{PLACE}/{UNFINISHED}"


def state(store: str, results: Path) -> StoredState:
    return StoredState(output(store, results))


def write(folder: Path, text: str) -> Path:
    """The files of a state."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("last.pt", "best_model.pt"):
        (folder / name).write_text(f"{name} {text}")
    return folder


def last(results: Path) -> str:
    return (results / PLACE / "last.pt").read_text()


def test_another_machine_gets_the_state_that_is_further(store: str, tmp_path: Path) -> None:
    here = state(store, tmp_path / "here")
    assert here.send(write(tmp_path / "files", "first"), 10) is None
    assert here.send(write(tmp_path / "files", "second"), 20) is None
    assert len(server_at(store).names(STATES)) == 2  # the marker, and the files of one state
    there = state(store, tmp_path / "there")
    assert there.fetch(20) is None
    assert not (tmp_path / "there").exists()
    found = there.fetch(19)
    assert found is not None
    assert found.step == 20
    assert last(tmp_path / "there") == "last.pt second"
    assert sorted(path.name for path in (tmp_path / "there" / PLACE).parent.rglob("*")) == [
        Path(PLACE).name, "best_model.pt", "last.pt",
    ]  # fmt: skip
    there.remove()
    assert here.marker() is None


def test_of_two_writers_the_one_with_more_steps_is_kept_and_the_other_is_told(store: str, tmp_path: Path) -> None:
    one, other = state(store, tmp_path / "one"), state(store, tmp_path / "other")
    assert one.send(write(tmp_path / "files", "one"), 30) is None
    told = other.send(write(tmp_path / "files", "other"), 20)
    assert told is not None
    assert told.step == 30
    assert other.send(write(tmp_path / "files", "other"), 40) is None
    assert one.send(write(tmp_path / "files", "one again"), 35) is not None
    assert state(store, tmp_path / "third").fetch(-1) is not None
    assert last(tmp_path / "third") == "last.pt other"


def test_a_writer_that_is_overtaken_while_it_sends(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, fast = state(store, tmp_path / "slow"), state(store, tmp_path / "fast")
    server = server_at(store)
    put = server.put

    def overtaken(source: Path, path: str, advance: object) -> None:
        monkeypatch.setattr(server, "put", put)
        assert fast.send(write(tmp_path / "fast_files", "fast"), 50) is None
        put(source, path, advance)  # type: ignore[arg-type]

    monkeypatch.setattr(server, "put", overtaken)
    told = slow.send(write(tmp_path / "slow_files", "slow"), 40)
    assert told is not None
    assert state(store, tmp_path / "third").fetch(-1) is not None
    assert last(tmp_path / "third") == "last.pt fast"


KILLED = """
import os, signal, sys
sys.path[:0] = [{tests!r}, {helpers!r}]
from pathlib import Path
from tests.stores.test_unfinished import state, write
from collidekit.stores.server import server_at
server, calls = server_at({store!r}), []
original = server.{method}
def dying(*args):
    calls.append(args)
    if len(calls) == {number}:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args)
server.{method} = dying
state({store!r}, Path({results!r})).send(write(Path({files!r}), "second"), 20)
"""


@pytest.mark.parametrize(("method", "number"), [("put", 1), ("put", 2), ("replace", 1), ("remove", 1)])
def test_a_kill_while_it_sends_leaves_a_whole_state(store: str, tmp_path: Path, method: str, number: int) -> None:
    assert state(store, tmp_path / "here").send(write(tmp_path / "files", "first"), 10) is None
    tests = Path(__file__).parents[2]
    code = KILLED.format(
        tests=str(tests), helpers=str(tests / "tests" / "helpers"), store=store, method=method, number=number,
        results=str(tmp_path / "killed"), files=str(tmp_path / "second"),
    )  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(SRC)}, check=False)
    assert done.returncode == -signal.SIGKILL
    found = state(store, tmp_path / "there").fetch(-1)
    assert found is not None
    expected = "second" if method == "remove" else "first"
    assert (tmp_path / "there" / PLACE / "best_model.pt").read_text() == f"best_model.pt {expected}"
    assert last(tmp_path / "there") == f"last.pt {expected}"
    assert state(store, tmp_path / "killed").send(write(tmp_path / "files", "third"), 30) is None
    assert state(store, tmp_path / "there").fetch(20) is not None
    assert last(tmp_path / "there") == "last.pt third"


def test_an_empty_marker_of_a_killed_process_is_replaced(disk: str, tmp_path: Path) -> None:
    server_at(disk).create(f"{STATES}/{STATE}", b"")
    assert state(disk, tmp_path / "there").fetch(-1) is None
    assert state(disk, tmp_path / "here").send(write(tmp_path / "files", "first"), 10) is None
    assert state(disk, tmp_path / "there").fetch(-1) is not None


def test_a_changed_byte_is_an_error_and_the_state_here_stays(disk: str, tmp_path: Path) -> None:
    state(disk, tmp_path / "here").send(write(tmp_path / "files", "second"), 20)
    write(tmp_path / "there" / PLACE, "first")
    path = next((tmp_path / "store" / STATES).glob("*/last.pt"))
    path.write_text("last.pt sacond")
    with pytest.raises(CollidekitError, match=r"last.pt: is damaged.*remove .*unfinished from the store"):
        state(disk, tmp_path / "there").fetch(10)
    assert last(tmp_path / "there") == "last.pt first"


def test_the_complete_output_takes_the_place_of_the_state(store: str, tmp_path: Path) -> None:
    here, late = state(store, tmp_path / "here"), state(store, tmp_path / "late")
    here.send(write(tmp_path / "files", "first"), 10)
    (found,) = [entry for entry in find_stored(store) if entry.place == PLACE]
    assert (found.state, found.step) == (InStore.INTERRUPTED, 10)
    make(tmp_path / "here")
    output(store, tmp_path / "here").send()
    assert len(sent(store)) == 2
    assert late.send(write(tmp_path / "files", "late"), 20) is None
    assert len(sent(store)) == 2  # nothing is sent beside a complete output


def test_clean_removes_what_is_left_beside_a_complete_output(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "here")
    output(store, tmp_path / "here").send()
    server = server_at(store)
    server.create(f"{STATES}/0123/last.pt", b"left by a process that was killed")
    other = PLACE.replace("0123456789", "9876543210")
    server.create(f"{other}/0123/manifest.json", b"an upload that was cut off")
    clean_stores(store, remove=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "would remove 1 folder beside complete outputs" in said
    assert "no marker" in said
    assert len(sent(store)) == 3
    with pytest.raises(CollidekitError, match="add --yes"):
        clean_stores(store, remove=True)
    clean_stores(store, remove=True, ask=False)
    assert len(sent(store)) == 2
    assert server.names(f"{other}/0123") == ["manifest.json"]  # it may be on its way
    clean_stores(store, remove=True, ask=False)
    assert "Nothing in this store" in capsys.readouterr().out


def test_states_are_sent_beside_the_training_and_not_too_often(
    disk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "here" / PLACE, "first")
    stored = state(disk, tmp_path / "here")
    thread, send = [], stored.send

    def noted(files: Path, step: int) -> object:
        thread.append(threading.current_thread().name)
        return send(files, step)

    monkeypatch.setattr(stored, "send", noted)
    at_work = StateSender(stored, folder)
    at_work.saved(5)
    at_work.wait()
    assert stored.marker() is None
    monkeypatch.setattr(sender, "EVERY", 0.0)
    at_work.saved(10)
    write(folder, "changed")
    (folder / "last.pt").unlink()  # a new file, as a training writes it
    (folder / "last.pt").write_text("last.pt changed")
    at_work.wait()
    assert thread == ["state to the store"]
    monkeypatch.setattr(sender, "EVERY", 600.0)
    at_work.saved(15)
    assert at_work.interrupted()
    found = stored.marker()
    assert found is not None
    assert found.step == 15
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_store_that_fails_does_not_end_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "EVERY", 0.0)
    at_work = StateSender(
        state(f"file://{tmp_path}/gone", tmp_path / "here"), write(tmp_path / "here" / PLACE, "first")
    )
    for step in (10, 20):
        at_work.saved(step)
        at_work.wait()
    assert not at_work.interrupted()
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("the state of the training is saved here, but not in the store") == 1
    assert "there is no such folder" in said
