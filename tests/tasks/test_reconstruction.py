"""Classical methods beside a network: the same numbers as by hand from the arrays of the file."""

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
from collidekit.reconstruction.events import DileptonEvents
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

    def make(order: str = "jet_pt", rows: int = 500) -> dict[str, object]:
        Register.clear_instance_cache()  # the name of the file is the same in each test
        text = ANALYSIS[: ANALYSIS.index("\ntraining:")].replace("order: jet_pt", f"order: {order}")
        text = "\n".join(line for line in text.splitlines() if not line.startswith("files:"))
        (tmp_path / "events.yaml").write_text(text + "\n" + SMALL)
        toys.write_table(tmp_path / "events.parquet", sample(rows))
        given = {"config": "events.yaml", "filelist": ("events.parquet",), "test_filelist": ("events.parquet",)}
        return {**given, "n_threads": 1, "methods": ("max_m_lb", "ellipse")}

    return make


def by_hand(method: str) -> tuple[float, float, np.ndarray]:
    """Efficiency of complete events, fraction right of all, and m(tt) residuals, from the file."""
    events = sample(500)
    most = int(ak.max(ak.num(events["jet_pt"])))

    def padded(name: str) -> np.ndarray:
        return ak.to_numpy(ak.fill_none(ak.pad_none(events[name], most, clip=True), 0.0)).astype(np.float64)

    jets = from_pt_eta_phi_energy(*(padded(f"jet_{part}") for part in ("pt", "eta", "phi", "e")))
    leptons = from_pt_eta_phi_energy(*(ak.to_numpy(events[f"lep_{part}"]) for part in ("pt", "eta", "phi", "e")))
    met, phi = ak.to_numpy(events["met_met"]), ak.to_numpy(events["met_phi"])
    found = build_method(method).reconstruct(
        DileptonEvents(
            leptons, jets, padded("jet_pt") > 0, padded("jet_b_tag"), np.stack([met * np.cos(phi), met * np.sin(phi)], 1),
            ak.to_numpy(events["event"]), np.ones(len(events)),
        )
    )  # fmt: skip
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
    """The methods order them; the network takes the partner by its place, and that is said."""
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


def test_a_method_that_there_is_not_is_said_first(files: Callable[..., dict[str, object]]) -> None:
    with pytest.raises(CollidekitError, match=r"there is no method 'elipse' \(did you mean 'ellipse'\?\)"):
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
