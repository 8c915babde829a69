"""Workers for the pieces of a construction: this process, processes on this machine, or a Dask cluster.

The result of a piece does not depend on the worker. If a worker is killed, its piece is done again.
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
"""Number of times that a worker may be killed, with no piece finished in between, before this is an error."""

WORTH = 5.0
"""Seconds of work that must be left before workers are started, because each takes two or three seconds to start."""

WARM_UP = 1.0
"""Additional seconds that the first piece of a process takes."""

Piece = TypeVar("Piece")
Result = TypeVar("Result")
Done = Callable[[Any], None]


class WorkerKilledError(CollidekitError):
    """Workers were killed again and again; results of other pieces are kept."""

    def __init__(self, piece: object) -> None:
        super().__init__(
            f"{piece}: its worker was killed {TRIES} times, perhaps because memory is short; run the same command again with "
            "fewer workers: it continues where it stopped"
        )


class Workers(ABC):
    """Workers that process pieces in any order; a context manager that stops the workers it started."""

    def __init__(self, count: int) -> None:
        self.count = count

    def run(
        self, pieces: Sequence[Piece], work: Callable[[Piece], Result], done: Done = lambda piece: None
    ) -> list[Result]:
        """Return the result of ``work`` for each piece, in order; ``done`` is called for each finished piece."""
        results: dict[int, Result] = {}
        for number, result in self._results(pieces, work):
            results[number] = result
            done(pieces[number])
        return [results[number] for number in range(len(pieces))]

    @abstractmethod
    def _results(self, pieces: Sequence[Piece], work: Callable[[Piece], Result]) -> Iterator[tuple[int, Result]]:
        """Yield number and result of each piece."""

    def end(self, killed: bool) -> None:  # noqa: B027 - this process has nothing to stop
        """Stop the workers; with ``killed``, at once and without waiting for their work."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end(killed=error is not None)


class ThisProcess(Workers):
    """Work in this process, one piece after another."""

    def _results(self, pieces: Sequence[Piece], work: Callable[[Piece], Result]) -> Iterator[tuple[int, Result]]:
        yield from enumerate(map(work, pieces))


class Processes(Workers):
    """Processes on this machine, which end with this process."""

    _pool: Any = None
    _first: Any = None
    """A future that is done when a worker has started."""

    def _results(self, pieces: Sequence[Piece], work: Callable[[Piece], Result]) -> Iterator[tuple[int, Result]]:
        from concurrent.futures import as_completed
        from concurrent.futures.process import BrokenProcessPool

        left, killed = dict(enumerate(pieces)), 0
        yield from self._until_they_work(left, work)
        while left:
            alone = killed == TRIES - 1  # then the first piece in the list causes the kill
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
                notice(f"a worker was killed; its work is done again ({TRIES - killed} tries left)")

    def _until_they_work(self, left: dict[int, Piece], work: Callable[[Piece], Result]) -> Iterator[tuple[int, Result]]:
        """Yield results of this process: of all pieces, if this takes less time than starting workers."""
        seconds, warm_up = 0.0, WARM_UP  # time of the last piece; extra time of the first one, which imports packages
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

            # loky would stop a worker that holds 300 MB more than at first, and lose seconds: a chunk may need as much
            env = {"LOKY_MAX_MEMORY_LEAK_SIZE": "1e15"}
            self._pool = ProcessPoolExecutor(count, initializer=_begin_worker, initargs=(os.getpid(),), env=env)
            with _without_interrupts():
                self._first = self._pool.submit(_import_work, work)  # starts them

    def end(self, killed: bool) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, kill_workers=killed or not self._first.done())
            self._pool = self._first = None


class Dask(Workers):
    """Workers of a Dask cluster: the cluster at ``scheduler`` (an address or a scheduler file), or a new one on this machine.

    All workers must see the input files and the output folder under the same paths.
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
                    notice(f"scheduler {scheduler}: has no workers yet; the work starts when a worker connects")
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
                    "the Dask scheduler was lost; start it and run the same command again: it continues where it stopped"
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
    """Raise an error for an unknown executor, too few workers, or a scheduler that would have no effect."""
    if executor not in EXECUTORS:
        raise CollidekitError(
            f"executor: there is no {executor!r}{did_you_mean(executor, EXECUTORS)}; known are {' and '.join(EXECUTORS)}"
        )
    if count < 1:
        raise CollidekitError(f"workers: at least 1 is needed, got {count}")
    if scheduler and executor != "dask":
        raise CollidekitError(f"scheduler {scheduler!r}: only the executor dask has one, not {executor}")


def find_workers(executor: str = "futures", count: int = 1, scheduler: str = "") -> Workers:
    """Return the workers of an executor: ``futures`` for processes on this machine, ``dask`` for a Dask cluster."""
    check_executor(executor, count, scheduler)
    if executor == "dask":
        return Dask(count, scheduler)
    return Processes(count) if count > 1 else ThisProcess(1)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Make processes started here ignore Ctrl-C, which goes to all processes of a terminal; this process handles it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _ignore_interrupts() -> None:
    """Ignore Ctrl-C in a worker of Dask, which sets its own handler."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _import_work(work: object) -> None:
    """Import everything that the work needs, in a worker; this takes most of its start-up time."""


def _begin_worker(parent: int) -> None:
    """Make a worker end with the process that started it, even if that was killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
