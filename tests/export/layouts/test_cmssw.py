"""The layouts cmssw and cmssw_upart, read by small readers that follow the rules of CMSSW's producers."""

import json
import re
from pathlib import Path
from typing import Any

import layout_rows as toys
import numpy as np
import pytest

from collidekit.analysis.load import parse_analysis
from collidekit.errors import CollidekitError
from collidekit.export.graph import TaggerGraph
from collidekit.export.layouts.cmssw import CMSSW, SeveralInputs

INFO = {"median", "norm_factor", "replace_inf_value", "lower_bound", "upper_bound", "pad"}


class WeaverReader:
    """Reads ``preprocess.json`` and fills (1, features, constituents) from named variables, as the jet tagger of CMSSW does."""

    def __init__(self, folder: Path) -> None:
        producer = json.loads((folder / "producer.json").read_text())
        self.preprocess = json.loads((folder / producer["preprocess_json"]).read_text())
        self.session = toys.open_session(folder / producer["model_path"])
        self.flavours = producer["flav_names"]
        assert [entry.name for entry in self.session.get_inputs()] == self.preprocess["input_names"]
        assert all(entry.type == "tensor(float)" and len(entry.shape) == 3 for entry in self.session.get_inputs())

    def __call__(self, variables: dict[str, np.ndarray]) -> dict[str, float]:
        feed = {}
        for name in self.preprocess["input_names"]:
            group = self.preprocess[name]
            assert list(group["var_infos"]) == group["var_names"]
            rows = [self._prepared(variables[v], group, group["var_infos"][v]) for v in group["var_names"]]
            feed[name] = np.stack(rows)[None].astype(np.float32)
        output = self.session.run(self.preprocess["output_names"], feed)[0].reshape(-1)
        if len(output) != len(self.flavours):
            raise ValueError("number of flav_names")
        return dict(zip(self.flavours, output, strict=True))

    @staticmethod
    def _prepared(values: np.ndarray, group: dict[str, Any], info: dict[str, float]) -> np.ndarray:
        assert set(info) == INFO
        values = np.where(np.isfinite(values), values, info["replace_inf_value"])
        values = np.clip((values - info["median"]) * info["norm_factor"], info["lower_bound"], info["upper_bound"])
        if "min_length" in group:
            assert "var_length" not in group
            length = min(max(len(values), group["min_length"]), group["max_length"])
        else:
            length = group["var_length"]
        return np.concatenate([values, np.full(length, info["pad"])])[:length]


def variables_of(row: toys.Row) -> dict[str, np.ndarray]:
    """The variables that a producer of tag information offers, named here by hand."""
    found = dict(zip(toys.TRACKS, row["tracks"].T, strict=True)) | dict(
        zip(toys.VERTICES, row["vertices"].T, strict=True)
    )
    found |= {name: value.reshape(1) for name, value in zip(toys.JET, row["jet"], strict=True)}
    return found | {f"{name}_mask": np.ones(len(row[name])) for name in ("tracks", "vertices")}


@pytest.mark.parametrize("length", ["free", "fixed"])
def test_cmssw_reads_the_numbers_of_the_tagger(flavour, length, tmp_path):
    layout = CMSSW(flavour.graph, "tagger", {"label.light": "udsg", "length": length})
    toys.write_layout(layout, flavour.analysis, tmp_path)
    reader = WeaverReader(tmp_path)
    assert reader.preprocess["output_names"] == ["softmax"]
    assert reader.preprocess["input_names"] == [
        "tracks_points", "tracks_features", "tracks_vectors", "tracks_mask",
        "vertices_points", "vertices_features", "vertices_vectors", "vertices_mask", "jet_features",
    ]  # fmt: skip
    wanted = toys.predicted(flavour.tagger, flavour.analysis, flavour.rows)
    found = [reader(variables_of(row)) for row in flavour.rows]  # one jet after another, in one session
    assert list(found[0]) == ["probudsg", "probc", "probb"]
    for column, name in {"prob_light": "probudsg", "prob_c": "probc", "prob_b": "probb"}.items():
        toys.assert_same({column: [one[name] for one in found]}, wanted, [column])
    assert reader(variables_of(flavour.rows[0])) == found[0]


