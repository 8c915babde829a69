"""Every row exactly once in an epoch, with all that belongs to it, in an order of seed and epoch only."""

import threading
import time
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from makers import NUMBERED, make_dataset, make_plan, numbered, write_parquet

from collidekit.dataset import construct as construction
from collidekit.dataset.ahead import ahead
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.construct import construct
from collidekit.dataset.loader import Dataset, Loader
from collidekit.dataset.parts import Split
from collidekit.errors import CollidekitError

OPTIONS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def numbers_of(batches: Any) -> list[int]:
    return [int(n) for batch in batches for n in batch.spectators["number"]]


def check_attached(batch: Batch, places: list[list[int]]) -> None:
    """All that a row holds tells the same number."""
    number = batch.spectators["number"].long()
    assert torch.equal(batch.index, number)
    assert torch.equal(batch.labels, number % 2)
    assert torch.equal(batch.weights.long(), number + 1)
    assert torch.equal(batch.event["event"], number + 2**40)
    jet, parts = batch.inputs["jet"], batch.inputs["parts"]
    assert isinstance(jet, torch.Tensor)
    assert isinstance(parts, Ragged)
    assert torch.equal(jet[:, 0].long(), number)
    assert torch.equal(jet[:, 1], batch.spectators["pt"])
    for i, n in enumerate(number.tolist()):
        members = parts.data[parts.offsets[i] : parts.offsets[i + 1]]
        assert members[:, 1].tolist() == places[n]
        assert members[:, 0].tolist() == [8 * n + place for place in places[n]]
    assert torch.equal(parts.momenta[:, 0], parts.values[:, 0])
    assert torch.equal(parts.coordinates[:, 1], parts.values[:, 0])


@pytest.fixture(scope="module")
def places() -> list[list[int]]:
    return numbered(5000)["part_place"].tolist()  # type: ignore[no-any-return]


@OPTIONS
@given(
    batch_size=st.integers(1, 6000),
    window=st.sampled_from([1, 10_000, 300_000, 10**9]),
    share=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]),
    shuffle=st.booleans(),
    seed=st.integers(0, 2**31),
    epoch=st.integers(0, 1000),
    threads=st.integers(0, 1),
)
def test_every_row_once_and_all_batches_full(
    numbers: Dataset, batch_size: int, window: int, share: float, shuffle: bool, seed: int, epoch: int, threads: int
) -> None:
    if batch_size < 50:
        batch_size *= 20
    found = {}
    wanted: dict[str, Any] = {"training": Split(share), "validation": Split(share), "all": None}
    for part, split in wanted.items():
        loader = Loader(numbers, batch_size, split, part, shuffle, seed, None, threads, window)  # type: ignore[arg-type]
        loader.set_epoch(epoch)
        batches = list(loader)
        assert all(len(batch) == batch_size for batch in batches[:-1])
        assert all(0 < len(batch) <= batch_size for batch in batches)
        found[part] = numbers_of(batches)
    assert sorted(found["all"]) == list(range(5000))
    assert sorted(found["training"] + found["validation"]) == list(range(5000))
    if not shuffle:
        assert all(rows == sorted(rows) for rows in found.values())


@settings(OPTIONS, max_examples=12)
@given(
    files=st.lists(st.integers(1, 90), min_size=1, max_size=4),
    chunk=st.integers(1, 70),
    shard=st.integers(3, 100),
    batch_size=st.integers(1, 60),
    shuffle=st.booleans(),
)
def test_any_sizes_of_files_chunks_and_shards(
    tmp_path_factory: pytest.TempPathFactory, files: list[int], chunk: int, shard: int, batch_size: int, shuffle: bool
) -> None:
    folder, first, paths = tmp_path_factory.mktemp("sizes"), 0, []
    files = [max(files[0], 2), *files[1:]]
    pieces = []
    for i, rows in enumerate(files):
        pieces.append(numbered(rows, first))
        paths.append(str(write_parquet(folder / f"{i}.parquet", pieces[-1], group=17)))
        first += rows
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(construction, "CHUNK", chunk)
        manifest = construct(make_plan(NUMBERED), paths, folder / "out", chunk_size=shard, progress=False)
    assert [entry["rows"] for entry in manifest.shards] == [shard] * (first // shard) + [first % shard] * bool(
        first % shard
    )
    places = [place for piece in pieces for place in piece["part_place"].tolist()]
    batches = list(Loader(Dataset(manifest), batch_size, shuffle=shuffle, threads=0))
    for batch in batches:
        check_attached(batch, places)
    found = numbers_of(batches)
    assert sorted(found) == list(range(first))
    assert shuffle or found == list(range(first))


@settings(OPTIONS, max_examples=10)
@given(batch_size=st.integers(60, 900), window=st.sampled_from([50_000, 10**9]), seed=st.integers(0, 99))
def test_what_belongs_to_a_row_stays_with_it(
    numbers: Dataset, places: list[list[int]], batch_size: int, window: int, seed: int
) -> None:
    for batch in Loader(numbers, batch_size, Split(0.7), "training", True, seed, None, 1, window):
        check_attached(batch, places)


