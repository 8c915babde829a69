"""Uploads: whole, checked, read-only, and unpacked without harm."""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from boards import make_submission, participant
from hypothesis import given
from hypothesis import strategies as st

from collidekit.benchmark.store import Store
from collidekit.benchmark.store.archive import ArchiveLimits, pack, unpack
from collidekit.benchmark.store.uploads import Uploads
from collidekit.benchmark.submission import code_hash
from collidekit.errors import CollidekitError

SMALL = ArchiveLimits(files=20, size=100_000, depth=5)
GOOD = [("submission.yaml", b"name: x\n"), ("code/run.py", b"print(1)\n")]


def tar(entries: list[tuple[tarfile.TarInfo | str, bytes]]) -> bytes:
    """A tar file with these members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in entries:
            entry = tarfile.TarInfo(name) if isinstance(name, str) else name
            entry.size = len(content) if entry.isreg() else entry.size
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def zipped(entries: list[tuple[zipfile.ZipInfo | str, bytes]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return out.getvalue()


def member(kind: bytes, name: str = "bad", target: str = "/etc/passwd") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def zip_link() -> bytes:
    entry = zipfile.ZipInfo("bad")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return zipped([(entry, b"/etc/passwd")])


def sparse() -> bytes:
    """A file of a terabyte of holes."""
    entry = member(tarfile.GNUTYPE_SPARSE)
    content = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    content[483:495] = tarfile.itn(1 << 40, 12, tarfile.GNU_FORMAT)
    content[148:156] = b"        "
    content[148:155] = b"%06o\0" % sum(content)
    return bytes(content) + bytes(1024)


def long_header() -> bytes:
    entry = member(tarfile.XHDTYPE)
    entry.size = 50_000_000
    return entry.tobuf() + bytes(51_000_000)


def many_listed() -> bytes:
    """A zip file whose list of files is said to be a gigabyte."""
    content = bytearray(zipped(list(GOOD)))
    at = content.rfind(b"PK\x05\x06")
    content[at + 12 : at + 16] = (1 << 30).to_bytes(4, "little")
    return bytes(content)


def negative_offset() -> bytes:
    """A zip file whose first member begins before the file."""
    content = bytearray(zipped(list(GOOD)))
    at = content.rfind(b"PK\x05\x06") + 16
    content[at : at + 4] = (int.from_bytes(content[at : at + 4], "little") + 5).to_bytes(4, "little")
    return bytes(content)


BOMB = bytes(50_000_000)
HOSTILE: list[tuple[str, Callable[[], bytes], str]] = [
    ("absolute", lambda: tar([("/etc/cron", b"x")]), "leads out of its folder"),
    ("parent", lambda: tar([("a/../../x", b"x")]), "leads out of its folder"),
    ("zip parent", lambda: zipped([("../x", b"x")]), "leads out of its folder"),
    ("zip absolute", lambda: zipped([("/x", b"x")]), "leads out of its folder"),
    ("backslash", lambda: tar([("..\\x", b"x")]), "leads out of its folder"),
    ("symbolic link", lambda: tar([(member(tarfile.SYMTYPE), b"")]), "a link or device"),
    ("hard link", lambda: tar([*GOOD, (member(tarfile.LNKTYPE, target="submission.yaml"), b"")]), "a link or device"),
    ("device", lambda: tar([(member(tarfile.CHRTYPE), b"")]), "a link or device"),
    ("block device", lambda: tar([(member(tarfile.BLKTYPE), b"")]), "a link or device"),
    ("pipe", lambda: tar([(member(tarfile.FIFOTYPE), b"")]), "a link or device"),
    ("zip link", zip_link, "a link or device"),
    ("negative offset", negative_offset, "is damaged"),
    ("sparse", sparse, "a link or device"),
    ("twice", lambda: tar([("a", b"x"), ("a", b"y")]), "holds 'a' twice"),
    ("zip twice", lambda: zipped([("a/b", b"x"), ("a//b", b"y")]), "holds 'b' twice"),
    ("file and folder", lambda: tar([("a", b"x"), ("a/b", b"y")]), "as a file and as a folder"),
    ("many", lambda: tar([(f"f{i}", b"") for i in range(21)]), "more than 20 files"),
    ("many in zip", lambda: zipped([(f"f{i}", b"") for i in range(21)]), "more than 20 files"),
    ("deep", lambda: tar([("a/" * 9 + "f", b"")]), "more than 5 folders deep"),
    ("large", lambda: tar([("f", bytes(200_000))]), "more than 100,000 bytes"),
    ("zip bomb", lambda: zipped([("f", BOMB)]), "more than 100,000 bytes"),
    ("gz bomb", lambda: gzip.compress(tar([("f", BOMB)]), 1), "more than 100,000 bytes"),
    ("bz2 bomb", lambda: bz2.compress(BOMB), "more than 100,000 bytes"),
    ("xz bomb", lambda: lzma.compress(BOMB, preset=0), "more than 100,000 bytes"),
    ("long header", long_header, "more than 100,000 bytes"),
    ("list of files", many_listed, "too many files or of the zip64 kind"),
    ("newline", lambda: tar([("a\nb", b"x")]), "a name that cannot be used"),
    ("direction", lambda: zipped([("a\u202eb", b"x")]), "a name that cannot be used"),
    ("long name", lambda: tar([("a" * 300, b"x")]), "a name that cannot be used"),
    ("long path", lambda: tar([("/".join(["d" * 250] * 5), b"x")]), "a path of more than 1000 bytes"),
    ("no name", lambda: zipped([("x", b"x")]).replace(b"x", b"\x00", 1), "without a name|cannot be read"),
    ("empty", lambda: tar([]), "holds no file"),
    ("text", lambda: b"hello", "cannot be read as tar"),
    ("cut tar", lambda: tar([("f", bytes(3000))])[:1500], "cannot be read as tar|damaged"),
    ("cut gz", lambda: gzip.compress(tar(list(GOOD)))[:-20], "cannot be read as tar|damaged"),
    ("cut zip", lambda: zipped(list(GOOD))[:-30], "zip file without an end|cannot be read"),
    ("bad gz", lambda: b"\x1f\x8b" + bytes(100), "damaged|cannot be read"),
    ("bad xz", lambda: b"\xfd7zXZ\x00" + bytes(100), "cannot be read"),
]


@pytest.mark.parametrize(("content", "said"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_a_hostile_archive_is_one_line(content: Callable[[], bytes], said: str, tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(content())
    with pytest.raises(CollidekitError, match=said) as error:
        unpack(tmp_path / "archive", tmp_path / "inside" / "target", SMALL)
    assert "\n" not in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "inside"]
    assert all(path.name == "target" for path in (tmp_path / "inside").iterdir())
    left = [path for path in (tmp_path / "inside").rglob("*") if not path.is_dir()]
    assert sum(path.stat().st_size for path in left) <= SMALL.size
    assert not any(path.is_symlink() for path in left)


@pytest.mark.parametrize("flag", [True, False])
def test_encrypted(flag: bool, tmp_path: Path) -> None:
    content = bytearray(zipped(list(GOOD)))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(mark)
        content[place + at] |= flag
    (tmp_path / "archive").write_bytes(content)
    if flag:
        with pytest.raises(CollidekitError, match="encrypted; pack it without a password"):
            unpack(tmp_path / "archive", tmp_path / "target", SMALL)
    else:
        assert (unpack(tmp_path / "archive", tmp_path / "target", SMALL) / "submission.yaml").is_file()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "tar": lambda content: content, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress
}  # fmt: skip


@pytest.mark.parametrize("kind", [*PACKED, "zip"])
@pytest.mark.parametrize("inside", ["", "mine/"])
def test_good_archives(kind: str, inside: str, tmp_path: Path) -> None:
    entries = [
        (f"{inside}{name}", content) for name, content in [*GOOD, ("__MACOSX/x", b""), ("code/__pycache__/x", b"")]
    ]
    (tmp_path / "a").write_bytes(zipped(list(entries)) if kind == "zip" else PACKED[kind](tar(list(entries))))
    folder = unpack(tmp_path / "a", tmp_path / "target", SMALL)
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {
        name for name, _ in GOOD
    }
    assert (folder / "code" / "run.py").read_bytes() == b"print(1)\n"


@given(
    content=st.binary(max_size=600)
    | st.binary(max_size=600).map(gzip.compress)
    | st.binary(max_size=400).map(lambda b: b"PK\x03\x04" + b)
)
def test_anything_else_is_one_error(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("any")
    (place / "a").write_bytes(content)
    with pytest.raises(CollidekitError):
        unpack(place / "a", place / "target", SMALL)


@given(at=st.integers(0, 10_000), value=st.integers(0, 255), kind=st.sampled_from([*PACKED, "zip"]))
def test_a_changed_byte_is_an_error_or_nothing_worse(
    at: int, value: int, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("changed")
    content = bytearray(zipped(list(GOOD)) if kind == "zip" else PACKED[kind](tar(list(GOOD))))
    content[at % len(content)] = value
    (place / "a").write_bytes(content)
    with suppress(CollidekitError):
        unpack(place / "a", place / "in" / "target", SMALL)
    assert sorted(path.name for path in place.iterdir()) in (["a", "in"], ["a"])


def test_a_folder_is_packed_the_same_way_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        folder = make_submission(tmp_path / name)
        for path in ("b.py", "a/c.py", "a/__pycache__/x.pyc", ".git/config"):
            (folder / path).parent.mkdir(exist_ok=True, parents=True)
            (folder / path).write_text(path)
        (folder / "b.py").chmod(0o755)
    os.utime(tmp_path / "two" / "b.py", (1, 1))
    uploads = Uploads(tmp_path / "uploads")
    stored = uploads.receive_folder(tmp_path / "one")
    assert uploads.receive_folder(tmp_path / "two") == stored
    folder = uploads.unpack(stored.sha256, tmp_path / "target")
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {
        "submission.yaml",
        "b.py",
        "a/c.py",
    }
    assert code_hash(folder) == code_hash(tmp_path / "one")


LEFT_OUT = (
    ".venv/bin/python",
    "a/.ipynb_checkpoints/x.py",
    ".DS_Store",
    "__MACOSX/x",
    ".mypy_cache/x",
    ".ruff_cache/x",
    "a/.git",
)


def test_the_store_and_the_hash_leave_out_the_same_files(tmp_path: Path) -> None:
    folder = make_submission(tmp_path / "one")
    known = code_hash(folder)
    for path in LEFT_OUT:
        (folder / path).parent.mkdir(exist_ok=True, parents=True)
        (folder / path).write_text(path)
    (folder / ".venv" / "bin" / "python3").symlink_to("/usr/bin/python3")
    assert code_hash(folder) == known
    uploads = Uploads(tmp_path / "uploads")
    unpacked = uploads.unpack(uploads.receive_folder(folder).sha256, tmp_path / "target")
    assert [path.name for path in unpacked.rglob("*")] == ["submission.yaml"]
    (tmp_path / "archive").write_bytes(tar([*GOOD, *((path, b"x") for path in LEFT_OUT)]))
    unpacked = unpack(tmp_path / "archive", tmp_path / "other", SMALL)
    assert {path.name for path in unpacked.rglob("*")} == {"submission.yaml", "code", "run.py"}


def test_a_link_within_the_folder_is_packed_as_its_file(tmp_path: Path) -> None:
    folder = make_submission(tmp_path / "one")
    (folder / "b.py").write_text("print(1)")
    (folder / "b.py").chmod(0o755)
    (folder / "link").symlink_to("b.py")
    uploads = Uploads(tmp_path / "uploads")
    unpacked = uploads.unpack(uploads.receive_folder(folder).sha256, tmp_path / "target")
    assert (unpacked / "link").read_text() == "print(1)"
    assert not (unpacked / "link").is_symlink()
    assert code_hash(unpacked) == code_hash(folder)


@pytest.mark.parametrize(
    ("target", "said"),
    [("/etc/passwd", "leads out of the submission"), ("nothing", "leads to no file"), ("code", "leads to no file")],
)
def test_other_links_are_not_packed(target: str, said: str, tmp_path: Path) -> None:
    folder = make_submission(tmp_path / "one")
    (folder / "code").mkdir()
    (folder / "odd").symlink_to(target)
    with pytest.raises(CollidekitError, match=f"the link odd {said}"):
        list(pack(folder))


def test_uploads_are_whole_and_read_only(local: Store) -> None:
    user = participant(local)
    found = local.upload(user, iter([b"ab", b"", b"c"]), "x\x00.zip")
    assert found.sha256 == hashlib.sha256(b"abc").hexdigest()
    assert (found.size, found.name) == (3, "x.zip")
    path = local.uploads.path(found.sha256)
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert local.upload(user, [b"abc"], "again.zip") == found
    assert local.uploads_of(user) == [found]
    assert list((local.uploads.folder / "incoming").iterdir()) == []


def broken() -> Iterator[bytes]:
    yield b"begin"
    raise ConnectionResetError("gone")


def test_what_did_not_arrive_is_not_stored(local: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    user = participant(local)
    with pytest.raises(CollidekitError, match="larger than 4 bytes"):
        local.upload(user, [b"abc", b"de"], "x", largest=4)
    with pytest.raises(CollidekitError, match="was damaged on its way; send it again"):
        local.upload(user, [b"abc"], "x", sha256="0" * 64)
    with pytest.raises(CollidekitError, match="the upload is empty"):
        local.upload(user, [], "x")
    with pytest.raises(CollidekitError, match="cannot be stored"):
        local.upload(user, broken(), "x")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CollidekitError, match="cannot be stored \\(No space left on device\\)"):
        local.upload(user, [b"abc"], "x")
    monkeypatch.undo()
    assert local.uploads_of(user) == []
    assert [path for path in local.uploads.folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "sha256", ["", "x", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64, "0" * 62 + "/.", "\x00" * 64]
)
def test_no_checksum_leads_out_of_the_folder(sha256: str, local: Store) -> None:
    with pytest.raises(CollidekitError, match="is not"):
        local.uploads.path(sha256)


def test_a_damaged_upload_is_found(local: Store, tmp_path: Path) -> None:
    found = local.upload_folder(participant(local), make_submission(tmp_path / "submission"))
    path = local.uploads.path(found.sha256)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CollidekitError, match="the stored upload is damaged"):
        local.uploads.unpack(found.sha256, tmp_path / "target")


def test_fifty_uploads_at_once(local: Store) -> None:
    users = [participant(local, f"user {i}") for i in range(10)]
    contents = [bytes([i]) * 50_000 for i in range(50)]
    with ThreadPoolExecutor(50) as pool:
        found = list(pool.map(lambda i: local.upload(users[i % 10], [contents[i]], f"{i}.zip"), range(50)))
    assert [upload.sha256 for upload in found] == [hashlib.sha256(content).hexdigest() for content in contents]
    assert all(
        local.uploads.path(upload.sha256).read_bytes() == content
        for upload, content in zip(found, contents, strict=True)
    )
    assert sum(len(local.uploads_of(user)) for user in users) == 50


def test_what_killed_processes_left_is_removed(local: Store, open_store: Callable[[str], Store]) -> None:
    for place in (local.uploads.folder / "incoming", local.folder / "checks"):
        for name, age in (("old", 1e6), ("new", 0.0)):
            (place / name).mkdir(parents=True)
            os.utime(place / name, (place.stat().st_mtime - age,) * 2)
    open_store(local.database.shown)
    for place in (local.uploads.folder / "incoming", local.folder / "checks"):
        assert [path.name for path in place.iterdir()] == ["new"]
