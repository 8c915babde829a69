"""Where a study may lie: types of disks, refused storages, and no password in any message."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import PostgresServer, missing
from studies import plan, quadratic

from collidekit.errors import CollidekitError
from collidekit.search import disk, storage
from collidekit.search.study import open_study
from collidekit.search.trials import records
from collidekit.search.work import work

MOUNTS = """/dev/vda / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
eos /eos fuse.eosxd rw 0 0
AFS /afs afs rw 0 0
/dev/vdb /home/fast\\040disk xfs rw 0 0
scratch /scratch lustre rw 0 0
"""


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "mounts"
    path.write_text(MOUNTS)
    monkeypatch.setattr(storage, "file_system", lambda place: disk.file_system(place, path))
    return path


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/data/a", "ext4"),
        ("/home/a/b.db", "nfs4"),
        ("/homes/a", "ext4"),
        ("/home/fast disk/b.db", "xfs"),
        ("/eos/user/x.db", "fuse.eosxd"),
    ],
)
def test_the_type_of_a_disk_is_that_of_its_deepest_mount(place: str, kind: str, mounts: Path) -> None:
    assert disk.file_system(Path(place), mounts) == kind


def test_a_system_without_mounts_says_nothing(tmp_path: Path) -> None:
    assert disk.file_system(tmp_path, tmp_path / "none") == ""


@pytest.mark.parametrize(
    ("given", "workers", "said"),
    [
        ("sqlite:////home/a/b.db", 1, r"network disk \(nfs4\), where SQLite damages"),
        ("sqlite:////scratch/b.db", 1, r"network disk \(lustre\)"),
        ("sqlite:////eos/b.db", 1, r"network disk \(fuse.eosxd\)"),
        ("sqlite:////data/b.db", 2, "SQLite supports one worker, and --workers is 2"),
        ("sqlite://", 1, "names no file"),
        ("mysql://me:secret@host/db", 1, r"mysql://me:\*\*\*@host/db: is not supported"),
        ("/eos/study.journal", 1, "files cannot be locked"),
        ("/afs/study.journal", 1, "files cannot be locked"),
        ("/tmp", 1, "is a folder"),
    ],
)
def test_a_storage_that_would_be_damaged_is_refused(given: str, workers: int, said: str, mounts: Path) -> None:
    with pytest.raises(CollidekitError, match=said) as error:
        storage.check_storage(given, workers)
    assert "secret" not in str(error.value)


def test_good_storages_pass(mounts: Path) -> None:
    for given in ("sqlite:////data/b.db", "/home/a/study.journal", "postgresql://me@host/db", "study.journal"):
        storage.check_storage(given, 1)
    storage.check_storage("/home/a/study.journal", 8)


@pytest.mark.parametrize("secret", ["geheim", "p@ss/word"])
def test_a_password_never_stands_in_an_error(secret: str) -> None:
    url = f"postgresql://me:{secret}@127.0.0.1:1/db"
    assert storage.without_password(url) == "postgresql://me:***@127.0.0.1:1/db"
    with pytest.raises(CollidekitError) as error:
        storage.open_storage(url)
    assert secret not in str(error.value)


def test_a_damaged_journal_is_one_line(tmp_path: Path) -> None:
    settings = plan(tmp_path)
    work(open_study(settings), settings, quadratic(tmp_path))
    path = Path(settings.storage)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:3], lines[3][:9], *lines[4:]]))
    with pytest.raises(CollidekitError, match="not a complete journal file"):
        open_study(settings)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The URL of a database of a real server, which lives as long as these tests."""
    if why := missing():
        pytest.skip(why)
    server = PostgresServer()
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


def test_a_search_in_postgresql(postgres: str, tmp_path: Path) -> None:
    settings = plan(tmp_path, storage=postgres, name="first", trials=6)
    work(open_study(settings), settings, quadratic(tmp_path))
    found = records(open_study(settings), settings.space)
    assert [trial.state for trial in found] == ["complete"] * 6
    in_file = plan(tmp_path, name="first", trials=6)
    work(open_study(in_file), in_file, quadratic(tmp_path))
    same = records(open_study(in_file), in_file.space)
    assert [trial.value for trial in found] == [trial.value for trial in same]  # the storage changes nothing
    with pytest.raises(CollidekitError, match="sampler was random and is tpe") as error:
        open_study(plan(tmp_path, storage=postgres, name="first", sampler="tpe"))
    assert "geheim" not in str(error.value)


def test_a_database_that_is_not_there_is_one_line(postgres: str) -> None:
    with pytest.raises(CollidekitError, match="the database cannot be used"):
        storage.open_storage(postgres.replace("/postgres", "/nowhere"))
