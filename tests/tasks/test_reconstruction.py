"""Classical methods and a network: numbers agree with a calculation from the arrays of the file."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import toys
import uproot
from luigi.task_register import Register

from collidekit.analysis.load import parse_analysis
from collidekit.errors import CollidekitError
from collidekit.evaluation.reconstruction import NETWORK
from collidekit.evaluation.report.report import Pictures
from collidekit.reconstruction.events import DileptonEvents, Reconstruction
from collidekit.reconstruction.four_momenta import from_pt_eta_phi_energy, mass
from collidekit.reconstruction.methods import build_method
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.reconstruction import ReconstructionTask
from collidekit.tasks.report import ReportTask

ROOT = Path(__file__).parents[2]
ANALYSIS = (ROOT / "analyses" / "ttbar_dilepton.yaml").read_text()
SMALL = (
    "training: {model_name: pfn, model_options: {phi: [8], f: [8]}, epochs: 1, batch_size: 128, learning_rate: 0.001}\n"
)
WRONG = 11
"""Events whose leptons have the same charge."""


def sample(rows: int) -> ak.Array:
    with uproot.open(ROOT / "samples" / "ttbar_dilepton" / "test.root") as file:
        events = file["tree"].arrays(entry_stop=rows)
    charge = ak.where(np.arange(rows) < WRONG, abs(events["lep_charge"]), events["lep_charge"])
    return ak.with_field(events, charge, "lep_charge")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, object]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLLIDEKIT_OUTPUT", str(tmp_path / "results"))

    def make(order: str = "jet_pt", rows: int = 500, truth: bool = False) -> dict[str, object]:
        Register.clear_instance_cache()  # the name of the file is the same in each test
        text = ANALYSIS[: ANALYSIS.index("\ntraining:")].replace("order: jet_pt", f"order: {order}")
        text = "\n".join(line for line in text.splitlines() if not line.startswith("files:"))
        if not truth:
            text = re.sub(r"  truth:.*\n(?:    .*\n)+  spin_weights:.*\n", "", text)
        (tmp_path / "events.yaml").write_text(text + "\n" + SMALL)
        toys.write_table(tmp_path / "events.parquet", sample(rows))
        given = {"config": "events.yaml", "filelist": ("events.parquet",), "test_filelist": ("events.parquet",)}
        return {**given, "n_threads": 1, "methods": ("max_m_lb", "ellipse")}

    return make


def reconstructed(method: str) -> tuple[np.ndarray, np.ndarray, Reconstruction]:
    """Return jets and leptons of the file, and the result of a method."""
    events = sample(500)
    most = int(ak.max(ak.num(events["jet_pt"])))

    def padded(name: str) -> np.ndarray:
        return ak.to_numpy(ak.fill_none(ak.pad_none(events[name], most, clip=True), 0.0)).astype(np.float64)

    jets = from_pt_eta_phi_energy(*(padded(f"jet_{part}") for part in ("pt", "eta", "phi", "e")))
    leptons = from_pt_eta_phi_energy(*(ak.to_numpy(events[f"lep_{part}"]) for part in ("pt", "eta", "phi", "e")))
    met, phi = ak.to_numpy(events["met_met"]), ak.to_numpy(events["met_phi"])
    return jets, leptons, build_method(method).reconstruct(
        DileptonEvents(
            leptons, jets, padded("jet_pt") > 0, padded("jet_b_tag"), np.stack([met * np.cos(phi), met * np.sin(phi)], 1),
            ak.to_numpy(events["event"]), np.ones(len(events)),
        )
    )  # fmt: skip


def by_hand(method: str) -> tuple[float, float, np.ndarray]:
    """Return efficiency of complete events, fraction right of all, and m(tt) residuals, from the file."""
    events = sample(500)
    jets, leptons, found = reconstructed(method)
    true = np.stack([ak.to_numpy(events[f"truth_{b}_jet_index"]) for b in ("b", "bbar")], axis=1)
    right, complete = (found.jets == true).all(axis=1), (true >= 0).all(axis=1)
    right &= complete & (np.arange(len(events)) >= WRONG)
    chosen = jets[np.arange(len(jets))[:, None], found.jets]
    pair = mass((leptons + found.neutrinos + chosen).sum(axis=1)) - ak.to_numpy(events["truth_ttbar_mass"])
    return right[complete].mean(), right.mean(), pair[WRONG:][np.isfinite(pair[WRONG:])]


@pytest.mark.parametrize("order", ["jet_pt", "-jet_pt"])
def test_the_numbers_are_those_of_the_arrays_of_the_file(files: Callable[..., dict[str, object]], order: str) -> None:
    task = ReconstructionTask(**files(order))
    run_with_requirements(task)
    lines = {line.method: line for line in task.read()}
    assert list(lines) == [NETWORK, "max_m_lb", "ellipse"]
    for name in ("max_m_lb", "ellipse"):
        efficiency, fraction, residuals = by_hand(name)
        assert lines[name].found.complete is not None
        assert lines[name].found.complete.value == pytest.approx(efficiency, abs=1e-12)
        assert lines[name].found.every.value == pytest.approx(fraction, abs=1e-12)
        assert lines[name].found.every.total == 500
    assert (lines["max_m_lb"].mass, lines["max_m_lb"].solved) == (None, 0.0)
    ellipse = lines["ellipse"].mass
    assert ellipse is not None
    assert ellipse.rows == len(residuals)
    assert ellipse.bias == pytest.approx(residuals.mean(), rel=1e-4)
    assert lines["ellipse"].solved == pytest.approx(len(residuals) / 500)
    network = lines[NETWORK].mass
    assert network is not None
    assert network.rows == 500
    found = InferenceTask(**{key: value for key, value in files(order).items() if key != "methods"}).predictions()
    assert network.bias == pytest.approx(float((found.values["m_tt"] - found.truth["m_tt"]).mean()))


def test_leptons_that_are_not_ordered_by_charge(
    files: Callable[..., dict[str, object]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Methods sort the leptons; the network uses their position, and prints a note."""
    given = files(rows=120)
    events = sample(120)
    turned = {name: events[name][:, ::-1] for name in events.fields if name.startswith("lep_")}
    toys.write_table(
        tmp_path / "events.parquet", ak.zip({n: turned.get(n, events[n]) for n in events.fields}, depth_limit=1)
    )
    task = ReconstructionTask(**given)
    run_with_requirements(task)
    assert f"in {120 - WRONG} of 120 events the partner of top is not the positive lepton" in " ".join(
        capsys.readouterr().out.split()
    )
    lines = {line.method: line for line in task.read()}
    Register.clear_instance_cache()
    toys.write_table(tmp_path / "events.parquet", events)
    again = ReconstructionTask(**given)
    run_with_requirements(again)
    assert "is not the positive lepton" not in capsys.readouterr().out
    assert {line.method: line.found for line in again.read()}["ellipse"] == lines["ellipse"].found


