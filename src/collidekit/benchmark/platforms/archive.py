"""Zip files whose bytes depend on their content alone."""

import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import IO

from collidekit.files import replacing

Content = Mapping[str, str | bytes | Path]
"""Name in the archive -> text, bytes, or the path of a file."""


def write_zip(path: Path, content: Content) -> Path:
    """Write a zip file, which appears under its name only when it is complete."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        _fill(file, content)
    return path


def zip_bytes(content: Content) -> bytes:
    """Return the bytes of a small zip file."""
    file = BytesIO()
    _fill(file, content)
    return file.getvalue()


def _fill(file: IO[bytes], content: Content) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(content):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            source = content[name]
            if isinstance(source, Path):
                with source.open("rb") as origin, archive.open(entry, "w", force_zip64=True) as target:
                    while part := origin.read(1 << 20):
                        target.write(part)
            else:
                archive.writestr(entry, source)
