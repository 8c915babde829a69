"""Files on a real XRootD server: the same rows as from the disk, whatever happens to the server on the way."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import awkward as ak
import h5py
import numpy as np
import pytest
from makers import NUMBERED, make_dataset, make_plan, numbered, write
from xrootd_server import Server, Wire, missing

from collidekit.dataset.construct import construct
from collidekit.errors import CollidekitError
from collidekit.inference.predict import predict_files
from collidekit.readers import BadFileError, chunks, expand, file_id, open_file
from collidekit.readers import base as base_module
from collidekit.readers import cache as cache_module
from collidekit.readers import remote as remote_module
from collidekit.readers import server as server_module
from collidekit.readers.base import LostServerError
from collidekit.readers.remote import cached_files
from collidekit.readers.xrootd import WAITS
from collidekit.training.checkpoint import load_checkpoint
from collidekit.training.config import TrainingConfig
from collidekit.training.loop import Training

from .conftest import WRITERS, write_json

FORMATS = sorted(WRITERS)
LARGE = ["large.root", "large.parquet", "large.h5", "large.jsonl", "large.json.gz"]
ROWS = 100_000


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    if lacks := missing():
        pytest.skip(f"needs {lacks}")
    with tempfile.TemporaryDirectory(prefix="collidekit-xrootd-") as folder:
        server = Server(Path(folder))
        server.start()
        yield server
        server.kill()


@pytest.fixture
def restarted(server: Server) -> Iterator[Server]:
    """The server, for a test that kills it."""
    yield server
    server.kill()
    server.start()


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    wire = Wire(server.port)
    yield wire
    wire.close()


@pytest.fixture(scope="module")
def large(server: Server) -> Path:
    """A folder on the server with many rows in each format, of numbers that do not compress well."""
    rng = np.random.default_rng(3)
    columns = {"number": np.arange(ROWS, dtype=np.int32)} | {name: rng.normal(size=ROWS) for name in "abcdefgh"}
    write(server.data / "large.root", columns, 2000)
    write(server.data / "large.parquet", columns, 5000)
    with h5py.File(server.data / "large.h5", "w") as file:
        for name, values in columns.items():
            file.create_dataset(name, data=values, chunks=(2000,))
    for name in ("large.jsonl", "large.json.gz"):
        write_json(server.data / name, ak.zip({"number": columns["number"][:20_000], "a": columns["a"][:20_000]}))
    return server.data


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other in tenths of seconds, and little is read ahead."""
    monkeypatch.setattr(server_module, "PAUSES", (0.1, 0.2, 0.4, 0.8))
    monkeypatch.setattr(base_module, "AHEAD", 1 << 16)


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second try would be noticed."""
    monkeypatch.setattr(server_module, "PAUSES", (600.0,))
    monkeypatch.setattr(server_module, "PATIENCE", 1000.0)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLLIDEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache_module, "CHUNK", 1 << 18)
    monkeypatch.setattr(remote_module, "_silent", {})
    return tmp_path / "cache"


def read_all(path: str) -> ak.Array:
    with open_file(path) as reader:
        return reader.read(list(reader.columns), 0, reader.rows)


@pytest.mark.parametrize("name", FORMATS)
def test_same_rows_as_from_the_disk(name: str, files: dict[str, str], server: Server) -> None:
    """Also where the format shows only in the first bytes."""
    local = read_all(files[name])
    for place in (name, f"no_suffix_{FORMATS.index(name)}"):
        shutil.copy(files[name], server.data / place)
        remote = read_all(server.url(place))
        assert remote.fields == local.fields
        assert str(remote.type) == str(local.type)
        assert ak.to_list(remote) == ak.to_list(local)


@pytest.mark.parametrize("name", ["large.root", "large.parquet", "large.h5"])
def test_only_what_is_needed_is_fetched(name: str, large: Path, wire: Wire) -> None:
    """A few rows or columns do not cost the whole file, and the whole file is not fetched twice."""
    size = (large / name).stat().st_size
    with open_file(wire.url(name)) as reader:
        assert reader.rows == ROWS
        reader.read(["number", "a"], 50_000, 52_000)
    assert 0 < wire.bytes < 0.5 * size
    wire.bytes = 0
    with open_file(wire.url(name)) as reader:
        for _ in chunks(reader, list(reader.columns), 0, ROWS, 1000):
            pass
    assert 0.9 * size < wire.bytes < 1.3 * size


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.usefixtures("soon", "large")
def test_a_server_that_comes_back(name: str, restarted: Server, capfd: pytest.CaptureFixture[str]) -> None:
    """It is killed in the middle of a file: reading goes on, and nothing is lost or twice."""
    numbers, again = [], threading.Timer(1.0, restarted.start)
    with open_file(restarted.url(name)) as reader:
        for first, rows in chunks(reader, list(reader.columns), 0, reader.rows, 1000):
            numbers.extend(rows.number)
            if first == reader.rows // 2:
                restarted.kill()
                again.start()
        again.join()
        assert numbers == list(range(reader.rows))
    assert "trying again" in capfd.readouterr().err


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.usefixtures("soon", "large")
def test_a_server_that_stays_away(name: str, restarted: Server) -> None:
    with open_file(restarted.url(name)) as reader:
        columns, last = list(reader.columns), reader.rows
        reader.read(columns, 0, 1000)
        restarted.kill()
        begun = time.monotonic()
        with pytest.raises(LostServerError) as error:
            reader.read(columns, last - 5000, last)
    assert time.monotonic() - begun < 5
    assert re.fullmatch(
        rf"{re.escape(restarted.url(name))}: rows {last - 5000} to {last}: the server failed 5 times in [1-4] s "
        r"\(\[FATAL\] Connection error\); check that it is running and reachable, then run the same command again",
        str(error.value),
    )
    assert isinstance(error.value.__cause__, OSError), "another try can do better"


@pytest.mark.usefixtures("soon")
def test_a_server_that_is_not_there(restarted: Server) -> None:
    restarted.kill()
    for call in (open_file, file_id, lambda url: expand(f"{url}/*.root")):
        with pytest.raises(LostServerError, match=r"the server failed 5 times in [1-4] s") as error:
            call(restarted.url("some.root"))
        assert isinstance(error.value.__cause__, OSError)


@pytest.mark.usefixtures("once")
def test_files_that_are_not_there(server: Server) -> None:
    """A server that answers is asked once."""
    (server.data / "folder.root").mkdir(exist_ok=True)
    (server.data / "empty.root").touch()
    (server.data / "secret.root").write_bytes(b"root")
    (server.data / "secret.root").chmod(0)
    said = {
        "nothing.root": "there is no such file on the server",
        "folder.root": "is a folder",
        "empty.root": "is empty",
    }
    if os.getuid() == 0:  # the server is another user
        said["secret.root"] = "permission denied"
    for name, what in said.items():
        with pytest.raises(BadFileError, match=rf"{name}: {what}") as error:
            open_file(server.url(name))
        assert not isinstance(error.value, LostServerError)
        assert not isinstance(error.value.__cause__, OSError), "another try cannot help"
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.usefixtures("once")
def test_damaged_files(name: str, files: dict[str, str], server: Server) -> None:
    """A server that answers is not to blame."""
    whole = Path(files[name]).read_bytes()
    for part in (0.5, 0.97):
        (server.data / f"short_{name}").write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(BadFileError, match=f"short_{name}") as error:
            read_all(server.url(f"short_{name}"))
        assert not isinstance(error.value, LostServerError)
        assert not isinstance(error.value.__cause__, OSError)
    (server.data / f"letter_{name}").write_text("this is a letter, and no data at all\n" * 20)
    with pytest.raises(BadFileError, match=rf"letter_{name}.* (is not |seems truncated or damaged)"):
        open_file(server.url(f"letter_{name}"))


def test_a_file_that_changes_while_it_is_read(server: Server) -> None:
    path = write(server.data / "changing.parquet", numbered(20_000))
    with open_file(server.url("changing.parquet")) as reader:
        reader.read(["number"], 0, 1000)
        write(path, numbered(20_001, first=5))
        with pytest.raises(BadFileError, match=r"changing.parquet: has changed while it was read"):
            reader.read(["number"], 10_000, 20_000)


def test_a_users_own_waits_win() -> None:
    client = pytest.importorskip("XRootD.client", reason="needs XRootD")
    code = "from collidekit.readers.base import check; check('root://host//file'); from XRootD import client; "
    code += f"print({{name: client.EnvGetInt(name) for name in {list(WAITS)}}})"
    environment = os.environ | {"XRD_STREAMTIMEOUT": "77"}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == str(WAITS | {"StreamTimeout": 77})
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
    for name, value in WAITS.items():
        assert f"| `XRD_{name.upper()}` | {value} | {client.EnvGetDefault(name)} |" in page


def test_globs(server: Server, tmp_path: Path) -> None:
    for name in ("b.root", "a.root", ".hidden.root", "deep/er/c.root", "d.h5"):
        (server.data / "glob" / name).parent.mkdir(parents=True, exist_ok=True)
        (server.data / "glob" / name).write_bytes(b"root")

    def found(pattern: str) -> list[str]:
        return [path.removeprefix(server.url("glob/")) for path in expand(server.url(pattern))]

    assert expand(server.url("glob/*.root")) == [server.url("glob/a.root"), server.url("glob/b.root")]
    assert found("glob/**/*.root") == ["a.root", "b.root", "deep/er/c.root"]
    assert found("g*b/[a-c]*.root") == ["a.root", "b.root"]
    assert found("glob/d*/*/c.root") == ["deep/er/c.root"]
    assert found("glob/a.root?token=x*y") == ["a.root?token=x*y"], "no glob"
    assert found("glob/a*?token=x") == ["a.root?token=x"]
    for nothing in ("glob/*.parquet", "nowhere/*.root", "*/nowhere/*.root"):
        with pytest.raises(CollidekitError, match=rf"{re.escape(nothing)}: matches no file$"):
            expand(server.url(nothing))
    (tmp_path / "files.txt").write_text(f"{server.url('glob/b*')}\n{server.url('glob/*.h5')}\n")
    assert len(expand(str(tmp_path / "files.txt"))) == 2
    with pytest.raises(CollidekitError, match="is given twice"):
        expand([server.url("glob/a.root"), server.url("glob/*.root")])


def test_file_id(server: Server) -> None:
    path, url = server.data / "id.parquet", server.url("id.parquet")
    write(path, numbered(10))
    os.utime(path, (1e9, 1e9))
    assert file_id(url) == {"url": url, "size": path.stat().st_size, "modified": 10**9}
    os.utime(path, (2e9, 2e9))
    assert file_id(url)["modified"] == 2 * 10**9


def test_a_copy_is_made_once(large: Path, wire: Wire, cache: Path) -> None:
    """By the first rows that are read, not by a look at what is in the file."""
    url, size = wire.url("large.root"), (large / "large.root").stat().st_size
    with open_file(url) as reader:
        assert reader.rows == ROWS
        assert not cached_files()
        first = reader.read(["number"], 10, 20)
    (copy,) = cached_files()
    assert (copy.url, copy.size) == (url, size)
    assert copy.path.parent == cache
    assert copy.path.read_bytes() == (large / "large.root").read_bytes()
    wire.bytes = 0
    with open_file(f"{url}?token=secret") as reader:
        assert ak.array_equal(reader.read(["number"], 10, 20), first)
        assert ak.to_list(reader.read(["number"], ROWS - 1, ROWS).number) == [ROWS - 1]
    assert wire.bytes < 5000
    assert "secret" not in "".join(path.read_text() for path in cache.glob("*.url"))


@pytest.mark.usefixtures("large")
def test_a_copy_serves_without_the_server(restarted: Server, cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    url = restarted.url("large.parquet")
    whole, known = read_all(url), file_id(url)
    restarted.kill()
    begun = time.monotonic()
    assert ak.array_equal(read_all(url), whole)
    assert file_id(url) == known
    assert time.monotonic() - begun < 5
    assert capfd.readouterr().err.count("using local copies of its files without a check for changes") == 1


@pytest.mark.usefixtures("soon")
def test_an_interrupted_copy_goes_on(large: Path, wire: Wire, cache: Path) -> None:
    size = (large / "large.h5").stat().st_size
    with open_file(wire.url("large.h5")) as reader:
        wire.bytes, wire.limit = 0, size // 2
        with pytest.raises(LostServerError, match=r"large.h5: copying: the server failed 5 times in"):
            reader.read(["number"], 0, 10)
        (part,) = cached_files()
        assert part.path.suffix == ".part"
        assert 0 < part.size < size
        wire.bytes, wire.limit = 0, float("inf")
        assert ak.to_list(reader.read(["number"], 0, 3).number) == [0, 1, 2]
    assert wire.bytes < size - part.size + 100_000
    (copy,) = cached_files()
    assert copy.path.read_bytes() == (large / "large.h5").read_bytes()


COPYING = """
import sys
from collidekit.readers import cache, open_file
cache.CHUNK = 1 << 18
with open_file(sys.argv[1]) as reader:
    print(reader.read(["number"], 5, 6).number[0])
