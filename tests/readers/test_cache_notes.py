"""Only copies that a note of ours lists are ever taken for copies."""

from pathlib import Path

import pytest

from collidekit.readers.cache import _key, cached_files


def test_files_that_only_look_like_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLIDEKIT_CACHE", str(tmp_path))
    url = "root://host//data/a.root"
    key = _key(url)
    (tmp_path / f"{key}.url").write_text(url)
    copies = [tmp_path / f"{key}-12-34-a.root", tmp_path / f"{key}-12-35-a.root.part"]
    others = ["precious-letter.txt", f"{key}-letter.txt", f"{key}-12-34-b.root", f"{key}-12-34-a.root.mine"]
    for path in (*copies, *(tmp_path / name for name in others)):
        path.write_bytes(b"x")
    (tmp_path / "precious.url").write_text(url)
    (tmp_path / "binary.url").write_bytes(b"\xff\xfe")
    assert [copy.path for copy in cached_files()] == copies
