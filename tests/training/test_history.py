"""The history of a training: what is written is read again; damaged files are errors in one line."""

from pathlib import Path

import pytest

from collidekit.errors import CollidekitError
from collidekit.training.history import History, read_history


def test_epochs_are_read_as_they_were_written(tmp_path: Path) -> None:
    epochs = [{"epoch": 1.0, "val_loss": 0.1 + 0.2}, {"epoch": 2.0, "val_loss": 1 / 3}]
    History(epochs, [0.5]).write(tmp_path)
    assert read_history(tmp_path / "history.csv") == epochs


def test_an_empty_cell_is_left_out_and_a_missing_file_has_no_epochs(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text("epoch,val_accuracy\n1,\n2,0.5\n")
    assert read_history(tmp_path / "history.csv") == [{"epoch": 1.0}, {"epoch": 2.0, "val_accuracy": 0.5}]
    assert read_history(tmp_path / "none.csv") == []


@pytest.mark.parametrize("content", [b"epoch,val_loss\n1,high\n", b"epoch,val_loss\n1\n", b"epoch\n\xff\n"])
def test_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "history.csv").write_bytes(content)
    with pytest.raises(CollidekitError, match=r"history\.csv: is damaged") as found:
        read_history(tmp_path / "history.csv")
    assert "\n" not in str(found.value)


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(CollidekitError, match="cannot be read"):
        read_history(tmp_path)
