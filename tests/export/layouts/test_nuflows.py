"""The layout nuflows, read by a small reader that passes containers like TopCPToolKit, empty ones as a tensor of shape (0)."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import layout_rows as toys
import numpy as np
import pytest

from collidekit.analysis.load import parse_analysis
from collidekit.dataset.learned import LearnedFrom
from collidekit.dataset.parts import Folds
from collidekit.errors import CollidekitError
from collidekit.export.describe import describe
from collidekit.export.graph import TaggerGraph
from collidekit.export.layouts.nuflows import NuFlows
from collidekit.export.members import prepare_members
from collidekit.export.model import model_of
from collidekit.export.options import Options
from collidekit.training.checkpoint import Checkpoint
from collidekit.training.config import TrainingConfig

ANALYSIS = """
source: {tree: tree}
targets:
  neutrinos:
    values: {nu_px: a, nu_py: a, nu_pz: a, nubar_px: a, nubar_py: a, nubar_pz: a}
    unit: GeV
inputs:
  jets:
    limit: 10
    momenta: [jet_px, jet_py, jet_pz, jet_e]
    features: [jet_px, jet_py, jet_pz, jet_loge, jet_logm, jet_quantile]
  leptons:
    limit: 2
    features: [lep_px, lep_py, lep_pz, lep_loge, lep_charge, lep_flavour]
  met: {features: [met_px, met_py, sum_et]}
  misc: {features: [n_el, n_mu, n_jet]}
