"""What is uploaded as the state of a training, and what is reported as stored."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.stores.test_output import PLACE
from tests.stores.test_unfinished import last, state, write

from collidekit.stores.sender import StateSender


def test_a_copy_that_fails_part_way_is_not_uploaded(
    disk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "here" / PLACE, "first")

    def refuse(*_: Any) -> None:
        raise OSError("no hard links")

    def cut(source: Path, target: Path) -> None:
        target.write_text(source.read_text()[:4])
        if source.name == "last.pt":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(shutil, "copyfile", cut)
    stored = state(disk, tmp_path / "here")
    at_work = StateSender(stored, folder)
    at_work.saved(10)
    assert not at_work.interrupted()
    assert stored.marker() is None
    assert "No space left on device" in capsys.readouterr().err
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_state_of_another_process_is_not_reported_as_stored(
    disk: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert state(disk, tmp_path / "other").send(write(tmp_path / "files", "other"), 30) is None
    folder = write(tmp_path / "here" / PLACE, "here")
    at_work = StateSender(state(disk, tmp_path / "here"), folder)
    at_work.saved(20)
    assert not at_work.interrupted()
    assert "at least as many steps (30)" in " ".join(capsys.readouterr().err.split())
    assert state(disk, tmp_path / "third").fetch(-1) is not None
    assert last(tmp_path / "third") == "last.pt other"
