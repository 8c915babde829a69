"""The layout athena, read by a small reader that does what the facts say of Athena's."""

import json
import re
from pathlib import Path
from typing import Any

import layout_rows as toys
import numpy as np
import onnx
import pytest

from collidekit.errors import CollidekitError
from collidekit.export.layouts.athena import Athena

SEQUENCES = {"sequence.vertices": "flows"}
KEYS = {
    "ckpt_path", "layers", "nodes", "config.yaml", "metadata.yaml", "salt_export_hash", "forced_export", "onnx_model_version",
    "output_names", "model_name", "inputs", "input_sequences", "combine_outputs", "rename_outputs",
}  # fmt: skip


class AthenaReader:
    """Reads ``gnn_config``, fills tensors from named variables, and takes only the outputs that Athena takes."""

    def __init__(self, path: Path) -> None:
        self.session = toys.open_session(path)
        self.config = json.loads(self.session.get_modelmeta().custom_metadata_map["gnn_config"])
        if self.config["onnx_model_version"] != "v1":
            raise ValueError("unknown version")
        names = [output.name for output in self.session.get_outputs()]
        models = {name.split("_")[0] for name in names}
        if len(models) != 1:
            raise ValueError("the outputs are of several models")
        self.model = models.pop()
        for output in self.session.get_outputs():
            if (output.type, len(output.shape)) not in {
                ("tensor(float)", 0),
                ("tensor(float)", 1),
                ("tensor(int8)", 1),
            }:
                raise ValueError(f"output {output.name} of type {output.type} and rank {len(output.shape)}")
        self.tensors = {"jet_features": self._names(self.config["inputs"][0])}
        assert [entry["name"] for entry in self.config["inputs"]] == ["jet_var"]
        self.sequences = {}
        for entry in self.config["input_sequences"]:
            self.sequences[self._tensor(entry["name"])] = (entry["name"], self._names(entry))
        wanted = {entry.name: entry.shape for entry in self.session.get_inputs()}
        assert set(wanted) == {"jet_features", *self.sequences}
        assert wanted["jet_features"] == [1, len(self.tensors["jet_features"])]
        for tensor, (_, variables) in self.sequences.items():
            axis, width = wanted[tensor]
            assert axis == f"n_{tensor.removesuffix('_features')}s"
            assert width == len(variables)

    @staticmethod
    def _names(entry: dict[str, Any]) -> list[str]:
        for variable in entry["variables"]:
            if set(variable) != {"name", "offset", "scale"} or (variable["offset"], variable["scale"]) != (0, 1):
                raise ValueError("scaling outside")
        return [variable["name"] for variable in entry["variables"]]

    @staticmethod
    def _tensor(name: str) -> str:
        if re.fullmatch(r"tracks_(all|r22default|r22loose|ip3d|dipsLoose202102)_(sd0sort|absSd0sort|ptsort)", name):
            return "track_features"
        if (kind := name.split("_")[0]) in ("flows", "hits", "electrons"):
            return f"{kind[:-1]}_features"
        raise ValueError(f"no such sequence: {name}")

    def __call__(self, jet: dict[str, float], sequences: dict[str, dict[str, np.ndarray]]) -> dict[str, Any]:
        feed = {"jet_features": np.array([[jet[name] for name in self.tensors["jet_features"]]], dtype=np.float32)}
        for tensor, (name, variables) in self.sequences.items():
            table = [np.asarray(sequences[name][variable], dtype=np.float32) for variable in variables]
            feed[tensor] = np.stack(table, axis=1)
        found = self.session.run(None, feed)
        return {output.name: value for output, value in zip(self.session.get_outputs(), found, strict=True)}


def call(reader: AthenaReader, row: toys.Row, tracks: str = "tracks_r22default_sd0sort") -> dict[str, Any]:
    """The outputs for a row, whose columns are named here by hand."""
    sequences = {
        tracks: dict(zip(toys.TRACKS, row["tracks"].T, strict=True)),
        "flows": dict(zip(toys.VERTICES, row["vertices"].T, strict=True)),
    }
    return reader(dict(zip(toys.JET, row["jet"], strict=True)), sequences)


