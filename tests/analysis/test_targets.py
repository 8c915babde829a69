"""Targets of constituents in the analysis file."""

import pytest
from pydantic import TypeAdapter

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.analysis.targets import MemberClasses, SameOrigin, Target
from collidekit.errors import CollidekitError

TEXT = """\
variables:
  heavy: trk_origin == 1
classes: {b: flavour == 5, light: flavour == 0}
inputs:
  tracks: {limit: 9, features: [trk_pt]}
  jet: {features: [jet_pt]}
targets:
  origin: {collection: tracks, classes: {primary: trk_origin == 0, heavy: heavy}, weight: 0.5}
  vertex: {collection: tracks, same: trk_vertex, weight: 1.5}
"""
PLAIN = TEXT[: TEXT.index("targets")]


def test_targets_are_read_and_survive_the_manifest() -> None:
    analysis, _ = parse_analysis(TEXT)
    assert list(analysis.targets_of("tracks")) == ["origin", "vertex"]
    assert analysis.targets["origin"].classes == {"primary": "trk_origin == 0", "heavy": "heavy"}
    assert (analysis.targets["vertex"].same, analysis.targets["vertex"].weight) == ("trk_vertex", 1.5)
    assert Analysis.model_validate_json(analysis.model_dump_json()) == analysis


def test_truth_is_read_for_construction_and_never_for_prediction() -> None:
    plan = Plan(*parse_analysis(TEXT))
    available = ["flavour", "trk_pt", "jet_pt", "trk_origin", "trk_vertex"]
    assert set(plan.columns(available)) == set(available)
    assert set(plan.columns(available, with_truth=False)) == {"flavour", "trk_pt", "jet_pt"}
    assert set(plan.columns(["trk_pt", "jet_pt"], with_truth=False)) == {"trk_pt", "jet_pt"}


def test_a_branch_that_is_not_there_names_its_line() -> None:
    plan = Plan(*parse_analysis(TEXT, "my.yaml"))
    with pytest.raises(CollidekitError, match=r"my\.yaml:9: 'trk_vertex': there is no branch .*'trk_vertices'"):
        plan.columns(["flavour", "trk_pt", "jet_pt", "trk_origin", "trk_vertices"])
    with pytest.raises(CollidekitError, match=r"my\.yaml:8: 'trk_origin == 0': there is no branch"):
        plan.columns(["flavour", "trk_pt", "jet_pt", "trk_vertex"])


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("collection: tracks, same", "collection: track, same", 9, "no collection 'track' among the inputs (did you mean"),
        ("collection: tracks, same", "collection: jet, same", 9, "no collection 'jet' among the inputs"),
        ("same: trk_vertex", "smae: trk_vertex", 9, "unknown key (did you mean 'same'?); allowed are collection, same"),
        ("same: trk_vertex, ", "", 9, "targets.vertex: needs one of 'classes', 'same' (of constituents), 'values' or 'parents' (of rows)"),
        ("{collection: tracks, classes", "{same: trk_vertex, collection: tracks, classes", 8, "needs one of 'classes', 'same'"),
        (", heavy: heavy", "", 8, "targets.origin: needs at least two classes"),
        ("weight: 0.5", "weight: 0", 8, "targets.origin.weight: Input should be greater than or equal to 0.000001"),
        ("trk_origin == 0", "trk_origin =", 8, "'trk_origin =': cannot be read"),
        ("same: trk_vertex", "same: vertex(1)", 9, "there is no function 'vertex'"),
        ("  vertex:", "  my-vertex:", 9, "'my-vertex' is not a name"),
        ("targets:", "tragets:", 7, "unknown key (did you mean 'targets'?)"),
    ],
)  # fmt: skip
def test_mistakes(old: str, new: str, line: int, said: str) -> None:
    assert TEXT.count(old) == 1
    with pytest.raises(CollidekitError) as error:
        Plan(*parse_analysis(TEXT.replace(old, new), "my.yaml"))
    assert str(error.value).startswith(f"my.yaml:{line}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_the_fingerprint_is_of_what_is_stored() -> None:
    mine = parse_analysis(TEXT)[0].fingerprint
    assert mine == parse_analysis(TEXT.replace("weight: 0.5", "weight: 0.7"))[0].fingerprint
    assert mine != parse_analysis(TEXT.replace("== 0, heavy", "== 2, heavy"))[0].fingerprint
    assert mine != parse_analysis(PLAIN)[0].fingerprint


def test_keys_at_their_default_are_not_in_the_fingerprint() -> None:
    """So a new key of the schema leaves all datasets as they are."""
    plain = parse_analysis(PLAIN)[0].fingerprint
    assert parse_analysis(PLAIN + "targets: {}\nspectators: []\nsource: {format: auto}\n")[0].fingerprint == plain
    assert plain == "7822d04bc3"


def test_targets_as_earlier_versions_write_them() -> None:
    """Checkpoints hold the analysis with the key that a target does not have, as null or empty."""
    old = {
        "origin": {"collection": "tracks", "classes": {"a": "x == 0", "b": "x == 1"}, "same": None, "weight": 0.5},
        "vertex": {"collection": "tracks", "classes": {}, "same": "v", "weight": 1.0},
    }
    found = TypeAdapter(dict[str, Target]).validate_python(old)
    assert found == {
        "origin": MemberClasses(collection="tracks", classes={"a": "x == 0", "b": "x == 1"}, weight=0.5),
        "vertex": SameOrigin(collection="tracks", same="v"),
    }
