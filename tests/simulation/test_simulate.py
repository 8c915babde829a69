"""Small samples: content, determinism, bad input, and no incomplete files."""

import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from collidekit.errors import CollidekitError
from collidekit.simulation import SAMPLES, Sample, simulate

BRANCHES = {
    "top-tagging": "part_px part_py part_pz part_energy jet_pt jet_eta jet_phi jet_mass label event weight",
    "jet-flavour": "jet_pt jet_eta jet_phi jet_mass jet_flavour trk_pt trk_eta trk_phi trk_charge trk_d0 trk_z0 "
    "trk_d0_err trk_z0_err trk_deta trk_dphi sv_mass sv_pt sv_energy_fraction sv_ntracks sv_lxy sv_lxy_err "
    "sv_deta sv_dphi event weight",
}
COUNTERS = {"npart", "ntrk", "nsv"}


def read(path: Path) -> ak.Array:
    with uproot.open(path) as file:
        return file["tree"].arrays()


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> ak.Array:
    pytest.importorskip("pythia8mc")
    return read(simulate("top-tagging", tmp_path_factory.mktemp("top") / "top.root", jets=61, seed=3))


@pytest.fixture(scope="module")
def flavour(tmp_path_factory: pytest.TempPathFactory) -> ak.Array:
    pytest.importorskip("pythia8mc")
    return read(simulate("jet-flavour", tmp_path_factory.mktemp("flavour") / "flavour.root", jets=62, seed=3))


def test_branches(top: ak.Array, flavour: ak.Array) -> None:
    assert set(top.fields) - COUNTERS == set(BRANCHES["top-tagging"].split())
    assert set(flavour.fields) - COUNTERS == set(BRANCHES["jet-flavour"].split())
    assert top.label.type.content.primitive == flavour.jet_flavour.type.content.primitive == "int32"
    assert top.event.type.content.primitive == flavour.event.type.content.primitive == "int64"


def test_top_sample_is_the_recipe(top: ak.Array) -> None:
    assert np.bincount(top.label).tolist() == [31, 30]
    assert ak.all((top.jet_pt > 550) & (top.jet_pt < 650) & (np.abs(top.jet_eta) < 2))
    assert len(set(top.event.tolist())) == 61
    assert ak.min(top.event) == 3_000_000_000
    part_pt = np.hypot(top.part_px, top.part_py)
    assert ak.all(part_pt[:, 1:] <= part_pt[:, :-1])
    assert 0 < np.mean(top.label[:30]) < 1, "classes are mixed"


def test_jet_momentum_is_the_sum_of_its_constituents(top: ak.Array) -> None:
    px, py, pz, energy = (
        ak.sum(ak.values_astype(top[f"part_{name}"], np.float64), axis=1) for name in ("px", "py", "pz", "energy")
    )
    np.testing.assert_allclose(np.hypot(px, py), top.jet_pt, rtol=1e-5)
    np.testing.assert_allclose(np.sqrt(energy**2 - px**2 - py**2 - pz**2), top.jet_mass, atol=0.1)


def test_flavour_sample(flavour: ak.Array) -> None:
    assert {value: int(ak.sum(flavour.jet_flavour == value)) for value in (5, 4, 0)} == {5: 21, 4: 21, 0: 20}
    assert ak.all((flavour.jet_pt > 20) & (flavour.jet_pt < 250) & (np.abs(flavour.jet_eta) < 2.5))
    assert ak.all(np.hypot(flavour.trk_deta, flavour.trk_dphi) < 0.7)
    assert ak.all(flavour.trk_d0_err > 0)
    assert ak.all(flavour.sv_lxy > 3 * flavour.sv_lxy_err)


def test_workers_do_not_matter_and_seeds_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pythia8mc")
    monkeypatch.setitem(SAMPLES, "jet-flavour", replace(SAMPLES["jet-flavour"], rows_per_job=15))
    one, two, other = (
        read(simulate("jet-flavour", tmp_path / f"{name}.root", jets=jets, seed=seed, workers=workers))
        for name, jets, seed, workers in (("one", 27, 7, 1), ("two", 27, 7, 2), ("other", 15, 8, 1))
    )
    assert len(one) == len(two) == 27
    assert ak.array_equal(one, two)
    assert not set(one.jet_pt.tolist()) & set(other.jet_pt.tolist())
    assert not set(one.event.tolist()) & set(other.event.tolist())