@settings(OPTIONS, max_examples=15)
@given(skip=st.integers(0, 60), window=st.sampled_from([10_000, 300_000, 10**9]), share=st.sampled_from([0.6, 1.0]))
def test_skip_goes_on_in_the_middle(numbers: Dataset, skip: int, window: int, share: float) -> None:
    loader = Loader(numbers, 128, Split(share), "training", True, 7, None, 1, window)
    loader.set_epoch(3)
    whole = list(loader)
    rest = list(loader.iterate(skip))
    assert [batch.index.tolist() for batch in rest] == [batch.index.tolist() for batch in whole[skip:]]


def test_the_order_is_a_function_of_seed_and_epoch_only(numbers: Dataset) -> None:
    def order(seed: int, epoch: int, threads: int) -> tuple[int, ...]:
        loader = Loader(numbers, 256, shuffle=True, seed=seed, threads=threads)
        loader.set_epoch(epoch)
        return tuple(numbers_of(loader))

    orders = {(seed, epoch): order(seed, epoch, 0) for seed in (0, 1, 2) for epoch in (0, 1, 2)}
    assert len(set(orders.values())) == 9
    assert all(order(seed, epoch, 1) == found for (seed, epoch), found in orders.items())


def test_the_shuffle_mixes_the_whole_window(numbers: Dataset) -> None:
    """Mean rank correlation of file order and order drawn is 0 within its error 1/sqrt(N), and classes are mixed."""
    for epoch in range(3):
        loader = Loader(numbers, 100, shuffle=True, seed=1)
        loader.set_epoch(epoch)
        found = np.asarray(numbers_of(loader))
        assert abs(np.corrcoef(found, np.arange(len(found)))[0, 1]) < 4 / np.sqrt(len(found))
        odd = (found.reshape(-1, 100) % 2).sum(axis=1)
        assert np.abs(odd - 50).max() < 5 * 5


def test_the_split_has_its_share_and_does_not_move(numbers: Dataset) -> None:
    for share in (0.1, 0.5, 0.8):
        count = len(numbers_of(Loader(numbers, 512, Split(share))))
        assert abs(count - 5000 * share) < 4 * np.sqrt(5000 * share * (1 - share))
    inner = set(numbers_of(Loader(numbers, 512, Split(0.5))))
    assert inner < set(numbers_of(Loader(numbers, 512, Split(0.8))))


def test_the_split_keeps_an_event_together(tmp_path: Path) -> None:
    """Rows of one event are on one side, wherever they stand; without an event number equal rows are."""
    columns = numbered(3000)
    columns["event"] = (np.arange(3000) % 500).astype(np.uint64)
    dataset = make_dataset(tmp_path, NUMBERED, columns)
    sides: dict[int, set[bool]] = {}
    for batch in Loader(dataset, 300):
        for event, side in zip(
            batch.event["event"].tolist(), Split(0.7).rows(batch.keys.numpy(), "validation"), strict=True
        ):
            sides.setdefault(event, set()).add(bool(side))
    assert len(sides) == 500
    assert all(len(side) == 1 for side in sides.values())
    assert abs(sum(side == {True} for side in sides.values()) - 150) < 4 * np.sqrt(500 * 0.21)


def test_sampling_is_drawn_anew_each_epoch_and_can_be_repeated(numbers: Dataset) -> None:
    def keep(batch: Batch) -> np.ndarray:
        return np.where(batch.labels.numpy() == 0, 1.0, 0.3)

    def drawn(seed: int, epoch: int) -> list[int]:
        loader = Loader(numbers, 200, shuffle=True, seed=seed, keep=keep)
        loader.set_epoch(epoch)
        batches = list(loader)
        assert all(len(batch) == 200 for batch in batches[:-1])
        return numbers_of(batches)

    first = drawn(1, 0)
    assert first == drawn(1, 0)
    assert len(set(first)) == len(first)
    odd = [set(filter(lambda n: n % 2, rows)) for rows in (first, drawn(1, 1), drawn(2, 0))]
    assert sum(n % 2 == 0 for n in first) == 2500
    for rows in odd:
        assert abs(len(rows) - 750) < 4 * np.sqrt(2500 * 0.21)
    for other in odd[1:]:  # independent draws share 0.3 * 0.3 of the rows
        assert abs(len(odd[0] & other) - 225) < 4 * np.sqrt(2500 * 0.09 * 0.91)


def test_only_some_shards(numbers: Dataset) -> None:
    assert numbers_of(Loader(Dataset(numbers.manifest, n_files=2), 512)) == list(range(4200))


def test_blocks_are_full_but_the_last_of_a_shard(numbers: Dataset) -> None:
    assert [block.rows for block in numbers.blocks] == [512, 512, 512, 512, 52] * 2 + [512, 288]
    assert [block.first for block in numbers.blocks][4:7] == [2048, 2100, 2612]


REBUILD = "remove the folder .* and run the same command again, which constructs the dataset again"


