"""Ranks of a training: the first one is the process of the user, the others receive their work from it.

On one machine the first rank starts the others. With torchrun or srun all ranks are started in the same way: the other ranks
wait for the trainings of the first one, and for other work that it shares.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from attrs import asdict, frozen
from torch.distributed import FileStore, PrefixStore, rendezvous  # type: ignore[attr-defined]

from collidekit.analysis.schema import Analysis
from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.lease import began_at, machine_name
from collidekit.ranks.environment import Place, check_size, name_first_node, place_of
from collidekit.ranks.group import ONE, Ranks, SeveralRanks
from collidekit.signals import end_with
from collidekit.training.config import TrainingConfig

END, PARTS = "end", "parts"
POLL = 0.2
"""Seconds between two checks for messages of the first rank."""
PREFIX = "collidekit_ranks_"
GRACE = 10.0
"""Seconds that the other ranks have to end by themselves."""


@frozen
class Request:
    """Description of a training that the first rank sends to the others, in plain values."""

    config: str
    analysis: str
    dataset: str
    folder: str
    start: str = ""
    """The checkpoint to continue from."""

    @classmethod
    def of(cls, config: TrainingConfig, dataset: Dataset, folder: Path, start: Path | None) -> "Request":
        """Return the request of a training."""
        return cls(
            config.model_dump_json(),
            dataset.analysis.model_dump_json(),
            str(dataset.manifest.folder.absolute()),
            str(folder.absolute()),
            str(start.absolute()) if start else "",
        )

    def train(self, ranks: Ranks) -> None:
        """Train with the other ranks, without output."""
        from collidekit.training.loop import Training

        config = TrainingConfig.model_validate_json(self.config)
        dataset = Dataset(self.dataset, config.n_train_files, Analysis.model_validate_json(self.analysis))
        training = Training(config, dataset, Path(self.folder), ranks=ranks)
        begin(training, Path(self.start) if self.start else None)
        training.run()


def begin(training: Any, start: Path | None) -> None:
    """Resume a training from its checkpoint, if there is one; a checkpoint of another folder is extended."""
    if start:
        (training.resume if start.parent.absolute() == training.folder.absolute() else training.extend)(start)


@contextmanager
def ranks_for(request: Request, devices: int, nodes: int) -> Iterator[Ranks]:
    """Yield the ranks of a training in the first rank, while the other ranks train, too."""
    check_ranks(devices, nodes)
    if (place := place_of()) is not None:
        with _leader(place).training(request) as ranks:
            yield ranks
    elif devices > 1:
        with _local(request, devices) as ranks:
            yield ranks
    else:
        yield ONE


def check_ranks(devices: int, nodes: int) -> None:
    """Raise CollidekitError if this machine cannot run these ranks."""
    place = place_of()
    check_size(place, devices, nodes)
    cuda = torch.cuda.is_available()
    most = torch.cuda.device_count() if cuda else max(os.cpu_count() or 1, 2)
    if place is None and devices > max(most, 1):
        raise CollidekitError(f"--devices {devices}: this machine has {most} {'GPUs' if cuda else 'processors'}")


def threads_of_rank(asked: int, devices: int) -> int:
    """Return the number of threads of each rank: the requested number, limited because ranks of a node share its processors."""
    place = place_of()
    local = place.local_size if place else max(devices, 1)
    return max(1, min(asked, torch.get_num_threads() if local == 1 else (os.cpu_count() or 1) // local))


Share = Callable[[list[list[str]], Any, Place], None]
"""Function that makes the parts of one rank, given the commands of all parts, the store of this work, and its place."""


def follow(share: Share) -> bool:
    """Train and run ``share`` with the first rank until it ends; return False at once in the first or only process."""
    place = place_of()
    if place is None or place.rank == 0:
        if place is not None:
            _leader(place)
        return False
    store = _rendezvous(place)
    number = 0
    while (said := _wait_for(store, f"work/{number}")) != END:
        content, own_store = json.loads(said), PrefixStore(f"ranks/{number}", store)
        number += 1
        if PARTS in content:
            share(content[PARTS], own_store, place)
            continue
        ranks = join(own_store, place.rank, place.size, place.local_rank)
        try:
            torch.set_num_threads(content.pop("threads"))
            Request(**content).train(ranks)
        finally:
            ranks.close()
    return True


class Leader:
    """The first of the ranks that a launcher started."""

    def __init__(self, place: Place) -> None:
        self.place, self.store, self.number = place, _rendezvous(place), 0

    def announce(self, content: dict[str, Any]) -> Any:
        """Send the next work to the other ranks; return the store of this work."""
        self.store.set(f"work/{self.number}", json.dumps(content))
        store = PrefixStore(f"ranks/{self.number}", self.store)
        self.number += 1
        return store

    @contextmanager
    def training(self, request: Request) -> Iterator[Ranks]:
        store = self.announce({**asdict(request), "threads": torch.get_num_threads()})
        ranks = join(store, 0, self.place.size, self.place.local_rank)
        try:
            yield ranks
        finally:
            ranks.close()

    def end(self) -> None:
        """Tell the other ranks to end."""
        self.store.set(f"work/{self.number}", END)


_the_leader: list[Leader] = []


def leader() -> Leader | None:
    """Return the ``Leader`` if this process is the first of several ranks, else None."""
    return _the_leader[0] if _the_leader else None


def _leader(place: Place) -> Leader:
    if not _the_leader:
        _the_leader.append(Leader(place))
    return _the_leader[0]


def let_go() -> None:
    """Tell the other ranks of a launcher that no more work follows."""
    place = place_of()
    if place is not None and place.rank == 0:
        _leader(place).end()


def _rendezvous(place: Place) -> Any:
    if place.launcher == "srun":
        os.environ |= {**name_first_node(), "RANK": str(place.rank), "WORLD_SIZE": str(place.size)}
    store, _, _ = next(rendezvous("env://", place.rank, place.size, timeout=timedelta(minutes=10)))
    return store


def _wait_for(store: Any, key: str) -> str:
    """Wait for a message of the first rank and return it; raise CollidekitError if that rank has ended."""
    try:
        while not store.check([key]):
            time.sleep(POLL)
        return bytes(store.get(key)).decode()
    except RuntimeError as error:
        said = str(error).splitlines()[0][:160]
        raise CollidekitError(f"the first rank has ended ({said}); see its own messages") from None


def join(
    store: Any, rank: int, size: int, local_rank: int, explain: Callable[[float], str] = lambda seconds: ""
) -> SeveralRanks:
    cuda = torch.cuda.is_available()
    if cuda:
        if local_rank >= torch.cuda.device_count():
            raise CollidekitError(
                f"rank {rank} needs device {local_rank}, and this node has {torch.cuda.device_count()}; take fewer --devices"
            )
        torch.cuda.set_device(local_rank)
    return SeveralRanks(store, rank, size, "nccl" if cuda else "gloo", [local_rank] if cuda else 1, explain)


class _Followers:
    """Processes that the first rank started on this machine."""

    def __init__(self, request: Request, size: int, place: Path) -> None:
        self.place = place
        content = {**asdict(request), "threads": torch.get_num_threads(), "size": size, "leader": _this_process()}
        (place / "request.json").write_text(json.dumps(content), encoding="utf-8")
        self.processes = []
        for rank in range(1, size):
            with (place / f"rank_{rank}.log").open("w", encoding="utf-8") as log:
                self.processes.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "collidekit.training.ranks", str(place), str(rank)],
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )

    def explain(self, seconds: float) -> str:
        """Return why a rank ended, at once or within ``seconds``; an empty text if all ranks run."""
        end = time.monotonic() + seconds
        while True:
            for rank, process in enumerate(self.processes, 1):
                if code := process.poll():
                    log = (self.place / f"rank_{rank}.log").read_text(encoding="utf-8", errors="replace").strip()
                    last = log.splitlines()[-1][:300] if log else "it wrote nothing"
                    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
                    return f"rank {rank} {how} ({last})"
            if time.monotonic() > end:
                return ""
            time.sleep(0.1)

    def end(self) -> None:
        """Wait for ``GRACE`` seconds, then end the ranks that still run."""
        until = time.monotonic() + GRACE
        for process in self.processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(until - time.monotonic(), 0.1))
            if process.poll() is None:
                process.kill()
                process.wait()


def _this_process() -> dict[str, Any]:
    return {"pid": os.getpid(), "machine": machine_name(), "began": began_at(os.getpid())}


def _remove_abandoned() -> None:
    """Remove the folders of killed first ranks on this machine."""
    for request in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/request.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):  # belongs to another user, or is being written
            leader = json.loads(request.read_text(encoding="utf-8"))["leader"]
            if leader["machine"] == machine_name() and began_at(leader["pid"]) != leader["began"]:
                shutil.rmtree(request.parent, ignore_errors=True)


@contextmanager
def _local(request: Request, size: int) -> Iterator[Ranks]:
    _remove_abandoned()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:  # no other user may read or write it
        followers = _Followers(request, size, Path(name))
        ranks: SeveralRanks | None = None
        try:
            with on_loopback():
                ranks = join(FileStore(f"{name}/store", size), 0, size, 0, followers.explain)
            yield ranks
        finally:
            if ranks:
                ranks.close()
            followers.end()


@contextmanager
def on_loopback() -> Iterator[None]:
    """Use the loopback device within the block, so that ranks of one machine cannot be reached from outside."""
    before = os.environ.get("GLOO_SOCKET_IFNAME")
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("GLOO_SOCKET_IFNAME", None)


def main(place: str, rank: int) -> None:
    """Run one of the ranks that the first rank started: train, and end with it."""
    content = json.loads((Path(place) / "request.json").read_text(encoding="utf-8"))
    end_with(content.pop("leader")["pid"])
    torch.set_num_threads(content.pop("threads"))
    size = content.pop("size")
    try:
        with on_loopback():
            ranks = join(FileStore(f"{place}/store", size), rank, size, rank)
        try:
            Request(**content).train(ranks)
        finally:
            ranks.close()
    except CollidekitError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
