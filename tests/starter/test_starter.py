"""What ``init`` concludes from the sampled rows of several files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.starter import foreign

from collidekit.readers.base import FileReader, UnsupportedError
from collidekit.starter.starter import start_analysis


def test_few_rows_in_the_first_files_are_not_few_rows_in_all(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    for number in range(20):
        label = (np.arange(30) % 2) if number > 2 else np.zeros(30, int)
        label[0] = 1 if number == 0 else label[0]
        foreign.write_tree(
            tmp_path / f"x{number:02}.root", {"label": label, "event": np.arange(30), "x": random.normal(label, 1)}
        )
    made = start_analysis([str(tmp_path / "x*.root")], tmp_path / "a.yaml")
    assert not any("TOO FEW ROWS" in note or "train_val_split" in note for note in made.notes)
    assert made.analysis.files.test != made.analysis.files.training


def test_a_column_that_cannot_be_read_has_one_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    for number in range(3):
        columns = {"label": np.arange(300) % 2, "x": random.normal(0, 1, 300), "z": random.normal(0, 1, 300)}
        foreign.write_tree(tmp_path / f"x{number}.root", columns | ({"late": columns["x"]} if number else {}))
    monkeypatch.setattr(FileReader, "read", refusing(FileReader.read))
    made = start_analysis([str(tmp_path / "x*.root")], tmp_path / "a.yaml")
    assert made.unreadable == ["z"]
    assert [note for note in made.notes if "only some of the files" in note] == [
        "left out, because only some of the files have them: late"
    ]


def refusing(read: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method of a reader that cannot read the column z."""

    def refuse(reader: Any, names: list[str], *place: Any) -> Any:
        if "z" in names:
            raise UnsupportedError("z: cannot be read")
        return read(reader, names, *place)

    return refuse
