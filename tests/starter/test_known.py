"""Known layouts: the bundled analysis, without the parts that need missing branches."""

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
from tests.starter import foreign

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.shipped import find_analysis, load_plan
from collidekit.starter.adapt import adapt, leave_out_class
from collidekit.starter.starter import start_analysis


def names_of(analysis: str) -> tuple[str, list[str]]:
    """Return the text of a bundled analysis, and the branches that it needs."""
    text = find_analysis(analysis).read_text(encoding="utf-8")
    plan = load_plan(analysis)
    return text, plan.leaves(plan.expressions.values())


@pytest.mark.parametrize("analysis", ["pfnano_jets", "nanoaod_jets", "top_tagging_reference", "jet_flavour"])
def test_every_missing_branch(analysis: str) -> None:
    """If one branch is missing, the remaining analysis loads without it; if the truth is missing, there is no analysis."""
    text, branches = names_of(analysis)
    same = adapt(text, [*branches, "one_more"])
    assert same is not None
    assert same.text == text
    assert same.left_out == []
    for lost in branches:
        made = adapt(text, [name for name in branches if name != lost])
        if made is None:
            assert lost in ("Jet_hadronFlavour", "is_signal_new", "jet_flavour", "JetPFCands_jetIdx", "JetSVs_jetIdx")
            continue
        left = Plan(*parse_analysis(made.text))
        assert lost in made.absent
        assert made.left_out
        assert left.analysis.inputs
        assert lost not in left.leaves(left.expressions.values())


def test_a_class_without_rows() -> None:
    text = leave_out_class(names_of("pfnano_jets")[0], "b", "light")
    analysis = parse_analysis(text)[0]
    assert list(analysis.classes) == ["light", "c"]
    assert list(analysis.discriminators) == ["CvsL"]
    assert analysis.kinematics is not None
    assert analysis.kinematics.reference == "light"


def test_pfnano_is_known(shared_data: Path, tmp_path: Path) -> None:
    made = start_analysis([str(shared_data / "nanoaod" / "pfnano.root")], tmp_path / "a.yaml")
    assert made.analysis.members == {"JetPFCands": "JetPFCands_jetIdx", "JetSVs": "JetSVs_jetIdx"}
    assert "pfnano_jets" in made.notes[0]
    assert any("TOO FEW ROWS" in note for note in made.notes)
    assert made.analysis.files.test == made.analysis.files.training


def test_the_reference_data_with_other_columns(tmp_path: Path) -> None:
    """With more columns than the layout has, the bundled analysis is used."""
    random = np.random.default_rng(1)
    counts = random.integers(5, 30, 500)
    total = int(counts.sum())
    columns: dict[str, Any] = {
        name: ak.unflatten(random.exponential(10, total), counts) for name in ("E", "PX", "PY", "PZ")
    }
    columns |= {"is_signal_new": np.arange(500) % 2, "one_more": np.arange(500) * 1.0}
    ak.to_parquet(ak.zip(columns, depth_limit=1), tmp_path / "tops.parquet", extensionarray=False)
    made = start_analysis([str(tmp_path / "tops.parquet")], tmp_path / "a.yaml")
    assert list(made.analysis.classes) == ["qcd", "top"]
    assert made.class_counts == {"qcd": 250, "top": 250}
    assert "recipes:" in (tmp_path / "a.yaml").read_text()


def test_few_rows_get_a_split_that_holds_every_class(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    label = np.zeros(300, int)
    label[:3] = 1
    foreign.write_tree(tmp_path / "x.root", {"label": label, "event": np.arange(300), "x": random.normal(label, 1)})
    made = start_analysis([str(tmp_path / "x.root")], tmp_path / "a.yaml")
    split = made.analysis.training.get("train_val_split")
    assert split is None or split < 0.85
    foreign.write_tree(
        tmp_path / "y.root", {"label": label, "event": np.arange(300) // 3, "x": random.normal(label, 1)}
    )
    made = start_analysis([str(tmp_path / "y.root")], tmp_path / "b.yaml")
    assert made.analysis.files.test == made.analysis.files.training
    assert "THE SAME FILES" in (tmp_path / "b.yaml").read_text()


def test_the_main_tree_of_several(tmp_path: Path) -> None:
    made = start_analysis([str(foreign.lhcb_like(tmp_path / "b.root"))], tmp_path / "a.yaml")
    assert made.analysis.source.tree == "DecayTree"
    assert any("several trees; DecayTree is used" in note for note in made.notes)
