"""Truth and public files are apart: no file that participants get is the truth of a test sample, under whatever name."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from posixpath import normpath

from collidekit.benchmark.parts import DataFile
from collidekit.errors import CollidekitError


def refuse_shown(
    folder: Path,
    where: str,
    truth: Mapping[str, DataFile],
    public: Mapping[str, DataFile],
    checksums: Mapping[str, str],
) -> None:
    """Raise CollidekitError where a public file is a truth file: by its path, its place on disk, or its SHA-256.

    ``truth`` and ``public`` are files by their place in the benchmark file, such as ``phases.public.samples.nominal.truth``;
    ``checksums`` are newer than those of the benchmark file, by path.
    """
    known: dict[object, str] = {}
    for file in truth.values():
        known |= dict.fromkeys(_marks(folder, file, checksums), file.path)
    for place, file in public.items():
        for mark in _marks(folder, file, checksums):
            if mark in known:
                same = "" if file.path == known[mark] else f", the same file as {file.path!r} or a copy of it"
                raise CollidekitError(
                    f"{where}: {place}: {known[mark]!r}{same}, is the truth of a test sample, and would be given to the participants"
                )


def _marks(folder: Path, file: DataFile, checksums: Mapping[str, str]) -> Iterator[object]:
    """Yield what two names of the same file, or copies of it, have in common."""
    yield normpath(file.path)
    path = folder / file.path
    try:
        found = path.stat()
    except OSError:
        pass  # not made yet
    else:
        yield str(path.resolve())
        yield found.st_dev, found.st_ino
    if checksum := checksums.get(file.path, file.sha256):
        yield "sha256", checksum
