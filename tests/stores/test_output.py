"""An output in a store of each kind is complete or absent, also after kills, with two writers, or with a changed byte."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from collidekit.errors import CollidekitError
from collidekit.outputs.find import State, find_outputs
from collidekit.stores.marker import MARKER
from collidekit.stores.output import StoredOutput, check_writable
from collidekit.stores.server import server_at

SRC = Path(__file__).parents[2] / "src"
PLACE = "DatasetConstructorTask/toy/v1/0123456789"
CONTENT = {"manifest.json": "{}", "parts/shard_0.arrow": "0" * 5000, "parts/shard_1.arrow": "1" * 3000}


def output(store: str, results: Path) -> StoredOutput:
    folder = results / PLACE
    return StoredOutput(store, folder, results, folder.with_name(".lock"))


def make(results: Path, settings: str = "first", **more: str) -> Path:
    """A complete output in a results folder."""
    for name, text in {**CONTENT, "run.json": json.dumps({"settings": {"made": settings}}), **more}.items():
        path = results / PLACE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return results / PLACE


def texts(folder: Path) -> dict[str, str]:
    found = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    return {name: text for name, text in found.items() if name != MARKER}


def sent(store: str) -> list[str]:
    """The contents that a store has of the output, and its marker."""
    return sorted(server_at(store).names(PLACE))


def test_another_results_folder_gets_the_same_files(store: str, tmp_path: Path) -> None:
    folder = make(tmp_path / "here", **{".half.host.1-a.part": "of a killed process"})
    assert not output(store, tmp_path / "here").holds("run.json")
    said = output(store, tmp_path / "here").send()
    assert said == f"Stored 4 files (8.0 kB) in {store}/{PLACE}"
    there = output(store, tmp_path / "there")
    assert there.holds("parts/shard_0.arrow")
    assert not there.folder.exists()  # to ask costs no copy
    there.fetch()
    assert texts(there.folder) == {name: text for name, text in texts(folder).items() if "half" not in name}
    assert [found.state for found in find_outputs(tmp_path / "there")] == [State.NEEDED]
    assert [path.name for path in there.folder.parent.iterdir()] == [there.folder.name]  # nothing else stays


def test_a_changed_byte_is_an_error_and_the_copy_is_not_used(store: str, tmp_path: Path) -> None:
    make(tmp_path / "here")
    output(store, tmp_path / "here").send()
    content = next(name for name in sent(store) if name != MARKER)
    shard = f"{PLACE}/{content}/parts/shard_0.arrow"
    server_at(store).replace(shard, b"0" * 4999 + b"1")
    there = output(store, tmp_path / "there")
    with pytest.raises(CollidekitError, match=f"shard_0.arrow: is damaged.*remove {store}/{PLACE} from") as error:
        there.fetch()
    assert shard in str(error.value)
    assert not there.folder.exists()
    server_at(store).replace(shard, b"0" * 5000)
    there.fetch()
    assert texts(there.folder) == texts(tmp_path / "here" / PLACE)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            b'"size": 5000',
            b'"size": 5001',
            r"stored.json: is damaged or was changed by hand \(its content does not have",
        ),
        (b"{", b"[", r"stored.json: is damaged \("),
    ],
)
def test_a_changed_marker_is_an_error(disk: str, tmp_path: Path, old: bytes, new: bytes, message: str) -> None:
    make(tmp_path / "here")
    output(disk, tmp_path / "here").send()
    path = tmp_path / "store" / PLACE / MARKER
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(CollidekitError, match=message):
        output(disk, tmp_path / "there").fetch()


def test_a_marker_cannot_name_files_elsewhere(disk: str, tmp_path: Path) -> None:
    from collidekit.stores.marker import Entry, Marker

    evil = Marker("0123", {"../../evil.py": Entry(1, "0")})
    server_at(disk).create(f"{PLACE}/{MARKER}", evil.written())
    with pytest.raises(CollidekitError, match=r"'../../evil.py' is not the name of a file in its folder"):
        output(disk, tmp_path / "there").fetch()


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_output import output
from collidekit.stores.server import server_at
server, calls = server_at({store!r}), []
original = server.{method}
def dying(*args):
    if "{method}" != "chunks" or "stored.json" not in args[0]:
        calls.append(args)
    if len(calls) == {number}:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args)
server.{method} = dying
output({store!r}, Path({results!r})).{action}()
"""


def run_and_die(store: str, results: Path, action: str, method: str, number: int) -> None:
    """Send or fetch in a process that is killed when it is about to call a method of the server for the n-th time."""
    code = KILLED.format(
        tests=str(Path(__file__).parent), store=store, results=str(results), action=action, method=method, number=number
    )
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(SRC)}, check=False)
    assert done.returncode == -signal.SIGKILL


