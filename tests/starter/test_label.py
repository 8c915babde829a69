"""Classes from the values of a column, or from flags."""

from pathlib import Path

import numpy as np
import pytest
from tests.starter import foreign

from collidekit.starter.columns import Column
from collidekit.starter.label import find_label
from collidekit.starter.starter import start_analysis


def test_flags_with_nan_select_the_rows_with_truth(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    top = random.random(600) < 0.5
    known = random.random(600) < 0.8
    columns = {f"label_{name}": np.where(known, flag, np.nan) for name, flag in (("QCD", ~top), ("Tbqq", top))}
    foreign.write_tree(tmp_path / "x.root", {**columns, "x": random.normal(top, 1)})
    made = start_analysis([str(tmp_path / "x.root")], tmp_path / "a.yaml")
    assert made.analysis.classes == {"QCD": "label_QCD == 1", "Tbqq": "label_Tbqq == 1"}
    assert made.analysis.selection == "isfinite(label_QCD) and isfinite(label_Tbqq)"
    assert made.class_counts == {"QCD": int((known & ~top).sum()), "Tbqq": int((known & top).sum())}


def test_flags_that_are_never_known_together_are_no_classes() -> None:
    row = np.arange(100)
    flags = [Column(f"label_{k}", "double", np.where(row % 2 == k, row % 4 < 2, np.nan)) for k in (0, 1)]
    found = find_label(flags)
    assert found is None or found.columns != ("label_0", "label_1")


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([0, 21], {"class_0": "label == 0", "class_21": "label == 21"}),
        ([1, 21], {"quark": "label == 1", "gluon": "label == 21"}),
        ([0, 1, 2, 21], {"quark": "label in (1, 2)", "gluon": "label == 21"}),
    ],
)
def test_quarks_and_gluons(values: list[int], classes: dict[str, str]) -> None:
    found = find_label([Column("label", "int32", np.resize(values, 400))])
    assert found is not None
    assert found.classes == classes