def test_chi_square_takes_the_neutrinos_of_the_network(files: Callable[..., dict[str, object]]) -> None:
    """With those of neutrino weighting, whose tops have the assumed mass, its pairing would always be the one of that method."""
    given = {**files(), "methods": ("chi_square", "neutrino_weighting")}
    task = ReconstructionTask(**given)
    run_with_requirements(task)
    network, chi_square, weighting = task.read()
    assert network.neutrino_pz
    assert chi_square.neutrino_pz
    assert chi_square.neutrino_pz.rows == network.neutrino_pz.rows - 2 * WRONG
    assert chi_square.neutrino_pz.width == pytest.approx(network.neutrino_pz.width, rel=0.02)
    assert chi_square.solved == 1 - WRONG / 500
    assert weighting.solved < chi_square.solved
    assert network.milliseconds is not None
    assert network.milliseconds > 0
    assert "The network has 5,745 parameters" in " ".join(task.section().blocks[0].caption.split())  # type: ignore[union-attr]


def test_tops_are_compared_with_their_truth(files: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    """The pT of the tops from the ellipse method agrees with a calculation; tables, plots and the report section exist."""
    task = ReconstructionTask(**{**files(truth=True), "methods": ("max_m_lb", "ellipse")})
    run_with_requirements(task)
    with (task.folder / "resolution.csv").open(encoding="utf-8") as file:
        lines = {(r["method"], r["quantity"], r["events_or_variable"]): r for r in csv.DictReader(file) if not r["bin"]}
    assert ("max_m_lb", "top_pt", "answered") not in lines
    jets, leptons, found = reconstructed("ellipse")
    chosen = jets[np.arange(len(jets))[:, None], found.jets]
    tops = (leptons + found.neutrinos + chosen)[WRONG:]
    events = sample(500)[WRONG:]
    true = np.stack([ak.to_numpy(events[f"truth_{name}_pt"]) for name in ("top", "tbar")], axis=1).astype(np.float64)
    residuals = (np.hypot(tops[..., 1], tops[..., 2]) - true) / true
    residuals = residuals[np.isfinite(residuals)]
    line = lines["ellipse", "top_pt", "answered"]
    assert int(line["residuals"]) == len(residuals)
    assert float(line["bias"]) == pytest.approx(residuals.mean(), rel=1e-4)
    assert float(line["deviation"]) == pytest.approx(residuals.std(), rel=1e-4)
    with (task.folder / "spin.csv").open(encoding="utf-8") as file:
        spin = {(r["correlation"], r["method"], r["m_tt"]): float(r["D"]) for r in csv.DictReader(file)}
    every, weight = sample(500), ak.to_numpy(sample(500)["weight_spin_sm"])
    by_hand = -3 * np.average(ak.to_numpy(every["truth_c_hel"]), weights=weight)
    assert spin["sm", "truth", "all"] == pytest.approx(by_hand, abs=1e-5)
    for name in ("assignment", "complementarity", "resolution_width", "resolution_bias", "spin", "spin_closure"):
        assert "\\begin{tabular}" in (task.folder / f"{name}.tex").read_text()
    blocks = task.section().blocks
    shown = [path for block in blocks if isinstance(block, Pictures) for path in block.paths]
    assert len(shown) > 20
    assert all(path.is_file() for path in shown)


NEUTRINOS = [f"truth_{name}_{part}" for name in ("nu", "nubar") for part in ("px", "py", "pz")]


def with_given(tmp_path: Path, name: str, expressions: list[str]) -> None:
    path = tmp_path / "events.yaml"
    given = f"  given: {{{name}: {json.dumps(expressions)}}}\n"
    path.write_text(path.read_text().replace("  assignment: tops\n", f"  assignment: tops\n{given}", 1))


def test_neutrinos_of_another_tool_are_a_method(files: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    """Neutrinos of another tool: the true ones, except for events without a result."""
    settings = {**files(), "methods": ("chi_square",)}
    with_given(tmp_path, "oracle", [f"where(event % 5 == 0, log(-1), {name})" for name in NEUTRINOS])
    task = ReconstructionTask(**settings)
    run_with_requirements(task)
    lines = {line.method: line for line in task.read()}
    events = sample(500)
    unsolved = (ak.to_numpy(events["event"]) % 5 == 0) | (np.arange(500) < WRONG)
    oracle = lines["oracle"]
    assert oracle.solved == pytest.approx(1 - unsolved.mean())
    assert oracle.neutrino_pz is not None
    assert oracle.neutrino_pz.rows == 2 * (~unsolved).sum()
    assert oracle.neutrino_pz.width == pytest.approx(0, abs=1e-4)
    assert oracle.found.complete.value > lines["chi_square"].found.complete.value


@pytest.mark.parametrize(
    ("name", "expressions", "said"),
    [
        ("ellipse", NEUTRINOS, "dilepton.given: 'ellipse' is the name of a method of collidekit"),
        ("truth", NEUTRINOS, "dilepton.given: 'truth' is the name of the truth"),
        ("oracle", [*NEUTRINOS[:5], "nubar_pz"], "there is no branch or variable 'nubar_pz'"),
    ],
)
def test_mistakes_in_neutrinos_of_another_tool(
    files: Callable[..., dict[str, object]], tmp_path: Path, name: str, expressions: list[str], said: str
) -> None:
    settings = files(rows=50)
    with_given(tmp_path, name, expressions)
    with pytest.raises(CollidekitError, match=said):
        ReconstructionTask(**settings).look_first()


def test_events_with_an_estimate_count_with_their_weights(
    files: Callable[..., dict[str, object]], tmp_path: Path
) -> None:
    settings = {**files(), "methods": ("ellipse",)}
    answered = np.isfinite(reconstructed("ellipse")[2].neutrinos).all(axis=(1, 2)) & (np.arange(500) >= WRONG)
    weights = np.where(answered, 3.0, 1.0)
    toys.write_table(tmp_path / "events.parquet", ak.with_field(sample(500), weights, "weight"))
    task = ReconstructionTask(**settings)
    run_with_requirements(task)
    (ellipse,) = (line for line in task.read() if line.method == "ellipse")
    assert 0.5 < answered.mean() < 0.95
    assert ellipse.solved == pytest.approx(3 * answered.sum() / weights.sum())


@pytest.mark.parametrize("factor", ["0", "-1"])
def test_factors_of_a_correlation_need_a_positive_sum(
    files: Callable[..., dict[str, object]], tmp_path: Path, factor: str
) -> None:
    settings = files(rows=60, truth=True)
    path = tmp_path / "events.yaml"
    path.write_text(path.read_text().replace("none: weight_spin_none", f'none: "{factor} * weight_spin_none"'))
    with pytest.raises(
        CollidekitError, match=r"events.yaml:\d+: dilepton.spin_weights.none: the factors of 60 events sum"
    ):
        run_with_requirements(ReconstructionTask(**settings))


def test_neutrinos_in_mev_are_refused(files: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    settings = files(rows=60)
    with_given(tmp_path, "oracle", [f"{name} * 1000" for name in NEUTRINOS])
    with pytest.raises(CollidekitError, match=r"dilepton.given.oracle: the median transverse momentum is .* GeV"):
        run_with_requirements(ReconstructionTask(**settings))


def test_truth_that_is_not_in_the_files_is_said_before_the_training(
    files: Callable[..., dict[str, object]], tmp_path: Path
) -> None:
    given = files(rows=50, truth=True)
    toys.write_table(tmp_path / "events.parquet", ak.without_field(sample(50), "truth_top_eta"))
    with pytest.raises(CollidekitError, match=r"there is no branch or variable 'truth_top_eta' in .*events.parquet"):
        ReconstructionTask(**given).look_first()
    toys.write_table(tmp_path / "whole.parquet", sample(50))
    Register.clear_instance_cache()
    both = {**given, "test_filelist": ("whole.parquet", "events.parquet")}
    with pytest.raises(CollidekitError, match=r"there is no branch or variable 'truth_top_eta' in .*events.parquet"):
        ReconstructionTask(**both).look_first()


def test_new_keys_at_their_default_leave_old_outputs_where_they_are() -> None:
    dilepton = parse_analysis(ANALYSIS, "events.yaml")[0].dilepton
    assert dilepton is not None
    old = {"assignment", "leptons", "charge", "b_tag", "met", "neutrinos", "mass"}
    assert set(dilepton.identity()) == old | {"truth", "spin_weights"}
    assert set(dilepton.model_copy(update={"truth": None, "spin_weights": {}}).identity()) == old


def test_a_method_that_there_is_not_is_said_first(files: Callable[..., dict[str, object]]) -> None:
    with pytest.raises(CollidekitError, match=r"unknown method 'elipse' \(did you mean 'ellipse'\?\)"):
        ReconstructionTask(**{**files(), "methods": ("elipse",)}).look_first()


def test_folds_are_in_the_order_of_their_dataset(files: Callable[..., dict[str, object]]) -> None:
    task = ReconstructionTask(**{**files(), "test_filelist": (), "folds": 3})
    run_with_requirements(task)
    line = next(line for line in task.read() if line.method == "max_m_lb")
    assert line.found.every.value == pytest.approx(by_hand("max_m_lb")[1], abs=1e-12)


def test_they_are_a_section_of_the_report(files: Callable[..., dict[str, object]]) -> None:
    report = ReportTask(**{key: value for key, value in files(rows=120).items() if key != "methods"})
    assert isinstance(report.requires()["methods"], ReconstructionTask)
    run_with_requirements(report)
    page = (report.folder / "report.html").read_text()
    assert "Classical methods" in page
    assert "neutrino_weighting" in page


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("assignment: tops", "assignment: neutrinos", "dilepton.assignment: no assignment 'neutrinos'"),
        ("charge: lep_charge", "charge: charge", "dilepton.charge: no feature of leptons 'charge'"),
        ("b_tag: jet_b_tag", "b_tag: b_tag", "dilepton.b_tag: no feature of jets 'b_tag'"),
        ("met: [met_px, met_py]", "met: [met_px, met_pz]", "dilepton.met: no feature of a flat group 'met_pz'"),
        ("  neutrinos: neutrinos\n  mass", "  neutrinos: pair\n  mass", "dilepton.neutrinos: needs six values"),
        ("mass_bins: [380, 500, 800]", "mass_bins: [380, 380]", "dilepton.mass_bins: must be in ascending order"),
        ("    lepton_minus: [", "    lepton_mnus: [", "unknown key (did you mean 'lepton_minus'"),
        (
            "{sm: weight_spin_sm, singlet: weight_spin_singlet, none: weight_spin_none}",
            "{sm: weight_spin_sm}",
            "needs at least two",
        ),
        ("mass: m_tt", "mass: mtt", "dilepton.mass: no value of a target 'mtt' (did you mean 'm_tt'?)"),
        (
            "    momenta: [lep_px, lep_py, lep_pz, lep_e]\n",
            "",
            "dilepton.leptons: no collection with momenta 'leptons'",
        ),
    ],
)
def test_mistakes(old: str, new: str, said: str) -> None:
    assert ANALYSIS.count(old) == 1
    with pytest.raises(CollidekitError, match=r"^events.yaml:\d+: ") as caught:
        parse_analysis(ANALYSIS.replace(old, new), "events.yaml")
    assert said in str(caught.value)