def count(store: str, method: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that a method of the server is called with from now on."""
    server, paths = server_at(store), []
    original = getattr(server, method)

    def counted(*args: object) -> object:
        paths.append(str(args[1] if method == "put" else args[0]))
        return original(*args)

    monkeypatch.setattr(server, method, counted)
    return paths


def test_killed_while_it_sends(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "here")
    run_and_die(store, tmp_path / "here", "send", "put", 3)
    assert MARKER not in sent(store)
    assert not output(store, tmp_path / "there").complete
    parts = f"{PLACE}/{sent(store)[0]}/parts"
    server_at(store).create(f"{parts}/.shard_1.arrow.host.1-a.part", b"1")
    paths = count(store, "put", monkeypatch)
    output(store, tmp_path / "here").send()
    assert [path.rpartition("/")[2] for path in paths] == ["shard_1.arrow", "run.json"]  # the two before were there
    assert sorted(server_at(store).names(parts)) == ["shard_0.arrow", "shard_1.arrow"]


def test_killed_between_the_files_and_the_marker(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "here")
    run_and_die(store, tmp_path / "here", "send", "create", 1)
    assert len(sent(store)) == 1
    assert not output(store, tmp_path / "there").complete
    paths = count(store, "put", monkeypatch)
    output(store, tmp_path / "here").send()
    assert paths == []
    assert output(store, tmp_path / "there").complete


def test_killed_while_it_fetches(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "here")
    output(store, tmp_path / "here").send()
    run_and_die(store, tmp_path / "there", "fetch", "chunks", 3)
    there = output(store, tmp_path / "there")
    assert not there.folder.exists()
    paths = count(store, "chunks", monkeypatch)
    there.fetch()
    assert [name for path in paths if (name := path.rpartition("/")[2]) != MARKER] == ["shard_1.arrow", "run.json"]
    assert texts(there.folder) == texts(tmp_path / "here" / PLACE)


def test_the_slower_of_two_writers_takes_what_the_faster_one_stored(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast, slow = make(tmp_path / "fast", "fast"), make(tmp_path / "slow", "slow")
    server = server_at(store)
    original = server.put

    def overtaken(source: Path, path: str, advance: object) -> None:
        monkeypatch.setattr(server, "put", original)
        output(store, tmp_path / "fast").send()  # while the first file of the slow one is on its way
        original(source, path, advance)  # type: ignore[arg-type]

    monkeypatch.setattr(server, "put", overtaken)
    said = output(store, tmp_path / "slow").send()
    assert said == f"Another writer stored {store}/{PLACE} meanwhile: its output is used"
    assert texts(slow) == texts(fast)
    assert len(sent(store)) == 2  # one content and the marker
    aside = next(slow.parent.glob(f".{slow.name}.*.removed"))
    assert "slow" in (aside / "run.json").read_text()  # nothing is lost
    assert State.HALF_REMOVED in {found.state for found in find_outputs(tmp_path / "slow")}  # clean offers it


def test_an_output_that_goes_on_takes_the_place_of_the_one_that_it_was_made_from(store: str, tmp_path: Path) -> None:
    make(tmp_path / "here")
    output(store, tmp_path / "here").send()
    there = output(store, tmp_path / "there")
    there.fetch()
    make(tmp_path / "there", "more trials")
    assert not output(store, tmp_path / "there").holds("run.json")  # it is to be sent
    output(store, tmp_path / "there").fetch()
    assert "more trials" in (there.folder / "run.json").read_text()  # and is not replaced
    output(store, tmp_path / "there").send()
    assert len(sent(store)) == 2
    output(store, tmp_path / "here").fetch()
    assert "more trials" in (tmp_path / "here" / PLACE / "run.json").read_text()


def test_an_unfinished_output_makes_room_for_the_stored_one(disk: str, tmp_path: Path) -> None:
    make(tmp_path / "here")
    output(disk, tmp_path / "here").send()
    folder = make(tmp_path / "there")
    (folder / "run.json").unlink()
    output(disk, tmp_path / "there").fetch()
    assert (folder / "run.json").exists()
    assert len(list(folder.parent.glob(f".{folder.name}.*.removed"))) == 1


def test_a_removed_output_is_made_again(store: str, tmp_path: Path) -> None:
    make(tmp_path / "here")
    here = output(store, tmp_path / "here")
    here.send()
    assert here.remove()
    assert sent(store) == []
    assert not here.holds("run.json")
    assert not here.remove()


def test_a_store_that_can_be_written_to_keeps_no_trace_of_the_check(store: str) -> None:
    check_writable.cache_clear()
    check_writable(store)
    assert server_at(store).names("") == []


def test_an_empty_marker_of_a_killed_writer_goes(disk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collidekit.stores.output.time.sleep", lambda seconds: None)
    make(tmp_path / "here")
    server_at(disk).create(f"{PLACE}/{MARKER}", b"")
    with pytest.raises(
        CollidekitError, match=r"stored.json: was empty; run the same command again; the output is complete in"
    ):
        output(disk, tmp_path / "here").send()
    output(disk, tmp_path / "here").send()
    assert output(disk, tmp_path / "there").complete


def test_the_copy_stays_where_the_store_is_removed_by_hand(disk: str, tmp_path: Path) -> None:
    folder = make(tmp_path / "here")
    output(disk, tmp_path / "here").send()
    shutil.rmtree(tmp_path / "store" / PLACE)
    again = output(disk, tmp_path / "here")
    again.fetch()
    assert not again.complete
    assert (folder / "run.json").exists()
    again.send()
    assert again.complete
