"""Where a bundle is written: what is replaced, and what is never lost."""

import json
from pathlib import Path

import pytest

from collidekit.errors import CollidekitError
from collidekit.export.write import _check_folder, _staged


def bundle(folder: Path, **others: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "schema.json").write_text("{}")
    (folder / "checksums.json").write_text(json.dumps({"schema.json": "abc"}))
    for name, text in others.items():
        (folder / name).write_text(text)
    return folder


def test_force_replaces_a_bundle_and_nothing_else(tmp_path: Path) -> None:
    _check_folder(bundle(tmp_path / "whole"), force=True)
    with pytest.raises(CollidekitError, match="replace it with --force"):
        _check_folder(tmp_path / "whole", force=False)
    with pytest.raises(CollidekitError, match="holds scores, which is no part of the bundle and would be lost"):
        _check_folder(bundle(tmp_path / "scored", scores="mine"), force=True)
    nested = bundle(tmp_path / "nested")
    (nested / "plots").mkdir()
    (nested / "plots" / "roc.pdf").write_text("mine")
    with pytest.raises(CollidekitError, match="holds plots/roc"):
        _check_folder(nested, force=True)


def test_a_schema_alone_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text("{}")
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(CollidekitError, match="holds files that are no bundle"):
        _check_folder(tmp_path, force=True)


def test_a_link_stays_and_what_it_names_is_replaced_again_and_again(tmp_path: Path) -> None:
    real, link = bundle(tmp_path / "disk" / "real"), tmp_path / "link"
    link.symlink_to(real)
    for text in ("first", "second"):
        with _staged(link) as staging:
            (staging / "schema.json").write_text(text)
        assert link.is_symlink()
        assert (real / "schema.json").read_text() == text
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["disk", "link", "real", "schema.json"]


def test_what_a_killed_export_left_does_not_stop_the_next_one(tmp_path: Path) -> None:
    target = bundle(tmp_path / "b")
    for name in (".b.export.part", ".b.export.part.old", ".b.1.export.part", ".b.1.export.part.old"):
        bundle(tmp_path / name)
    with _staged(target) as staging:
        (staging / "schema.json").write_text("new")
    assert (target / "schema.json").read_text() == "new"


def test_a_bundle_that_cannot_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = bundle(tmp_path / "b")
    replace = Path.replace

    def fails(path: Path, other: Path) -> Path:
        if path.name.endswith(".part"):
            raise OSError(28, "No space left on device")
        return replace(path, other)

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(CollidekitError, match="No space left on device"), _staged(target):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert (target / "schema.json").read_text() == "{}"


def test_two_exports_to_one_folder_do_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "b"
    with _staged(target) as first:
        (first / "schema.json").write_text("first")
        monkeypatch.setattr("os.getpid", lambda: 1)  # another process
        with _staged(target) as second:
            (second / "schema.json").write_text("second")
        assert [path.name for path in first.iterdir()] == ["schema.json"]
    assert (target / "schema.json").read_text() == "first"
