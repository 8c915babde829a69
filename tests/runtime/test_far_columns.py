"""Files with another unit raise a warning; the bundled samples, and each of their classes alone, do not."""

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import toys

from collidekit import Bundle, load_plan
from collidekit.dataset.arrays import RaggedArray, RowArrays
from collidekit.dataset.not_finite import NotFinite
from collidekit.inference.file_rows import rows_of_files
from collidekit.runtime.far_columns import FEWEST, FarColumns, quantiles_of
from collidekit.runtime.schema import SCHEMA, Column, Schema, TensorIn
from collidekit.sealed import read_sealed, write_sealed

SAMPLES = Path(__file__).parents[2] / "samples"


def read(name: str, part: str) -> RowArrays:
    plan = load_plan(name)
    parts = list(rows_of_files(plan, [str(SAMPLES / name / f"{part}.root")], False, [], NotFinite()))
    return parts[0].slice(0, 2000)


def described(name: str, rows: RowArrays) -> Schema:
    """A schema with the percentiles of rows."""
    inputs = []
    for key, entry in load_plan(name).analysis.inputs.items():
        values = rows.inputs[key]
        if isinstance(values, RaggedArray):
            tables = [values.data[a:b] for a, b in zip(values.offsets[:-1], values.offsets[1:], strict=True)]
        else:
            tables = [row[None] for row in values]
        kinds = [feature.kind for feature in entry.features] + ["continuous"] * (entry.width - len(entry.features))
        columns = tuple(
            Column(name=str(k), expression="x", kind=kind, quantiles=found)
            for k, (kind, found) in enumerate(zip(kinds, quantiles_of(tables), strict=True))
        )
        inputs.append(TensorIn(name=key, kind="group", of=key, shape=("N", entry.width), columns=columns))
    return Schema.model_construct(inputs=tuple(inputs))


def notes(schema: Schema, rows: RowArrays) -> list[str]:
    far = FarColumns(schema, ["rows.root"])
    assert sum(len(part) for part in far.watch(rows.parts(300))) == len(rows)
    return far.notes()


@pytest.mark.parametrize("name", ["top_tagging", "jet_flavour", "ttbar_dilepton"])
def test_no_false_alarm_on_the_samples_that_ship(name: str) -> None:
    rows, others = read(name, "test"), read(name, "train")
    schema = described(name, rows)
    assert notes(schema, others) == []
    for label in np.unique(others.labels):
        assert notes(schema, others.take(np.flatnonzero(others.labels == label))) == []


def changed(bundle: Path, folder: Path, rows: ak.Array) -> Path:
    """The bundle of toys with the percentiles of some rows."""
    import shutil

    copy = Path(shutil.copytree(bundle, folder / "copy"))
    schema = read_sealed(copy / SCHEMA)
    pt, energy = ([float(x) for x in np.percentile(ak.flatten(rows[name], axis=None), [1, 50, 99])] for name in ("jet_pt", "part_e"))  # fmt: skip
    schema["inputs"][0]["columns"] = [
        {"name": "part_x", "expression": "part_x"},
        {"name": "part_y", "expression": "part_y"},
        {"name": "part_loge", "expression": "log(part_e)", "quantiles": np.log(energy).tolist(), "unit": "log GeV"},
        *({"name": name, "expression": name} for name in ("part_d0", "coordinate_1", "coordinate_2")),
    ]
    schema["inputs"][2]["columns"] = [
        {"name": "jet_pt", "expression": "jet_pt", "unit": "GeV", "quantiles": pt},
        {"name": "jet_flag", "expression": "jet_pt > 0", "kind": "flag", "quantiles": [0, 0, 0]},
    ]
    write_sealed(copy / SCHEMA, schema)
    return copy


def test_a_file_in_another_unit_is_said(bundle: Path, table: ak.Array, tmp_path: Path, capfd: Any) -> None:
    opened = Bundle(changed(bundle, tmp_path, table))
    good = str(toys.write_table(tmp_path / "good.parquet", table))
    assert opened.predict_files(good).far == []
    for scaled, names in ((("jet_pt",), ["jet.jet_pt"]), (("jet_pt", "part_e"), ["jet.jet_pt", "part_loge"])):
        other = table
        for name in scaled:
            other = ak.with_field(other, other[name] * 1000, name)
        file = str(toys.write_table(tmp_path / "mev.parquet", other))
        (said,) = opened.predict_files([good, file]).far
        assert said.startswith(f"{file}: values are far from the values of the export: ")
        assert all(name in said for name in names)
        assert "GeV; check their unit and definition" in said
    opened.predict(file)
    assert "jet.jet_pt has the median" in " ".join(capfd.readouterr().err.split())
    few = str(toys.write_table(tmp_path / "few.parquet", other[: FEWEST - 1]))
    assert opened.predict_files(few).far == []
    many = [str(toys.write_table(tmp_path / f"{k}.parquet", other)) for k in range(5)]
    assert opened.predict_files(many).far[3:] == ["the same for 2 more files"]
