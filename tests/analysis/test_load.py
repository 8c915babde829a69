"""Analysis files: every mistake is one line that names the file, the line and what is allowed."""

import re
from pathlib import Path

import pytest

from collidekit.analysis.load import load_analysis, parse_analysis
from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.errors import CollidekitError

GOOD = """\
source: {tree: tree}
selection: jet_pt > 20
variables:
  part_pt: hypot(part_px, part_py)
  part_rel: part_pt / jet_pt
classes:
  qcd: label == 0
  top: label == 1
inputs:
  parts:
    limit: 10
    order: part_pt
    features:
      - part_rel
      - {name: part_d0, unit: mm, default: 0, bounds: [-5, 5]}
  jet: {features: [jet_pt]}
spectators: [jet_pt]
event: [run, event]
kinematics: {jet_pt: [20, 50, 100], reference: qcd}
discriminators: {TvsQCD: {signal: top, background: qcd}}
working_points: [0.1, 0.01]
"""


def test_a_good_file() -> None:
    analysis, _ = parse_analysis(GOOD, "folder/tops.yaml")
    assert analysis.name == "tops"
    assert list(analysis.classes) == ["qcd", "top"]
    assert analysis.collections["parts"].features[0].expression == "part_rel"
    assert analysis.groups["jet"].features[0].name == "jet_pt"
    assert analysis.kinematics is not None
    assert analysis.kinematics.bins == {"jet_pt": [20, 50, 100]}
    assert analysis.discriminators["TvsQCD"].signal == ["top"]


def test_a_number_is_an_expression() -> None:
    analysis, _ = parse_analysis(GOOD.replace("qcd: label == 0", "qcd: 0") + "weight: 2\n")
    assert (analysis.classes["qcd"], analysis.weight) == ("0", "2")


MISTAKES = [
    (
        "source: {tree: tree}",
        "sourse: {tree: tree}",
        1,
        "unknown key (did you mean 'source'?); allowed are class_weights, classes,",
    ),
    ("{tree: tree}", "{trea: tree}", 1, "source.trea: unknown key (did you mean 'tree'?); allowed are format,"),
    ("source: {tree: tree}", "files: {trianing: a}", 1, "(did you mean 'training'?); allowed are test, training"),
    ("    limit: 10", "    limit: 10\n    ordre: 1", 12, "unknown key (did you mean 'order'?)"),
    ("    limit: 10", "    limit: many", 11, "inputs.parts.limit: Input should be a valid integer"),
    ("    limit: 10", "    limit: 0", 11, "greater than or equal to 1, got 0"),
    ("    limit: 10\n", "", 10, "inputs.parts.limit: is required"),
    ("    limit: 10", "    limit: 10\n    limit: 11", 12, "'limit' is given twice"),
    ("  top: label == 1", "  qcd: label == 1", 8, "'qcd' is given twice"),
    (
        "classes:\n  qcd: label == 0\n  top: label == 1\n",
        "",
        1,
        "needs at least two classes, or none beside a target with 'values'",
    ),
    ("  top: label == 1\n", "", 6, "needs at least two classes"),
    ("unit: mm", "units: mm", 15, "unknown key (did you mean 'unit'?); allowed are attackable, bounds, default"),
    ("unit: mm", "kind: real", 15, "'continuous', 'integer' or 'flag', got 'real'"),
    ("[-5, 5]", "[5, -5]", 15, "must be [low, high] with low < high"),
    ("[-5, 5]", "[5]", 15, "inputs.parts.features.1.bounds"),
    ("[-5, 5]", "[.nan, 5]", 15, "must be [low, high] with low < high"),
    ("default: 0", "default: .nan", 15, "finite number"),
    ("name: part_d0", "name: part-d0", 15, "'part-d0' is not a name"),
    ("      - part_rel", "      - part_rel\n      - part_rel", 15, "feature 'part_rel' is given twice"),
    ("hypot(part_px, part_py)", "hypo(part_px)", 4, "there is no function 'hypo' (did you mean 'hypot'?)"),
    ("hypot(part_px, part_py)", "part_px.real", 4, "an attribute (a dot) is not allowed"),
    ("hypot(part_px, part_py)", "__import__('os')", 4, "there is no function '__import__'"),
    ("hypot(part_px, part_py)", "part_rel", 4, "variables use each other in a circle: part_pt -> part_rel -> part_pt"),
    ("  part_pt: hypot", "  pi: hypot", 4, "'pi' is a constant"),
    ("jet_pt > 20", "jet_pt >", 2, "cannot be read"),
    ("[20, 50, 100]", "[20, 50, 50]", 19, "at least two, in ascending order"),
    ("[20, 50, 100]", "[20]", 19, "at least two, in ascending order"),
    ("[20, 50, 100]", "[20, .nan, 100]", 19, "at least two, in ascending order"),
    ("[20, 50, 100], reference", "[20, 50], b: [0, 1], c: [0, 1], reference", 19, "one or two variables"),
    ("reference: qcd", "reference: qdc", 19, "no class 'qdc' (did you mean 'qcd'?)"),
    (", reference: qcd", "", 19, "kinematics.reference: is required"),
    ("background: qcd", "background: top", 20, "'top' is both signal and background"),
    ("background: qcd", "background: gluon", 20, "no class 'gluon'"),
    ("signal: top, ", "", 20, "discriminators.TvsQCD.signal: is required"),
    ("[0.1, 0.01]", "[0.1, 2]", 21, "less than 1, got 2"),
    ("[run, event]", "[run, run]", 18, "event.1: 'run' is given twice"),
    ("spectators: [jet_pt]", "spectators: jet_pt", 17, "valid list"),
    ("spectators: [jet_pt]", "spectators: [jet_pt", 18, "not valid YAML"),
    ("spectators: [jet_pt]", "class_weights: {tpo: 2}", 17, "no class 'tpo' (did you mean 'top'?)"),
    ("spectators: [jet_pt]", "class_weights: {top: -2}", 17, "greater than or equal to 0"),
    ("spectators: [jet_pt]", "processes: {tt: {files: tt, weight: 0}}", 17, "greater than 0"),
    ("spectators: [jet_pt]", "spectators: [jet_pt]\n? [a, b]\n: 3", 18, "a key must be a name"),
]


