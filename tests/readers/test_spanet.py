"""HDF5 in SPANet's layout: masks, positions that count unmasked entries alone, several inputs, files that lie."""

from pathlib import Path
from typing import Any

import awkward as ak
import h5py
import numpy as np
import pytest

from collidekit.analysis.schema import Source
from collidekit.errors import CollidekitError
from collidekit.readers import BadFileError, open_file
from collidekit.readers.hdf5_parts import BATCH
from collidekit.readers.spanet import padded_lengths

N, JETS, LEPTONS = 300, 8, 3
SLOTS = ("t1/b", "t1/q1", "t2/b")


def written(path: Path, rows: int = N, leptons: bool = False, **changes: Any) -> dict[str, np.ndarray]:
    """A file with holes in its masks; numbers of TARGETS are positions in the padded jets. ``None`` leaves a dataset out."""
    rng = np.random.default_rng(5)
    mask = rng.random((rows, JETS)) < 0.6
    mask[:, 2] = True
    found: dict[str, Any] = {
        "INPUTS/Jets/MASK": mask,
        "INPUTS/Jets/pt": rng.exponential(50, (rows, JETS)).astype(np.float32),
        "INPUTS/Jets/btag": rng.integers(0, 2, (rows, JETS)).astype(np.int8),
        "INPUTS/Met/met": rng.exponential(50, rows).astype(np.float32),
        "REGRESSIONS/EVENT/m_tt": rng.normal(500, 50, rows),
        "REGRESSIONS/t1/PARTICLE/pt": np.where(rng.random(rows) < 0.5, np.nan, 3.0),
        "CLASSIFICATIONS/EVENT/signal": rng.integers(-1, 2, rows),
        "EVENT/event": np.arange(rows) + 7,
    }
    order = np.argsort(np.where(mask, rng.random(mask.shape), 2.0), axis=1)
    for i, slot in enumerate(SLOTS):
        found[f"TARGETS/{slot}"] = np.where(i < mask.sum(axis=1), order[:, i], -1)
    if leptons:
        found["INPUTS/Leptons/MASK"] = np.arange(LEPTONS) > np.zeros((rows, 1))
        found["INPUTS/Leptons/pt"] = np.ones((rows, LEPTONS), np.float32)
    found |= changes
    with h5py.File(path, "w") as file:
        for name, values in found.items():
            if values is not None:
                file.create_dataset(name, data=values, compression="gzip" if np.ndim(values) else None)
    return found


def test_columns_and_values(tmp_path: Path) -> None:
    found = written(tmp_path / "a.h5")
    with open_file(str(tmp_path / "a.h5")) as reader:
        assert reader.rows == N
        assert reader.columns == {
            "Jets_pt": "var * float32", "Jets_btag": "var * int8", "Met_met": "float32",
            "t1_b": "int64", "t1_q1": "int64", "t2_b": "int64", "REGRESSIONS_EVENT_m_tt": "float64",
            "REGRESSIONS_t1_PARTICLE_pt": "float64", "CLASSIFICATIONS_EVENT_signal": "int64", "EVENT_event": "int64",
        }  # fmt: skip
        assert reader.truth == {name for name in reader.columns if name.startswith(("t", "R", "C"))}
        rows = reader.read(list(reader.columns), 10, 200)
    assert {name: str(rows[name].type.content) for name in rows.fields} == reader.columns
    mask = found["INPUTS/Jets/MASK"]
    for name in ("pt", "btag"):
        expected = [values[keep].tolist() for values, keep in zip(found[f"INPUTS/Jets/{name}"], mask, strict=True)]
        assert ak.to_list(rows[f"Jets_{name}"]) == expected[10:200]
    assert np.array_equal(rows.REGRESSIONS_t1_PARTICLE_pt, found["REGRESSIONS/t1/PARTICLE/pt"][10:200], equal_nan=True)
    assert rows.CLASSIFICATIONS_EVENT_signal.tolist() == found["CLASSIFICATIONS/EVENT/signal"][10:200].tolist()
    assert padded_lengths(str(tmp_path / "a.h5")) == {"Jets": JETS}


