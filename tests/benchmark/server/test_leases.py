"""A server ends leases that are over, also where no worker claims."""

import time
from pathlib import Path

from boards import claimed, participant, registered, submitted

from collidekit.benchmark.server.leases import leases_end
from collidekit.benchmark.states import State
from collidekit.benchmark.store import Store


def test_a_run_of_a_dead_worker_goes_back_into_the_queue(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "board.db"))
    registered(store, tmp_path / "toy")
    submitted(store, participant(store), tmp_path)
    run = claimed(store, "dead", lease=0.2)
    time.sleep(0.5)
    assert store.run(run.id).state is State.RUNNING  # nobody has looked
    with leases_end(store, interval=0.1):
        limit = time.monotonic() + 20
        while store.run(run.id).state is State.RUNNING and time.monotonic() < limit:
            time.sleep(0.1)
    assert store.run(run.id).state is State.PENDING
