"""The layout spanet, read by a small reader that sends an event and a dummy, as TopCPToolKit does, and decodes by argmax."""

import re
from pathlib import Path
from typing import Any

import layout_rows as toys
import numpy as np
import pytest
import torch

from collidekit.analysis.load import parse_analysis
from collidekit.export.graph import TaggerGraph
from collidekit.export.layouts.spanet import SPANet
from collidekit.models.target_heads import TargetHeads

MAX_JETS = 20
VALUES = ["nu_px", "nu_py", "nu_pz", "nubar_px", "nubar_py", "nubar_pz", "m_tt"]
NAMES = ["jets_data", "jets_mask", "leptons_data", "leptons_mask", "event_data", "event_mask"]


class SPANetReader:
    """Jet, lepton and global data with masks, padded to 20 jets, in a batch of one, or of two of which the second is a dummy."""

    def __init__(self, *paths: Path) -> None:
        self.sessions = [toys.open_session(path) for path in paths]
        for session in self.sessions:
            assert [entry.name for entry in session.get_inputs()] == NAMES
            assert [entry.type for entry in session.get_inputs()] == ["tensor(float)", "tensor(bool)"] * 3

    def __call__(self, row: toys.Row, number: int = 1, batch: int = 2) -> dict[str, Any]:
        feed: dict[str, np.ndarray] = {}
        for name, size in {"jets": MAX_JETS, "leptons": 2}.items():
            table = row[name][:size]
            data, mask = np.zeros((batch, size, table.shape[1]), np.float32), np.zeros((batch, size), bool)
            data[0, : len(table)], mask[0, : len(table)] = table, True
            feed[f"{name}_data"], feed[f"{name}_mask"] = data, mask
        feed["event_data"] = np.zeros((batch, 1, len(row["event"])), np.float32)
        feed["event_data"][0, 0], feed["event_mask"] = row["event"], np.ones((batch, 1), bool)
        session = self.sessions[(number + 1) % 2 if len(self.sessions) == 2 else 0]
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, [value[0] for value in session.run(None, feed)], strict=True))

    @staticmethod
    def best(probability: np.ndarray) -> tuple[int, ...] | None:
        """The jets of a particle: the largest entry."""
        place = np.unravel_index(probability.argmax(), probability.shape)
        return tuple(int(one) for one in place) if probability[place] > 0 else None


def test_the_reader_gets_the_numbers_of_the_tagger_in_batches_of_one_and_two(events, tmp_path):
    path = toys.write_layout(SPANet(events.graph, "spanet"), events.analysis, tmp_path)
    reader = SPANetReader(path)
    wanted = toys.predicted(events.tagger, events.analysis, events.rows)
    for batch in (1, 2):
        found = [reader(row, batch=batch) for row in events.rows]
        assert list(found[0]) == [f"EVENT/{name}" for name in VALUES]
        for name in VALUES:
            toys.assert_same({name: [one[f"EVENT/{name}"] for one in found]}, {name: wanted[f"pred_{name}"]}, [name])


def test_a_group_that_is_masked_is_missing(events, tmp_path):
    session = toys.open_session(toys.write_layout(SPANet(events.graph, "spanet"), events.analysis, tmp_path))
    layout = SPANet(events.graph, "spanet")
    row = {**events.rows[0], "event": np.full(6, np.nan, np.float32)}
    given = layout.given(toys.generic_of(events.analysis, [events.rows[0]]))
    given["event_mask"][:] = False
    found = session.run(["EVENT/m_tt"], given)[0]
    np.testing.assert_allclose(found, toys.predicted(events.tagger, events.analysis, [row])["pred_m_tt"], rtol=1e-5)


def test_the_file_of_even_events_is_the_one_that_was_trained_on_odd_ones(events):
    """The reader takes file number (event number + 1) % 2 of trained_on_even, trained_on_odd."""
    for parity in ("even", "odd"):
        layout = SPANet(events.graph, "spanet", {"apply_to": parity})
        metadata = layout.metadata(toys.toy_schema(events.analysis, layout))
        names, rule = metadata["file_order"].split(": file number ")
        assert rule == "(event number + 1) % 2"
        number = {"even": 4, "odd": 7}[parity]
        assert names.split(",")[(number + 1) % 2] == layout.file_name()
        assert f"an {parity} event number" in metadata["apply_to"]


