"""Files for even or odd event numbers: only from networks that were not trained on these events."""

from pathlib import Path

import pytest
import toys
from toy_bundles import make_model

from collidekit.analysis.load import load_analysis, parse_analysis
from collidekit.errors import CollidekitError
from collidekit.export.layouts.parity import selected_parity
from collidekit.export.members import prepare_members
from collidekit.export.options import Options
from collidekit.export.sample import read_sample
from collidekit.export.write import write_bundle

JETS = {"input.constituents": "jet_inputs"}


@pytest.mark.parametrize(
    ("selection", "parity"),
    [
        ("event % 2 == 1", "odd"),
        ("event % 2", "odd"),
        ("`event` % 2 != 1 and jet_pt > 0", "even"),
        ("jet_pt > 0 and event % 4 in (1, 3)", "odd"),
        ("is_odd and jet_pt > 0", "odd"),
        ("event % 2 == 1 or jet_pt > 0", "all"),
        ("event % 3 == 1", "all"),
        ("event > 20000 or event % 2 == 1", "all"),
        ("jet_pt > 0", "all"),
        ("jet_pt % 2 == 1", "all"),
        (None, "all"),
    ],
)
def test_the_parity_that_a_selection_keeps(selection: str | None, parity: str) -> None:
    analysis = parse_analysis(toys.TOY)[0]
    variables = {**analysis.variables, "is_odd": "event % 2 == 1"}
    assert selected_parity(analysis.model_copy(update={"selection": selection, "variables": variables})) == parity
    assert selected_parity(analysis.model_copy(update={"selection": "event % 2 == 1", "event": []})) == "all"


@pytest.mark.parametrize("layout", ["topcptoolkit", "spanet"])
def test_a_network_of_all_events_is_in_no_pair(layout: str) -> None:
    analysis = parse_analysis(toys.TOY)[0]
    options = Options(layout=layout, of_layout={"apply_to": "even", **(JETS if layout == "topcptoolkit" else {})})
    for selection, keeps in ((None, "all"), ("event % 2 == 0", "even")):
        model = make_model(analysis.model_copy(update={"selection": selection}))
        with pytest.raises(
            CollidekitError, match=f"may have been trained on even events.* keeps {keeps} events"
        ) as error:
            prepare_members({"m": model}, "toy", options)
        assert "train a network with the selection 'event % 2 == 1'" in str(error.value)
    prepare_members({"m": make_model(analysis.model_copy(update={"selection": "event % 2 == 1"}))}, "toy", options)


def test_schema_and_graph_say_the_same_events(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    toys.write_table(tmp_path / "rows.root", toys.toy_table(60))
    (tmp_path / "toy.yaml").write_text(toys.TOY.replace("classes:", "selection: event % 2 == 1\nclasses:"))
    model = make_model(load_analysis(tmp_path / "toy.yaml"))
    sample = read_sample({"m": model}, [str(tmp_path / "rows.root")], 60)
    options = Options(layout="topcptoolkit", of_layout={"apply_to": "even", **JETS})
    made = write_bundle({"m": model}, sample, tmp_path / "bundle", "toy", options)
    (graph,) = made.schema.graphs
    assert graph.file == "even.onnx"
    assert graph.apply_to == "events with an even event number (event number % 2 == 0)"
    metadata = {entry.key: entry.value for entry in onnx.load(made.folder / "even.onnx").metadata_props}
    assert metadata["apply_to"] == graph.apply_to
