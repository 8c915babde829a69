"""A zip file of a participant as a folder: no path outside, no links, no bombs."""

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from collidekit.errors import CollidekitError

CHUNK = 1 << 20
LONGEST = 200
"""Characters of a path in a zip file."""


def unpack(archive: Path, folder: Path, size: int, members: int) -> Path:
    """Unpack a zip file into a new folder; return the folder that holds its files.

    Where all files lie in one folder, that is the folder with a submission.yaml or a bundle. ``size`` is the largest sum of
    bytes, counted as they are written: what the zip file says of itself does not matter.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [entry for entry in opened.infolist() if not _of_a_mac(entry.filename)]
            if len(entries) > members:
                raise CollidekitError(f"the zip file has {len(entries)} files; the limit is {members}")
            folder.mkdir(parents=True)
            left, seen = size, set[str]()
            for entry in entries:
                path = _checked(entry)
                if (folded := path.as_posix().casefold()) in seen:
                    raise CollidekitError(f"the zip file has {_shown(entry.filename)} twice")
                seen.add(folded)
                left = _write(opened, entry, folder / path, left, size)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise CollidekitError(f"the file is no readable zip file ({_shown(str(error))})") from None
    except (OSError, CollidekitError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise CollidekitError(f"the zip file cannot be unpacked ({error.strerror or error})") from None
        raise
    return _inner(folder)


def _checked(entry: zipfile.ZipInfo) -> Path:
    """Return the relative path of an entry that is a plain file or a folder."""
    name = entry.filename
    path = PurePosixPath(name)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or not path.parts:
        raise CollidekitError(f"the zip file has a path that leads out of its folder: {_shown(name)}")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise CollidekitError(f"the zip file has a link or device: {_shown(name)}; pack plain files")
    if len(name) > LONGEST or any(ord(letter) < 32 for letter in name):
        raise CollidekitError(f"the zip file has a path that is too long or has control characters: {_shown(name)}")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise CollidekitError(f"the zip file packs {_shown(name)} in an unusual way; pack it with deflate, the default of zip")
    if entry.flag_bits & 1:
        raise CollidekitError("the zip file is encrypted; pack it without a password")
    return Path(*path.parts)


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, left: int, size: int) -> int:
    """Write one entry; return how many bytes are left for the others."""
    if entry.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return left
    path.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(entry) as source, path.open("xb") as target:
        while part := source.read(CHUNK):
            left -= len(part)
            if left < 0:
                raise CollidekitError(f"the files in the zip file have more than {size / 1e6:g} MB, the limit")
            target.write(part)
    if entry.external_attr >> 16 & 0o100:
        path.chmod(0o755)
    return left


def _inner(folder: Path) -> Path:
    """Return the only folder within a folder, or the folder itself."""
    found = list(folder.iterdir())
    return found[0] if len(found) == 1 and found[0].is_dir() else folder


def _of_a_mac(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.rpartition("/")[2] == ".DS_Store"


def _shown(text: str) -> str:
    return repr(text[:80])
