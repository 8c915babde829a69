"""Every fault of a benchmark file is one line that names the line of the file."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from toy_benchmarks import CONTENT

from collidekit.benchmark.check import check_metrics
from collidekit.benchmark.definition import Benchmark, load_benchmark
from collidekit.errors import CollidekitError


def read(place: Path, /, **changed: Any) -> Benchmark:
    (place / "benchmark.yaml").write_text(yaml.safe_dump({**deepcopy(CONTENT), **changed}, sort_keys=False))
    return load_benchmark(place)


def test_a_file_is_read_and_its_content_makes_the_same_benchmark_again(tmp_path):
    found = read(tmp_path)
    assert found.folder == tmp_path
    assert found.phase("public").submissions_per_day == 10
    assert found.limits.memory == 4096
    assert Benchmark.model_validate({**found.model_dump(mode="json"), "folder": tmp_path}) == found


def test_a_file_in_another_folder_is_found_from_wherever_one_stands(tmp_path, monkeypatch):
    read(tmp_path)
    monkeypatch.chdir(tmp_path.parent)
    assert load_benchmark(tmp_path.name).folder.is_absolute()


def phase(**changed: Any) -> dict[str, Any]:
    return {"phases": {"public": {**deepcopy(CONTENT["phases"]["public"]), **changed}}}


def sample(**changed: Any) -> dict[str, Any]:
    return {
        "phases": {
            "public": {
                "samples": {"nominal": {**deepcopy(CONTENT["phases"]["public"]["samples"]["nominal"]), **changed}}
            }
        }
    }


def parameter(**keys: Any) -> dict[str, Any]:
    return {"parameters": [{"name": "depth", **keys}]}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tilte": "x"}, r":\d+: tilte: unknown key \(did you mean 'title'\?\)"),
        ({"signal": "tops"}, r"benchmark.yaml:\d+: signal: there is no class 'tops' \(did you mean 'top'\?\)"),
        ({"background": "top"}, "signal and background are both 'top'"),
        ({"classes": ["top"], "background": ""}, "needs at least two classes"),
        ({"classes": ["qcd", "top", "top"]}, "classes: 'top' stands twice"),
        ({"task": "assignment"}, "classes, signal and background are for classification"),
        ({"key": "top"}, "the column 'top' is the key"),
        ({"key": "label"}, "key and truth_column are both 'label'"),
        ({"order": ["auk"]}, r"order.0: 'auk' is not a metric \(did you mean 'auc'\?\)"),
        ({"order": ["auc", "auc"]}, "order: 'auc' stands twice"),
        ({"metrics": [{"name": "auc", "metric": "auc"}] * 2}, "metrics: 'auc' stands twice"),
        ({"references": [{"name": "P", "scores": {"auk": 1}, "source": "x"}]}, "references.0.scores.auk: 'auk' is not a metric"),
        ({"references": [{"name": "P", "scores": {"auc": float("nan")}, "source": "x"}]}, "references.0.scores.auc"),
        ({"references": [{"name": "P", "scores": {"auc": 1}, "errors": {"auk": 1}, "source": "x"}]}, "errors: 'auk' has no score"),
        ({"steps": [{"name": "tagger"}, {"name": "preprocess"}]}, "the last step must be the tagger"),
        ({"steps": [{"name": "tagger", "optional": True}]}, "the tagger is not optional"),
        ({"output": {"columns": ["top", "top"]}}, "column 'top' stands twice"),
        ({"output": {"columns": ["top"], "minimum": 1, "maximum": 0}}, "minimum 1 is not below maximum 0"),
        ({"limits": {"memory": 4}}, "limits.memory: 4 is not an amount with a unit"),
        ({"limits": {"memry": "4 GB"}}, r"limits.memry: unknown key \(did you mean 'memory'\?\)"),
        (phase(start="2026-12-01T12:00:00"), "phases.public.start: needs a time zone"),
        (phase(start="2026-12-01T12:00:00+01:00", end="2026-12-01T11:00:00Z"), "is not after start"),
        (phase(visible=False), "needs an end"),
        (phase(sampels={}), r"unknown key \(did you mean 'samples'\?\)"),
        (sample(features="../features.parquet"), "is not a path inside the folder of the benchmark"),
        (sample(features="/etc/passwd"), "is not a path inside the folder of the benchmark"),
        (sample(features="a\\..\\b"), "is not a path inside"),
        (sample(features="truth/truth.parquet"), r":\d+: phases.public.samples.nominal.truth: 'truth/truth.parquet' is the truth of a test sample"),
        (sample(public=["more.pkl", "truth//truth.parquet"]), "phases.public.samples.nominal.truth: 'truth/truth.parquet' is the truth of a test sample"),
        ({"training": ["truth/truth.parquet"]}, "phases.public.samples.nominal.truth: 'truth/truth.parquet' is the truth of a test sample"),
        (sample(features={"path": "f.parquet", "sha265": "0"}), r"unknown key \(did you mean 'sha256'\?\)"),
        (sample(features={"path": "f.parquet", "sha256": "12"}), "features.sha256"),
        ({"build": {"analysis": "top_tagging", "phases": {"pubic": {}}}}, r"build.phases.pubic: there is no phase 'pubic' \(did you mean"),
        ({"build": {"analysis": "t", "phases": {"public": {"nominal": {"files": "x"}, "shiftd": {"files": "x"}}}}},
         r":\d+: build.phases.public.shiftd: there is no sample 'shiftd'; samples are nominal"),
        ({"build": {"analysis": "t", "phases": {"public": {"nominl": {"files": "x"}}}}}, r"no sample 'nominl' \(did you mean 'nominal'"),
        ({"build": {"analysis": "t", "phases": {"public": {}}}}, "build.phases.public.nominal: names no files for the sample 'nominal'"),
        ({"build": {"analysis": "t"}}, "build.phases.public.nominal: names no files for the sample 'nominal'"),
        ({"build": {"analysis": "top_tagging", "sed": 1}}, r"build.sed: unknown key \(did you mean 'seed'\?\)"),
        ({"build": {"analysis": "t", "phases": {"public": {"nominal": {"files": "x", "events": [0.5, 0.5]}}}}}, "two fractions from 0 to 1"),
        (parameter(type="int", default="deep"), "parameter 'depth' is 'deep', and a whole number is needed"),
        (parameter(type="select"), "choices are needed for the type select"),
        (parameter(choices=["a"]), "choices are needed for the type select, and for no other"),
        (parameter(type="string", minimum=1), "minimum and maximum are for the types int and float"),
        (parameter(type="int", default=7, maximum=5), "above its maximum 5"),
        (parameter(type="int", default=1, required=True), "a required parameter needs no default"),
        (parameter(type="intt"), "parameters.0.type"),
        ({"title": ""}, "title"),
        ({"folder": "/tmp"}, "folder: unknown key"),
        ({"phases": {}}, "phases"),
    ],
)  # fmt: skip
def test_a_fault_is_one_line(changed, said, tmp_path):
    with pytest.raises(CollidekitError, match=said) as error:
        read(tmp_path, **changed)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "benchmark.yaml:"))


def test_the_line_of_a_fault_is_that_of_the_key(tmp_path):
    (tmp_path / "benchmark.yaml").write_text("benchmark: 1\nname: toy\ntitle: Toy\nlimits:\n  cpus: 2\n  memry: 4 GB\n")
    with pytest.raises(CollidekitError, match=r"benchmark.yaml:6: limits.memry"):
        load_benchmark(tmp_path)


def test_a_key_that_stands_twice_is_an_error(tmp_path):
    (tmp_path / "benchmark.yaml").write_text("benchmark: 1\nname: toy\nname: toy\n")
    with pytest.raises(CollidekitError, match=r"benchmark.yaml:3: 'name' is given twice"):
        load_benchmark(tmp_path)


def test_a_missing_folder_or_file_is_one_line(tmp_path):
    with pytest.raises(CollidekitError, match="cannot be read as a benchmark file"):
        load_benchmark(tmp_path / "no")
    (tmp_path / "benchmark.yaml").write_text("[1]")
    with pytest.raises(CollidekitError, match="has lines of 'key: value'"):
        load_benchmark(tmp_path)


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    (tmp_path / "b").mkdir()
    found = read(tmp_path / "b")
    (tmp_path / "secret").write_text("x")
    (tmp_path / "b" / "features.parquet").symlink_to(tmp_path / "secret")
    with pytest.raises(CollidekitError, match="leads out of the folder of the benchmark"):
        found.path(found.phases["public"].samples["nominal"].features)


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ({"metric": "auk"}, r"there is no metric 'auk' \(did you mean 'auc'\?\)"),
        ({"metric": "auc", "direction": "lower"}, "higher is better"),
        ({"metric": "background_rejection", "settings": {"signal_eficiency": 0.3}}, "signal_efficiency"),
        ({"metric": "coverage"}, "coverage is for intervals"),
    ],
)
def test_metrics_that_do_not_exist_or_fit_are_refused(metric, said, tmp_path):
    with pytest.raises(CollidekitError, match=said) as error:
        check_metrics(read(tmp_path, metrics=[{"name": "m", **metric}]))
    assert str(tmp_path) in str(error.value)