def test_a_missing_value_becomes_the_default_of_its_feature_and_is_not_clipped(tmp_path):
    """The default lies outside of the bounds, which are applied inside the graph."""
    text = (toys.ROOT / "analyses" / "jet_flavour.yaml").read_text()
    text = text.replace("{name: trk_d0, unit: mm,", "{name: trk_d0, unit: mm, default: -9,")
    analysis, _ = parse_analysis(text, str(toys.ROOT / "analyses" / "jet_flavour.yaml"))
    _, rows = toys.sample_rows("jet_flavour", "jet_flavour", 40)
    tagger = toys.random_tagger(analysis, "pfn", rows)
    row = {name: values.copy() for name, values in rows[5].items()}
    row["tracks"][:3, 5] = [np.nan, 60, -np.inf]
    layout = CMSSW(TaggerGraph(tagger, analysis).eval(), "tagger")
    toys.write_layout(layout, analysis, tmp_path)
    reader = WeaverReader(tmp_path)
    assert reader.preprocess["tracks_features"]["var_infos"]["trk_d0"] == {
        "median": 0, "norm_factor": 1, "replace_inf_value": -9, "lower_bound": -1e32, "upper_bound": 1e32, "pad": 0
    }  # fmt: skip
    wanted = toys.predicted(tagger, analysis, [row])
    found = reader(variables_of(row))
    np.testing.assert_allclose(found["probb"], wanted["prob_b"][0], rtol=1e-5)
    row["tracks"][:3, 5] = -5
    assert abs(reader(variables_of(row))["probb"] - found["probb"]) > 1e-4


def test_flav_names_hold_discriminators_on_request(jets, tmp_path):
    layout = CMSSW(jets.graph, "tagger", {"discriminators": "yes"})
    toys.write_layout(layout, jets.analysis, tmp_path)
    reader = WeaverReader(tmp_path)
    found = reader(variables_of(jets.rows[0]))
    assert list(found) == ["problight", "probc", "probb", "BvsL", "BvsC", "CvsB", "CvsL"]
    assert found["BvsL"] == pytest.approx(found["probb"] / (found["probb"] + found["problight"]), rel=1e-5)


@pytest.mark.parametrize("layout", [CMSSW, SeveralInputs])
def test_given_and_found_translate_generic_arrays(layout, jets, tmp_path):
    layout = layout(jets.graph, "tagger")
    session = toys.open_session(toys.write_layout(layout, jets.analysis, tmp_path))
    wanted = toys.predicted(jets.tagger, jets.analysis, jets.rows)
    for i, row in enumerate(jets.rows):
        generic = toys.generic_of(jets.analysis, [row], slots=2)
        given = layout.given(generic)
        assert list(given) == layout.input_names
        outputs = {"softmax": session.run(["softmax"], given)[0]}
        found = layout.found(outputs, generic)
        toys.assert_same(found, {name: wanted[name][i : i + 1] for name in found}, ["prob_light", "prob_c", "prob_b"])
    with pytest.raises(CollidekitError, match="one row per call, not 2"):
        layout.given(toys.generic_of(jets.analysis, jets.rows[:2]))