def toy(jets: int, rng: np.random.Generator) -> dict[str, object]:
    values = ak.unflatten(rng.random(3 * jets).astype(np.float32), np.full(jets, 3))
    return {"part": ak.zip({"px": values}), "jet_pt": rng.random(jets).astype(np.float32), "event": np.arange(jets)}


def test_mantissa_bits_round_collections_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SAMPLES, "toy", Sample(toy, rows_per_job=50, requires=()))
    full = read(simulate("toy", tmp_path / "full.root", jets=120))
    short = read(simulate("toy", tmp_path / "short.root", jets=120, mantissa_bits=8))
    assert ak.array_equal(full.jet_pt, short.jet_pt)
    assert np.all(ak.flatten(short.part_px).to_numpy().view(np.uint32) % 2**15 == 0)
    np.testing.assert_allclose(ak.flatten(short.part_px), ak.flatten(full.part_px), rtol=2**-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample": "top-taging"}, "did you mean 'top-tagging'"),
        ({"jets": 0}, "jets must be"),
        ({"workers": 0}, "workers must be"),
        ({"seed": -1}, "seed must be"),
        ({"mantissa_bits": 24}, "mantissa bits must be"),
        ({"output": Path("/no/such/folder/x.root")}, "does not exist"),
        ({"output": Path("/")}, "is a folder"),
    ],
)
def test_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object], message: str) -> None:
    monkeypatch.setattr("collidekit.simulation.samples.find_spec", lambda name: name)
    arguments = {"sample": "top-tagging", "output": tmp_path / "x.root", "jets": 10, **change}
    with pytest.raises(CollidekitError, match=message) as error:
        simulate(**arguments)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
    assert not any(tmp_path.iterdir())


def test_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collidekit.simulation.samples.find_spec", lambda name: None)
    with pytest.raises(CollidekitError, match=r"pip install 'collidekit\[simulate\]'"):
        simulate("jet-flavour", tmp_path / "x.root", jets=10)


def test_importing_needs_no_pythia() -> None:
    code = "import sys, collidekit.simulation; assert not {'pythia8mc', 'fastjet'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (ValueError("broken"), ValueError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (OSError(errno.ENOSPC, "No space left on device"), CollidekitError),
    ],
)
def test_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException, seen: type[BaseException]
) -> None:
    calls = []

    def breaks(jets: int, rng: np.random.Generator) -> dict[str, object]:
        calls.append(jets)
        if len(calls) == 3:
            raise raised
        return toy(jets, rng)

    monkeypatch.setitem(SAMPLES, "breaks", Sample(breaks, rows_per_job=4000, requires=()))
    (tmp_path / "old.root").write_text("what stood here before")
    with pytest.raises(seen):
        simulate("breaks", tmp_path / "old.root", jets=20_000)
    assert [path.name for path in tmp_path.iterdir()] == ["old.root"]
    assert (tmp_path / "old.root").read_text() == "what stood here before"


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_interrupt_with_two_workers_is_quick_and_clean(tmp_path: Path) -> None:
    pytest.importorskip("pythia8mc")
    folder = tmp_path / "out"
    folder.mkdir()
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\nfrom collidekit.simulation import simulate\n"
        f"if __name__ == '__main__':\n    simulate('top-tagging', Path({str(folder)!r}) / 'x.root', 100000, workers=2)\n"
    )
    process = subprocess.Popen([sys.executable, script], stderr=subprocess.PIPE, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not list(folder.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert list(folder.iterdir()), "writing has begun"
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)  # ends only when the workers, who share stderr, have ended too
    finally:
        process.kill()
    assert process.returncode != 0
    assert list(folder.iterdir()) == []
