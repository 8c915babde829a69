"""Sizes at which it hurts: many files, unequal files, data larger than memory; the same shards whoever makes them."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from makers import NUMBERED, make_plan, numbered, write, write_parquet

from collidekit.dataset import construct as construction
from collidekit.dataset import workers
from collidekit.dataset.construct import construct
from collidekit.dataset.loader import Dataset, Loader
from collidekit.dataset.parts import Split
from collidekit.dataset.pieces import Survey, cut
from collidekit.dataset.workers import Dask, Processes, ThisProcess, Workers, find_workers
from collidekit.errors import CollidekitError

SHARD = 500


def write_files(folder: Path, sizes: list[int], suffix: str = ".parquet", group: int = 1000) -> list[str]:
    """Files of so many rows, numbered through all of them."""
    paths, first = [], 0
    for i, rows in enumerate(sizes):
        paths.append(str(write(folder / f"{i:04d}{suffix}", numbered(rows, first), group)))
        first += rows
    return paths


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("shard_*"))}


def numbers_in_order(folder: Path) -> list[int]:
    return [int(n) for batch in Loader(Dataset(folder), 512) for n in batch.spectators["number"]]


@pytest.fixture(scope="module")
def dask() -> str:
    """The address of a cluster of two workers."""
    distributed = pytest.importorskip("distributed", reason="needs the extra dask")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=":0") as cluster:
        yield cluster.scheduler_address


@pytest.mark.parametrize("suffix", [".root", ".parquet"])
def test_the_same_shards_whoever_makes_them(
    tmp_path: Path, dask: str, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of very unequal size; with Dask also two threads in one worker, and a relative path."""
    monkeypatch.setattr(construction, "CHUNK", 100)
    paths = write_files(tmp_path, [1, 2500, 7, 300, 1, 64], suffix, group=130)
    plan = make_plan(NUMBERED)
    alone = construct(plan, paths, tmp_path / "alone", SHARD, progress=False)
    two = construct(plan, paths, tmp_path / "two", SHARD, workers=2, progress=False)
    monkeypatch.chdir(tmp_path)
    relative = [os.path.basename(path) for path in paths]
    spread = construct(plan, relative, Path("dask"), SHARD, progress=False, executor="dask", scheduler=dask)
    expected = shards(tmp_path / "alone")
    assert len(expected) == 6
    assert shards(tmp_path / "two") == expected
    assert shards(tmp_path / "dask") == expected
    assert alone.shards == two.shards == spread.shards
    assert alone.summary == two.summary == spread.summary
    assert two.inputs == alone.inputs
    assert numbers_in_order(tmp_path / "dask") == list(range(2873))


def test_a_cluster_of_its_own(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="needs the extra dask")
    with find_workers("dask", 2) as pool:
        assert isinstance(pool, Dask)
        assert sorted(pool.run(range(20), str)) == sorted(map(str, range(20)))
        assert len(set(pool.run(range(20), _process))) == 2


def _process(piece: int) -> int:
    time.sleep(0.1)
    return os.getpid()


def test_processes_begin_when_there_is_enough_left_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "WORTH", 10.0)
    with Processes(2) as pool:
        assert set(pool.run(range(8), _process)) == {os.getpid()}
        monkeypatch.setattr(workers, "WORTH", 1.0)
        found = pool.run(range(200), _process)  # workers take long to begin on a busy machine
        assert found[0] == os.getpid() != found[-1]
        assert len(set(found)) == 3
        monkeypatch.setattr(workers, "WORTH", 10.0)
        assert os.getpid() not in pool.run(range(8), _process)  # they are there


def test_a_pool_that_breaks_between_two_stages_is_begun_again(capfd: pytest.CaptureFixture[str]) -> None:
    with Processes(2) as pool:
        for process in set(pool.run(range(8), _process)):
            os.kill(process, signal.SIGKILL)
        time.sleep(1)
        assert pool.run(range(8), str) == list("01234567")
    assert "a worker was killed" in capfd.readouterr().err


def test_a_scheduler_that_is_lost_is_one_error() -> None:
    distributed = pytest.importorskip("distributed", reason="needs the extra dask")
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=":0", silence_logs="CRITICAL"
    )
    try:
        with find_workers("dask", 1, cluster.scheduler_address) as pool:
            threading.Timer(1, pool._client.close).start()
            with pytest.raises(
                CollidekitError, match="the Dask scheduler was lost; start it and run the same command again"
            ):
                pool.run(range(1000), _process)
    finally:
        cluster.close()


def test_results_come_in_the_order_of_the_pieces() -> None:
    told: list[int] = []
    for pool in (ThisProcess(1), Processes(2)):
        told.clear()
        with pool:
            assert pool.run(range(30), str, told.append) == [str(i) for i in range(30)]
        assert sorted(told) == list(range(30))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"executor": "dusk"}, r"executor: there is no 'dusk' \(did you mean 'dask'\?\); known are futures and dask"),
        ({"workers": 0}, "workers: at least 1 is needed, got 0"),
        ({"scheduler": "tcp://127.0.0.1:1"}, "only the executor dask has one, not futures"),
        ({"executor": "dask", "scheduler": "tcp://127.0.0.1:1"}, "scheduler 'tcp://127.0.0.1:1': cannot be reached"),
        ({"executor": "dask", "scheduler": "nonsense"}, "scheduler 'nonsense': there is no such scheduler file"),
    ],
)
def test_workers_that_cannot_be_had(tmp_path: Path, options: dict[str, object], message: str) -> None:
    path = write_parquet(tmp_path / "rows.parquet", numbered(10))
    if options.get("executor") == "dask":
        pytest.importorskip("distributed", reason="needs the extra dask")
        import dask.config

        dask.config.set({"distributed.comm.timeouts.connect": "1s"})
    with pytest.raises(CollidekitError, match=message):
        construct(make_plan(NUMBERED), str(path), tmp_path / "out", progress=False, **options)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_thousand_small_files(tmp_path: Path) -> None:
    paths = write_files(tmp_path, [3] * 1000)
    manifest = construct(make_plan(NUMBERED), paths, tmp_path / "out", SHARD, workers=2, progress=False)
    assert (manifest.rows, len(manifest.inputs), len(manifest.shards)) == (3000, 1000, 6)
    assert numbers_in_order(tmp_path / "out") == list(range(3000))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "manifest.json",
        *(f"shard_{i:05d}.arrow" for i in range(6)),
    ]


