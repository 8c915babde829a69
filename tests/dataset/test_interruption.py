"""What was built stays whole: killed, interrupted, on a full disk; and goes on where it was, to the same bytes."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from makers import NUMBERED, make_dataset, make_plan, numbered, write_parquet

from collidekit.dataset import construct as construction
from collidekit.dataset.construct import construct
from collidekit.dataset.loader import Dataset, Loader
from collidekit.dataset.manifest import Manifest
from collidekit.dataset.shards import open_shard
from collidekit.errors import CollidekitError

ROWS, CHUNK, SHARD = 1000, 100, 330
HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(construction, "CHUNK", CHUNK)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_parquet(tmp_path_factory.mktemp("file") / "rows.parquet", numbered(ROWS)))


@pytest.fixture
def undisturbed(file: str, tmp_path: Path) -> dict[str, bytes]:
    return content(complete(file, tmp_path / "undisturbed").folder)


def complete(file: str | list[str], output: Path, text: str = NUMBERED) -> Manifest:
    return construct(make_plan(text), file, output, chunk_size=SHARD, progress=False)


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a finished dataset; nothing else may lie there."""
    assert sorted(path.name for path in folder.iterdir()) == [
        "manifest.json",
        *(f"shard_{i:05d}.arrow" for i in range(4)),
    ]
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def start(file: str, output: Path, workers: int = 1) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(HERE / "interrupted.py"), file, str(output), str(workers)]
    path = os.pathsep.join([str(HERE.parent / "helpers"), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": path}, start_new_session=True, stderr=subprocess.PIPE
    )


def wait_for(process: subprocess.Popen[bytes], reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not reached():
        assert process.poll() is None, f"it ended before it was stopped: {process.communicate()[1].decode()[-2000:]}"
        assert time.monotonic() < deadline
        time.sleep(0.003)


def parts(output: Path) -> int:
    try:
        return len(list((output / "parts").glob("0*.json")))
    except FileNotFoundError:  # the folder is made anew at this moment
        return 0


def unfinished(output: Path) -> list[str]:
    return [path.name for path in output.rglob(".*")]


def whole(output: Path) -> None:
    """All that has its final name can be read to its end."""
    for path in output.rglob("*.arrow"):
        reader = open_shard(path)
        for number in range(reader.num_record_batches):
            reader.get_batch(number).validate(full=True)


def session_is_gone(number: int) -> bool:
    """Whether no process of a session is left, but for those that have ended and wait to be looked at."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue
        if int(session) == number and state != "Z":
            return False
    return True


def test_interrupted_and_killed_at_several_moments(
    file: str, tmp_path: Path, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    process = start(file, output)
    wait_for(process, lambda: parts(output) >= 2)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) != 0
    assert unfinished(output) == []
    whole(output)
    for reached in (lambda: parts(output) >= 6, lambda: (output / "shard_00001.arrow").exists()):
        made = parts(output)
        process = start(file, output)
        wait_for(process, reached)
        process.kill()
        assert process.wait(30) == -signal.SIGKILL
        assert parts(output) >= made
        whole(output)
    assert parts(output) == 10
    assert not (output / "manifest.json").exists()
    again: list[Any] = []
    monkeypatch.setattr(construction, "_make_part", lambda *args: again.append(args))
    complete(file, output)
    assert again == []
    assert content(output) == undisturbed


def test_two_workers_interrupted_and_killed(file: str, tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    """Ctrl-C goes to all processes of the terminal, a kill to one; none is left, and the next call makes the same bytes."""
    output = tmp_path / "out"
    for reached, stop in (
        (2, lambda pid: os.killpg(pid, signal.SIGINT)),
        (5, lambda pid: os.kill(pid, signal.SIGKILL)),
    ):
        process = start(file, output, workers=2)
        wait_for(process, lambda reached=reached: parts(output) >= reached)  # type: ignore[misc]
        stop(process.pid)
        assert process.wait(30) != 0
        deadline = time.monotonic() + 10
        while not session_is_gone(process.pid):
            assert time.monotonic() < deadline, "processes were left"
            time.sleep(0.05)
        assert reached <= parts(output)
        whole(output)
        if reached == 2:
            assert process.communicate()[1].decode().count("Traceback") == 1  # the workers say nothing
            assert unfinished(output) == []
            assert parts(output) < 10
    process = start(file, output, workers=2)
    assert process.wait(120) == 0, process.communicate()[1].decode()
    assert content(output) == undisturbed


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Files of this process cannot grow larger: writing fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("stage", ["part", "shard"])
def test_a_full_disk(file: str, tmp_path: Path, undisturbed: dict[str, bytes], stage: str) -> None:
    output = tmp_path / "out"
    largest_part = 0

    def note(*args: Any, **options: Any) -> int:
        nonlocal largest_part
        rows = write(*args, **options)
        largest_part = max(largest_part, args[0].stat().st_size if args[0].parent.name == "parts" else 0)
        return rows

    write = construction.write_batches
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(construction, "write_batches", note)
        complete(file, tmp_path / "sizes")
    shards = sorted(len(data) for name, data in undisturbed.items() if name.startswith("shard"))
    limit = {"part": 5000, "shard": largest_part}[stage]
    assert stage != "shard" or largest_part < shards[-1]
    with at_most(limit), pytest.raises(CollidekitError) as error:
        complete(file, output)
    assert "cannot be written (File too large)" in str(error.value)
    assert str(output) in str(error.value)
    assert "\n" not in str(error.value)
    assert not (output / "manifest.json").exists()
    assert unfinished(output) == []
    whole(output)
    assert parts(output) == {"part": 0, "shard": 10}[stage]
    complete(file, output)
    assert content(output) == undisturbed


def test_a_folder_that_cannot_be_made(file: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(CollidekitError, match="taken/out: cannot be written"):
        complete(file, tmp_path / "taken" / "out")


def stopped(file: str | list[str], output: Path, text: str = NUMBERED) -> None:
    """A construction that was stopped after its first shard."""

    def first_only(*args: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(construction, "asdict", first_only)
        with pytest.raises(KeyboardInterrupt):
            complete(file, output, text)
    assert (output / "shard_00000.arrow").exists()


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("what", ["analysis", "classes", "files", "content"])
def test_another_job_in_the_same_folder_uses_nothing_of_the_first(
    file: str, tmp_path: Path, what: str, finished: bool
) -> None:
    output = tmp_path / "out"
    mine = str(write_parquet(tmp_path / "rows.parquet", numbered(ROWS)))
    (complete if finished else stopped)(mine, output)
    text = NUMBERED
    if what == "analysis":
        text = NUMBERED.replace("number * 8", "number * 4")
    elif what == "classes":
        text = NUMBERED.replace("{even: label == 0, odd: label == 1}", "{odd: label == 1, even: label == 0}")
    elif what == "files":
        mine = str(write_parquet(tmp_path / "others.parquet", numbered(ROWS, seed=5)))
    else:
        write_parquet(tmp_path / "rows.parquet", numbered(ROWS, seed=6))
    complete(mine, output, text)
    complete(mine, tmp_path / "fresh", text)
    for shard in sorted((tmp_path / "fresh").glob("shard*")):
        assert (output / shard.name).read_bytes() == shard.read_bytes()
    assert (output / "shard_00000.arrow").read_bytes() != content(complete(file, tmp_path / "first").folder)[
        "shard_00000.arrow"
    ]


def test_one_large_chunk_gives_the_same_rows_as_many(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = complete(file, tmp_path / "small")
    monkeypatch.setattr(construction, "CHUNK", 10_000)
    large = complete(file, tmp_path / "large")
    for a, b in zip(small.shards, large.shards, strict=True):
        assert a == b
    assert small.class_counts == large.class_counts


KILLER = """
import os, signal, pathlib
import awkward as ak
from coffea.processor import ProcessorABC

class Rows(ProcessorABC):
    def process(self, events):
        note = pathlib.Path(__file__).with_name("killed")
        always = note.with_name("always").exists()
        if ak.any(events.number == 450) and (always or not note.exists()):
            note.write_text(note.read_text() + "x" if note.exists() else "x")
            os.kill(os.getpid(), signal.SIGKILL)
        return events

    def postprocess(self, accumulator):
        return accumulator
"""


@pytest.mark.parametrize("executor", ["futures", "dask"])
def test_a_worker_that_is_killed_loses_and_doubles_nothing(
    file: str, tmp_path: Path, executor: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if executor == "dask":
        pytest.importorskip("distributed", reason="needs the extra dask")
    plain, killing = tmp_path / "plain.py", tmp_path / "killing.py"
    plain.write_text(KILLER.replace("== 450", "== -1"))
    killing.write_text(KILLER)
    made = {}
    for processor in (plain, killing):
        output = tmp_path / processor.stem
        text = f"processor: {processor}:Rows\n{NUMBERED}"
        construct(make_plan(text), file, output, chunk_size=SHARD, workers=2, executor=executor, progress=False)
        made[processor] = {name: data for name, data in content(output).items() if name.endswith(".arrow")}
    assert (tmp_path / "killed").read_text() == "x"
    assert made[plain] == made[killing]
    if executor == "futures":
        assert "a worker was killed; its work is done again (2 tries left)" in capfd.readouterr().err


def test_a_worker_that_is_killed_each_time_is_one_error(file: str, tmp_path: Path) -> None:
    """What the others made is kept, and used when the reason is gone."""
    processor, output = tmp_path / "rows.py", tmp_path / "out"
    processor.write_text(KILLER)
    (tmp_path / "always").touch()
    plan = make_plan(f"processor: {processor}:Rows\n{NUMBERED}")
    with pytest.raises(
        CollidekitError, match=r"rows\.parquet: rows 400 to 700: its worker was killed 3 times.*fewer workers"
    ):
        construct(plan, file, output, chunk_size=SHARD, workers=2, progress=False)
    made = {int(path.stem) for path in (output / "parts").glob("0*.json")}
    assert not made & {4, 5, 6}
    assert unfinished(output) == []
    (tmp_path / "always").unlink()
    again: list[int] = []
    make = construction._make_part
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(construction, "_make_part", lambda chunk, *rest: again.append(chunk.number) or make(chunk, *rest))
        assert construct(plan, file, output, chunk_size=SHARD, progress=False).rows == ROWS
    assert sorted(again) == sorted(set(range(10)) - made)


def test_an_error_in_one_chunk_stops_the_others(file: str, tmp_path: Path) -> None:
    """The first one in the order of the file is reported."""
    columns = numbered(ROWS)
    columns["label"] = columns["label"].astype(float)
    columns["label"][[450, 850]] = float("nan")
    with pytest.raises(CollidekitError, match="row 450: label is nan"):
        make_dataset(tmp_path, NUMBERED, columns)
    assert not (tmp_path / "dataset").exists()


def test_a_finished_dataset_holds_all_rows(file: str, tmp_path: Path) -> None:
    dataset = Dataset(complete(file, tmp_path / "out"))
    assert [int(n) for batch in Loader(dataset, 100) for n in batch.spectators["number"]] == list(range(ROWS))


@pytest.mark.parametrize("what", ["empty", "flipped", "gone", "summary"])
def test_a_part_that_a_power_cut_spoiled_is_made_again(
    file: str, tmp_path: Path, undisturbed: dict[str, bytes], what: str
) -> None:
    output = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(construction, "_join", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            complete(file, output)
    part = output / "parts" / "000004.arrow"
    content_ = bytearray(part.read_bytes())
    if what == "empty":
        part.write_bytes(b"")
    elif what == "flipped":
        content_[len(content_) // 2] ^= 1
        part.write_bytes(content_)
    elif what == "gone":
        part.unlink()
    else:
        part.with_suffix(".json").write_text("")
    again: list[int] = []
    make = construction._make_part
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(construction, "_make_part", lambda chunk, *rest: again.append(chunk.number) or make(chunk, *rest))
        complete(file, output)
    assert again == [4]
    assert content(output) == undisturbed