def test_athena_reads_the_numbers_of_the_tagger(flavour, tmp_path):
    layout = Athena(flavour.graph, "GN2mine", {**SEQUENCES, "label.light": "u"})
    path = toys.write_layout(layout, flavour.analysis, tmp_path)
    reader = AthenaReader(path)
    wanted = toys.predicted(flavour.tagger, flavour.analysis, flavour.rows)
    found = [call(reader, row) for row in flavour.rows]  # one jet after another, in one session
    assert list(found[0]) == reader.config["output_names"] == ["GN2mine_pu", "GN2mine_pc", "GN2mine_pb"]
    assert all(value.shape == () and value.dtype == np.float32 for value in found[0].values())
    for name, output in {"prob_light": "pu", "prob_c": "pc", "prob_b": "pb"}.items():
        toys.assert_same({name: [one[f"GN2mine_{output}"] for one in found]}, wanted, [name])
    again = call(reader, flavour.rows[0])
    assert all(again[name] == found[0][name] for name in again)


def test_the_graph_is_of_opset_20_and_the_configuration_has_all_keys(jets, tmp_path):
    path = toys.write_layout(Athena(jets.graph, "GN2mine", SEQUENCES), jets.analysis, tmp_path)
    model = onnx.load(path)
    assert [entry.version for entry in model.opset_import if not entry.domain] == [20]
    config = json.loads({entry.key: entry.value for entry in model.metadata_props}["gnn_config"])
    assert set(config) == KEYS
    assert config["model_name"] == "GN2mine"


def test_discriminators_and_names_are_given_on_request(jets, tmp_path):
    options = {
        **SEQUENCES, "discriminators": "yes", "sequence.tracks": "tracks_r22loose_ptsort",
        "variable.tracks.tracks_px": "trackPx", "variable.jet.jet_logpt": "log_pt_btagJes",
    }  # fmt: skip
    reader = AthenaReader(toys.write_layout(Athena(jets.graph, "Mine2", options), jets.analysis, tmp_path))
    assert reader.config["input_sequences"][0]["name"] == "tracks_r22loose_ptsort"
    assert reader.config["input_sequences"][0]["variables"][11]["name"] == "trackPx"
    assert reader.config["inputs"][0]["variables"][0]["name"] == "log_pt_btagJes"
    assert reader.config["output_names"] == ["Mine2_plight", "Mine2_pc", "Mine2_pb"] + [
        f"Mine2_{name}" for name in ("BvsL", "BvsC", "CvsB", "CvsL")
    ]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("GN2_mine", SEQUENCES, "may hold only letters and digits"),
        ("GN2-mine", SEQUENCES, "may hold only letters and digits"),
        ("GN2mine", {}, "sequence.vertices"),
        ("GN2mine", {"sequence.vertices": "tracks_all_ptsort"}, "two tensors"),
        ("GN2mine", {"sequence.vertices": "vertices"}, "must begin with one of"),
        ("GN2mine", {**SEQUENCES, "sequence.tracks": "tracks_all_bypt"}, "tracks_<selection>_<sort>"),
        ("GN2mine", {**SEQUENCES, "sequence.tracks": "tracks"}, "tracks_<selection>_<sort>"),
        ("GN2mine", {**SEQUENCES, "label.light": "p_u"}, "letters and digits only"),
        ("GN2mine", {**SEQUENCES, "label.light": "b"}, "two outputs"),
        ("GN2mine", {**SEQUENCES, "variable.jet.jet_logpt": "jet_abseta"}, "two variables of jet"),
        ("GN2mine", {**SEQUENCES, "sequence.track": "x"}, "did you mean 'sequence.tracks'"),
        ("GN2mine", {**SEQUENCES, "discriminators": "ja"}, "is none of no, yes"),
    ],
)
def test_what_athena_cannot_read_is_refused(jets, name, options, said):
    with pytest.raises(CollidekitError, match=re.escape(said)) as caught:
        _ = Athena(jets.graph, name, options).output_names
    assert str(caught.value).startswith("layout athena: ")


def test_given_and_found_translate_generic_arrays(jets, tmp_path):
    layout = Athena(jets.graph, "GN2mine", SEQUENCES)
    session = toys.open_session(toys.write_layout(layout, jets.analysis, tmp_path))
    wanted = toys.predicted(jets.tagger, jets.analysis, jets.rows)
    for i, row in enumerate(jets.rows):
        generic = toys.generic_of(jets.analysis, [row], slots=3)
        outputs = dict(zip(layout.output_names, session.run(layout.output_names, layout.given(generic)), strict=True))
        found = layout.found(outputs, generic)
        assert set(found) == {"prob_light", "prob_c", "prob_b"}
        toys.assert_same(found, {name: wanted[name][i : i + 1] for name in found}, list(found))
    with pytest.raises(CollidekitError, match="one row a call, not 2"):
        layout.given(toys.generic_of(jets.analysis, jets.rows[:2]))