class UParTReader:
    """Fills ``input_1`` ... in their order with tables; no masks, at least one row of zeros where there is no constituent."""

    LIMITS = (30, 5)

    def __init__(self, path: Path) -> None:
        self.session = toys.open_session(path)
        self.dynamic = "v2.onnx" in path.name
        names = [entry.name for entry in self.session.get_inputs()]
        assert names == [f"input_{k}" for k in range(1, len(names) + 1)]
        assert all(entry.type == "tensor(float)" for entry in self.session.get_inputs())

    def __call__(self, row: toys.Row, dynamic: bool, extra: int = 0) -> np.ndarray:
        collections = (row["tracks"], row["vertices"])
        counts = [
            min(max(len(table), 1), limit) if dynamic else limit
            for table, limit in zip(collections, self.LIMITS, strict=True)
        ]
        momenta = (slice(11, 15), slice(7, 11))
        features = [np.delete(table, momentum, axis=1) for table, momentum in zip(collections, momenta, strict=True)]
        vectors = [table[:, momentum] for table, momentum in zip(collections, momenta, strict=True)]
        tables = [
            self._filled(table, count + extra) for table, count in zip([*features, *vectors], counts * 2, strict=True)
        ]
        tables.append(row["jet"][None, None])
        feed = {f"input_{k}": table.astype(np.float32) for k, table in enumerate(tables, 1)}
        return self.session.run(["softmax"], feed)[0].reshape(-1)

    @staticmethod
    def _filled(table: np.ndarray, count: int) -> np.ndarray:
        found = np.zeros((1, count, table.shape[1]))
        found[0, : min(len(table), count)] = table[:count]
        return found


def test_upart_reads_the_numbers_of_the_tagger_with_free_and_fixed_lengths(flavour, tmp_path):
    path = toys.write_layout(SeveralInputs(flavour.graph, "UParT"), flavour.analysis, tmp_path)
    reader = UParTReader(path)
    assert reader.dynamic  # the name of the file says so
    wanted = toys.predicted(flavour.tagger, flavour.analysis, flavour.rows)
    wanted = np.stack([wanted[f"prob_{name}"] for name in ("light", "c", "b")], axis=1)
    for dynamic in (True, False):
        found = [reader(row, dynamic) for row in flavour.rows]
        toys.assert_same({"softmax": np.stack(found)}, {"softmax": wanted}, ["softmax"])


def test_a_row_of_zeros_before_others_is_a_constituent(jets, tmp_path):
    """Only zeros at the end are padding."""
    reader = UParTReader(toys.write_layout(SeveralInputs(jets.graph, "UParT"), jets.analysis, tmp_path))
    row = {name: values.copy() for name, values in jets.rows[0].items()}
    row["tracks"] = row["tracks"][:4]
    row["tracks"][1] = 0
    wanted = toys.predicted(jets.tagger, jets.analysis, [row])
    without = {**row, "tracks": np.delete(row["tracks"], 1, axis=0)}
    assert abs(reader(without, True)[2] - wanted["prob_b"][0]) > 1e-3
    np.testing.assert_allclose(reader(row, True)[2], wanted["prob_b"][0], rtol=1e-5)
    np.testing.assert_allclose(reader(row, True, extra=9)[2], wanted["prob_b"][0], rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"label.light": "b"}, "two outputs named 'probb'"),
        ({"label.light": "l_ight"}, "only letters and digits"),
        ({"variable.tracks.trk_d0": "trk_z0"}, "two variables of tracks"),
        ({"lenght": "fixed"}, "did you mean 'length'"),
        ({"length": "long"}, "is not one of free, fixed"),
        ({"label.light": ""}, "must be a text that is not empty"),
    ],
)
def test_what_cmssw_cannot_read_is_refused(jets, options, said, tmp_path):
    with pytest.raises(CollidekitError, match=re.escape(said)) as caught:
        _ = CMSSW(jets.graph, "tagger", options).preprocess
    assert str(caught.value).startswith("layout cmssw: ")


def test_each_fold_has_settings_of_its_own(jets):
    layout = CMSSW(jets.graph, "tagger")
    schema = toys.toy_schema(jets.analysis, layout).model_copy(update={"folds": 3})
    files = layout.files(schema)
    assert set(files) == {"preprocess.json", "producer_fold0.json", "producer_fold1.json", "producer_fold2.json"}
    assert json.loads(files["producer_fold2.json"])["model_path"] == layout.file_name(2) == "model_fold2.onnx"
    assert SeveralInputs(jets.graph, "UParT").file_name(1).endswith("v2.onnx")