def test_a_shard_that_is_cut_short_or_gone_is_named(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, NUMBERED, numbered(3000))
    shard = tmp_path / "dataset" / "shard_00000.arrow"
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2])
    with pytest.raises(CollidekitError, match=rf"shard_00000\.arrow: is damaged: has .* bytes, not .*{REBUILD}"):
        Dataset(dataset.manifest)
    shard.unlink()
    with pytest.raises(CollidekitError, match=rf"shard_00000\.arrow: is damaged: cannot be read.*{REBUILD}"):
        Dataset(dataset.manifest)


@OPTIONS
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_one_changed_byte_anywhere_in_a_shard_is_found(numbers: Dataset, place: float, flip: int) -> None:
    manifest = numbers.manifest
    shard = manifest.folder / "shard_00001.arrow"
    content = shard.read_bytes()
    changed = bytearray(content)
    changed[int(place * len(changed))] ^= flip
    try:
        shard.write_bytes(changed)
        with pytest.raises(CollidekitError, match=rf"shard_00001\.arrow: is damaged: .* its checksum; {REBUILD}"):
            list(Loader(Dataset(manifest), 512))
    finally:
        shard.write_bytes(content)
    assert numbers_of(Loader(Dataset(manifest), 512)) == list(range(5000))


def test_a_damaged_block_is_named_and_the_blocks_before_it_are_read(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, NUMBERED, numbered(2000))
    block = dataset.blocks[2]
    with block.path.open("r+b") as file:
        file.seek(block.offset + block.bytes // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))
    assert dataset.read(dataset.blocks[1]).index[0] == 512
    with pytest.raises(CollidekitError, match=r"block 2 \(rows 1024 to 1535\) does not match its checksum"):
        dataset.read(block)


def test_more_shards_than_there_are(numbers: Dataset) -> None:
    with pytest.raises(CollidekitError, match="has 3 shards, but 4 were requested"):
        Dataset(numbers.manifest, n_files=4)


def test_a_dataset_of_another_version(numbers: Dataset, tmp_path: Path) -> None:
    text = (numbers.manifest.folder / "manifest.json").read_text()
    (tmp_path / "manifest.json").write_text(text.replace('"format": 3', '"format": 1'))
    with pytest.raises(CollidekitError, match="is a dataset of another version of collidekit; remove the folder"):
        Dataset(tmp_path)


@settings(OPTIONS, max_examples=25)
@given(
    ranks=st.integers(1, 9),
    batch_size=st.integers(9, 3000),
    window=st.sampled_from([1, 60_000, 10**9]),
    share=st.sampled_from([0.003, 0.5, 1.0]),
    shuffle=st.booleans(),
    epoch=st.integers(0, 3),
)
def test_ranks_share_each_batch(
    numbers: Dataset, ranks: int, batch_size: int, window: int, share: float, shuffle: bool, epoch: int
) -> None:
    """Each row once over all ranks, the same number of steps, and together the batches of a single rank."""

    def batches(rank: int, ranks: int) -> list[list[int]]:
        loader = Loader(numbers, batch_size, Split(share), "training", shuffle, 5, None, 0, window, rank, ranks)
        loader.set_epoch(epoch)
        return [numbers_of([batch]) for batch in loader]

    alone = batches(0, 1)
    shares = [batches(rank, ranks) for rank in range(ranks)]
    steps = {len(share) for share in shares}
    assert len(steps) == 1
    together = [list(chain(*step)) for step in zip(*shares, strict=True)]
    assert list(chain(*together)) == list(chain(*alone))
    assert together[:-1] == alone[: len(together) - 1]
    for step in zip(*shares, strict=True):
        sizes = [len(rows) for rows in step]
        assert max(sizes) - min(sizes) <= 1
        assert min(sizes) >= 1


def test_ranks_go_on_in_the_middle(numbers: Dataset) -> None:
    loader = Loader(numbers, 100, shuffle=True, seed=2, window_bytes=50_000, rank=2, ranks=3)
    assert [b.index.tolist() for b in loader.iterate(17)] == [b.index.tolist() for b in loader][17:]


@pytest.mark.parametrize(("rank", "ranks"), [(0, 0), (3, 3), (-1, 2), (0, 11)])
def test_wrong_ranks(numbers: Dataset, rank: int, ranks: int) -> None:
    with pytest.raises(CollidekitError, match="a batch needs a row for each rank"):
        Loader(numbers, 10, rank=rank, ranks=ranks)


def test_fewer_rows_than_ranks(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, NUMBERED, numbered(3))
    with pytest.raises(CollidekitError, match="3 rows are too few for 4 ranks"):
        list(Loader(dataset, 10, threads=0, rank=0, ranks=4))


def test_an_error_in_the_thread_reaches_the_reader() -> None:
    def broken() -> Any:
        yield "first"
        raise ValueError("in the thread")

    batches = ahead(broken(), 2)
    assert next(batches) == "first"
    with pytest.raises(ValueError, match="in the thread"):
        next(batches)


def test_a_reader_that_stops_early_leaves_no_thread(numbers: Dataset) -> None:
    batches = iter(Loader(numbers, 10, shuffle=True))
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 5
    while any(thread.name == "collidekit-loader" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
