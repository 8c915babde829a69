"""Submissions to begin with: they run as they are."""

import json
from types import SimpleNamespace

import pytest
from toy_benchmarks import PlainSandbox, write_benchmark

from collidekit.benchmark.init import _ends, columns_of_bundle, write_submission
from collidekit.benchmark.run import run_submission
from collidekit.benchmark.states import State
from collidekit.benchmark.submission import load_submission
from collidekit.errors import CollidekitError

TASKS = {
    "classification": {},
    "several classes": {"classes": ["qcd", "top", "w"], "output": {"columns": ["qcd", "top", "w"], "minimum": 0, "maximum": 1},
                        "metrics": [{"name": "accuracy", "metric": "accuracy"}, {"name": "brier", "metric": "brier", "direction": "lower"}]},
}  # fmt: skip


def run(benchmark, folder, tmp_path):
    found = run_submission(
        benchmark,
        "public",
        load_submission(folder, benchmark),
        tmp_path / "work",
        PlainSandbox(tmp_path / "root"),
        seed=5,
    )
    logs = "".join((tmp_path / "work" / "nominal" / f"{step.step}.log").read_text() for step in found.steps)
    return found, logs


@pytest.mark.parametrize("task", TASKS)
def test_the_template_runs_as_it_is(task, tmp_path):
    benchmark = write_benchmark(tmp_path / "b", **TASKS[task])
    folder = write_submission(tmp_path / "my first: tagger", benchmark)
    found, logs = run(benchmark, folder, tmp_path)
    assert found.state is State.SUCCESS, found.reason + logs
    assert "400 rows with row, x" in logs
    assert load_submission(folder, benchmark).name == "my first: tagger"
    for name in (
        "README.md",
        "requirements.txt",
        "Containerfile",
        "mydata/README.txt",
        "my_tagger/do_nothing.py",
        "my_tagger/__init__.py",
    ):
        assert (folder / name).is_file()
    assert not [
        path for path in folder.rglob("*") if "template" in path.name or (path.is_file() and "@" in path.read_text())
    ]


def test_the_pre_processing_that_does_nothing_runs(tmp_path):
    benchmark = write_benchmark(tmp_path / "b")
    folder = write_submission(tmp_path / "s", benchmark)
    text = (folder / "submission.yaml").read_text()
    assert "# preprocess: python3" in text
    (folder / "submission.yaml").write_text(text.replace("# preprocess", "preprocess"))
    found, logs = run(benchmark, folder, tmp_path)
    assert found.state is State.SUCCESS, found.reason + logs
    assert [step.step for step in found.steps] == ["preprocess", "tagger"]
    assert "nothing to do" in logs


def test_the_same_seed_gives_the_same_predictions(tmp_path):
    benchmark = write_benchmark(tmp_path / "b")
    folder = write_submission(tmp_path / "s", benchmark)
    values = []
    for _ in range(2):
        found, _ = run(benchmark, folder, tmp_path)
        values.append(found.predictions["nominal"].read_bytes())
    assert values[0] == values[1]


def test_parameters_stand_in_the_file(tmp_path):
    parameters = [
        {"name": "depth", "type": "int", "default": 4, "label": "Depth"},
        {"name": "kind", "required": True},
        {"name": "old", "type": "actor"},
    ]
    benchmark = write_benchmark(tmp_path / "b", parameters=parameters)
    text = (write_submission(tmp_path / "s", benchmark) / "submission.yaml").read_text()
    assert "parameters:\n  # depth: 4  # Depth\n  kind:   # string\n" in text
    with pytest.raises(CollidekitError, match="parameter 'kind' is required"):
        load_submission(tmp_path / "s", benchmark)
    (tmp_path / "s" / "submission.yaml").write_text(text.replace("kind: ", "kind: x"))
    assert load_submission(tmp_path / "s", benchmark).parameters == {"depth": 4, "kind": "x"}


def test_long_and_multi_line_texts_of_parameters_stay_in_one_line(tmp_path):
    default = [f"jet_feature_{number}" for number in range(20)] + ["two\nlines: \u2028#", "end\n", "é"]
    parameters = [
        {"name": "columns", "type": "list", "default": default, "help": "Columns to read.\nAll others are\u2028left\x07 out."},
        {"name": "depth", "type": "int", "required": True, "help": "Depth of the trees.\n\n  From 1 to 9."},
    ]  # fmt: skip
    benchmark = write_benchmark(tmp_path / "b", parameters=parameters)
    name = "a name of " + "many words " * 8
    file = write_submission(tmp_path / "s", benchmark, name=name.strip()) / "submission.yaml"
    text = file.read_text()
    assert "  depth:   # Depth of the trees. From 1 to 9.\n" in text
    file.write_text(text.replace("  # columns:", "  columns:").replace("depth: ", "depth: 3"))
    found = load_submission(tmp_path / "s", benchmark)
    assert (found.name, found.parameters) == (name.strip(), {"columns": default, "depth": 3})


def test_nothing_is_overwritten(tmp_path):
    write_submission(tmp_path / "s")
    (tmp_path / "s" / "submission.yaml").write_text("name: mine\ntagger: x\n")
    with pytest.raises(CollidekitError, match="is there already; name a new folder"):
        write_submission(tmp_path / "s")
    assert (tmp_path / "s" / "submission.yaml").read_text() == "name: mine\ntagger: x\n"


def test_a_bundle_gives_the_columns_of_the_benchmark(top_bundle, tmp_path):
    assert columns_of_bundle(top_bundle, None) == {"top": "prob_top"}
    assert columns_of_bundle(top_bundle, write_benchmark(tmp_path / "a")) == {"top": "prob_top"}
    both = write_benchmark(tmp_path / "b", output={"columns": ["top", "qcd"]})
    assert columns_of_bundle(top_bundle, both) == {"top": "prob_top", "qcd": "prob_qcd"}
    other = write_benchmark(tmp_path / "c", output={"columns": ["w"]})
    with pytest.raises(
        CollidekitError, match="has no output for the column 'w' of the benchmark; its outputs are prob_qcd, prob_top"
    ):
        write_submission(tmp_path / "s", other, top_bundle)
    assert not (tmp_path / "s").exists()


def test_a_folder_that_is_no_bundle_is_named(tmp_path):
    with pytest.raises(CollidekitError, match="there is no such bundle"):
        write_submission(tmp_path / "s", None, tmp_path / "no")


def test_a_bundle_is_copied_whole(top_bundle, tmp_path):
    folder = write_submission(tmp_path / "s", None, top_bundle)
    copied = {path.name: path.read_bytes() for path in (folder / "mydata" / "bundle").iterdir()}
    assert copied == {path.name: path.read_bytes() for path in top_bundle.iterdir()}
    assert json.dumps({"top": "prob_top"}) in (folder / "my_tagger" / "tagger.py").read_text()


def outputs(*names):
    return SimpleNamespace(outputs=[SimpleNamespace(name=name) for name in names])


def test_intervals_are_the_quantiles_of_an_only_value():
    quantiles = ("pred_m_tt", "pred_m_tt_q025", "pred_m_tt_q16", "pred_m_tt_q84", "pred_m_tt_q975")
    assert _ends(outputs("prob_top", *quantiles)) == {"low": "pred_m_tt_q16", "high": "pred_m_tt_q84"}
    assert _ends(outputs("pred_m_tt", "pred_m_tt_q025", "pred_m_tt_q975")) == {}
    assert _ends(outputs(*quantiles, "pred_x_q16", "pred_x_q84")) == {}  # which of the two is not known
    assert _ends(outputs("pred_m_tt")) == {}