def test_classes_and_discriminators_are_numbers_of_the_event(jets, tmp_path):
    layout = SPANet(jets.graph, "spanet")
    assert layout.output_names == ["EVENT/BvsL", "EVENT/BvsC", "EVENT/CvsB", "EVENT/CvsL", "EVENT/class"]
    session = toys.open_session(toys.write_layout(layout, jets.analysis, tmp_path))
    wanted = toys.predicted(jets.tagger, jets.analysis, jets.rows)
    generic = toys.generic_of(jets.analysis, jets.rows, 2)
    outputs = dict(zip(layout.output_names, session.run(layout.output_names, layout.given(generic)), strict=True))
    assert outputs["EVENT/class"].shape == (len(jets.rows), 3)
    toys.assert_same(layout.found(outputs, generic), wanted, ["prob_light", "prob_c", "prob_b"])


def chosen_by_size(heads: Any, embedding: Any, inputs: Any) -> dict[str, torch.Tensor]:
    """Columns as an assignment gives them: the jets with the first and second largest embedding, -1 where there are fewer than two."""
    jets = inputs["jets"]
    sizes = embedding.constituents["jets"].square().sum(dim=2) * jets.there[..., 0]
    places = torch.ones_like(sizes).cumsum(dim=1) - 1
    enough = jets.there[..., 0].sum(dim=1) > 1.5
    first = sizes.argmax(dim=1)
    rest = torch.where(places == first[:, None].float(), torch.full_like(sizes, -1.0), sizes)
    found = {"top": first, "antitop": rest.argmax(dim=1)}
    columns: dict[str, torch.Tensor] = {}
    for parent, place in found.items():
        columns[f"index_{parent}_b"] = torch.where(enough, place, torch.full_like(place, -1))
    for k, parent in enumerate(found, 2):
        columns[f"{parent}_assignment_probability"] = sizes.amax(dim=1) / (sizes.amax(dim=1) + k)
        columns[f"{parent}_detection_probability"] = 1 / (1 + sizes.sum(dim=1) + k)
    return columns


@pytest.mark.parametrize("batch", [1, 2])
def test_the_largest_entry_of_each_parent_is_the_best_assignment(batch, assigned, tmp_path, monkeypatch):
    monkeypatch.setattr(TargetHeads, "padded", chosen_by_size)
    layout = SPANet(assigned.graph, "spanet")
    assert layout.output_names[:4] == [
        "top_assignment_probability", "antitop_assignment_probability", "top_detection_probability", "antitop_detection_probability"
    ]  # fmt: skip
    reader = SPANetReader(toys.write_layout(layout, assigned.analysis, tmp_path))
    for row in assigned.rows:
        generic = toys.generic_of(assigned.analysis, [row], slots=1)
        with torch.no_grad():
            tensors = [torch.from_numpy(generic[name]) for name in assigned.graph.input_names]
            wanted = {name: value.numpy() for name, value in assigned.graph.columns(*tensors).items()}
        found = reader(row, batch=batch)
        for parent in ("top", "antitop"):
            probability = found[f"{parent}_assignment_probability"]
            assert probability.shape == (MAX_JETS,)
            index = wanted[f"index_{parent}_b"][0]
            assert reader.best(probability) == (None if index < 0 else (index,))
            if index >= 0:
                np.testing.assert_allclose(probability.max(), wanted[f"{parent}_assignment_probability"], rtol=1e-5)
                assert (probability > 0).sum() == 1
            np.testing.assert_allclose(
                found[f"{parent}_detection_probability"], wanted[f"{parent}_detection_probability"][0], rtol=1e-5
            )


