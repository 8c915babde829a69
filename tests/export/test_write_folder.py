"""The folder of a bundle: which folders are replaced, and that no other file is lost."""

import json
from pathlib import Path

import pytest

from collidekit.errors import CollidekitError
from collidekit.export.write import _check_folder, _staged
from collidekit.files import write_json


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
    with pytest.raises(CollidekitError, match="holds scores, which is not part of the bundle and would be lost"):
        _check_folder(bundle(tmp_path / "scored", scores="mine"), force=True)
    nested = bundle(tmp_path / "nested")
    (nested / "plots").mkdir()
    (nested / "plots" / "roc.pdf").write_text("mine")
    with pytest.raises(CollidekitError, match="holds plots/roc"):
        _check_folder(nested, force=True)


def test_a_schema_alone_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text("{}")
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(CollidekitError, match="holds files that are not a bundle"):
        _check_folder(tmp_path, force=True)


def test_a_link_stays_and_what_it_names_is_replaced_again_and_again(tmp_path: Path) -> None:
    real, link = bundle(tmp_path / "disk" / "real"), tmp_path / "link"
    link.symlink_to(real)
    for text in ("first", "second"):
        with _staged(link, force=True) as staging:
            write(staging, text)
        assert link.is_symlink()
        assert (real / "schema.json").read_text() == text
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "checksums.json",
        "disk",
        "link",
        "real",
        "schema.json",
    ]


def test_what_a_killed_export_left_does_not_stop_the_next_one(tmp_path: Path) -> None:
    target = bundle(tmp_path / "b")
    for name in (".b.export.part", ".b.export.part.old", ".b.1.export.part", ".b.1.export.part.old"):
        bundle(tmp_path / name)
    with _staged(target, force=True) as staging:
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
    with pytest.raises(CollidekitError, match="No space left on device"), _staged(target, force=True):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert (target / "schema.json").read_text() == "{}"


def test_two_exports_to_one_folder_do_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "b"
    with _staged(target, force=True) as first:
        (first / "x").write_text("mine")
        monkeypatch.setattr("os.getpid", lambda: 1)  # another process
        with _staged(target) as second:
            write(second, "second")
        assert [path.name for path in first.iterdir()] == ["x"]
    assert [path.name for path in target.iterdir()] == ["x"]


def write(folder: Path, text: str) -> None:
    (folder / "schema.json").write_text(text)
    (folder / "checksums.json").write_text(json.dumps({"schema.json": ""}))


def test_the_later_of_two_exports_to_a_new_folder_does_not_replace_the_earlier_one(tmp_path: Path) -> None:
    target = tmp_path / "b"

    def export_both() -> None:
        with _staged(target) as late:
            write(late, "late")
            with _staged(target) as early:
                write(early, "early")

    with pytest.raises(CollidekitError, match=r"b: holds a bundle already; name another folder, or .* --force"):
        export_both()
    assert (target / "schema.json").read_text() == "early"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_errors_name_the_folder_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("collidekit.files._flush", is_full)
    with pytest.raises(CollidekitError) as error, _staged(tmp_path / "b") as staging:
        write_json(staging / "plots" / "card.json", {})
    assert str(error.value).startswith(f"{tmp_path / 'b'}/plots/card.json: cannot be written (No space")
    assert ".part" not in str(error.value)