"""


def copying(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", COPYING, url], stdout=subprocess.PIPE, text=True)


def test_killed_and_concurrent_copies(large: Path, wire: Wire, cache: Path) -> None:
    """A killed process leaves what it has to the next; of two processes, one copies and the other waits."""
    size, wire.pause = (large / "large.root").stat().st_size, 0.01
    killed = copying(wire.url("large.root"))
    while not any(copy.size > size // 4 for copy in cached_files()):
        assert killed.poll() is None
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    left = cached_files()[0].size
    assert left < size
    wire.bytes, wire.pause = 0, 0.001
    both = [copying(wire.url("large.root")) for _ in range(2)]
    assert [process.communicate()[0] for process in both] == ["5\n", "5\n"]
    assert wire.bytes < size - left + 500_000
    (copy,) = cached_files()
    assert copy.path.read_bytes() == (large / "large.root").read_bytes()


def test_a_changed_file_is_copied_again(server: Server, cache: Path) -> None:
    path, url = write(server.data / "new.parquet", numbered(100)), server.url("new.parquet")
    os.utime(path, (1e9, 1e9))
    assert read_all(url).number[0] == 0
    write(path, numbered(100, first=7))
    assert read_all(url).number[0] == 7
    assert [copy.url for copy in cached_files()] == [url, url]


def test_errors_of_a_copy_name_the_url(server: Server, cache: Path) -> None:
    url = server.url("plain.parquet")
    write(server.data / "plain.parquet", numbered(10))
    read_all(url)
    with open_file(url) as reader, pytest.raises(CollidekitError, match=r"there is no column 'nmber'") as error:
        reader.read(["nmber"], 0, 1)
    assert str(error.value).startswith(f"{url} (its copy {cache}")


def test_without_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLLIDEKIT_CACHE", raising=False)
    assert cached_files() == []


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("shard_*.arrow"))}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_dataset_is_the_same(workers: int, server: Server, tmp_path: Path) -> None:
    rows = numbered(25_000)
    make_dataset(tmp_path, NUMBERED, rows)
    write(server.data / "rows.parquet", rows)
    construct(make_plan(NUMBERED), server.url("rows.parquet"), tmp_path / "remote", workers=workers, progress=False)
    assert shards(tmp_path / "remote") == shards(tmp_path / "dataset")


@pytest.mark.usefixtures("soon")
def test_a_construction_goes_on(server: Server, wire: Wire, tmp_path: Path) -> None:
    """The server is lost for good in the middle of it; what is made by then is not made again."""
    rows = numbered(60_000)
    make_dataset(tmp_path, NUMBERED, rows)
    wire.limit = 0.7 * write(server.data / "long.parquet", rows).stat().st_size

    def remote() -> None:
        construct(make_plan(NUMBERED), wire.url("long.parquet"), tmp_path / "remote", progress=False)

    with pytest.raises(CollidekitError, match=r"long.parquet: rows \d+ to \d+: the server failed 5 times"):
        remote()
    assert len(list((tmp_path / "remote" / "parts").glob("*.arrow"))) >= 2
    wire.bytes, wire.limit = 0, float("inf")
    remote()
    assert wire.bytes < 0.7 * (server.data / "long.parquet").stat().st_size
    assert shards(tmp_path / "remote") == shards(tmp_path / "dataset")


def test_predictions_are_the_same(server: Server, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, NUMBERED, numbered(2000))
    config = TrainingConfig(model_name="pfn", epochs=1, batch_size=500)
    checkpoint = load_checkpoint(Training(config, dataset, tmp_path / "training", accelerator="cpu").run())
    path = write(server.data / "predicted.root", numbered(2000, first=2000))
    found = [
        predict_files(checkpoint, make_plan(NUMBERED), place)[0] for place in (str(path), server.url("predicted.root"))
    ]
    np.testing.assert_array_equal(found[0].probabilities, found[1].probabilities)
    np.testing.assert_array_equal(found[0].event["event"], found[1].event["event"])
