"""Bundled analyses for files with few rows: a changed split replaces that of the analysis."""

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from collidekit.starter.few_rows import FewRows
from collidekit.starter.shipped_start import _for_rows
from collidekit.starter.starter import Started, start_analysis


def started(folder: Path, tops: int) -> Started:
    """Return the analysis of 300 jets in the layout of the reference data, some of them tops."""
    random = np.random.default_rng(1)
    counts = random.integers(5, 30, 300)
    columns: dict[str, Any] = {
        name: ak.unflatten(random.exponential(10, int(counts.sum())), counts) for name in ("E", "PX", "PY", "PZ")
    }
    columns["is_signal_new"] = (np.arange(300) < tops).astype(int)
    ak.to_parquet(ak.zip(columns, depth_limit=1), folder / "tops.parquet", extensionarray=False)
    return start_analysis([str(folder / "tops.parquet")], folder / "a.yaml", force=True)


def test_the_file_for_any_number_of_rows_of_a_class_loads(tmp_path: Path) -> None:
    shares = [started(tmp_path, tops).analysis.training["train_val_split"] for tops in (2, 4, 6)]
    assert min(shares) < 0.9


def test_the_split_is_given_once() -> None:
    text = "training:\n  epochs: 30\n  train_val_split: 0.9\n\nrecipes:\n  x:\n    train_val_split: 0.95\n"
    assert _for_rows(text, 0, FewRows(0.6, "top", 3)) == (
        "training:\n  epochs: 30\n  train_val_split: 0.6\n\nrecipes:\n  x:\n    train_val_split: 0.95\n"
    )
