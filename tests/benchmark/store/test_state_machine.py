"""Any sequence of submissions, claims, kills, cancels and results keeps the rules of the queue."""

import tempfile
from pathlib import Path
from typing import Any

from boards import failure, make_submission, participant, registered, success
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from collidekit.benchmark.run_result import RunResult
from collidekit.benchmark.states import Fault, State
from collidekit.benchmark.store import Run, Store

RESULTS = {
    "success": success(0.9), "participant": failure(), "organiser": failure(Fault.ORGANISER), "service": failure(Fault.SERVICE),
    "canceled": RunResult(State.CANCELED, reason="canceled"),
}  # fmt: skip
ALLOWED = {
    State.PENDING: {State.PENDING, State.RUNNING, State.CANCELED},
    State.RUNNING: set(State),
    State.SUCCESS: {State.SUCCESS}, State.ERROR: {State.ERROR}, State.CANCELED: {State.CANCELED},
}  # fmt: skip


class QueueMachine(RuleBasedStateMachine):
    """Two workers, one of which may be slow or dead, and a user who cancels and withdraws."""

    claims: Bundle[Run] = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        folder = Path(self.place.name)
        self.store = Store(str(folder / "board.db"), folder / "files")
        registered(self.store, folder / "toy")
        self.user = participant(self.store, "Boss", "owner")
        self.upload = self.store.upload_folder(self.user, make_submission(folder / "submission")).sha256
        self.before: dict[int, Run] = {}

    def teardown(self) -> None:
        self.store.close()
        self.place.cleanup()

    @rule(name=st.sampled_from(["a", "b"]))
    def submit(self, name: str) -> None:
        self.store.submit(self.user, "toy", "public", self.upload, name)

    @rule(target=claims, worker=st.sampled_from(["w1", "w1", "w2"]))
    def claim(self, worker: str) -> Any:
        waiting = self.store.runs(state=State.PENDING)
        run = self.store.claim(worker, 1000)
        assert (run is None) == (not waiting)
        if run is None:
            return multiple()
        assert run.id == min(found.id for found in waiting)
        return run

    @rule(run=claims)
    def beat(self, run: Run) -> None:
        assert self.store.heartbeat(run, str(run.worker), 1000) == self._holds(run)

    @rule(run=claims, kind=st.sampled_from(sorted(RESULTS)))
    def finish(self, run: Run, kind: str) -> None:
        holds, found = self._holds(run), self.store.run(run.id)
        assert self.store.finish(run, str(run.worker), RESULTS[kind]) or not holds
        if not holds:
            assert self.store.run(run.id) == found

    @rule(run=claims)
    def give_back(self, run: Run) -> None:
        holds, found = self._holds(run), self.store.run(run.id)
        assert self.store.give_back(run, str(run.worker), "stopped") or not holds
        if not holds:
            assert self.store.run(run.id) == found

    @rule(run=claims)
    def silence(self, run: Run) -> None:
        """The worker is silent until its lease ends. It may be dead, or come back and try to finish."""
        if self._holds(run):
            with self.store.database.writing() as connection:
                connection.exec_driver_sql(f"UPDATE runs SET lease_until = 1 WHERE id = {run.id}")
            assert self.store.expire() == [run.id]
            assert self.store.expire() == []

    @rule(target=claims, run=claims)
    def restart(self, run: Run) -> Any:
        """A silent worker starts again under its name, while what it was before still runs."""
        if not self._holds(run):
            return multiple()
        self.silence(run)
        return self.claim(str(run.worker))

    @rule(number=st.integers(1, 6))
    def cancel(self, number: int) -> None:
        if number <= len(self.before):
            ended = self.store.run(number).state.final
            assert self.store.request_cancel(number, self.user) is not ended

    @rule(number=st.integers(1, 6))
    def withdraw(self, number: int) -> None:
        if number <= len(self.before):
            assert self.store.withdraw(number, self.user).withdrawn_at is not None

    def _holds(self, run: Run) -> bool:
        found = self.store.run(run.id)
        return found.state is State.RUNNING and found.attempt == run.attempt

    @invariant()
    def rules_hold(self) -> None:
        now = {run.id: run for run in self.store.runs(limit=1000)}
        assert set(self.before) <= set(now)  # no run is lost
        for number, run in now.items():
            if old := self.before.get(number):
                assert run.state in ALLOWED[old.state]
                assert run.attempt >= old.attempt
                assert run.losses >= old.losses
                if old.state.final:
                    assert run.scores == old.scores
                    assert run.finished_at == old.finished_at
            assert run.state.final == (run.finished_at is not None)
            assert (run.state is State.RUNNING) == (run.lease_until is not None)
            assert (run.state is State.SUCCESS) == (run.scores is not None)
            assert (run.state is State.ERROR) == (run.fault is not None)
            assert run.reason or run.state is State.SUCCESS
            assert run.losses < 3 or run.state.final
            assert len(self.store.attempts(number)) == run.attempt
            open_attempts = [attempt for attempt in self.store.attempts(number) if attempt.ended_at is None]
            assert len(open_attempts) == (run.state is State.RUNNING)
        best = {row.run.id for row in self.store.board_rows("toy", "public")}
        assert best <= {run.id for run in now.values() if run.state is State.SUCCESS and run.withdrawn_at is None}
        places = [self.store.queue_position(run.id) for run in sorted(now.values(), key=lambda run: run.id)]
        assert [place for place in places if place] == list(
            range(1, sum(run.state is State.PENDING for run in now.values()) + 1)
        )
        self.before = now


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=12, stateful_step_count=30, deadline=None)
