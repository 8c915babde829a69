"""JSON lines: layouts, numbers that are none, wrong lines."""

import gzip
import json
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest

from collidekit.analysis.schema import Source
from collidekit.errors import CollidekitError
from collidekit.readers import BadFileError, open_file
from collidekit.readers.layout import LAYOUTS


def lines(path: Path, *values: Any) -> str:
    path.write_text("".join((value if isinstance(value, str) else json.dumps(value)) + "\n" for value in values))
    return str(path)


def source(layout: Any) -> Source:
    return Source.model_construct(format="auto", tree=None, layout=layout)


def test_objects(tmp_path: Path) -> None:
    """Members of lists and of objects become columns; what comes later than the first line counts, too."""
    first = {"pt": 1, "v": [], "jets": [], "id": {"run": 3}, "tag": "b", "deep": [[1]]}
    second = {"pt": 2.5, "v": [1, 2], "jets": [{"pt": 1.5, "n": 2}], "id": {"run": 4}, "tag": "c", "deep": [[1]]}
    with open_file(lines(tmp_path / "a.jsonl", first, "", second)) as reader:
        assert reader.rows == 2
        assert reader.columns == {
            "pt": "float64",
            "v": "var * float64",
            "jets_pt": "var * float64",
            "jets_n": "var * float64",
            "id_run": "float64",
        }
        assert set(reader.unreadable) == {"tag", "deep"}
        assert ak.to_list(reader.read(["jets_n", "v", "id_run"], 0, 2)) == [
            {"jets_n": [], "v": [], "id_run": 3},
            {"jets_n": [2], "v": [1, 2], "id_run": 4},
        ]


def test_words_for_numbers(tmp_path: Path) -> None:
    values = '{"v": ["NaN", "-NaN", "inf", "-inf", "Infinity", NaN, -Infinity, null, 1.5]}'
    with open_file(lines(tmp_path / "a.jsonl", values)) as reader:
        inf = np.inf
        read = ak.to_numpy(reader.read(["v"], 0, 1).v[0])
    np.testing.assert_array_equal(read, [np.nan, np.nan, inf, -inf, inf, np.nan, -inf, np.nan, 1.5])


def test_null_where_a_list_may_stand_is_an_empty_one(tmp_path: Path) -> None:
    """Also where the lines that were looked at have none, and in a layout."""
    first, second = {"v": None, "jets": [{"pt": 1}]}, {"v": [1, None], "jets": None}
    path = lines(tmp_path / "a.jsonl", first, *[second] * 150, first)
    with open_file(path) as reader:
        assert reader.columns == {"v": "var * float64", "jets_pt": "var * float64"}
        rows = reader.read(["v", "jets_pt"], 0, 152)
        assert ak.to_list(ak.nan_to_num(rows.v, nan=-9))[:2] == [[], [1, -9]]
        assert ak.to_list(rows.jets_pt[[0, 1, 151]]) == [[1], [], [1]]
    with open_file(lines(tmp_path / "b.jsonl", [1, None], [2, [[3]]]), source(["a", {"each": ["x"]}])) as reader:
        assert ak.to_list(reader.read(["a", "x"], 0, 2)) == [{"a": 1, "x": []}, {"a": 2, "x": [3]}]


def test_flags_are_numbers_and_two_keys_of_one_name_cannot_be_used(tmp_path: Path) -> None:
    with open_file(lines(tmp_path / "a.jsonl", {"b": True, "v": [False], "jet": {"pt": 1}, "jet_pt": 2})) as reader:
        assert ak.to_list(reader.read(["b", "v"], 0, 1)) == [{"b": 1, "v": [0]}]
        with pytest.raises(CollidekitError, match=r"'jet_pt' cannot be used: it is in the file twice"):
            reader.read(["jet_pt"], 0, 1)


def test_nested_tracks_in_a_compressed_file(tmp_path: Path) -> None:
    """Windows line ends, members of gzip one after the other, no end of line at the end."""
    rows = [{"pt": "inf", "tracks": [{"d0": "NaN", "p": {"x": k}} for k in range(n)]} for n in range(4)]
    text = "\r\n".join(json.dumps(row) for row in rows).encode()
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(text[:60]) + gzip.compress(text[60:]))
    with open_file(str(tmp_path / "a.json.gz")) as reader:
        assert reader.rows == 4
        read = reader.read(["pt", "tracks_d0", "tracks_p_x"], 1, 4)
    assert ak.to_list(read.tracks_p_x) == [[0], [0, 1], [0, 1, 2]]
    assert ak.all(np.isnan(read.tracks_d0), axis=None)
    assert ak.to_list(read.pt) == [np.inf] * 3


def test_layout_mirrors_the_line(tmp_path: Path) -> None:
    layout = ["pt", None, ["a", "_", "b"], {"each": "v"}, {"each": ["x", "y"], "prefix": "hit_"}]
    path = lines(tmp_path / "a.jsonl", [1, "text", [2, {}, 3], [4, 5], [[6, 7], [8, 9]]], [1, 0, [2, 0, 3], [], []])
    with open_file(path, source(layout)) as reader:
        assert ak.to_list(reader.read(list(reader.columns), 0, 2)) == [
            {"pt": 1, "a": 2, "b": 3, "v": [4, 5], "hit_x": [6, 8], "hit_y": [7, 9]},
            {"pt": 1, "a": 2, "b": 3, "v": [], "hit_x": [], "hit_y": []},
        ]


