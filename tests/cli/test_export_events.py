"""``collidekit export-events``, and ``init`` with its output."""

from pathlib import Path

import numpy as np
from tests.cli.conftest import Run
from tests.cli.samples import ANALYSIS, jets, write_root

from collidekit.analysis.load import read_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.rows import build_rows, columns_of
from collidekit.readers import open_file


def test_export_and_init(tmp_path: Path, run: Run) -> None:
    (tmp_path / "jets.yaml").write_text(ANALYSIS)
    file = write_root(tmp_path / "a.root", jets(400))
    result = run("export-events", tmp_path / "jets.yaml", file, "-o", tmp_path / "e.npz", "--split", "--drop-nan")
    assert result.exit_code == 0, result.output
    events = np.load(tmp_path / "e.npz")
    rows = len(events["label"])
    assert f"{rows:,} rows, {len(events.files) - 1} columns" in result.output
    assert f"{(events['label'] == 1).sum():>12,}  written, in class signal" in result.output
    assert f"{(events['split'] == 1).sum():>12,}  written, validation" in result.output
    assert "0 rows with NaN or infinity were dropped" in result.output
    made = run("init", tmp_path / "e.npz", "-o", tmp_path / "new.yaml")
    assert made.exit_code == 0, made.output
    plan = Plan(*read_analysis(tmp_path / "new.yaml"))
    assert plan.analysis.event == ["event"]
    assert list(plan.analysis.collections) != []
    with open_file(str(tmp_path / "e.npz"), plan.analysis.source) as reader:
        assert len(build_rows(plan, reader.read(columns_of(plan, reader), 0, rows), "e.npz", 0, 0).batch) == rows


def test_folds_of_the_analysis(tmp_path: Path, run: Run) -> None:
    (tmp_path / "jets.yaml").write_text(ANALYSIS.replace("epochs: 1,", "epochs: 1, folds: 4,"))
    file = write_root(tmp_path / "a.root", jets(400))
    result = run("export-events", tmp_path / "jets.yaml", file, "-o", tmp_path / "e.npz", "--split")
    assert set(np.load(tmp_path / "e.npz")["fold"]) == {0, 1, 2, 3}
    assert "written, fold 3" in result.output


def test_what_is_refused(tmp_path: Path, run: Run) -> None:
    (tmp_path / "jets.yaml").write_text(ANALYSIS)
    result = run("export-events", tmp_path / "jets.yaml", "-o", tmp_path / "e.npz")
    assert result.exit_code == 2
    assert "names no files; give them after it" in result.output
    file = write_root(tmp_path / "a.root", jets(20))
    result = run("export-events", tmp_path / "jets.yaml", file, "-o", tmp_path / "e.txt")
    assert result.exit_code == 2
    assert "events are written as .npz" in result.output