def test_found_gives_positions_back(assigned, tmp_path, monkeypatch):
    monkeypatch.setattr(TargetHeads, "padded", chosen_by_size)
    layout = SPANet(assigned.graph, "spanet")
    session = toys.open_session(toys.write_layout(layout, assigned.analysis, tmp_path))
    generic = toys.generic_of(assigned.analysis, assigned.rows, slots=1)
    with torch.no_grad():
        tensors = [torch.from_numpy(generic[name]) for name in assigned.graph.input_names]
        wanted = {name: value.numpy() for name, value in assigned.graph.columns(*tensors).items()}
    outputs = dict(zip(layout.output_names, session.run(layout.output_names, layout.given(generic)), strict=True))
    found = layout.found(outputs, generic)
    assert set(found) == set(wanted) - {"top_assignment_probability", "antitop_assignment_probability"}
    assert (wanted["index_top_b"] == -1).any()
    for name in ("index_top_b", "index_antitop_b"):
        assert (found[name] == wanted[name]).all()
    toys.assert_same(found, wanted, sorted(set(found)))


PARENTS = """
      top: {b: truth_b_jet_index, l: {index: truth_lplus_lep_index, collection: leptons}}
      antitop: {b: truth_bbar_jet_index, x: truth_b_jet_index}
    symmetries: [[antitop.b, antitop.x]]
"""


def test_the_reader_finds_the_assignment_of_the_tagger_with_an_axis_for_each_slot(tmp_path):
    """The first parent takes a jet and a lepton, the second one two jets that may be exchanged."""
    text = (toys.ROOT / "analyses" / "ttbar_dilepton.yaml").read_text()
    text = re.sub(r"\n      top: .*?(?=\n  neutrinos:)", PARENTS.rstrip(), text, count=1, flags=re.DOTALL)
    text = re.sub(r"\ndilepton:.*?(?=\ninputs:)", "", text, flags=re.DOTALL).replace("limit: 10", "limit: 6")
    analysis, _ = parse_analysis(text, str(toys.ROOT / "analyses" / "ttbar_dilepton.yaml"))
    _, rows = toys.sample_rows("ttbar_dilepton", "ttbar_dilepton", 40)
    tagger = toys.random_tagger(analysis, "transformer_small", rows)
    layout = SPANet(TaggerGraph(tagger, analysis).eval(), "spanet")
    rows = [*rows[:8], *toys.odd_rows(analysis, rows)]
    path = toys.write_layout(layout, analysis, tmp_path)
    reader = SPANetReader(path)
    wanted = toys.predicted(tagger, analysis, rows)
    filled = 0
    for i, row in enumerate(rows):
        found = reader(row)
        for parent, slots in {"top": "bl", "antitop": "bx"}.items():
            probability = found[f"{parent}_assignment_probability"]
            assert probability.shape == {"top": (MAX_JETS, 2), "antitop": (MAX_JETS, MAX_JETS)}[parent]
            index = tuple(int(wanted[f"index_{parent}_{slot}"][i]) for slot in slots)
            assert reader.best(probability) == (None if -1 in index else index)
            filled += -1 not in index
            if -1 not in index:
                best = wanted[f"{parent}_assignment_probability"][i]
                np.testing.assert_allclose(probability.max(), best, rtol=1e-4)
            detection = wanted[f"{parent}_detection_probability"][i]
            np.testing.assert_allclose(found[f"{parent}_detection_probability"], detection, rtol=1e-4, atol=1e-6)
    assert 10 < filled < 2 * len(rows)
    generic = toys.generic_of(analysis, rows)
    outputs = reader.sessions[0].run(layout.output_names, layout.given(generic))
    back = layout.found(dict(zip(layout.output_names, outputs, strict=True)), generic)
    for parent, slots in {"top": "bl", "antitop": "bx"}.items():
        indices = [wanted[f"index_{parent}_{slot}"] for slot in slots]
        whole = np.minimum(*indices) >= 0
        for slot, index in zip(slots, indices, strict=True):
            assert back[f"index_{parent}_{slot}"].tolist() == np.where(whole, index, -1).tolist()