@settings(max_examples=200, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 3000)), min_size=1, max_size=6),
    workers=st.integers(1, 9),
    chunk=st.integers(10, 400),
)
def test_files_are_cut_into_pieces_without_a_gap(sizes: list[tuple[int, int]], workers: int, chunk: int) -> None:
    """Files of some rows, in which reading can begin at every so many rows."""
    surveys = [Survey(rows, detours=[start % group // 10 for start in range(0, rows, chunk)]) for rows, group in sizes]
    pieces = cut([f"{i}" for i in range(len(sizes))], surveys, workers, chunk)
    chunks = sorted((chunk for piece in pieces for chunk in piece.chunks), key=lambda chunk: chunk.number)
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))
    for file, (rows, _) in enumerate(sizes):
        found = [(chunk.start, chunk.stop) for chunk in chunks if chunk.file == file]
        assert found == [(start, min(start + chunk, rows)) for start in range(0, rows, chunk)]
    for piece in pieces:
        assert len({chunk.file for chunk in piece.chunks}) == 1
        assert piece.last == (piece.chunks[-1].stop == sizes[piece.chunks[0].file][0])
        detour = piece.chunks[0].start % sizes[piece.chunks[0].file][1] // 10
        assert piece.last or detour * 4 <= piece.chunks[0].start
    if workers > 1:
        assert [len(piece) for piece in pieces] == sorted(map(len, pieces), reverse=True)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=5),
    chunk=st.integers(7, 90),
    shard=st.integers(5, 400),
    group=st.integers(5, 300),
    batch_size=st.integers(4, 200),
    ranks=st.integers(1, 4),
    share=st.sampled_from([0.2, 0.7]),
)
def test_every_row_once_through_files_workers_shards_splits_and_ranks(
    pool: Workers,
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    chunk: int,
    shard: int,
    group: int,
    batch_size: int,
    ranks: int,
    share: float,
) -> None:
    folder = tmp_path_factory.mktemp("all")
    sizes = [max(sizes[0], 60), *sizes[1:]]
    paths = write_files(folder, sizes, group=group)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(construction, "CHUNK", chunk)
        patch.setattr(construction, "find_workers", lambda *args: pool)
        manifest = construct(make_plan(NUMBERED), paths, folder / "out", shard, progress=False)
    dataset = Dataset(manifest)
    seen: list[int] = []
    for part in ("training", "validation"):
        for rank in range(ranks):
            for batch in Loader(dataset, batch_size, Split(share), part, True, 1, rank=rank, ranks=ranks):  # type: ignore[arg-type]
                numbers = batch.spectators["number"].long()
                assert batch.labels.tolist() == (numbers % 2).tolist()
                assert batch.weights.long().tolist() == (numbers + 1).tolist()
                assert batch.event["event"].tolist() == (numbers + 2**40).tolist()
                seen += numbers.tolist()
    assert sorted(seen) == list(range(sum(sizes)))
    assert numbers_in_order(folder / "out") == list(range(sum(sizes)))


@pytest.fixture(scope="module")
def pool() -> Workers:
    """Two processes that stay for all examples."""

    class Staying(Processes):
        def __exit__(self, *error: object) -> None:
            pass

    pool = Staying(2)
    yield pool
    pool.end(killed=False)


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    """With real collective calls: same steps, and together the same gradients as a single process."""
    paths = write_files(tmp_path, [1001])
    construct(make_plan(NUMBERED), paths, tmp_path / "out", SHARD, progress=False)
    script = str(Path(__file__).with_name("two_ranks.py"))
    found = {}
    for ranks in (1, 2):
        processes = [
            subprocess.Popen(
                [sys.executable, script, str(tmp_path / "out"), str(tmp_path), str(rank), str(ranks)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for rank in range(ranks)
        ]
        found[ranks] = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    assert found[2][0] == found[2][1] == pytest.approx(found[1][0], rel=1e-9)


LIMIT = 192
"""MiB that the process below may take beyond what it has when all is imported."""


def test_an_epoch_of_data_larger_than_memory(tmp_path: Path) -> None:
    """The system refuses more memory than the limit; the dataset is five times as large."""
    script = Path(__file__).with_name("limited_memory.py")
    helpers = os.pathsep.join([str(script.parents[1] / "helpers"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), str(LIMIT)],
        env={**os.environ, "PYTHONPATH": helpers},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["data"] > 5 * LIMIT
    assert found["rows"] == found["different"] == found["expected"]
    assert found["refused"], "the limit did not hold"
    assert found["order"] == found["order of two ranks"]
