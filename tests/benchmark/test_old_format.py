"""The benchmark file of ROB's demo: read as it is, with its duplicate key."""

import pytest
from rob_demo import BENCHMARK, FLOWSERV, write_demo

from collidekit.benchmark.definition import load_benchmark
from collidekit.benchmark.old_convert import convert_old
from collidekit.benchmark.old_format import is_old_format, read_old_format
from collidekit.errors import CollidekitError


@pytest.fixture
def demo(tmp_path):
    (tmp_path / "benchmark.yaml").write_text(BENCHMARK)
    (tmp_path / "flowserv.yaml").write_text(FLOWSERV)
    (tmp_path / "instructions.md").write_text("Write results/yProbBest.pkl.\n")
    return tmp_path


def test_the_duplicate_key_is_explained_and_the_later_one_kept(demo):
    found = read_old_format(demo)
    assert "dtype: string\n    dtype: actor" in BENCHMARK
    line = 1 + BENCHMARK[: BENCHMARK.index("    dtype: actor")].count("\n")
    (said,) = [text for text in found.warnings if "twice" in text]
    assert said == (
        f"{demo / 'benchmark.yaml'}:{line}: 'dtype' stands twice: 'string' in line {line - 1} and 'actor' here; YAML forbids that, flowserv used "
        "the later one, and so does this"
    )
    assert {one["name"]: one["type"] for one in found.content["parameters"]} == {
        "preproc": "actor",
        "tagger": "actor",
        "depth": "int",
    }


def test_all_that_the_demo_says_is_kept_or_told(demo):
    found = read_old_format(demo)
    made = found.benchmark(demo)
    assert (made.name, made.title, made.description) == (
        "top_tagger_demo",
        "Top Tagger Demo",
        "The landscape of top taggers",
    )
    assert made.instructions == "Write results/yProbBest.pkl.\n"
    assert [(step.name, step.optional) for step in made.steps] == [("preprocess", True), ("tagger", False)]
    assert [(metric.name, metric.metric, metric.direction) for metric in made.metrics] == [
        ("bg_reject", "background_rejection", "higher"),
        ("auc", "auc", "higher"),
    ]
    assert made.metrics[0].settings == {"signal_efficiency": 0.5, "interpolation": "linear"}
    assert made.metrics[0].label == "Background rejection (at 50%)"
    assert made.order == ["bg_reject"]
    assert (made.ensemble.rule, made.ensemble.outliers, made.old_format) == ("median", "rob", True)
    depth = made.parameters[2]
    assert (depth.default, depth.minimum, depth.maximum, depth.label) == (4, 1, 10, "Depth")
    assert made.parameters[0].default[1]["environment"] == "toptaggerdemo:0.2.0"
    told = " ".join(found.warnings)
    for part in (
        "'model-evaluater' of the organiser becomes the scorer",
        "bg_reject_std, auc_std are no columns",
        "postproc is left out",
    ):
        assert part in told


def test_the_converted_file_is_a_benchmark_that_stays_the_same(demo, tmp_path):
    assert is_old_format(demo)
    convert_old(demo, tmp_path / "new")
    made = load_benchmark(tmp_path / "new")
    assert made.model_dump() == read_old_format(demo).benchmark(tmp_path / "new").model_dump()
    assert not is_old_format(tmp_path / "new")
    with pytest.raises(CollidekitError, match="is there already; name a new folder"):
        convert_old(demo, tmp_path / "new")


def test_the_specification_may_have_another_name(demo):
    (demo / "benchmark.yaml").rename(demo / "spec.yaml")
    (demo / "flowserv.yaml").write_text(FLOWSERV.replace("benchmark.yaml", "spec.yaml"))
    assert is_old_format(demo)
    assert read_old_format(demo).content["title"] == "Top Tagger Demo"
    (demo / "flowserv.yaml").write_text(FLOWSERV.replace("benchmark.yaml", "../spec.yaml"))
    with pytest.raises(CollidekitError, match="lies outside of the folder"):
        read_old_format(demo)


def test_load_benchmark_says_how_to_convert(demo):
    (demo / "benchmark.yaml").write_text(BENCHMARK.replace("    dtype: string\n", ""))
    with pytest.raises(
        CollidekitError, match="is a benchmark file of ROB; convert it with: collidekit benchmark build"
    ):
        load_benchmark(demo)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("workflow:\n", "workflow:\n  version: '0.3.0'\n", "is of flowserv before 0.8"),
        ("results:\n  file", "result:\n  file", "has no 'results'"),
        ("name: bg_reject,", "name: significance,", "'significance' is no result of the demo"),
        ("sortDesc: true", "sortDesc: false", "higher is better"),
        ("action: $[[tagger]]", "action: $[[tager]]", "is no parameter of the pre-processing or the tagger"),
        ("dtype: int", "dtype: integer", r"'integer' is no type of parameters"),
        ("range: '[1,10]'", "range: '(1,10]'", "is open at 1"),
        ("range: '[1,10]'", "rnge: '[1,10]'", r"unknown key 'rnge' \(did you mean 'range'"),
        ("workflow:", "workflow: [", "not valid YAML"),
        ("name: depth", "name: maxDepth", r"benchmark.yaml: cannot be converted: parameters.2.name: "),
        (
            "defaultValue: 4",
            "defaultValue: deep",
            "cannot be converted: parameters.2: parameter 'depth' is 'deep', and a whole",
        ),
    ],
)
def test_what_cannot_be_kept_is_an_error(old, new, said, demo, tmp_path):
    assert old in BENCHMARK
    (demo / "benchmark.yaml").write_text(BENCHMARK.replace(old, new, 1))
    with pytest.raises(CollidekitError, match=said) as error:
        convert_old(demo, tmp_path / "new")
    assert "\n" not in str(error.value)


def test_the_demo_without_flowserv_file_is_named_by_its_folder(tmp_path):
    folder = tmp_path / "My Demo"
    folder.mkdir()
    (folder / "benchmark.yaml").write_text(BENCHMARK)
    assert read_old_format(folder).content["name"] == "my_demo"
    assert write_demo(tmp_path / "whole", rows=3).is_dir()
