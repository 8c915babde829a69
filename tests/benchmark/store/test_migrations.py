"""Tables: made, upgraded with their data, refused; and what they never allow."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from boards import claimed, make_benchmark, participant, registered, submitted, success
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.store import Store, StoreUnavailable, tables
from collidekit.benchmark.store import database as database_module
from collidekit.benchmark.store.database import Database
from collidekit.benchmark.store.migrate import VERSION_TABLE, head_revision, revision_of, upgrade
from collidekit.errors import CollidekitError
from collidekit.search.disk import file_system


def test_migrations_make_the_tables_of_the_code(store: Store) -> None:
    with store.database.reading() as connection:
        options = {"compare_type": True, "version_table": VERSION_TABLE}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, tables.metadata) == []
        assert revision_of(connection) == head_revision()


def first_revision(url: str, benchmark: Benchmark) -> Database:
    """A database as the first version of collidekit made it, with a row in each table."""
    database = Database(url)
    upgrade(database, "0001")
    content = benchmark.model_dump(mode="json")
    runs = {
        "version_id": 1, "phase": "public", "group_id": 1, "user_id": 1, "upload": "a" * 64, "parameters": {"depth": 3}, "state": "success",
        "reason": "", "submitted_at": 5.0, "finished_at": 9.0, "attempt": 1, "losses": 0, "definition_hash": "d" * 64,
        "scoring_hash": "e" * 64, "scorer_version": "1", "code_hash": "c", "image_digest": "", "seed": 3,
        "scores": {"auc": {"value": 0.9, "error": None, "spread": None, "limit": False}}, "steps": [], "folder": "runs/000/1/attempt_1",
    }  # fmt: skip
    rows = {
        tables.users: {"name": "Zoë", "name_key": "zoë", "role": "participant", "created_at": 1.0},
        tables.tokens: {"user_id": 1, "hash": "b" * 64, "label": "first", "created_at": 1.0},
        tables.benchmarks: {"name": "toy", "current": 1, "created_at": 1.0},
        tables.versions: {"benchmark_id": 1, "number": 1, "definition_hash": "d" * 64, "scorer_version": "1", "content": content,
                          "folder": str(benchmark.folder), "registered_at": 1.0},
        tables.groups: {"benchmark_id": 1, "name": "mine", "name_key": "mine", "owner_id": 1, "created_at": 2.0},
        tables.members: {"group_id": 1, "user_id": 1, "added_at": 2.0},
        tables.uploads: {"sha256": "a" * 64, "user_id": 1, "name": "x.zip", "size": 3, "received_at": 2.0},
        tables.runs: runs,
        tables.scores: {"run_id": 1, "content": {"metrics": runs["scores"]}},
        tables.attempts: {"run_id": 1, "number": 1, "worker": "w1", "claimed_at": 6.0, "outcome": "success", "reason": ""},
        tables.workers: {"name": "w1", "host": "h", "job": "", "started_at": 1.0, "seen_at": 9.0, "message": ""},
        tables.events: {"at": 5.0, "actor": "Zoë", "action": "submit", "subject": "run 1", "details": {}},
    }  # fmt: skip
    with database.writing() as connection:
        for table, values in rows.items():
            connection.execute(insert(table).values(**values))
    return database


def test_data_of_the_first_revision_is_kept(
    url: str, open_store: Callable[[str], Store], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = first_revision(url, make_benchmark(tmp_path / "toy"))
    with database.reading() as connection:
        assert revision_of(connection) == "0001"
    database.close()
    store = open_store(url)
    assert f"upgraded from revision 0001 to {head_revision()}" in " ".join(capsys.readouterr().err.split())
    run = store.run(1)
    assert (run.user, run.group, run.seed, run.parameters, run.finished_at) == ("Zoë", "mine", 3, {"depth": 3}, 9.0)
    assert run.scores["auc"]["value"] == 0.9  # type: ignore[index]
    assert [event.action for event in store.audit()] == ["submit"]
    assert store.attempts(1)[0].worker == "w1"
    with pytest.raises(IntegrityError), store.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM runs")
    user = store.user_named("zoë")
    assert submitted(store, user, tmp_path) == [2]


def test_a_newer_database_is_refused(url: str, open_store: Callable[[str], Store]) -> None:
    store = open_store(url)
    with store.database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(CollidekitError, match=r"newer version of collidekit \(revision 9999; this version knows up to"):
        open_store(url)


def test_tables_of_another_program_are_refused(url: str, open_store: Callable[[str], Store]) -> None:
    database = Database(url)
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE runs (x INTEGER)")
    with pytest.raises(CollidekitError, match=r"has tables of another program \(runs\)"):
        open_store(url)
    database.close()


def test_an_upgrade_that_fails_changes_nothing(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = first_revision(url, make_benchmark(tmp_path / "toy"))
    with database.writing() as connection:  # a trigger of this name is in the way, late in the upgrade
        if database.is_postgresql:
            connection.exec_driver_sql(
                "CREATE FUNCTION fix_versions() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
            )
        else:
            connection.exec_driver_sql("CREATE TRIGGER fix_versions BEFORE UPDATE ON versions BEGIN SELECT 1; END")
    with pytest.raises(Exception, match="fix_versions"):
        Store(url, tmp_path / "files")
    with database.writing() as connection:
        assert revision_of(connection) == "0001"
        connection.exec_driver_sql("UPDATE events SET actor = 'x'")  # the triggers that came first are gone again
    database.close()


OPEN = "import sys; from collidekit.benchmark.store import Store; s = Store(sys.argv[1], sys.argv[2]); s.add_user(sys.argv[3], 'reader')"


def test_several_processes_make_the_tables_at_once(
    url: str, tmp_path: Path, open_store: Callable[[str], Store]
) -> None:
    def start(number: int) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", OPEN, url, str(tmp_path / "files"), f"user {number}"]
        return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(start, range(4)))
    assert [process.stderr for process in done if process.returncode] == []
    assert len(open_store(url).users()) == 4


KEPT = ("users", "tokens", "benchmarks", "versions", "groups", "uploads", "runs", "attempts", "scores", "events")


@pytest.fixture
def used(store: Store, tmp_path: Path) -> Store:
    """A store with a row in each table; run 1 has ended and run 2 waits."""
    registered(store, tmp_path / "toy")
    submitted(store, participant(store), tmp_path, 2)
    store.finish(claimed(store), "w1", success())
    return store


@pytest.mark.parametrize("table", KEPT)
def test_nothing_is_deleted(table: str, used: Store) -> None:
    with (
        pytest.raises(IntegrityError, match=f"rows of {table} are never deleted"),
        used.database.writing() as connection,
    ):
        connection.exec_driver_sql(f"DELETE FROM {table}")
    if used.database.is_postgresql:
        with pytest.raises(IntegrityError, match="are never deleted"), used.database.writing() as connection:
            connection.exec_driver_sql(f"TRUNCATE {table} CASCADE")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("events SET actor = 'somebody else'", "rows of events never change"),
        ("scores SET content = '{}'", "rows of scores never change"),
        ("runs SET state = 'error' WHERE id = 1", "a run that ended does not change"),
        ("runs SET scores = '{}' WHERE id = 1", "a run that ended does not change"),
        ("runs SET reason = 'x' WHERE id = 1", "a run that ended does not change"),
        ("runs SET fault = 'service' WHERE id = 1", "a run that ended does not change"),
        ("versions SET content = '{}'", "a version of a benchmark does not change"),
    ],
)
def test_what_is_written_stays(change: str, said: str, used: Store) -> None:
    with pytest.raises(IntegrityError, match=said), used.database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE {change}")


def test_a_withdrawn_run_stays_withdrawn(used: Store) -> None:
    used.withdraw(1, used.user_named("Ann"))
    with pytest.raises(IntegrityError, match="stays withdrawn"), used.database.writing() as connection:
        connection.exec_driver_sql("UPDATE runs SET withdrawn_at = NULL WHERE id = 1")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://me:secret@host/db", r"mysql://me:\*\*\*@host/db: is not supported"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///x.db?mode=ro", "names no file"),
        ("", "names no file"),
        ("/tmp", "is a folder"),
        ("/home/a/b.db", r"network disk \(nfs4\), where SQLite damages"),
        ("sqlite:////eos/b.db", r"network disk \(fuse.eosxd\)"),
        ("postgresql://me:secret@127.0.0.1:1/db", "the database cannot be used"),
    ],
)
def test_a_store_that_cannot_be(url: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/vda / ext4 rw 0 0\nserver:/home /home nfs4 rw 0 0\neos /eos fuse.eosxd rw 0 0\n")
    monkeypatch.setattr(database_module, "file_system", lambda place: file_system(place, mounts))
    with pytest.raises(CollidekitError, match=said) as error:
        Store(url, tmp_path / "files")
    assert "secret" not in str(error.value)


def test_postgresql_needs_a_folder() -> None:
    with pytest.raises(CollidekitError, match="needs a folder for uploads and results; give --folder"):
        Store("postgresql://me@host/db")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "board.db").write_text("hello " * 1000)
    with pytest.raises(CollidekitError, match="not a database"):
        Store(str(tmp_path / "board.db"))


def test_sqlite_uses_its_log_and_waits(local: Store) -> None:
    with local.database.reading() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "busy_timeout", "foreign_keys", "synchronous")
        }
    assert found == {"journal_mode": "wal", "busy_timeout": 30000, "foreign_keys": 1, "synchronous": 2}


def test_a_locked_database_is_one_line(local: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    path = local.database.path
    assert path is not None
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.1)
    other = Store(str(path), local.folder)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(StoreUnavailable, match=r"cannot be used \(database is locked\)"):
            other.add_user("Ann", "reader")
        assert other.users() == []  # reading goes on
    finally:
        blocker.rollback()
        blocker.close()
    other.add_user("Ann", "reader")
    other.close()
