"""Targets of constituents: from the file into batches beside their constituents, through all that moves these."""

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import torch
from makers import make_plan, numbered, write_parquet

from collidekit.dataset.batch import Batch, Ragged, concatenate
from collidekit.dataset.check import check
from collidekit.dataset.construct import construct
from collidekit.dataset.loader import Dataset, Loader
from collidekit.dataset.parts import Split
from collidekit.dataset.rows import build_rows, columns_to_read
from collidekit.dataset.targets import NONE, UNKNOWN
from collidekit.dataset.trace import trace
from collidekit.errors import CollidekitError
from collidekit.readers import open_file

PLAIN = """
selection: number != 3
classes: {even: label == 0, odd: label == 1}
inputs:
  parts: {limit: 4, order: part_key, where: part_place != 1, features: [number, part_place]}
  jet: {features: [pt]}
"""
TARGETS = """
targets:
  origin: {collection: parts, classes: {first: part_origin == 0, third: part_origin == 2}}
  vertex: {collection: parts, same: part_vertex}
"""


def columns(rows: int = 300) -> dict[str, Any]:
    """``part_origin`` is place % 3 and ``part_vertex`` number + place; their order in the row is turned round."""
    found = numbered(rows)
    place = found["part_place"]
    return {
        **found,
        "part_key": place,
        "part_origin": place % 3,
        "part_vertex": ak.values_astype(found["number"] + place, np.int64),
    }


def make(folder: Path, text: str = PLAIN + TARGETS, **changed: Any) -> Dataset:
    folder.mkdir(exist_ok=True)
    file = write_parquet(folder / "rows.parquet", {**columns(), **changed})
    return Dataset(construct(make_plan(text), str(file), folder / "out", chunk_size=100, progress=False))


def parts(batch: Batch) -> Ragged:
    entry = batch.inputs["parts"]
    assert isinstance(entry, Ragged)
    return entry


def right(batch: Batch) -> None:
    """Each constituent has the targets that its own features imply."""
    entry = parts(batch)
    assert entry.targets is not None
    number, place = entry.values.long().T
    origin = torch.tensor([0, NONE, 1])[place % 3]
    assert torch.equal(entry.targets, torch.stack([origin, number + place], dim=1).int())


def test_targets_stand_beside_their_constituents(tmp_path: Path) -> None:
    dataset = make(tmp_path)
    whole = concatenate(list(Loader(dataset, 64, threads=0)))
    assert len(whole) == 299
    assert set(parts(whole).values[:, 1].tolist()) == {0.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0}
    assert parts(whole).counts.max() == 4
    right(whole)
    for batch in Loader(dataset, 50, Split(0.8), shuffle=True, seed=3):
        right(batch)
    right(whole.take(torch.randperm(200)))
    right(whole.slice(20, 90))
    right(whole.to("cpu", torch.float64))
    assert parts(whole.to("cpu", torch.float64)).targets.dtype == torch.int32  # type: ignore[union-attr]
    assert dataset.bytes_per_row > make(tmp_path / "plain", PLAIN).bytes_per_row


def test_all_else_is_the_same_without_targets(tmp_path: Path) -> None:
    with_targets, plain = make(tmp_path), make(tmp_path / "plain", PLAIN)
    assert "target" not in str(plain._schema)
    a, b = concatenate(list(Loader(with_targets, 64))), concatenate(list(Loader(plain, 64)))
    assert torch.equal(parts(a).data, parts(b).data)
    assert torch.equal(a.keys, b.keys)
    assert parts(b).targets is None


def test_what_is_not_known(tmp_path: Path) -> None:
    """NaN and infinity: of no class, and of a vertex that is not known; all negative vertices are none."""
    place = columns()["part_place"] * 1.0
    origin = ak.where(place == 0, np.nan, place % 3)
    vertex = ak.where(place == 0, np.inf, ak.where(place == 2, -7.0, ak.where(place == 3, np.nan, place)))
    text = PLAIN + TARGETS.replace("third: part_origin == 2", "others: part_origin")
    dataset = make(
        tmp_path, text.replace("part_origin == 0", "part_origin == 5"), part_origin=origin, part_vertex=vertex
    )
    entry = parts(concatenate(list(Loader(dataset, 64))))
    where = entry.values[:, 1].long()
    expected = {0: (NONE, UNKNOWN), 2: (1, NONE), 3: (NONE, UNKNOWN), 4: (1, 4), 5: (1, 5), 6: (NONE, 6), 7: (1, 7)}
    assert entry.targets is not None
    for k, (origin_is, vertex_is) in expected.items():
        assert entry.targets[where == k].unique(dim=0).tolist() == [[origin_is, vertex_is]], k


