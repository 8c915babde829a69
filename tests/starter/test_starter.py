"""What ``init`` concludes from the sampled rows of several files."""

from pathlib import Path

import numpy as np
from tests.starter import foreign

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