def test_a_position_names_the_same_jet(tmp_path: Path) -> None:
    """Whatever holes a mask has: the pt at the new position is that at the old one, also across batches of reading."""
    rows = BATCH + 100
    found = written(tmp_path / "a.h5", rows)
    mask = found["INPUTS/Jets/MASK"]
    assert (mask[:, 1:] & ~mask[:, :-1]).any(), "no holes: nothing is tested"
    with open_file(str(tmp_path / "a.h5")) as reader:
        read = reader.read(["Jets_pt", *(slot.replace("/", "_") for slot in SLOTS)], 0, rows)
    for slot in SLOTS:
        old, new = found[f"TARGETS/{slot}"], ak.to_numpy(read[slot.replace("/", "_")])
        assert ((old < 0) == (new < 0)).all()
        assert (new[old < 0] == -1).all()
        there = old >= 0
        pt = read.Jets_pt[there][np.arange(there.sum()), new[there]]
        assert ak.to_list(pt) == found["INPUTS/Jets/pt"][there, old[there]].tolist()
    assert (ak.to_numpy(read.t1_b) != found["TARGETS/t1/b"]).any()


def test_missing_products_may_have_any_negative_number(tmp_path: Path) -> None:
    written(tmp_path / "a.h5", **{"TARGETS/t1/b": np.full(N, -999.0, np.float32)})
    with open_file(str(tmp_path / "a.h5")) as reader:
        assert set(reader.read(["t1_b"], 0, N).t1_b.tolist()) == {-1}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, r"row 17: TARGETS/t1/b is 0, which points to an entry of Jets that is masked by its MASK"),
        (JETS, rf"row 17: TARGETS/t1/b is {JETS}, which is beyond the {JETS} existing entries"),
        (1.5, r"row 17: TARGETS/t1/b is 1.5, which is not an integer"),
        (np.nan, r"row 17: TARGETS/t1/b is nan, which is not an integer"),
    ],
)
def test_positions_that_cannot_be(tmp_path: Path, value: float, said: str) -> None:
    found = written(tmp_path / "a.h5")
    mask, positions = found["INPUTS/Jets/MASK"], found["TARGETS/t1/b"].astype(np.float64)
    mask[17, 0], positions[17] = False, value
    written(tmp_path / "a.h5", **{"INPUTS/Jets/MASK": mask, "TARGETS/t1/b": positions, "TARGETS/t1/q1": np.full(N, -1)})
    with open_file(str(tmp_path / "a.h5")) as reader:
        reader.read(["Jets_pt", "t1_q1"], 0, N)
        with pytest.raises(CollidekitError, match=rf"a\.h5: {said}"):
            reader.read(["t1_b"], 10, 30)


def test_several_inputs(tmp_path: Path) -> None:
    """A position in a named input, and one in all inputs one after the other with their padding, in the order given."""
    lepton = np.where(np.arange(N) % 3 == 0, -1, np.arange(N) % 2 + 1)
    changes = {"TARGETS/t1/l": lepton, "TARGETS/t2/l": np.where(lepton < 0, -1, lepton + JETS)}
    mask = np.ones((N, LEPTONS), bool)
    mask[:, 0] = False
    found = written(tmp_path / "a.h5", leptons=True, **changes, **{"INPUTS/Leptons/MASK": mask})
    with open_file(str(tmp_path / "a.h5")) as reader:
        assert "t1_b" not in reader.columns
        alone = reader.read(["t1_l_in_Leptons", "t1_b_in_Jets", "Jets_pt"], 0, N)
        with pytest.raises(CollidekitError, match="row 1: TARGETS/t2/l is 10, which is beyond the 3 existing entries"):
            reader.read(["t2_l_in_Leptons"], 0, N)
    assert alone.t1_l_in_Leptons.tolist() == np.where(lepton < 0, -1, lepton - 1).tolist()
    columns = ["t2_l_joint_in_Leptons", "t1_b_joint_in_Jets"]
    with open_file(str(tmp_path / "a.h5"), Source(layout=["Jets", "Leptons"])) as reader:
        joint = reader.read(columns, 0, N)
        for column in ("t2_l_joint_in_Jets", "t1_b_joint_in_Leptons"):
            with pytest.raises(CollidekitError, match="is in another input than"):
                reader.read([column], 0, N)
    assert joint.t2_l_joint_in_Leptons.tolist() == alone.t1_l_in_Leptons.tolist()
    assert joint.t1_b_joint_in_Jets.tolist() == alone.t1_b_in_Jets.tolist()
    first = np.where(lepton < 0, -1, lepton)  # leptons first: the same numbers now count from 0
    written(tmp_path / "b.h5", leptons=True, **{"TARGETS/t2/l": first, "INPUTS/Leptons/MASK": mask})
    with open_file(str(tmp_path / "b.h5"), Source(layout=["Leptons", "Jets"])) as reader:
        assert reader.read(columns[:1], 0, N)[columns[0]].tolist() == alone.t1_l_in_Leptons.tolist()
    with pytest.raises(CollidekitError, match=r"must list its sequential inputs .*: Jets, Leptons"):
        open_file(str(tmp_path / "a.h5"), Source(layout=["Jets", "Jets"]))
    assert found["TARGETS/t2/l"].max() == JETS + 2
    with (
        open_file(str(tmp_path / "a.h5"), Source(layout=["Jets"])) as reader,
        pytest.raises(CollidekitError, match="beyond the 8"),
    ):
        reader.read(["t2_l_joint_in_Jets"], 0, N)


