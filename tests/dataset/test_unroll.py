"""Rows inside of events, and what belongs to them by an index, against plain loops."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from makers import make_plan, write_parquet, write_root

from collidekit.dataset.batch import Batch, Ragged, concatenate
from collidekit.dataset.check import check
from collidekit.dataset.construct import construct
from collidekit.dataset.loader import Dataset, Loader
from collidekit.dataset.rows import build_rows, columns_to_read, open_scope
from collidekit.dataset.trace import trace
from collidekit.errors import CollidekitError
from collidekit.readers import open_file

PFNANO = """
rows: Jet
members: {JetPFCands: JetPFCands_jetIdx, JetSVs: JetSVs_jetIdx}
classes: {light: Jet_flavour == 0, b: Jet_flavour == 5}
variables: {pf_pt: "pick(PFCands_pt, JetPFCands_candIdx)"}
inputs:
  constituents: {limit: 6, order: pf_pt, features: [pf_pt, JetPFCands_sip3d, {name: pf_rel, expression: pf_pt / Jet_pt}]}
  vertices: {limit: 2, features: [JetSVs_mass]}
  all: {limit: 1000, features: [PFCands_pt]}
  jet: {features: [Jet_pt, met, {name: n, expression: count(pf_pt)}]}
event: [event]
"""

Event = dict[str, Any]


def pfnano(number: int, seed: int = 1) -> list[Event]:
    """Events with no jets, jets without candidates, candidates of no jet (-1), and jets in any order."""
    random = np.random.default_rng(seed)
    events = []
    for event in range(number):
        jets, candidates = random.integers(0, 5), random.integers(0, 40)
        inside, vertices = (random.integers(0, n) if jets or event % 2 else 0 for n in (candidates + 1, 5))
        events.append(
            {
                "event": 10 * event,
                "met": random.uniform(0, 100),
                "Jet_pt": random.uniform(20, 200, jets),
                "Jet_flavour": random.choice([0, 5], jets),
                "PFCands_pt": random.uniform(0, 50, candidates),
                "JetPFCands_jetIdx": random.integers(-1, jets, inside),
                "JetPFCands_candIdx": random.choice(candidates, inside, replace=False),
                "JetPFCands_sip3d": random.normal(0, 1, inside),
                "JetSVs_jetIdx": random.integers(-1, jets, vertices),
                "JetSVs_mass": random.uniform(0, 5, vertices),
            }
        )
    return events


def columns_of(events: list[Event]) -> dict[str, Any]:
    """As a file holds them: numbers in single precision, indices as 32-bit integers."""
    columns: dict[str, Any] = {}
    for name in events[0]:
        values = [np.atleast_1d(event[name]) for event in events]
        flat = np.concatenate(values)
        flat = flat.astype(np.float32 if flat.dtype.kind == "f" else np.int32)
        columns[name] = ak.unflatten(flat, [len(value) for value in values]) if "_" in name else flat
    return columns


def by_hand(event: Event, jet: int) -> dict[str, list[list[float]]]:
    """What the network should see of a jet."""
    members = [k for k, index in enumerate(event["JetPFCands_jetIdx"]) if index == jet]
    pt = {k: event["PFCands_pt"][event["JetPFCands_candIdx"][k]] for k in members}
    kept = sorted(members, key=lambda k: -pt[k])[:6]
    vertices = [k for k, index in enumerate(event["JetSVs_jetIdx"]) if index == jet]
    return {
        "constituents": [[pt[k], event["JetPFCands_sip3d"][k], pt[k] / event["Jet_pt"][jet]] for k in kept],
        "vertices": [[event["JetSVs_mass"][k]] for k in vertices][:2],
        "all": [[x] for x in event["PFCands_pt"]],
        "jet": [[event["Jet_pt"][jet], event["met"], len(members)]],
    }


def agree(batch: Batch, events: list[Event]) -> None:
    """All jets of the events, in order, each with its own constituents."""
    expected = [(number, jet) for number, event in enumerate(events) for jet in range(len(event["Jet_pt"]))]
    assert batch.source[:, 1].tolist() == [number for number, _ in expected]
    for i, (number, jet) in enumerate(expected):
        for name, values in by_hand(events[number], jet).items():
            entry = batch.inputs[name]
            found = entry.values[entry.offsets[i] : entry.offsets[i + 1]] if isinstance(entry, Ragged) else entry[i]
            np.testing.assert_allclose(found.numpy().ravel(), np.ravel(values), 1e-5)


@pytest.mark.parametrize("name", ["events.root", "events.parquet"])
def test_members_of_jets_in_a_dataset(tmp_path: Path, name: str) -> None:
    events = pfnano(120)
    assert any(len(event["Jet_pt"]) == 0 < len(event["JetPFCands_jetIdx"]) for event in events)
    write = write_root if name.endswith("root") else write_parquet
    path = write(tmp_path / name, columns_of(events), 17)
    dataset = Dataset(construct(make_plan(PFNANO), str(path), tmp_path / "out", progress=False))
    agree(concatenate(list(Loader(dataset, 50, threads=0))), events)


def test_members_of_jets_in_a_prediction(tmp_path: Path) -> None:
    """Without the truth, row for row."""
    events = pfnano(30)
    columns = columns_of(events)
    del columns["Jet_flavour"]
    plan, path = make_plan(PFNANO), write_root(tmp_path / "data.root", columns)
    with open_file(str(path)) as reader:
        chunk = reader.read(columns_to_read(plan, list(reader.columns), with_truth=False), 0, reader.rows)
    rows = build_rows(plan, chunk, str(path), 0, 0, keep_all=True)
    agree(rows.batch, events)
    assert set(rows.batch.labels.tolist()) == {-1}


def test_members_that_only_a_class_needs_may_be_absent_in_data() -> None:
    text = PFNANO.replace("JetSVs:", "GenCands: GenCands_jetIdx, JetSVs:").replace(
        "light: Jet_flavour == 0", "light: any(GenCands_b) == 0"
    )
    plan = make_plan(text, "my.yaml")
    available = [name for name in pfnano(1)[0] if name != "Jet_flavour"]
    assert "GenCands_jetIdx" not in plan.columns(available, with_truth=False)
    assert "GenCands_jetIdx" in plan.columns([*available, "Jet_flavour", "GenCands_b", "GenCands_jetIdx"])
    with pytest.raises(CollidekitError, match=r"my.yaml:3: 'GenCands_jetIdx': there is no branch"):
        plan.columns([*available, "Jet_flavour", "GenCands_b"])


def test_members_of_jets_in_check_and_trace(tmp_path: Path) -> None:
    events = pfnano(40)
    path = write_root(tmp_path / "events.root", columns_of(events))
    found = check(make_plan(PFNANO), [str(path)])
    assert not found.errors
    assert found.parts[0].values["vertices"] == sum(
        len(by_hand(event, jet)["vertices"]) for event in events for jet in range(len(event["Jet_pt"]))
    )
    number = next(
        n for n, event in enumerate(events) if len(event["Jet_pt"]) > 1 and len(by_hand(event, 1)["constituents"]) > 1
    )
    traced = trace(make_plan(PFNANO), str(path), number, member=1)
    np.testing.assert_allclose(
        np.stack([feature.final for feature in traced.inputs[0].features], axis=1),
        by_hand(events[number], 1)["constituents"],
        rtol=1e-5,
    )
    assert [value.value for value in traced.columns if value.name == "JetPFCands_jetIdx"] == [
        [1] * traced.inputs[0].in_file
    ]


@given(
    st.lists(
        st.integers(0, 4).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.integers(-2, n - 1), max_size=9))),
        min_size=1,
    )
)
def test_grouping_is_that_of_a_loop(events: list[tuple[int, list[int]]]) -> None:
    """In any order of the indices, with members of no row, with events without rows and without members."""
    jets, indices = [n for n, _ in events], [list_ for _, list_ in events]
    number = ak.unflatten(np.arange(sum(map(len, indices))), [len(list_) for list_ in indices])
    plan = make_plan(
        "{rows: Jet, members: {Cand: Cand_jet}, classes: {a: Jet_x > 0, b: Jet_x < 0}, inputs: {c: {features: [Cand_y]}}}"
    )
    chunk = ak.zip(
        {
            "Jet_x": ak.unflatten(np.zeros(sum(jets)), jets),
            "Cand_jet": ak.unflatten(np.array([i for list_ in indices for i in list_], dtype=np.int16), ak.num(number)),
            "Cand_y": number,
            "Cand_deep": number[:, :, np.newaxis],
            "met": np.arange(len(events)),
        },
        depth_limit=1,
    )
    scope = open_scope(plan, chunk, "events.root", 100)
    expected, count = [], 0
    for n, list_ in events:
        expected += [[count + k for k, index in enumerate(list_) if index == jet] for jet in range(n)]
        count += len(list_)
    assert ak.to_list(scope["Cand_y"]) == expected
    assert ak.to_list(scope["Cand_deep"]) == [[[y] for y in members] for members in expected]
    assert scope["row_index"].tolist() == [jet for n in jets for jet in range(n)]
    assert ak.to_list(scope["met"]) == [event for event, n in enumerate(jets) for _ in range(n)]
    assert scope.entries.tolist() == [100 + event for event, n in enumerate(jets) for _ in range(n)]


def test_the_lists_of_an_event_are_shared_and_not_copied() -> None:
    columns = {
        "Jet_pt": ak.Array([[1.0] * 1000]),
        "Jet_k": ak.Array([[5] * 1000]),
        "PF_x": ak.Array([np.arange(10_000.0)]),
    }
    plan = make_plan(
        "{rows: Jet, classes: {a: Jet_pt > 0, b: Jet_pt < 0}, inputs: {j: {features: [{name: f, expression: 'pick(PF_x, Jet_k)'}]}}}"
    )
    scope = open_scope(plan, ak.zip(columns, depth_limit=1), "events.root", 0)
    assert len(ak.to_layout(scope["PF_x"]).content) == 10_000
    assert ak.all(scope.value(plan["inputs", "j", "features", 0]) == 5)


def put(name: str, event: int, position: int, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(columns: dict[str, Any]) -> None:
        lists = ak.to_list(columns[name])
        lists[event][position] = value
        columns[name] = ak.Array(lists)

    return change


def longer(columns: dict[str, Any]) -> None:
    lists = ak.to_list(columns["JetPFCands_sip3d"])
    lists[3].append(1.0)
    columns["JetPFCands_sip3d"] = ak.Array(lists)


WRONG: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (put("JetPFCands_jetIdx", 3, 0, 9), "my.yaml:3: events.root: row 103: JetPFCands_jetIdx is 9, but the event has 2 rows"),
    (put("JetSVs_jetIdx", 3, 1, 2), "my.yaml:3: events.root: row 103: JetSVs_jetIdx is 2, but the event has 2 rows"),
    (put("JetPFCands_jetIdx", 3, 0, 0.5), "my.yaml:3: events.root: row 103: JetPFCands_jetIdx is 0.5; it must be an integer"),
    (put("JetPFCands_jetIdx", 3, 0, np.nan), "JetPFCands_jetIdx is nan; it must be an integer"),
    (
        lambda c: c.update(JetPFCands_jetIdx=c["JetPFCands_jetIdx"] == 0),
        "; it must be an integer",
    ),
    (
        lambda c: c.update(JetPFCands_jetIdx=c["event"]),
        "my.yaml:3: events.root: JetPFCands_jetIdx must be a list of integers in each event",
    ),
    (longer, "row 103: lists of different lengths in one collection: 'JetPFCands_jetIdx' has 3, 'JetPFCands_sip3d' has 4"),
    (
        put("JetPFCands_candIdx", 3, 2, 77),
        "events.root: row 103: my.yaml:5: 'pick(PFCands_pt, JetPFCands_candIdx)': index 77 points beyond the end of a list of 5",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), WRONG)
def test_what_does_not_fit_names_file_branch_and_event(change: Callable[[dict[str, Any]], Any], said: str) -> None:
    events = pfnano(6)
    events[3] = {
        **events[3], "Jet_pt": np.array([50, 60.0]), "Jet_flavour": np.array([0, 5]), "PFCands_pt": np.arange(5.0),
        "JetPFCands_jetIdx": np.array([1, 0, 0]), "JetPFCands_candIdx": np.array([0, 1, 2]), "JetPFCands_sip3d": np.ones(3),
        "JetSVs_jetIdx": np.array([0, 1]), "JetSVs_mass": np.ones(2),
    }  # fmt: skip
    columns = columns_of(events)
    change(columns)
    with pytest.raises(CollidekitError) as error:
        build_rows(make_plan(PFNANO, "my.yaml"), ak.zip(columns, depth_limit=1), "events.root", 0, 100)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_index_may_be_written_as_a_float() -> None:
    """JSON lines hold nothing else."""
    events = pfnano(10)
    columns = columns_of(events)
    columns |= {
        name: ak.values_astype(columns[name], np.float64) for name in ("JetPFCands_jetIdx", "JetPFCands_candIdx")
    }
    agree(build_rows(make_plan(PFNANO), ak.zip(columns, depth_limit=1), "events.root", 0, 0).batch, events)


def test_a_missing_index_is_named_with_its_line() -> None:
    plan = make_plan(PFNANO, "my.yaml")
    available = [name for name in pfnano(1)[0] if name != "JetSVs_jetIdx"]
    with pytest.raises(CollidekitError) as error:
        plan.columns([*available, "JetSVs_jetindex"], path="a.root")
    assert str(error.value).startswith(
        "my.yaml:3: 'JetSVs_jetIdx': there is no branch or variable 'JetSVs_jetIdx' in a.root"
    )
    assert "did you mean 'JetSVs_jetindex'" in str(error.value)
    assert "JetSVs_jetIdx" in plan.missing(available)
