"""The layout topcptoolkit, read by a small reader that uses only the metadata of the file."""

import re
from pathlib import Path

import layout_rows as toys
import numpy as np
import pytest

from collidekit.dataset.parts import Folds
from collidekit.errors import CollidekitError
from collidekit.export.layouts.topcptoolkit import TopCPToolKit

JETS = [
    "jet_logpt", "jet_loge", "jet_eta", "jet_cosphi", "jet_sinphi", "jet_b_tag", "jet_logm_l1", "jet_logm_l2", "dR_l1j", "dR_l2j",
    "jet_px", "jet_py", "jet_pz", "jet_e",
]  # fmt: skip
LEPTONS = [
    "lep_logpt", "lep_loge", "lep_eta", "lep_cosphi", "lep_sinphi", "lep_charge", "lep_muon", "lep_px", "lep_py", "lep_pz", "lep_e",
]  # fmt: skip
EVENT = ["met_logpt", "met_px", "met_py", "N_jets", "N_bjets", "dR_l1l2"]
VALUES = ["pred_nu_px", "pred_nu_py", "pred_nu_pz", "pred_nubar_px", "pred_nubar_py", "pred_nubar_pz", "pred_m_tt"]


class FlatReader:
    """Fills ``flat_input`` from named variables, as the metadata says, of one file or of a pair chosen by the event number."""

    def __init__(self, *paths: Path) -> None:
        self.sessions = [toys.open_session(path) for path in paths]
        self.metadata = self.sessions[0].get_modelmeta().custom_metadata_map
        for session in self.sessions:
            (given,) = session.get_inputs()
            assert (given.name, given.type, len(given.shape)) == ("flat_input", "tensor(float)", 2)
            self.size = given.shape[1]
            names = [output.name for output in session.get_outputs()]
            assert ",".join(names) == self.metadata["output_names"]
            assert all(output.type == "tensor(float)" for output in session.get_outputs())

    def __call__(self, number: int, objects: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        padding = float(self.metadata["NN_padding_value"])
        most = {"jet_inputs": int(self.metadata["NN_max_jets"]), "lep_inputs": 2}
        flat: list[float] = []
        for key in self.metadata["input_names"].split(","):
            names = self.metadata[key].split(",")
            table = np.stack([np.atleast_1d(objects[key][name]) for name in names], axis=1)[: most.get(key, 1)]
            missing = most.get(key, 1) - len(table)
            flat += [*table.reshape(-1), *[padding] * (missing * len(names))]
        assert len(flat) == self.size
        session = self.sessions[number % len(self.sessions)]
        found = session.run(None, {"flat_input": np.array([flat], dtype=np.float32)})
        outputs = dict(zip(self.metadata["output_names"].split(","), found, strict=True))
        for name, value in outputs.items():
            assert value.shape == (1, *(int(size) for size in self.metadata[f"{name}_shape"].split(",")))
        return outputs


def objects_of(row: toys.Row) -> dict[str, dict[str, np.ndarray]]:
    return {
        "jet_inputs": dict(zip(JETS, row["jets"].T, strict=True)),
        "lep_inputs": dict(zip(LEPTONS, row["leptons"].T, strict=True)),
        "global_event_inputs": dict(zip(EVENT, row["event"], strict=True)),
    }


def test_topcptoolkit_reads_the_numbers_of_the_tagger(events, tmp_path):
    path = toys.write_layout(TopCPToolKit(events.graph, "reco"), events.analysis, tmp_path)
    assert path.name == "model.onnx"
    reader = FlatReader(path)
    assert reader.metadata["NN_padding_value"] == "-999"
    assert reader.metadata["NN_max_jets"] == "10"
    assert reader.metadata["input_names"] == "jet_inputs,lep_inputs,global_event_inputs"
    assert reader.metadata["output_names"].split(",") == VALUES
    wanted = toys.predicted(events.tagger, events.analysis, events.rows)
    found = [reader(number, objects_of(row)) for number, row in enumerate(events.rows)]
    for name in VALUES:
        toys.assert_same({name: [one[name][0, 0] for one in found]}, wanted, [name])


def test_even_and_odd_events_take_the_file_that_may_be_used_on_them(events):
    """The reader takes file number (event number % 2) of the order that the metadata says."""
    names = {}
    for parity in ("even", "odd"):
        layout = TopCPToolKit(events.graph, "reco", {"apply_to": parity})
        names[parity] = layout.file_name()
        metadata = layout.metadata(toys.toy_schema(events.analysis, layout))
        assert f"an {parity} event number" in metadata["apply_to"]
        assert metadata["file_order"] == "even.onnx,odd.onnx: file number event number % 2"
    order = metadata["file_order"].split(":")[0].split(",")
    for number in (0, 1, 7, 12):
        assert order[number % 2] == names["even" if number % 2 == 0 else "odd"]


def test_folds_are_refused_since_the_reader_numbers_files_by_the_event_number(events):
    layout = TopCPToolKit(events.graph, "reco")
    for split, how in (
        (Folds(5, 0), "the 5 folds .* a hash"),
        (Folds(4, 0, "remainder"), "the 4 folds .* the remainder"),
    ):
        with pytest.raises(CollidekitError, match=f"{how} .*train with --folds 2 --fold-rule remainder"):
            layout.check_folds(split)


def test_two_folds_by_the_remainder_are_the_pair_of_files(events):
    layout = TopCPToolKit(events.graph, "reco")
    layout.check_folds(Folds(2, 0, "remainder"))
    assert [layout.file_name(fold) for fold in (0, 1)] == ["even.onnx", "odd.onnx"]
    assert "apply_to" not in layout.metadata(toys.toy_schema(events.analysis, layout)), (
        "the bundle says it of each graph"
    )
    with pytest.raises(CollidekitError, match="option apply_to: the folds determine the events"):
        TopCPToolKit(events.graph, "reco", {"apply_to": "odd"}).check_folds(Folds(2, 0, "remainder"))


def test_outputs_have_athenas_names_on_request(events, tmp_path):
    layout = TopCPToolKit(events.graph, "reco", {"producer": "DILEPASSIGNER", "padding_value": "-5"})
    reader = FlatReader(toys.write_layout(layout, events.analysis, tmp_path))
    assert reader.metadata["output_names"].split(",") == [f"TtbarDiLepton_DILEPASSIGNER_{name}" for name in VALUES]
    row = {**events.rows[0], "jets": events.rows[0]["jets"][:1]}
    wanted = toys.predicted(events.tagger, events.analysis, [row])
    found = reader(0, objects_of(row))["TtbarDiLepton_DILEPASSIGNER_pred_m_tt"]
    np.testing.assert_allclose(found, wanted["pred_m_tt"][None], rtol=1e-5)


def test_athenas_branches_are_the_default_with_a_producer_and_can_be_renamed(assigned, tmp_path):
    options = {"producer": "HyPER", "output.pred_m_tt": "Mass"}
    layout = TopCPToolKit(assigned.graph, "reco", options)
    reader = FlatReader(toys.write_layout(layout, assigned.analysis, tmp_path))
    branches = [name.removeprefix("TtbarDiLepton_HyPER_") for name in reader.metadata["output_names"].split(",")]
    assert {"Top1_Indices", "Top2_Indices", "Top1_Score", "Top2_Score", "Mass"} < set(branches)
    assert "pred_nu_px" in branches
    row = assigned.rows[0]
    wanted, found = toys.predicted(assigned.tagger, assigned.analysis, [row]), reader(0, objects_of(row))
    for branch, column in (("Top1_Indices", "index_top_b"), ("Top2_Indices", "index_antitop_b"), ("Top2_Score", "antitop_assignment_probability")):  # fmt: skip
        np.testing.assert_allclose(found[f"TtbarDiLepton_HyPER_{branch}"][0], wanted[column], rtol=1e-5)
    plain = TopCPToolKit(assigned.graph, "reco", {"output.index_top_b": "best"})
    assert "best" in plain.output_names
    assert "index_antitop_b" in plain.output_names
    with pytest.raises(CollidekitError, match="two outputs named 'index_antitop_b'"):
        TopCPToolKit(assigned.graph, "reco", {"output.index_top_b": "index_antitop_b"})


def test_given_and_found_translate_generic_arrays(events, tmp_path):
    layout = TopCPToolKit(events.graph, "reco")
    session = toys.open_session(toys.write_layout(layout, events.analysis, tmp_path))
    wanted = toys.predicted(events.tagger, events.analysis, events.rows)
    for rows in (events.rows, events.rows[:1], events.rows[:2]):
        generic = toys.generic_of(events.analysis, rows, slots=3)
        outputs = dict(zip(layout.output_names, session.run(layout.output_names, layout.given(generic)), strict=True))
        toys.assert_same(layout.found(outputs, generic), {n: wanted[n][: len(rows)] for n in VALUES}, VALUES)
    nothing = {name: values[:0] for name, values in layout.given(generic).items()}
    assert all(values.shape == (0, 1) for values in session.run(None, nothing))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"apply_to": "eve"}, "'eve' is not one of all, even, odd (did you mean 'even'?)"),
        ({"padding_value": "nan"}, "must be a finite number"),
        ({"padding_value": "x"}, "must be a finite number"),
        ({"input.jets": "lep_inputs"}, "collection of jets"),
        ({"input.event": "lep_inputs"}, "two inputs named 'lep_inputs'"),
        ({"producer": "my_tool"}, "may not contain '_'"),
        ({"producer": "söhne"}, "only letters, digits and _"),
        ({"input.jet": "x"}, "did you mean 'input.jets'"),
    ],
)
def test_what_topcptoolkit_cannot_read_is_refused(events, options, said):
    with pytest.raises(CollidekitError, match=re.escape(said)) as caught:
        TopCPToolKit(events.graph, "reco", options)
    assert str(caught.value).startswith("layout topcptoolkit: ")