@pytest.mark.parametrize(("old", "new", "line", "said"), MISTAKES)
def test_mistakes(old: str, new: str, line: int, said: str) -> None:
    assert GOOD.count(old) >= 1
    with pytest.raises(CollidekitError) as error:
        Plan(*parse_analysis(GOOD.replace(old, new, 1), "my.yaml"))
    message = str(error.value)
    assert said in message
    assert re.match(r"my\.yaml:\d+: ", message), message
    assert int(message.split(":")[1]) == line, message
    assert "\n" not in message


MEMBERS = """\
rows: Jet
members:
  JetPFCands: JetPFCands_jetIdx
  JetSVs: JetSVs_jetIdx
variables: {first: "first(JetPFCands_pt)"}
classes: {b: Jet_flavour == 5, light: Jet_flavour == 0}
inputs:
  vertices: {limit: 4, features: [JetSVs_mass]}
  jet: {features: [first, Jet_pt]}
"""


def test_members_of_rows() -> None:
    plan = Plan(*parse_analysis(MEMBERS))
    assert plan.analysis.members == {"JetPFCands": "JetPFCands_jetIdx", "JetSVs": "JetSVs_jetIdx"}
    names = ["Jet_flavour", "Jet_pt", "JetPFCands_pt", "JetPFCands_jetIdx", "JetSVs_mass", "JetSVs_jetIdx"]
    assert sorted(plan.columns([*names, "JetPFCands_eta"])) == sorted(names)
    assert Analysis.model_validate_json(plan.analysis.model_dump_json()) == plan.analysis


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("rows: Jet", "weight: 1", 2, "members: needs 'rows'"),
        ("  JetSVs: J", "  JetSV: J", 4, "no branch that begins with 'JetSV_' is used (did you mean 'JetSVs'"),
        ("[JetSVs_mass]", "[SV_mass]", 4, "members.JetSVs: no branch that begins with 'JetSVs_' is used"),
        ("JetSVs: JetSVs_jetIdx", "JetSVs: JetSVs-jetIdx", 4, "'JetSVs-jetIdx' is not a name"),
        ("JetSVs: JetSVs_jetIdx", "JetSVs: 3", 4, "members.JetSVs: Input should be a valid string, got 3"),
        ("JetSVs: JetSVs_jetIdx", "JetSVs: first", 4, "members.JetSVs: 'first' is not a branch of the file"),
        ("JetSVs: JetSVs_jetIdx", "JetSVs: row_index", 4, "members.JetSVs: 'row_index' is not a branch of the file"),
        ("JetSVs: JetSVs_jetIdx", "JetSVs: pi", 4, "members.JetSVs: 'pi' is not a branch of the file"),
        ("  JetSVs: J", "  JetPFCands_x: J", 4, "'JetPFCands' and 'JetPFCands_x' have branches in common"),
        ("  JetSVs: J", "  Jet: J", 4, "members.Jet: 'Jet' and 'Jet' have branches in common"),
        ("  JetSVs: J", "  JetPFCands: J", 4, "'JetPFCands' is given twice"),
        ("members:", "membres:", 2, "unknown key (did you mean 'members'?)"),
    ],
)
def test_mistakes_in_members(old: str, new: str, line: int, said: str) -> None:
    assert MEMBERS.count(old) == 1
    with pytest.raises(CollidekitError) as error:
        Plan(*parse_analysis(MEMBERS.replace(old, new), "my.yaml"))
    assert str(error.value).startswith(f"my.yaml:{line}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a\n- b",
        "just words",
        "a: [1, 2",
        "\tb: 1",
        "x: 2024-13-45",
        "a: &a [*a]",
        "[" * 500,
        "a: b: c",
        "a: \x01",
    ],
)
def test_files_that_are_no_analysis(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(CollidekitError) as error:
        load_analysis(tmp_path / "a.yaml")
    assert str(error.value).startswith(f"{tmp_path / 'a.yaml'}:")
    assert "\n" not in str(error.value)


def test_aliases_cannot_grow_without_bound() -> None:
    levels = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    with pytest.raises(CollidekitError, match="aliases"):
        parse_analysis("\n".join(["a0: &a0 [lol]", *levels]))


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(CollidekitError, match="there is no such analysis file"):
        load_analysis(tmp_path / "none.yaml")
    with pytest.raises(CollidekitError, match="cannot be read as a text file"):
        load_analysis(tmp_path)
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(CollidekitError, match="cannot be read as a text file"):
        load_analysis(tmp_path / "a.yaml")


def test_infinite_edges_and_bounds_survive_the_manifest() -> None:
    text = GOOD.replace("[20, 50, 100]", "[20, 50, .inf]").replace("[-5, 5]", "[-.inf, 5]")
    analysis, _ = parse_analysis(text)
    again = Analysis.model_validate_json(analysis.model_dump_json())
    assert again == analysis
    assert Analysis.model_validate(analysis.model_dump(mode="json")) == analysis


CHANGES = [
    ("jet_pt > 20", "jet_pt > 21"),
    ("part_pt / jet_pt", "part_pt / 2"),
    ("  qcd: label == 0\n  top: label == 1", "  top: label == 1\n  qcd: label == 0"),
    ("limit: 10", "limit: 11"),
    ("default: 0", "default: 1"),
    ("[20, 50, 100]", "[20, 60, 100]"),
    ("[run, event]", "[event, run]"),
]


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_the_fingerprint_changes_with_what_decides_the_rows(old: str, new: str) -> None:
    assert old in GOOD
    assert parse_analysis(GOOD)[0].fingerprint != parse_analysis(GOOD.replace(old, new))[0].fingerprint


def test_the_fingerprint_changes_with_the_members() -> None:
    without = MEMBERS.replace("  JetSVs: JetSVs_jetIdx\n", "")
    assert parse_analysis(MEMBERS)[0].fingerprint != parse_analysis(without)[0].fingerprint


@pytest.mark.parametrize(("old", "new"), [("0.01]", "0.02]"), ("TvsQCD", "TvQ"), ("tree}", "tree}  # a comment")])
def test_the_fingerprint_stays_with_what_does_not(old: str, new: str) -> None:
    assert (
        parse_analysis(GOOD, "a.yaml")[0].fingerprint == parse_analysis(GOOD.replace(old, new), "b.yaml")[0].fingerprint
    )


def test_words_that_yaml_1_1_takes_for_conditions_are_names() -> None:
    """``no``, ``off``, ``yes``, ``on``, ``y`` and ``n`` are names as keys, in lists and as values; true and false are not."""
    analysis, _ = parse_analysis(
        """
classes: {no: label == 0, yes: label == 1, off: label == 2}
inputs:
  on: {features: [y, n, {name: x, attackable: no}, {name: z, attackable: false}]}
discriminators: {NO: {signal: no, background: [yes, off]}}
class_weights: {no: 2}
"""
    )
    assert list(analysis.classes) == ["no", "yes", "off"]
    assert [feature.name for feature in analysis.inputs["on"].features] == ["y", "n", "x", "z"]
    assert [feature.attackable for feature in analysis.inputs["on"].features] == [True, True, False, False]
    assert analysis.discriminators["NO"].signal == ["no"]
    assert analysis.class_weights == {"no": 2}


def test_a_number_as_a_key_is_an_error_with_its_line() -> None:
    with pytest.raises(CollidekitError, match=r"analysis:2: classes\.4.*'4' is not a name"):
        parse_analysis("classes:\n  4: label == 4\n  5: label == 5\ninputs: {jet: {features: [jet_pt]}}")


def test_keys_of_the_figure_of_merit_are_named() -> None:
    text = """
classes: {a: label == 0, b: label == 1}
inputs: {jet: {features: [pt]}}
figure_of_merit: {variable: mass, signal: a, half_width: 20}
"""
    with pytest.raises(CollidekitError, match=r"half_width: unknown key .*; allowed are .*variable, width, window"):
        parse_analysis(text)
