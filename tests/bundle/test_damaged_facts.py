"""Damaged files beside a checkpoint are one error that names the file."""

from pathlib import Path

import pytest

from collidekit.bundle.training_facts import training_facts
from collidekit.errors import CollidekitError

HISTORY = "epoch,val_loss,val_accuracy,rows,steps,seconds\n1,0.5,0.8,100,10,1.5\n"


def test_a_good_history(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(HISTORY)
    assert training_facts(tmp_path)["best_epoch"] == 1


@pytest.mark.parametrize("content", [HISTORY[:-14].encode(), b"\xa5\xff" * 40, b"null\nnull\n", b"epoch\nx\n"])
def test_a_damaged_history(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "history.csv").write_bytes(content)
    with pytest.raises(CollidekitError, match=r"history.csv: is damaged"):
        training_facts(tmp_path)


@pytest.mark.parametrize("content", ["null", "[]", '{"settings": 3}', "{"])
def test_a_damaged_record(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(CollidekitError, match=r"run.json"):
        training_facts(tmp_path)