def test_a_number_of_the_row_is_that_of_all_its_constituents(tmp_path: Path) -> None:
    text = PLAIN + TARGETS.replace("part_origin == 0", "label == 0").replace("part_origin == 2", "label == 1")
    batch = concatenate(list(Loader(make(tmp_path, text), 64)))
    entry = parts(batch)
    assert entry.targets is not None
    assert torch.equal(entry.targets[:, 0].long(), batch.labels[entry.rows])


@pytest.mark.parametrize(
    ("old", "new", "changed", "said"),
    [
        ("part_origin == 2", "part_origin < 2", {}, "target 'origin': classes 'first' and 'third' overlap: constituent 0 of "),
        ("same: part_vertex", "same: part_vertex / 2", {}, "'part_vertex / 2' is 0.5 for constituent "),
        ("same: part_vertex", "same: part_vertex + 2**31", {}, "it must be an integer below 2^31, negative for none"),
        ("", "", {"part_vertex": ak.Array([[1.0]] * 300)}, "lists of different lengths in one collection: 'parts' has "),
    ],
)  # fmt: skip
def test_what_cannot_be(tmp_path: Path, old: str, new: str, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(CollidekitError) as error:
        make(tmp_path, PLAIN + TARGETS.replace(old, new), **changed)
    assert said in str(error.value)
    assert "rows.parquet: row " in str(error.value)
    found = check(make_plan(PLAIN + TARGETS.replace(old, new)), [str(tmp_path / "rows.parquet")])
    assert next(problem.text for problem in found.errors) == str(error.value)


def test_a_wrong_constituent_is_named_by_its_place_in_the_file(tmp_path: Path) -> None:
    vertex = columns()["part_place"] * 1.0
    row = next(i for i, count in enumerate(ak.num(vertex)) if i > 10 and count > 5)
    wrong = ak.where((np.arange(300) == row) & (vertex == 4), 0.5, vertex)
    with pytest.raises(CollidekitError, match=rf"constituent 4 of .*rows\.parquet: row {row};"):
        make(tmp_path, part_vertex=wrong)


def test_prediction_trace_and_check(tmp_path: Path) -> None:
    file, plan = write_parquet(tmp_path / "rows.parquet", columns()), make_plan(PLAIN + TARGETS)
    assert not check(plan, [str(file)]).errors
    assert trace(plan, str(file), 7).batch.inputs["parts"].targets is None  # type: ignore[union-attr]
    without = {name: values for name, values in columns().items() if name not in ("part_origin", "part_vertex")}
    data = write_parquet(tmp_path / "data.parquet", without)
    assert trace(plan, str(data), 7).label == 1
    assert "'part_origin'" in check(plan, [str(data)]).errors[0].text
    with open_file(str(data), plan.analysis.source) as reader:
        read = columns_to_read(plan, list(reader.columns), with_truth=False)
        batch = build_rows(plan, reader.read(read, 0, 300), str(data), 0, 0, keep_all=True).batch
    assert parts(batch).targets is None
    with pytest.raises(CollidekitError, match="there is no branch or variable 'part_origin'"):
        construct(plan, str(data), tmp_path / "none", progress=False)


def test_two_collections_have_targets_of_their_own(tmp_path: Path) -> None:
    text = PLAIN + TARGETS.replace("vertex: {collection: parts", "vertex: {collection: others")
    text = text.replace("  jet:", "  others: {limit: 8, features: [part_place]}\n  jet:")
    batch = concatenate(list(Loader(make(tmp_path, text), 64)))
    others = batch.inputs["others"]
    assert isinstance(others, Ragged)
    assert others.targets is not None
    expected = batch.source[others.rows, 1] + others.values[:, 0].long()
    assert torch.equal(others.targets[:, 0].long(), expected)
    assert parts(batch).targets.shape == (len(parts(batch).data), 1)  # type: ignore[union-attr]
