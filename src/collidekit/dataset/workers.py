"""Who works through the pieces of a construction: this process, processes of this machine, or a Dask cluster.

What a piece makes does not depend on who makes it. A piece whose worker was killed is done again.
"""

import os
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.progress import notice

TRIES = 3
"""So often a worker may be killed, with no piece finished in between, before that is an error."""

WORTH = 5.0
"""Seconds of work that must be left for workers to be started: each takes two or three to begin."""

WARM_UP = 1.0
"""Seconds that the first piece of a process takes longer than others."""

Piece = TypeVar("Piece")
Result = TypeVar("Result")
Done = Callable[[Any], None]


class WorkerKilledError(CollidekitError):
    """Workers were killed again and again; what other pieces made is kept."""

    def __init__(self, piece: object) -> None:
        super().__init__(
            f"{piece}: its worker was killed {TRIES} times, perhaps for want of memory; run the same command again with "
            "fewer workers: it goes on where it was"
        )


class Workers(ABC):
    """Work through pieces in any order; a context manager that ends what it began."""

    def __init__(self, count: int) -> None:
        self.count = count

    def run(
        self, pieces: Sequence[Piece], work: Callable[[Piece], Result], done: Done = lambda piece: None
    ) -> list[Result]:
        """What ``work`` returns for each piece, in their order; ``done`` is told each one that is finished."""
        results: dict[int, Result] = {}
        for number, result in self._results(pieces, work):
            results[number] = result
            done(pieces[number])
        return [results[number] for number in range(len(pieces))]

    @abstractmethod
    def _results(self, pieces: Sequence[Piece], work: Callable[[Piece], Result]) -> Iterator[tuple[int, Result]]:
        """Number and result of each piece."""

    def end(self, killed: bool) -> None:  # noqa: B027 - this process has nothing to let go of
        """Let go of the workers; ``killed``: at once, whatever they are at."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end(killed=error is not None)


class ThisProcess(Workers):
    """One piece after another."""

    def _results(self, pieces: Sequence[Piece], work: Callable[[Piece], Result]) -> Iterator[tuple[int, Result]]:
        yield from enumerate(map(work, pieces))


class Processes(Workers):
    """Processes of this machine; they do not outlive this one."""

    _pool: Any = None
    _first: Any = None
    """Done when a worker has begun to work."""

    def _results(self, pieces: Sequence[Piece], work: Callable[[Piece], Result]) -> Iterator[tuple[int, Result]]:
        from concurrent.futures import as_completed
        from concurrent.futures.process import BrokenProcessPool

        left, killed = dict(enumerate(pieces)), 0
        yield from self._until_they_work(left, work)
        while left:
            alone = killed == TRIES - 1  # then it is the first one left that kills
            self._begin(1 if alone else self.count, work)
            try:
                futures = {self._pool.submit(work, piece): number for number, piece in left.items()}
                for future in as_completed(futures):
                    result = future.result()
                    del left[futures[future]]
                    killed = 0
                    yield futures[future], result
            except BrokenProcessPool:
                killed += 1
                self.end(killed=True)
                if killed == TRIES:
                    raise WorkerKilledError(next(iter(left.values()))) from OSError("killed")
                notice(f"a worker was killed; what it was at is done again ({TRIES - killed} tries left)")

    def _until_they_work(self, left: dict[int, Piece], work: Callable[[Piece], Result]) -> Iterator[tuple[int, Result]]:
        """What this process does itself: all pieces, if that takes less time than to start workers."""
        seconds, warm_up = 0.0, WARM_UP  # of the last piece; of the first one, in which much is imported
        for number, piece in list(left.items()):
            if seconds * len(left) >= WORTH:
                self._begin(self.count, work)
            if self._pool is not None and (self._first.done() or WORTH == 0):
                return
            begun = time.monotonic()
            result = work(piece)
            seconds, warm_up = max(time.monotonic() - begun - warm_up, 0.0), 0.0
            del left[number]
            yield number, result

    def _begin(self, count: int, work: Callable[[Any], Any]) -> None:
        if self._pool is None:
            from loky import ProcessPoolExecutor

            # loky would end a worker that holds 300 MB more than at first, and lose seconds: a chunk may take as much
            env = {"LOKY_MAX_MEMORY_LEAK_SIZE": "1e15"}
            self._pool = ProcessPoolExecutor(count, initializer=_begin_worker, initargs=(os.getpid(),), env=env)
            with _leaving_interrupts():
                self._first = self._pool.submit(_receive, work)  # starts them

    def end(self, killed: bool) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, kill_workers=killed or not self._first.done())
            self._pool = self._first = None


class Dask(Workers):
    """Workers of a Dask cluster: the one at ``scheduler`` (an address or a scheduler file), else one of this machine.

    All of them must see the input files and the output folder under the same paths.
    """

    def __init__(self, count: int, scheduler: str = "") -> None:
        super().__init__(count)
        try:
            from distributed import Client, LocalCluster
        except ImportError:
            raise CollidekitError("executor dask: needs one more package: pip install 'collidekit[dask]'") from None
        self._cluster: Any = None
        self._client: Any = None
        try:
            if scheduler:
                is_file = os.path.exists(scheduler)
                if ":" not in scheduler and not is_file:
                    raise CollidekitError(
                        f"scheduler {scheduler!r}: there is no such scheduler file, and an address has a port"
                    )
                place = {"scheduler_file" if is_file else "address": scheduler}
                self._client = Client(**place)  # type: ignore[no-untyped-call]
                threads = sum(self._client.nthreads().values())
                self.count = threads or count
                if not threads:
                    notice(f"scheduler {scheduler}: has no workers yet; the work begins when one comes")
            else:
                self._cluster = LocalCluster(  # type: ignore[no-untyped-call]
                    n_workers=count, threads_per_worker=1, dashboard_address=":0", silence_logs="CRITICAL"
                )
                self._client = Client(self._cluster)  # type: ignore[no-untyped-call]
                self._client.run(_ignore_interrupts)
        except (OSError, ValueError) as error:
            raise CollidekitError(
                f"scheduler {scheduler!r}: cannot be reached ({' '.join(str(error).split())})"
            ) from error

    def _results(self, pieces: Sequence[Piece], work: Callable[[Piece], Result]) -> Iterator[tuple[int, Result]]:
        from concurrent.futures import CancelledError

        from distributed import KilledWorker, as_completed

        futures = self._client.map(work, pieces, pure=False)
        numbers = {future.key: number for number, future in enumerate(futures)}
        for future in as_completed(futures):  # type: ignore[no-untyped-call]
            try:
                yield numbers[future.key], future.result()
            except KilledWorker:
                raise WorkerKilledError(pieces[numbers[future.key]]) from OSError("killed")
            except (CancelledError, ConnectionError) as error:
                raise CollidekitError(
                    "the Dask scheduler was lost; run the same command again when it is up: it goes on where it was"
                ) from OSError(str(error))

    def end(self, killed: bool) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None


EXECUTORS = ("futures", "dask")


def check_executor(executor: str, count: int, scheduler: str) -> None:
    """Raise an error for an unknown executor, too few workers, or a scheduler that nothing would use."""
    if executor not in EXECUTORS:
        raise CollidekitError(
            f"executor: there is no {executor!r}{did_you_mean(executor, EXECUTORS)}; there are {' and '.join(EXECUTORS)}"
        )
    if count < 1:
        raise CollidekitError(f"workers: at least 1 is needed, got {count}")
    if scheduler and executor != "dask":
        raise CollidekitError(f"scheduler {scheduler!r}: only the executor dask has one, not {executor}")


def find_workers(executor: str = "futures", count: int = 1, scheduler: str = "") -> Workers:
    """Return the workers of an executor: ``futures`` for processes of this machine, ``dask`` for a Dask cluster."""
    check_executor(executor, count, scheduler)
    if executor == "dask":
        return Dask(count, scheduler)
    return Processes(count) if count > 1 else ThisProcess(1)


@contextmanager
def _leaving_interrupts() -> Iterator[None]:
    """Ctrl-C goes to all processes of a terminal; those that are started here leave it to this one."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _ignore_interrupts() -> None:
    """In a worker of Dask, which sets its own answer to Ctrl-C: the same."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _receive(work: object) -> None:
    """In a worker: import all that the work needs, which takes most of the time until it can begin."""


def _begin_worker(parent: int) -> None:
    """In a worker: do not outlive the process that started it, even if that was killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
