"""The sample ttbar-hadronic: SPANet's layout, targets, and no incomplete files."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from collidekit.dataset.rows import build_rows, columns_to_read
from collidekit.errors import CollidekitError
from collidekit.readers import open_file
from collidekit.shipped import load_plan
from collidekit.simulation import SAMPLES, Sample, simulate
from collidekit.simulation.hdf5_output import write_hdf5
from collidekit.simulation.samples import check_settings

EVENTS = 120
FEATURES = ("mass", "pt", "eta", "phi", "btag", "btag_quantile")
TARGETS = [f"TARGETS/{top}/{product}" for top in ("t1", "t2") for product in ("b", "q1", "q2")]
Events = dict[str, np.ndarray]


def read(path: Path) -> Events:
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[:]}) if isinstance(item, h5py.Dataset) else None)
    return found


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("pythia8mc")
    return simulate("ttbar-hadronic", tmp_path_factory.mktemp("ttbar") / "ttbar.h5", jets=EVENTS, seed=3)


@pytest.fixture(scope="module")
def events(file: Path) -> Events:
    return read(file)


def momenta(events: Events) -> np.ndarray:
    """(N, 10, 4) as (E, px, py, pz)."""
    pt, eta, phi, mass = (events[f"INPUTS/Source/{name}"].astype(float) for name in ("pt", "eta", "phi", "mass"))
    return np.stack([np.hypot(pt * np.cosh(eta), mass), pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], axis=-1)


def test_layout(file: Path, events: Events) -> None:
    inputs = [f"INPUTS/Source/{name}" for name in (*FEATURES, "MASK")]
    assert set(events) == {*inputs, *TARGETS, "EVENT/event", "EVENT/weight"}
    for name in inputs:
        assert events[name].shape == (EVENTS, 10)
        assert events[name].dtype == (np.bool_ if name.endswith("MASK") else np.float32)
    for name in TARGETS:
        assert events[name].shape == (EVENTS,)
        assert events[name].dtype == np.int64
    assert events["EVENT/event"].tolist() == list(range(3_000_000_000, 3_000_000_000 + EVENTS))
    with h5py.File(file) as content:
        assert '"max_jets": 10.0' in content.attrs["simulated"]


def test_the_bundled_analysis_reads_them(file: Path, events: Events) -> None:
    plan = load_plan("ttbar_hadronic")
    with open_file(str(file)) as reader:
        chunk = reader.read(columns_to_read(plan, list(reader.columns)), 0, EVENTS)
    batch = build_rows(plan, chunk, str(file), 0, 0).batch
    assert np.diff(batch.inputs["jets"].offsets.numpy()).tolist() == events["INPUTS/Source/MASK"].sum(axis=1).tolist()
    expected = momenta(events)[events["INPUTS/Source/MASK"]]
    np.testing.assert_allclose(batch.inputs["jets"].momenta.numpy(), expected[:, [1, 2, 3, 0]], rtol=1e-4, atol=1e-3)
    names = list(plan.analysis.assignments["tops"].values)
    assert names == [name.removeprefix("TARGETS/").replace("/", "_") for name in TARGETS]
    assert batch.truth["tops"].tolist() == np.stack([events[name] for name in TARGETS], axis=1).tolist()


def test_jets(events: Events) -> None:
    mask, pt = events["INPUTS/Source/MASK"], events["INPUTS/Source/pt"]
    assert np.all(mask[:, :6])
    assert np.all(mask[:, 1:] <= mask[:, :-1]), "jets come first, padding last"
    assert np.all(pt[mask] > 25)
    assert np.all(np.abs(events["INPUTS/Source/eta"][mask]) < 2.5)
    assert np.all(np.diff(pt, axis=1) <= 0)
    for name in FEATURES:
        assert np.all(events[f"INPUTS/Source/{name}"][~mask] == 0)
    quantile = events["INPUTS/Source/btag_quantile"]
    assert set(np.unique(quantile[mask])) == {1, 2, 3, 4, 5}
    np.testing.assert_array_equal(events["INPUTS/Source/btag"], quantile >= 3)


def test_targets_are_unique_and_among_the_jets(events: Events) -> None:
    target = np.stack([events[name] for name in TARGETS], axis=1)
    jets = events["INPUTS/Source/MASK"].sum(axis=1)
    assert target.min() == -1
    assert np.all(target < jets[:, None])
    for row in target:
        matched = row[row >= 0]
        assert len(set(matched)) == len(matched)
    assert 0.7 < np.mean(target >= 0) < 0.92
    assert 0.1 < np.mean(np.all(target >= 0, axis=1)) < 0.4


def test_matched_jets_make_ws_and_tops(events: Events) -> None:
    p = momenta(events)
    w_mass, top_mass, tagged = [], [], []
    for top in ("t1", "t2"):
        b, q1, q2 = (events[f"TARGETS/{top}/{product}"] for product in ("b", "q1", "q2"))
        rows = np.flatnonzero((b >= 0) & (q1 >= 0) & (q2 >= 0))
        pair = p[rows, q1[rows]] + p[rows, q2[rows]]
        for masses, total in ((w_mass, pair), (top_mass, pair + p[rows, b[rows]])):
            masses.extend(np.sqrt(total[:, 0] ** 2 - np.sum(total[:, 1:] ** 2, axis=1)))
        has_b = np.flatnonzero(b >= 0)
        tagged.extend(events["INPUTS/Source/btag"][has_b, b[has_b]])
    assert 70 < np.median(w_mass) < 84
    assert 150 < np.median(top_mass) < 178
    assert 0.65 < np.mean(tagged) < 0.85


def test_settings_change_the_events() -> None:
    pytest.importorskip("pythia8mc")
    columns = SAMPLES["ttbar-hadronic"].generate(30, np.random.default_rng(1), max_jets=7, min_bjets=2)
    assert columns["INPUTS/Source/pt"].shape == (30, 7)
    assert np.all(columns["INPUTS/Source/MASK"].sum(axis=1) >= 6)
    target = np.stack([columns[name] for name in TARGETS], axis=1)
    assert target.max() <= 6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_jets": 5.0}, "max_jets=5: must be an integer from 6 to 100"),
        ({"max_jets": 7.5}, "max_jets=7.5"),
        ({"min_bjets": -1.0}, "min_bjets=-1: must be an integer from 0 to 6"),
        ({"taus": 1.0}, "has no setting 'taus'"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, float], message: str) -> None:
    pytest.importorskip("pythia8mc")
    with pytest.raises(CollidekitError, match=message):
        check_settings("ttbar-hadronic", settings)


def test_the_name_of_the_file_and_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collidekit.simulation.samples.find_spec", lambda name: name)
    with pytest.raises(CollidekitError, match=r"must end in .h5 or .hdf5"):
        simulate("ttbar-hadronic", tmp_path / "x.root", 5)
    with pytest.raises(CollidekitError, match="has no ragged collections"):
        simulate("ttbar-hadronic", tmp_path / "x.h5", 5, mantissa_bits=12)


@pytest.mark.parametrize("raised", [ValueError("broken"), KeyboardInterrupt()])
def test_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException) -> None:
    calls = []

    def breaks(rows: int, rng: np.random.Generator) -> Events:
        calls.append(rows)
        if len(calls) == 2:
            raise raised
        return {"INPUTS/Source/pt": rng.random((rows, 3)), "event": np.arange(rows)}

    monkeypatch.setitem(SAMPLES, "breaks", Sample(breaks, rows_per_job=5, requires=(), is_hdf5=True))
    (tmp_path / "old.h5").write_text("what stood here before")
    with pytest.raises(type(raised)):
        simulate("breaks", tmp_path / "old.h5", jets=20)
    assert [path.name for path in tmp_path.iterdir()] == ["old.h5"]
    assert (tmp_path / "old.h5").read_text() == "what stood here before"


def test_parts_are_joined_in_order(tmp_path: Path) -> None:
    parts = [{"event": np.arange(2), "A/b": np.eye(2)}, {"event": np.arange(2, 5), "A/b": np.ones((3, 2))}]
    write_hdf5(tmp_path / "x.h5", parts, "{}")
    found = read(tmp_path / "x.h5")
    assert found["EVENT/event"].tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(found["A/b"], np.concatenate([np.eye(2), np.ones((3, 2))]))
