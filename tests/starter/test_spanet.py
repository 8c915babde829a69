"""``init event.yaml FILE.h5``: translated parts keep their meaning, and all other parts are listed."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from collidekit.analysis.load import read_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.rows import build_rows, columns_to_read
from collidekit.errors import CollidekitError
from collidekit.readers import open_file
from collidekit.starter.spanet import Translated, translate_event_file

N, JETS, LEPTONS = 200, 9, 2
TTBAR = """
INPUTS:
  SEQUENTIAL:
    Source: {mass: log_normalize, pt: log_normalize, eta: normalize, phi: none, btag: none}
  GLOBAL:
EVENT:
  t1: [q1, q2, b]
  t2: [q1, q2, b]
PERMUTATIONS:
  EVENT: [[t1, t2]]
  t1: [[q1, q2]]
  t2:
    - [[q1, q2]]
REGRESSIONS:
CLASSIFICATIONS:
"""


def data(path: Path, **changes: Any) -> dict[str, np.ndarray]:
    """Jets with holes in the mask, a flag, missing pt, and six slots filled by different jets."""
    rng = np.random.default_rng(8)
    mask = np.ones((N, JETS), bool)
    mask[np.arange(N), rng.integers(0, JETS, N)] = False
    found: dict[str, Any] = {
        "INPUTS/Source/MASK": mask,
        "INPUTS/Source/pt": rng.exponential(60, (N, JETS)) + 25,
        "INPUTS/Source/eta": rng.normal(size=(N, JETS)),
        "INPUTS/Source/phi": rng.uniform(-np.pi, np.pi, (N, JETS)),
        "INPUTS/Source/mass": rng.exponential(8, (N, JETS)),
        "INPUTS/Source/btag": rng.integers(0, 2, (N, JETS)).astype(np.float32),
        "INPUTS/Met/met": rng.exponential(40, N),
        "EVENT/event": np.arange(N) * 3,
    }
    order = np.argsort(np.where(mask, rng.random(mask.shape), 2.0), axis=1)
    for i, slot in enumerate(("t1/q1", "t1/q2", "t1/b", "t2/q1", "t2/q2", "t2/b")):
        found[f"TARGETS/{slot}"] = np.where(rng.random(N) < 0.2, -1, order[:, i])
    found |= changes
    with h5py.File(path, "w") as file:
        for name, values in found.items():
            if values is not None:
                file[name] = values
    return found


def translated(folder: Path, event: str) -> tuple[Translated, str]:
    (folder / "event.yaml").write_text(event)
    made = translate_event_file(folder / "event.yaml", [str(folder / "data.h5")], folder / "my.yaml", force=True)
    return made, (folder / "my.yaml").read_text()


def batch_of(folder: Path) -> Any:
    plan = Plan(*read_analysis(folder / "my.yaml"))
    with open_file(str(folder / "data.h5"), plan.analysis.source) as reader:
        chunk = reader.read(columns_to_read(plan, list(reader.columns)), 0, N)
    return build_rows(plan, chunk, str(folder / "data.h5"), 0, 0).batch


def test_all_hadronic_top_pairs(tmp_path: Path) -> None:
    """Features, momenta and truth agree with an independent computation from the padded arrays of the file."""
    found = data(tmp_path / "data.h5")
    made, text = translated(tmp_path, TTBAR)
    assert made.not_translated == made.notes == []
    assert "NOT TRANSLATED" not in text
    target = made.analysis.assignments["assignment"]
    assert target.symmetries == [["t1.q1", "t1.q2"], ["t2.q1", "t2.q2"], ["t1", "t2"]]
    assert {parent: list(slots) for parent, slots in target.parents.items()} == {
        "t1": ["q1", "q2", "b"],
        "t2": ["q1", "q2", "b"],
    }
    features = made.analysis.inputs["Source"].features
    assert [(f.name, f.scaling, f.kind) for f in features] == [
        ("Source_log_mass", "standard", "continuous"), ("Source_log_pt", "standard", "continuous"),
        ("Source_eta", "standard", "continuous"), ("Source_phi", "none", "continuous"), ("Source_btag", "none", "flag"),
    ]  # fmt: skip
    assert made.analysis.event == ["EVENT_event"]
    assert made.analysis.collections["Source"].limit == JETS
    values = batch_of(tmp_path).inputs["Source"].data.numpy()
    mask = found["INPUTS/Source/MASK"]
    pt, eta, phi, mass, tag = (found[f"INPUTS/Source/{name}"][mask] for name in ("pt", "eta", "phi", "mass", "btag"))
    energy = np.sqrt(mass**2 + (pt * np.cosh(eta)) ** 2)
    expected = [
        np.log(mass + 1),
        np.log(pt + 1),
        eta,
        phi,
        tag,
        pt * np.cos(phi),
        pt * np.sin(phi),
        pt * np.sinh(eta),
        energy,
    ]
    np.testing.assert_allclose(values[:, :9], np.stack(expected, axis=1), rtol=1e-5, atol=1e-5)


def test_truth_names_the_jet_of_the_file(tmp_path: Path) -> None:
    found = data(tmp_path / "data.h5")
    translated(tmp_path, TTBAR)
    batch = batch_of(tmp_path)
    jets, truth = batch.inputs["Source"], batch.truth["assignment"].numpy()
    for i, slot in enumerate(("t1/q1", "t1/q2", "t1/b", "t2/q1", "t2/q2", "t2/b")):
        there = truth[:, i] >= 0
        assert (there == (found[f"TARGETS/{slot}"] >= 0)).all()
        rows = jets.offsets[:-1][torch.from_numpy(there)] + torch.from_numpy(truth[there, i].astype(np.int64))
        expected = np.log(found["INPUTS/Source/pt"][there, found[f"TARGETS/{slot}"][there]] + 1)
        np.testing.assert_allclose(jets.values[rows, 1].numpy(), expected, rtol=1e-6)


def test_what_cannot_be_translated_is_named(tmp_path: Path) -> None:
    extra = {
        "REGRESSIONS/EVENT/m_tt": np.arange(N) + 300.0, "REGRESSIONS/EVENT/pz": np.arange(N) - 50.0,
        "REGRESSIONS/t1/PARTICLE/pt": np.ones(N), "REGRESSIONS/h/PARTICLE/pt": np.arange(N) * 1.0,
        "CLASSIFICATIONS/EVENT/signal": np.arange(N) % 3 - 1, "CLASSIFICATIONS/t1/PARTICLE/hadronic": np.arange(N) % 2,
        "TARGETS/h/b1": np.full(N, -1), "EVENT/weight": np.ones(N), "EVENT/event": None,
    }  # fmt: skip
    data(tmp_path / "data.h5", **extra)
    event = TTBAR.replace("  GLOBAL:\n", "  GLOBAL: {Met: {met: log}}\n  RELATIVE: {Pairs: {dr: none}}\n")
    event = event.replace("EVENT:\n  t1", "EVENT:\n  w: [a, b, c, d]\n  h: [b1]\n  t1", 1)
    event = event.replace("  t1: [[q1, q2]]", "  t1: [[[q1, q2], [b]], [[q1, q2, b]]]")
    event = event.replace(
        "REGRESSIONS:",
        "REGRESSIONS: {EVENT: [[m_tt, laplacian], [pz, log_gaussian]], t1: {PARTICLE: [pt]}, h: [{PARTICLE: [pt]}]}",
    )
    event = event.replace(
        "CLASSIFICATIONS:", "CLASSIFICATIONS: {EVENT: [signal], t1: {PARTICLE: [hadronic]}}\nOTHER: 1"
    )
    made, text = translated(tmp_path, event)
    for begin in (
        "OTHER", "INPUTS/RELATIVE/Pairs", "EVENT/w", "PERMUTATIONS/t1: [['q1', 'q2'], ['b']]", "PERMUTATIONS/t1: [['q1', 'q2', 'b']]",
        "PERMUTATIONS/EVENT: t1, t2: these are distinguishable", "REGRESSIONS/t1/pt", "CLASSIFICATIONS/t1/hadronic",
    ):  # fmt: skip
        assert [said for said in made.not_translated if said.startswith(begin)], begin
        assert f"# NOT TRANSLATED: {begin}" in text
    assert len(made.not_translated) == 8
    targets = made.analysis.regressions
    assert {name: (target.values, target.scale, target.loss) for name, target in targets.items()} == {
        "m_tt": ({"m_tt": "REGRESSIONS_EVENT_m_tt"}, "robust", "mae"),
        "arcsinh_half_pz": ({"arcsinh_half_pz": "arcsinh(REGRESSIONS_EVENT_pz / 2)"}, "standard", "mse"),
        "h_pt": ({"h_pt": "REGRESSIONS_h_PARTICLE_pt"}, "standard", "mse"),
    }
    assert made.analysis.assignments["assignment"].symmetries == [["t2.q1", "t2.q2"]]
    assert made.analysis.classes == {
        "signal_0": "CLASSIFICATIONS_EVENT_signal == 0", "signal_1": "CLASSIFICATIONS_EVENT_signal == 1"
    }  # fmt: skip
    assert list(made.analysis.discriminators) == ["signal_1_vs_signal_0"]
    met = made.analysis.groups["Met"].features[0]
    assert (met.name, met.expression, met.scaling) == ("Met_log_met", "log(Met_met + 1)", "none")
    notes = "\n".join(made.notes)
    for said in (
        "rows without a class (-1)",
        "no event number was found",
        "EVENT_weight may be a weight",
        "arcsinh",
    ):
        assert said in notes
        assert all(f"# Note: {note}" in text for note in made.notes)
    assert made.analysis.event == []
    assert len(batch_of(tmp_path)) == np.sum(np.arange(N) % 3 > 0)


def test_overlapping_groups_exchange_all(tmp_path: Path) -> None:
    """The exchanges of q1 with q2 and of q2 with b generate every order of the three."""
    data(tmp_path / "data.h5")
    made, _ = translated(tmp_path, TTBAR.replace("t1: [[q1, q2]]", "t1: [[q1, q2], [q2, b]]"))
    assert ["t1.q1", "t1.q2", "t1.b"] in made.analysis.assignments["assignment"].symmetries


def test_several_inputs(tmp_path: Path) -> None:
    """Decay products with a named input, without one, and in different inputs; the truth of a lepton is its position among leptons."""
    lepton = np.where(np.arange(N) % 4 == 0, -1, np.arange(N) % 2)
    extra = {
        "INPUTS/Leptons/MASK": np.ones((N, LEPTONS), bool), "INPUTS/Leptons/pt": np.arange(2.0 * N).reshape(N, 2),
        "TARGETS/w1/l": lepton, "TARGETS/w2/l": np.where(lepton < 0, -1, JETS + 1 - lepton),
        "TARGETS/x/a": np.where(np.arange(N) < 9, -1, JETS), "TARGETS/y/l": np.where(lepton < 0, -1, JETS + lepton),
    }  # fmt: skip
    found = data(tmp_path / "data.h5", **extra)
    x = found["TARGETS/x/a"]
    x[:5] = found["TARGETS/t1/b"][:5]
    data(tmp_path / "data.h5", **extra | {"TARGETS/x/a": x})
    event = TTBAR.replace("  GLOBAL:", "    Leptons: {pt: none}\n  GLOBAL:")
    event = event.replace("EVENT:\n  t1", "EVENT:\n  w1: [l: Leptons]\n  w2: [l]\n  x: [a]\n  t1", 1)
    made, text = translated(tmp_path, event)
    assert made.analysis.source.layout == ["Source", "Leptons"]
    slots = made.analysis.assignments["assignment"].parents
    assert (slots["w1"]["l"].index, slots["w1"]["l"].collection) == ("w1_l_in_Leptons", "Leptons")
    assert (slots["w2"]["l"].index, slots["w2"]["l"].collection) == ("w2_l_joint_in_Leptons", "Leptons")
    assert slots["t1"]["b"].index == "t1_b_joint_in_Source"
    assert "x" not in slots
    assert "# NOT TRANSLATED: EVENT/x: its a is in different inputs" in text
    truth = batch_of(tmp_path).truth["assignment"].numpy()
    names = list(made.analysis.assignments["assignment"].values)
    assert truth[:, names.index("w1_l")].tolist() == lepton.tolist()
    assert truth[:, names.index("w2_l")].tolist() == np.where(lepton < 0, -1, 1 - lepton).tolist()
    assert "Leptons: no momenta" in "\n".join(made.notes)
    made, _ = translated(tmp_path, event.replace("w1: [l: Leptons]\n  w2: [l]\n  x: [a]", "y: [l: Leptons]"))
    assert made.analysis.assignments["assignment"].parents["y"]["l"].index == "y_l_joint_in_Leptons"
    assert "TARGETS/y/l is used as a position in all inputs together" in "\n".join(made.notes)


def test_momenta_from_sine_and_cosine_in_mev(tmp_path: Path) -> None:
    found = data(tmp_path / "data.h5")
    phi, pt = found["INPUTS/Source/phi"], found["INPUTS/Source/pt"] * 1000
    extra = {"INPUTS/Source/phi": None, "INPUTS/Source/sin_phi": np.sin(phi), "INPUTS/Source/cos_phi": np.cos(phi)}
    data(tmp_path / "data.h5", **extra, **{"INPUTS/Source/pt": pt})
    made, _ = translated(tmp_path, TTBAR.replace("phi: none", "sin_phi: none, cos_phi: none"))
    values = batch_of(tmp_path).inputs["Source"].data.numpy()
    mask = found["INPUTS/Source/MASK"]
    np.testing.assert_allclose(
        values[:, 6:8], np.stack([(pt * np.cos(phi))[mask], (pt * np.sin(phi))[mask]], axis=1), rtol=1e-4, atol=1
    )
    assert "must be in GeV" in made.notes[0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("mass: log_normalize", "mass: log_normalise", r"event.yaml:4: mass: 'log_normalise' is none of none, log"),
        ("eta: normalize", "eta2: normalize", r"the file has no dataset INPUTS/Source/eta2 .*did you mean 'Source_eta'"),
        ("Source:", "Jets:", r"data.h5: .*event.yaml has the sequential input Jets, .*; it has Source"),
        ("t1: [q1, q2, b]", "t3: [q1, q2, b]", r"event.yaml:11: 't1' is not a particle of EVENT"),
        ("[q1, q2, b]", "[q1, q2, b, q1]", r"'q1' must be another name"),
        ("[q1, q2, b]", "[q1, q2, b: Leptons]", r"one of the SEQUENTIAL inputs: Source"),
        ("EVENT: [[t1, t2]]", "EVENT: [[t1, t3]]", r"PERMUTATIONS/EVENT: there is no 't3'"),
        ("REGRESSIONS:", "REGRESSIONS: {EVENT: [m]}", r"names REGRESSIONS/EVENT/m, but the file has no such dataset"),
        ("REGRESSIONS:", "REGRESSIONS: {EVENT: m}", r"EVENT must be a list of names|must be a list of names"),
        ("[q1, q2, b]\n  t2", "[q1, q2, c]\n  t2", r"EVENT has t1/c, but the file has no positions TARGETS/t1/c"),
        ("GLOBAL:", "GLOBAL: {Met: }", r"event.yaml:5: Met has no features"),
        ("REGRESSIONS:", "REGRESSIONS: {EVENT: [m], EVENT: [n]}", r"'EVENT' is given twice"),
        ("INPUTS:", "inputs:", r"is not an event file of SPANet"),
    ],
)  # fmt: skip
def test_event_files_that_are_wrong(tmp_path: Path, old: str, new: str, said: str) -> None:
    data(tmp_path / "data.h5")
    with pytest.raises(CollidekitError, match=said):
        translated(tmp_path, TTBAR.replace(old, new, 1))
    assert not (tmp_path / "my.yaml").exists()


def test_an_input_that_the_event_file_does_not_name(tmp_path: Path) -> None:
    """SPANet does not count its entries: a position beyond the named input is an error, and no position in the other one."""
    extra = {"INPUTS/Leptons/MASK": np.ones((N, LEPTONS), bool), "INPUTS/Leptons/pt": np.ones((N, LEPTONS))}
    found = data(tmp_path / "data.h5", **extra)
    made, _ = translated(tmp_path, TTBAR)
    assert made.analysis.source.layout is None
    assert made.analysis.assignments["assignment"].parents["t1"]["b"].index == "t1_b_in_Source"
    beyond = found["TARGETS/t1/b"]
    beyond[77] = JETS
    data(tmp_path / "data.h5", **extra, **{"TARGETS/t1/b": beyond})
    with pytest.raises(
        CollidekitError, match=rf"row 77: TARGETS/t1/b is {JETS}, which is beyond the {JETS} existing entries"
    ):
        translated(tmp_path, TTBAR)