"""
VALUES = ["pred_nu_px", "pred_nu_py", "pred_nu_pz", "pred_nubar_px", "pred_nubar_py", "pred_nubar_pz"]


class NuFlowsReader:
    """Objects of named values -> jets (n, 6), leptons (n, 6), met (1, 3), misc (1, 3) by position; {0} where there is nothing."""

    def __init__(self, path: Path) -> None:
        self.session = toys.open_session(path)
        assert [entry.name for entry in self.session.get_inputs()] == ["jets", "leptons", "met", "misc"]
        assert all(entry.type == "tensor(float)" for entry in self.session.get_inputs())

    def __call__(self, jets: list[Any], leptons: list[Any], met: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
        electrons = [one for one in leptons if one.flavour == 0]
        muons = [one for one in leptons if one.flavour == 1]
        ordered = [*electrons, *muons]
        tables = {
            "jets": [[j.px, j.py, j.pz, np.log1p(j.e), np.log1p(j.m), j.quantile] for j in jets],
            "leptons": [[k.px, k.py, k.pz, np.log1p(k.e), k.charge, k.flavour] for k in ordered],
            "met": [met],
            "misc": [[len(electrons), len(muons), len(jets)]],
        }
        feed = {name: np.array(table, dtype=np.float32) for name, table in tables.items()}
        assert feed["jets"].shape == ((len(jets), 6) if jets else (0,))
        momenta, density = self.session.run(None, feed)
        assert momenta.size == 6
        assert density.shape == (1,)
        return momenta.reshape(-1), density


def event(seed: int, jets: int, leptons: int) -> tuple[list[Any], list[Any], tuple[float, ...]]:
    generator = np.random.default_rng(seed)

    def momentum() -> Any:
        px, py, pz = generator.normal(0, 60, 3)
        m = generator.uniform(0, 20)
        return SimpleNamespace(px=px, py=py, pz=pz, m=m, e=np.sqrt(px**2 + py**2 + pz**2 + m**2))

    found_jets, found_leptons = [momentum() for _ in range(jets)], [momentum() for _ in range(leptons)]
    for k, jet in enumerate(found_jets):
        jet.quantile = k % 5
    for k, lepton in enumerate(found_leptons):
        lepton.charge, lepton.flavour = 1 - 2 * (k % 2), (k + seed) % 2
    return found_jets, found_leptons, tuple(generator.normal(0, 50, 3))


def row_of(jets: list[Any], leptons: list[Any], met: tuple[float, ...]) -> toys.Row:
    """The same event in the columns of the analysis."""
    leptons = sorted(leptons, key=lambda one: one.flavour)
    number = sum(one.flavour for one in leptons)
    return {
        "jets": np.array([[j.px, j.py, j.pz, np.log1p(j.e), np.log1p(j.m), j.quantile, j.px, j.py, j.pz, j.e] for j in jets]).reshape(-1, 10),
        "leptons": np.array([[k.px, k.py, k.pz, np.log1p(k.e), k.charge, k.flavour] for k in leptons]).reshape(-1, 6),
        "met": np.array(met),
        "misc": np.array([len(leptons) - number, number, len(jets)], dtype=float),
    }  # fmt: skip


EVENTS = [
    event(seed, jets, leptons)
    for seed, (jets, leptons) in enumerate([(3, 2), (0, 2), (0, 0), (1, 1), (2, 2), (10, 2), (15, 4)])
]


@pytest.fixture(scope="module")
def toy() -> Any:
    analysis, _ = parse_analysis(ANALYSIS)
    rows = [row_of(*one) for one in EVENTS]
    rows = [{name: values.astype(np.float32) for name, values in row.items()} for row in rows]
    tagger = toys.random_tagger(analysis, "transformer_small", rows)
    return SimpleNamespace(analysis=analysis, rows=rows, tagger=tagger, graph=TaggerGraph(tagger, analysis).eval())


def test_the_reader_gets_the_numbers_of_the_tagger_also_without_jets(toy, tmp_path):
    layout = NuFlows(toy.graph, "nuflows", {"apply_to": "odd"})
    path = toys.write_layout(layout, toy.analysis, tmp_path)
    assert path.name == "odd.onnx"
    reader = NuFlowsReader(path)
    wanted = toys.predicted(toy.tagger, toy.analysis, toy.rows)
    found = [reader(*one) for one in EVENTS]
    momenta = np.stack([one for one, _ in found])
    toys.assert_same({"nu": momenta}, {"nu": np.stack([wanted[name] for name in VALUES], axis=1)}, ["nu"])
    assert all(np.isnan(density).all() for _, density in found)


def test_two_folds_by_the_remainder_are_the_pair_of_files(toy):
    """Each file may be used on the events that its network held out; the reader takes file (event number % 2)."""
    analysis = toy.analysis.model_copy(update={"event": ["event"]})
    members = {}
    for fold in (0, 1):
        learned = LearnedFrom("x", Folds(2, fold, "remainder"), {("content",): "a.root"}, {})
        config = TrainingConfig(model_name="transformer_small", folds=2, fold=fold, fold_rule="remainder")
        members[f"fold {fold}"] = Checkpoint(toy.tagger, analysis, config, 1, {}, learned_from=(learned,))
    made = prepare_members(members, "nuflows", Options(layout="nuflows"))
    schema = describe("nuflows", made[0], Options(layout="nuflows"), [])
    assert [member.layout.file_name(member.fold) for member in made] == list(NuFlows.graph_names)
    assert schema.fold_rule.startswith("The fold of a row is event % 2, the remainder of its event number")
    for member, (own, other) in zip(made, (("even", "odd"), ("odd", "even")), strict=True):
        found = {entry.key: entry.value for entry in model_of(member, schema).metadata_props}
        assert found["apply_to"].startswith(f"events with an {own} event number")
        assert found["trained_on"].startswith(f"events with an {other} event number")
        assert found["file_order"] == "even.onnx,odd.onnx: file number event number % 2"


def test_given_and_found_translate_generic_arrays(toy, tmp_path):
    layout = NuFlows(toy.graph, "nuflows")
    session = toys.open_session(toys.write_layout(layout, toy.analysis, tmp_path))
    wanted = toys.predicted(toy.tagger, toy.analysis, toy.rows)
    for i, row in enumerate(toy.rows):
        generic = toys.generic_of(toy.analysis, [row], slots=1)
        outputs = dict(zip(layout.output_names, session.run(layout.output_names, layout.given(generic)), strict=True))
        toys.assert_same(layout.found(outputs, generic), {name: wanted[name][i : i + 1] for name in VALUES}, VALUES)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  misc:", "  others:", "no input 'misc'"),
        (", n_jet]", "]", "'misc' must be a flat group with 3 features"),
        (", lep_flavour]", "]", "'leptons' must be a collection with 6 features"),
        ("  met:", "  more: {features: [x]}\n  met:", "does not fill the input 'more'"),
        ("    limit: 2\n", "    limit: 2\n    coordinates: [x, y]\n", "coordinates of the leptons"),
        (", nubar_pz: a}", "}", "a target with six values"),
        ("    unit: GeV\n", "", "must be in GeV"),
    ],
)
def test_an_analysis_that_the_reader_cannot_fill_is_refused(old, new, said, toy):
    assert old in ANALYSIS
    analysis, _ = parse_analysis(ANALYSIS.replace(old, new))
    graph = SimpleNamespace(analysis=analysis, flows={})
    with pytest.raises(CollidekitError, match=re.escape(said)) as caught:
        NuFlows(graph, "nuflows")
    assert str(caught.value).startswith("layout nuflows: ")


def test_a_flow_is_drawn_inside_the_graph(toy, tmp_path):
    """Two calls differ, and their mean is what the tagger gives with random numbers of its own."""
    pytest.importorskip("zuko")
    analysis, _ = parse_analysis(
        ANALYSIS.replace("    unit: GeV\n", "    unit: GeV\n    estimate: flow\n    draws: 64\n")
    )
    tagger = toys.random_tagger(analysis, "pfn", toy.rows)
    layout = NuFlows(TaggerGraph(tagger, analysis).eval(), "nuflows")
    path = toys.write_layout(layout, analysis, tmp_path)
    reader = NuFlowsReader(path)
    calls = np.stack([reader(*EVENTS[0])[0] for _ in range(20)])
    assert (calls.std(axis=0) > 0).all()
    wanted = toys.predicted(tagger, analysis, toy.rows[:1])
    found = np.array([wanted[name][0] for name in VALUES])
    np.testing.assert_array_less(np.abs(calls.mean(axis=0) - found), 5 * calls.std(axis=0))
    assert layout.found({}, {}) == {}
