"""Any change of a file is seen."""

from pathlib import Path

import pytest

from collidekit.readers import file_id

MEGABYTE = 1 << 20


@pytest.mark.parametrize("place", [0, MEGABYTE, 2 * MEGABYTE, 5 * MEGABYTE // 2, 4 * MEGABYTE - 1])
def test_one_changed_byte_is_another_file(tmp_path: Path, place: int) -> None:
    path = tmp_path / "rows.parquet"
    content = bytearray(4 * MEGABYTE)
    path.write_bytes(content)
    before = file_id(str(path))["checksum"]
    content[place] = 1
    path.write_bytes(content)
    assert file_id(str(path))["checksum"] != before


def test_a_copy_has_the_same_checksum(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(bytes(range(256)) * 20_000)
    assert file_id(str(tmp_path / "a"))["checksum"] == file_id(str(tmp_path / "b"))["checksum"]
