"""Limits, groups, withdrawal, and submissions at the same moment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from boards import claimed, failure, make_submission, participant, registered, states, submitted, success
from sqlalchemy import update

from collidekit.benchmark.states import Fault, State
from collidekit.benchmark.store import Store, User
from collidekit.benchmark.store.tables import runs
from collidekit.errors import CollidekitError


@pytest.fixture
def limited(store: Store, tmp_path: Path) -> tuple[Store, User, str]:
    """A store with a phase of three submissions a day and five in all, a participant, and an upload."""
    registered(store, tmp_path / "toy", phase={"submissions_per_day": 3, "submissions": 5})
    user = participant(store)
    return store, user, store.upload_folder(user, make_submission(tmp_path / "submission")).sha256


def test_the_daily_limit(limited: tuple[Store, User, str]) -> None:
    store, user, upload = limited
    assert store.remaining(user, "toy", "public") == (3, 5)
    for _ in range(3):
        store.submit(user, "toy", "public", upload, "mine")
    assert store.remaining(user, "toy", "public") == (0, 2)
    message = r"'Ann' has made 3 of 3 submissions of today in phase 'public'; the next day begins at \d{4}-\d\d-\d\d 00:00:00 UTC"
    with pytest.raises(CollidekitError, match=message):
        store.submit(user, "toy", "public", upload, "other group")
    assert len(store.runs()) == 3
    assert [group.name for group in store.groups()] == ["mine"]
    with store.database.writing() as connection:  # yesterday
        connection.execute(update(runs).values(submitted_at=runs.c.submitted_at - 86400))
    assert store.remaining(user, "toy", "public") == (2, 2)
    for _ in range(2):
        store.submit(user, "toy", "public", upload, "mine")
    with pytest.raises(CollidekitError, match="has made 5 of 5 submissions in phase 'public'"):
        store.submit(user, "toy", "public", upload, "mine")


def test_faults_of_others_do_not_count(limited: tuple[Store, User, str]) -> None:
    store, user, upload = limited
    for _ in range(3):
        store.submit(user, "toy", "public", upload, "mine")
    store.finish(claimed(store), "w1", failure(Fault.ORGANISER, "the scorer failed"))
    assert store.remaining(user, "toy", "public") == (1, 3)
    store.finish(claimed(store), "w1", failure(Fault.PARTICIPANT, "the tagger failed"))
    assert store.remaining(user, "toy", "public") == (1, 3)
    store.rerun(1, participant(store, "Boss", "owner"))
    assert store.remaining(user, "toy", "public") == (1, 3)


def test_exactly_the_limit_is_let_in_at_once(limited: tuple[Store, User, str]) -> None:
    store, user, upload = limited

    def attempt(number: int) -> int | str:
        try:
            return store.submit(user, "toy", "public", upload, f"group {number % 4}")
        except CollidekitError as error:
            return str(error)

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(attempt, range(12)))
    let_in = [answer for answer in answers if isinstance(answer, int)]
    assert len(let_in) == len(set(let_in)) == 3
    assert all("has made 3 of 3" in answer for answer in answers if isinstance(answer, str))
    assert len(store.runs()) == 3
    assert store.remaining(user, "toy", "public") == (0, 2)


def test_the_same_request_is_the_same_run(limited: tuple[Store, User, str]) -> None:
    store, user, upload = limited

    def attempt(number: int) -> int:
        return store.submit(user, "toy", "public", upload, "mine", request="form 7")

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(attempt, range(6))) == {1}
    bob = participant(store, "Bob")
    other = store.upload_folder(bob, store.folder.parent / "submission")
    assert store.submit(bob, "toy", "public", other.sha256, "bobs", request="form 7") == 2


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        ({"start": "2200-01-01T00:00:00Z"}, "phase 'public' begins at 2200-01-01 00:00:00 UTC"),
        ({"end": "2020-01-01T00:00:00+02:00"}, "phase 'public' ended at 2019-12-31 22:00:00 UTC"),
    ],
)
def test_a_phase_has_its_time(phase: dict[str, Any], said: str, store: Store, tmp_path: Path) -> None:
    registered(store, tmp_path / "toy", phase=phase)
    with pytest.raises(CollidekitError, match=said):
        submitted(store, participant(store), tmp_path)


def test_who_may_not_submit(limited: tuple[Store, User, str]) -> None:
    store, user, upload = limited
    reader = participant(store, "Reader", "reader")
    with pytest.raises(CollidekitError, match="is a reader, who cannot submit"):
        store.submit(reader, "toy", "public", upload, "mine")
    bob = participant(store, "Bob")
    with pytest.raises(CollidekitError, match="'Bob' has not uploaded a file with this checksum"):
        store.submit(bob, "toy", "public", upload, "mine")
    store.submit(user, "toy", "public", upload, "mine")
    assert store.upload_folder(bob, store.folder.parent / "submission").sha256 == upload
    with pytest.raises(CollidekitError, match="the name belongs to others in toy"):
        store.submit(bob, "toy", "public", upload, "MINE")
    store.add_member(1, user, bob)
    run = store.submit(bob, "toy", "public", upload, "mine")
    assert store.group(1).members == ("Ann", "Bob")
    assert [found.id for found in store.runs(user=user)] == [run, 1]
    with pytest.raises(CollidekitError, match="'Bob' is not its owner"):
        store.add_member(1, bob, reader)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: mine\n", "'tagger' is required"),
        ("name: mine\ntagger: x\nimagee: y\n", "imagee"),
        ("name: [\n", "not valid YAML"),
        ("name: mine\ntagger: x\nparameters: {depth: 3}\n", "depth"),
    ],
)
def test_a_bad_submission_is_refused_at_once(text: str, said: str, store: Store, tmp_path: Path) -> None:
    registered(store, tmp_path / "toy")
    user = participant(store)
    with pytest.raises(CollidekitError, match=said) as error:
        store.submit(user, "toy", "public", make_submission(tmp_path / "submission", text), "mine")
    assert str(tmp_path) not in str(error.value)
    assert store.runs() == []
    assert list((store.folder / "checks").iterdir()) == []


def test_parameters_and_code_are_recorded(store: Store, tmp_path: Path) -> None:
    from collidekit.benchmark.submission import code_hash

    parameters = [{"name": "depth", "type": "int", "default": 3}, {"name": "rate", "type": "float", "default": 0.5}]
    registered(store, tmp_path / "toy", parameters=parameters)
    folder = make_submission(tmp_path / "submission", "name: mine\ntagger: x\nparameters: {depth: 5}\n")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    run = store.run(store.submit(participant(store), "toy", "public", folder, "mine", {"rate": 0.25}, seed=7))
    assert run.parameters == {"depth": 5, "rate": 0.25}
    assert run.code_hash == code_hash(folder)
    assert run.seed == 7
    with pytest.raises(CollidekitError, match="seed -1: is not between"):
        store.submit(store.user_named("Ann"), "toy", "public", folder, "mine", seed=-1)


def test_withdrawal_keeps_the_run(store: Store, tmp_path: Path) -> None:
    registered(store, tmp_path / "toy")
    user, bob = participant(store), participant(store, "Bob")
    submitted(store, user, tmp_path, 2)
    store.finish(claimed(store), "w1", success())
    with pytest.raises(CollidekitError, match="'Bob' is not a member of its group 'mine'"):
        store.withdraw(1, bob)
    for call in (store.request_cancel, store.rerun):
        with pytest.raises(CollidekitError):
            call(1, bob)
    found = store.withdraw(1, user)
    assert found.withdrawn_at is not None
    assert found.state is State.SUCCESS
    assert store.withdraw(1, user) == found
    assert store.withdraw(2, user).state is State.CANCELED
    assert states(store) == {1: "success", 2: "canceled"}
    assert [event.action for event in store.audit("run 1")].count("withdraw") == 1


def test_who_may_see_a_run(store: Store, tmp_path: Path) -> None:
    registered(store, tmp_path / "toy")
    user = participant(store)
    submitted(store, user, tmp_path)
    run = store.run(1)
    seen = {
        name: store.may_see(run, participant(store, name, role))
        for name, role in (("Bob", "participant"), ("Boss", "owner"))
    }
    assert seen == {"Bob": False, "Boss": True}
    assert store.may_see(run, user)
    assert not store.may_see(run, None)


def test_pages_of_runs(store: Store, tmp_path: Path) -> None:
    registered(store, tmp_path / "toy")
    submitted(store, participant(store), tmp_path, 5)
    store.finish(claimed(store), "w1", success())
    assert [run.id for run in store.runs(limit=2)] == [5, 4]
    assert [run.id for run in store.runs(limit=2, before=4)] == [3, 2]
    assert [run.id for run in store.runs(state=State.SUCCESS)] == [1]
    assert [run.id for run in store.runs(group=1, phase="public", benchmark="toy")] == [5, 4, 3, 2, 1]
    assert store.runs(group=2) == []


def test_the_second_opener_sees_what_the_first_wrote(
    url: str, open_store: Callable[[str], Store], tmp_path: Path
) -> None:
    first, second = open_store(url), open_store(url)
    registered(first, tmp_path / "toy")
    submitted(first, participant(first), tmp_path)
    assert second.run(1) == first.run(1)
