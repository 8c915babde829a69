"""The layout athena, read by a small reader that follows Athena's rules."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import layout_rows as toys
import numpy as np
import onnx
import pytest
import torch
from attrs import evolve

from collidekit.analysis.load import parse_analysis
from collidekit.dataset.parts import Folds
from collidekit.errors import CollidekitError
from collidekit.export.graph import TaggerGraph
from collidekit.export.layouts.athena import Athena
from collidekit.models.packing import pairs

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
    onnx.checker.check_model(model := onnx.load(path), full_check=True)
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
        ("GN2_mine", SEQUENCES, "may contain only letters and digits"),
        ("GN2-mine", SEQUENCES, "may contain only letters and digits"),
        ("GN2mine", {}, "sequence.vertices"),
        ("GN2mine", {"sequence.vertices": "tracks_all_ptsort"}, "two tensors"),
        ("GN2mine", {"sequence.vertices": "vertices"}, "must begin with one of"),
        ("GN2mine", {**SEQUENCES, "sequence.tracks": "tracks_all_bypt"}, "tracks_<selection>_<sort>"),
        ("GN2mine", {**SEQUENCES, "sequence.tracks": "tracks"}, "tracks_<selection>_<sort>"),
        ("GN2mine", {**SEQUENCES, "label.light": "p_u"}, "only letters and digits"),
        ("GN2mine", {**SEQUENCES, "label.light": "b"}, "two outputs"),
        ("GN2mine", {**SEQUENCES, "variable.jet.jet_logpt": "jet_abseta"}, "two variables of jet"),
        ("GN2mine", {**SEQUENCES, "sequence.track": "x"}, "did you mean 'sequence.tracks'"),
        ("GN2mine", {**SEQUENCES, "discriminators": "ja"}, "is not one of no, yes"),
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
    with pytest.raises(CollidekitError, match="one row per call, not 2"):
        layout.given(toys.generic_of(jets.analysis, jets.rows[:2]))


TARGETS = """
targets:
  origin: {collection: tracks, classes: {primary: trk_charge > 0, secondary: trk_charge < 0, other: trk_charge == 0}}
  vertex: {collection: tracks, same: trk_charge}
"""


@pytest.fixture(scope="module")
def tracked() -> Any:
    """Jets whose tracks have a class and a vertex to learn."""
    text = (toys.ROOT / "analyses" / "jet_flavour.yaml").read_text()
    analysis, _ = parse_analysis(text + TARGETS, "jet_flavour.yaml")
    _, rows = toys.sample_rows("jet_flavour", "jet_flavour", 40)
    tagger = toys.random_tagger(analysis, "transformer_small", rows)
    rows = [*rows[:4], *toys.odd_rows(analysis, rows)]
    with torch.no_grad():  # few pairs have one vertex, and all classes occur
        _, logits = tagger(toys.batch_of(analysis, rows[:4]), with_targets=True)
        tagger.target_heads.heads["vertex"].rest[-1][-1].bias -= logits["vertex"].quantile(0.9)
        tagger.target_heads.heads["origin"].rest[-1][-1].bias -= logits["origin"].median(dim=0).values
    return SimpleNamespace(analysis=analysis, rows=rows, tagger=tagger, graph=TaggerGraph(tagger, analysis).eval())


def tracks_of(tracked: Any, row: toys.Row) -> tuple[list[int], list[int]]:
    """Class and vertex of the tracks of a row, from the logits of the tagger itself; vertices by joining pairs one by one."""
    with torch.no_grad():
        batch = toys.batch_of(tracked.analysis, [row])
        batch = evolve(batch, inputs=tracked.tagger.filling(batch.inputs))
        _, logits = tracked.tagger(batch, with_targets=True)
    number = len(logits["origin"])
    vertex = list(range(number))
    i, j = pairs(batch.inputs["tracks"].offsets)
    for a, b, logit in zip(i.tolist(), j.tolist(), logits["vertex"].tolist(), strict=True):
        if logit > 0 and vertex[a] != vertex[b]:
            old, new = max(vertex[a], vertex[b]), min(vertex[a], vertex[b])
            vertex = [new if one == old else one for one in vertex]
    order = list(dict.fromkeys(vertex))
    return logits["origin"].argmax(dim=1).tolist(), [order.index(one) for one in vertex]


def test_tracks_have_an_origin_and_a_vertex(tracked, tmp_path):
    layout = Athena(tracked.graph, "GN2mine", SEQUENCES)
    reader = AthenaReader(toys.write_layout(layout, tracked.analysis, tmp_path))
    assert reader.config["output_names"][-2:] == ["GN2mine_TrackOrigin", "GN2mine_VertexIndex"]
    seen: set[int] = set()
    for row in tracked.rows:
        found = call(reader, row)
        origins, vertices = tracks_of(tracked, row)
        beyond = [-1] * (len(row["tracks"]) - len(origins))
        assert found["GN2mine_TrackOrigin"].dtype == found["GN2mine_VertexIndex"].dtype == np.int8
        assert found["GN2mine_TrackOrigin"].tolist() == origins + beyond
        assert found["GN2mine_VertexIndex"].tolist() == vertices + beyond
        seen |= {*found["GN2mine_VertexIndex"].tolist(), *(10 + one for one in origins)}
        generic = toys.generic_of(tracked.analysis, [row], slots=2)
        back = layout.found(found, generic)
        assert back["origin"].tolist() == [[*origins, *beyond, -1, -1]]
    assert {-1, 0, 1, 2, 10, 11, 12} <= seen
    assert all(found[name].shape == () for name in ("GN2mine_plight", "GN2mine_pc", "GN2mine_pb"))


def test_targets_of_tracks_have_other_names_on_request(tracked):
    layout = Athena(tracked.graph, "GN2mine", {**SEQUENCES, "output.origin": "TrackType"})
    assert layout.output_names[-2:] == ["GN2mine_TrackType", "GN2mine_VertexIndex"]
    with pytest.raises(
        CollidekitError, match="the targets 'origin' and 'vertex' would both have the output 'GN2mine_VertexIndex'"
    ):
        Athena(tracked.graph, "GN2mine", {**SEQUENCES, "output.origin": "VertexIndex"})


def test_files_of_folds_say_that_their_rule_is_not_athenas(jets):
    layout = Athena(jets.graph, "GN2mine", SEQUENCES)
    layout.check_folds(Folds(5, 0))
    schema = toys.toy_schema(jets.analysis, layout)
    assert "fold_rule" not in layout.metadata(schema)
    folded = schema.model_copy(update={"folds": 5, "fold_rule": "a hash of the event number"})
    assert layout.metadata(folded)["fold_rule"].startswith(
        "a hash of the event number; Athena's jetFoldHash is another rule"
    )
    assert {layout.file_name(0), layout.file_name(1)} == {"model_fold0.onnx", "model_fold1.onnx"}
