"""Layouts by name, and the properties of all layouts."""

import re
from types import SimpleNamespace

import layout_rows as toys
import numpy as np
import pytest
import torch

from collidekit.analysis.load import parse_analysis
from collidekit.errors import CollidekitError
from collidekit.export.layouts import LAYOUTS, find_layout
from collidekit.export.layouts.base import Layout
from collidekit.export.layouts.columns import default_names, variables


def test_layouts_are_found_by_name():
    assert list(LAYOUTS) == ["generic", "athena", "cmssw", "cmssw_upart", "topcptoolkit", "nuflows", "spanet", "triton"]
    assert all(find_layout(name).name == name for name in LAYOUTS)
    with pytest.raises(
        CollidekitError, match="no layout 'Atena' \\(did you mean 'athena'\\?\\); known are generic, athena"
    ):
        find_layout("Atena")


def test_the_generic_layout_gives_the_numbers_of_the_tagger(flavour, tmp_path):
    layout = Layout(flavour.graph, "tagger")
    session = toys.open_session(toys.write_layout(layout, flavour.analysis, tmp_path))
    wanted = toys.predicted(flavour.tagger, flavour.analysis, flavour.rows)
    names = ["prob_light", "prob_c", "prob_b"]
    for slots in (0, 4):
        generic = toys.generic_of(flavour.analysis, flavour.rows, slots)
        found = dict(zip(layout.output_names, session.run(layout.output_names, layout.given(generic)), strict=True))
        toys.assert_same(layout.found(found, generic), wanted, names)
    empty = {name: values[:0] for name, values in generic.items()}
    assert all(values.shape == (0,) for values in session.run(layout.output_names, empty))


def test_options_are_refused_where_there_are_none(jets):
    with pytest.raises(CollidekitError, match=r"layout generic: there is no option 'label\.b'; it has none"):
        Layout(jets.graph, "tagger", {"label.b": "x"})


@pytest.mark.parametrize("name", ["", " a", "a/b", "..", "a\n"])
def test_names_that_are_no_file_are_refused(jets, name):
    with pytest.raises(CollidekitError, match="layout generic: the name of the model"):
        Layout(jets.graph, name)


def test_padding_holds_no_information(jets):
    """The content of an empty slot has no effect, even if it is NaN."""
    generic = toys.generic_of(jets.analysis, jets.rows, 2)
    spoilt = {name: values.copy() for name, values in generic.items()}
    for name in ("tracks", "vertices"):
        spoilt[name][generic[f"{name}_mask"] == 0] = np.nan
    layout = Layout(jets.graph, "tagger").eval()
    with torch.no_grad():
        one, other = (
            layout(*(torch.from_numpy(entry[name]) for name in layout.input_names)) for entry in (generic, spoilt)
        )
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


NAMES = """
classes: {a: label == 0, b: label == 1}
inputs:
  parts:
    limit: 4
    momenta: [px, py + 0, e, e]
    coordinates: [px, angle]
    features: [parts_py, {name: größe, default: -9}]
"""


def test_each_column_has_a_name_of_its_own():
    """Expressions that are plain names and stand once name themselves; other momenta and coordinates are named by their input."""
    analysis, _ = parse_analysis(NAMES)
    names = default_names("parts", analysis.inputs["parts"])
    assert names == ["parts_py", "größe", "parts_px", "parts_py_2", "parts_pz", "parts_energy", "parts_x", "angle"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "'größe' of parts: use only letters, digits and _; rename it with the option variable.parts.größe"),
        ({"variable.parts.größe": "angle"}, "two variables of parts would be named 'angle'; rename it with"),
        ({"variable.parts.größe": "1st"}, "use only letters, digits and _"),
        ({"variable.parts.größe": "size"}, ""),
    ],
)
def test_variables_are_renamed_to_what_a_framework_can_read(options, said):
    analysis, _ = parse_analysis(NAMES)
    graph = SimpleNamespace(analysis=analysis, flows={}, constituent_outputs={}, output_names=["prob_a", "prob_b"])
    if said:
        with pytest.raises(CollidekitError, match=re.escape(said)):
            find_layout("cmssw")(graph, "tagger", options)
        return
    found = variables(find_layout("cmssw")(graph, "tagger", options), "parts", analysis.inputs["parts"])
    assert [(one.name, one.fill) for one in found][:3] == [("parts_py", 0), ("size", -9), ("parts_px", 0)]


def test_the_page_of_layouts_knows_each_layout_and_option(jets, events):
    page = (toys.ROOT / "docs" / "export-layouts.md").read_text()
    for name, layout in LAYOUTS.items():
        assert f"\n## `{name}`\n" in page
        assert f"\n| `{name}` |" in page
        fits = {"athena": {"sequence.vertices": "flows"}}.get(name, {})
        if name != "nuflows":
            graph = events.graph if name == "topcptoolkit" else jets.graph
            own = (
                page.split(f"\n## `{name}`\n")[1].split("\n## ")[0]
                + page.split("## Names and options")[1].split("\n## ")[0]
            )
            for option in layout(graph, "tagger", fits).option_names:
                kind, dot, _ = option.partition(".")
                assert f"`{kind}{dot}" in own or option == "apply_to", (name, option)
    assert "`apply_to`" in page
    assert "`target`" in page