def test_files_that_are_not_whole(tmp_path: Path) -> None:
    path = str(tmp_path / "a.h5")
    changes: dict[str, Any] = {"INPUTS/Jets/eta": np.zeros((N, 5)), "INPUTS/Met/MASK": np.ones(N, bool)}
    written(tmp_path / "a.h5", **changes, **{"INPUTS/Odd/pt": np.zeros((N, 4)), "TARGETS/t1/short": np.zeros(4, int)})
    with open_file(path) as reader:
        assert set(reader.unreadable) == {"Jets_eta", "Odd_pt", "t1_short"}
        assert reader.columns["Met_MASK"] == "bool"
        with pytest.raises(
            CollidekitError, match=r"Odd_pt.* no MASK of that shape beside it says which entries are padding"
        ):
            reader.read(["Odd_pt"], 0, N)
    written(tmp_path / "a.h5", **{"INPUTS/Met/met": np.zeros(N - 1)})
    with pytest.raises(
        BadFileError, match=r"different numbers of rows: INPUTS/Jets/MASK \(300\), INPUTS/Met/met \(299\)"
    ):
        open_file(path)
    written(tmp_path / "a.h5", **{"INPUTS/Jets/MASK": None})
    with pytest.raises(BadFileError, match="no input has a MASK"):
        open_file(path)
    written(tmp_path / "a.h5", **{"INPUTS/Jets/MASK": np.full((N, JETS), 0.5)})
    with (
        open_file(path) as reader,
        pytest.raises(CollidekitError, match=r"row 3: /INPUTS/Jets/MASK is 0.5; it must be"),
    ):
        reader.read(["Jets_pt"], 3, 5)
    written(tmp_path / "a.h5", **{"INPUTS/t1/b": np.zeros(N)})
    with pytest.raises(CollidekitError, match="two datasets give a column 't1_b'"):
        open_file(path)


def test_other_uses(tmp_path: Path) -> None:
    """Files without truth have the same names; a group that is named is read as it is; no rows are no error."""
    found = written(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        for name in ("TARGETS", "REGRESSIONS", "CLASSIFICATIONS"):
            del file[name]
    with open_file(str(tmp_path / "a.h5")) as reader:
        assert set(reader.columns) == {"Jets_pt", "Jets_btag", "Met_met", "EVENT_event"}
        assert ak.num(reader.read(["Jets_pt"], 0, N).Jets_pt).tolist() == found["INPUTS/Jets/MASK"].sum(axis=1).tolist()
    with open_file(str(tmp_path / "a.h5"), Source(tree="INPUTS")) as reader:
        assert reader.columns["Jets_MASK"] == "var * bool"
    written(tmp_path / "a.h5", rows=0)
    with open_file(str(tmp_path / "a.h5")) as reader:
        assert reader.rows == len(reader.read(["Jets_pt", "t1_b"], 0, 0)) == 0