def test_lists_in_lists(tmp_path: Path) -> None:
    """Tracks of all vertices in one list, each with the mass of its vertex."""
    tracks = {"each": ["d0", "z0"], "prefix": "track_", "repeat": {"vertex_mass": "track_vertex_mass"}}
    layout = ["pt", {"each": ["mass", "n", tracks], "prefix": "vertex_"}]
    path = lines(
        tmp_path / "a.jsonl",
        [50, [[1.5, 2, [[0.1, 0.2], [0.3, 0.4]]], [2.5, 0, []], [3.5, 1, [[0.5, 0.6]]]]],
        [60, []],
    )
    with open_file(path, source(layout)) as reader:
        assert ak.to_list(reader.read(list(reader.columns), 0, 2)) == [
            {
                "pt": 50,
                "vertex_mass": [1.5, 2.5, 3.5],
                "vertex_n": [2, 0, 1],
                "track_d0": [0.1, 0.3, 0.5],
                "track_z0": [0.2, 0.4, 0.6],
                "track_vertex_mass": [1.5, 1.5, 3.5],
            },
            {
                "pt": 60,
                "vertex_mass": [],
                "vertex_n": [],
                "track_d0": [],
                "track_z0": [],
                "track_vertex_mass": [],
            },
        ]


def test_jet_flavour_2016(tmp_path: Path) -> None:
    """17 numbers a jet and 28 a track, tracks of all vertices one after the other."""
    jet = [47.9, 1.89, 5, list(range(8)), ["-inf", *range(5)], [[[0.5] * 28, [1.5] * 28], [["NaN"] + [2.5] * 27]]]
    with open_file(lines(tmp_path / "dataset.json", jet), source("jet_flavour_2016")) as reader:
        flat = [name for name, kind in reader.columns.items() if kind == "float64"]
        assert len(flat) == 17
        assert len(reader.columns) == 17 + 28
        rows = reader.read(
            ["flavor", "vertex_significance", "track_d0", "track_qoverpqoverp", "track_vertex_mass"], 0, 1
        )
        assert ak.to_list(ak.nan_to_num(rows, nan=-9, neginf=-8))[0] == {
            "flavor": 5,
            "vertex_significance": -8,
            "track_d0": [0.5, 1.5, -9],
            "track_qoverpqoverp": [0.5, 1.5, 2.5],
            "track_vertex_mass": [0.5, 1.5, 2.5],
        }
    assert list(LAYOUTS) == ["jet_flavour_2016"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ([1, [2, 3, 4], [[5, 6]]], r"line 2, position \[1\]: a list of 2 was expected, not of 3"),
        ([1, 2, [[5, 6]]], r"line 2, position \[1\]: a list of 2 was expected, not 2"),
        ([1, [2, 3], [[5, 6], [7]]], r"line 2, position \[2\]\[1\]: a list of 2 was expected, not of 1"),
        ([1, [2, 3], [[5, 6], 7]], r"line 2, position \[2\]\[1\]: a list of 2 was expected, not 7"),
        ([[1], [2, 3], []], r"line 2, position \[0\]: a number was expected, not a list"),
        ([1, [2, "three"], []], r"line 2: b is 'three', not a number"),
        ([1, [2, 3], [[5, [6]]]], r"line 2: hit_y is \[6\], not a number"),
        ([1, [2, 3]], r"line 2, position the line itself: a list of 3 was expected, not of 2"),
        ('{"a": 1}', "line 2, position the line itself: a list of 3 was expected, not an object"),
    ],
)
def test_wrong_shape(tmp_path: Path, line: Any, said: str) -> None:
    layout = ["pt", ["a", "b"], {"each": ["x", "y"], "prefix": "hit_"}]
    path = lines(tmp_path / "wrong.jsonl", [1, [2, 3], []], line)
    with open_file(path, source(layout)) as reader:
        assert len(reader.read(list(reader.columns), 0, 1)) == 1
        with pytest.raises(BadFileError, match=f"wrong.jsonl, {said}"):
            reader.read(list(reader.columns), 0, 2)
        assert len(reader.read(list(reader.columns), 0, 1)) == 1


def test_lists_where_numbers_were(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", *[{"v": [1.0]}] * 100, {"v": [[1.0]]})
    with open_file(path) as reader, pytest.raises(BadFileError, match=r"line 101: v is \[1.0\], not a number"):
        reader.read(["v"], 100, 101)


def test_a_key_that_is_missing(tmp_path: Path) -> None:
    with (
        open_file(lines(tmp_path / "a.jsonl", {"a": 1, "b": 2}, {"a": 1})) as reader,
        pytest.raises(BadFileError, match=r"line 2, position \['b'\]: the value is missing"),
    ):
        reader.read(["a"], 0, 2)


def test_no_json(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", *[{"a": 1}] * 150, '{"a": ')
    with open_file(path) as reader, pytest.raises(BadFileError, match=r"a.jsonl, line 151: is not JSON"):
        reader.read(["a"], 0, 151)


def test_lists_without_layout(tmp_path: Path) -> None:
    with pytest.raises(CollidekitError, match=r"name their positions with `source: \{layout"):
        open_file(lines(tmp_path / "a.jsonl", [1, 2]))


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ("jet_flavor_2016", "no layout 'jet_flavor_2016'.*did you mean 'jet_flavour_2016'"),
        (["a", "a"], "'a' is given twice"),
        (["a", {"every": ["b"]}], "is neither a name"),
        (["a", {"each": ["b"], "repeat": {"a": "c"}}], "'a' is not a name of the list around it"),
    ],
)
def test_wrong_layout(tmp_path: Path, layout: Any, said: str) -> None:
    with pytest.raises(CollidekitError, match=said):
        open_file(lines(tmp_path / "a.jsonl", [1, 2]), source(layout))
