"""One array of an NPZ file: its header, and its rows on demand, without the whole array in memory."""

import math
from typing import Any
from zipfile import ZipFile, ZipInfo

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from collidekit.readers.base import BadFileError

MOST_COMPRESSED = 5000
"""Largest compression ratio of a valid array; zeros compressed with deflate reach about 1000."""
MOST_IN_ROW = 1 << 24
"""Largest size of one row of an array in bytes."""
MOST_HEADER = 1 << 16


class Member:
    """An array of an archive; ``member[start:stop]`` reads these rows, fast if they follow the rows of the last read."""

    def __init__(self, path: str, archive: ZipFile, info: ZipInfo, name: str) -> None:
        self.path, self.name, self._archive, self._info = path, name, archive, info
        self.problem = ""
        """The reason why the array cannot be read, such as Python objects in it."""
        self.shape, fortran, self.dtype = self._header()
        self._stream: Any = None
        self._position = 0
        if self.dtype.hasobject:
            self.problem = "of Python objects, which are stored as a pickle and not read; write it as numbers"
            return
        self._row_bytes = self.dtype.itemsize * math.prod(self.shape[1:])
        size = self.dtype.itemsize * math.prod(self.shape)
        if size + self._begin != info.file_size or size > MOST_COMPRESSED * max(info.compress_size, 1 << 10):
            raise BadFileError(
                f"{path}: {name} should have the shape {self.shape} of {self.dtype}, {size:,} bytes, but holds "
                f"{max(info.file_size - self._begin, 0):,} ({info.compress_size:,} in the file); it is damaged: write it again or leave it out"
            )
        if self.dtype.names:
            self.problem = f"a structured array ({', '.join(self.dtype.names[:4])} ...); write one array for each field"
        elif fortran and len(self.shape) > 1:
            self.problem = "in Fortran order, which cannot be read row by row; write it with numpy.ascontiguousarray"
        elif self._row_bytes > MOST_IN_ROW:
            self.problem = f"of shape {self.shape}: one row has {self._row_bytes:,} bytes"

    def _header(self) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
        """Return shape, order and type from the header; raise an error if it is not valid."""
        try:
            with self._archive.open(self._info) as file:
                version = npy.read_magic(file)
                read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
                if read is None:
                    raise ValueError(f"version {version} of its header")
                shape, fortran, dtype = read(file, max_header_size=MOST_HEADER)
                self._begin = file.tell()
        except Exception as error:
            said = " ".join(str(error).split())[:120]
            raise BadFileError(
                f"{self.path}: {self.name}: its header cannot be read ({said}); the file is damaged: write it again or leave it out"
            ) from error
        if any(not isinstance(length, int) or length < 0 for length in shape):
            raise BadFileError(
                f"{self.path}: {self.name}: has the impossible shape {shape}; write it again or leave it out"
            )
        return shape, fortran, dtype

    def copy(self) -> "Member":
        """Return the same array with an independent read position."""
        return Member(self.path, self._archive, self._info, self.name)

    def scalar(self) -> Any:
        """Return the value of an array without dimensions."""
        with self._archive.open(self._info) as file:
            file.read(self._begin)
            return np.frombuffer(file.read(), dtype=self.dtype)[0]

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        start, stop, _ = rows.indices(self.shape[0])
        if self._stream is None or self._position > start:
            self._stream = self._archive.open(self._info)
            self._stream.read(self._begin)
            self._position = 0
        stream, self._stream = self._stream, None  # after an error the position is not known
        if start > self._position:
            stream.seek((start - self._position) * self._row_bytes, 1)
        wanted = (stop - start) * self._row_bytes
        content = stream.read(wanted)
        if len(content) != wanted:
            raise EOFError(f"{len(content)} of {wanted} bytes")
        self._stream, self._position = stream, stop
        return np.frombuffer(content, dtype=self.dtype).reshape(stop - start, *self.shape[1:])
