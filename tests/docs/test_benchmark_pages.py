"""The pages of open benchmarks name every key, metric and environment variable."""

import re
from pathlib import Path

import pytest
from toy_benchmarks import FakeSandbox, write_benchmark, write_submission

from collidekit.benchmark.build_plan import BuildPlan, Source
from collidekit.benchmark.definition import Benchmark, Limits, Phase
from collidekit.benchmark.run import run_submission
from collidekit.benchmark.scoring.metrics.registry import METRICS
from collidekit.benchmark.states import Fault, State
from collidekit.benchmark.submission import SubmissionFile, load_submission
from collidekit.shipped import shipped_benchmarks

DOCS = Path(__file__).parents[2] / "docs"
ORGANISE, TAKE_PART = (DOCS / f"benchmark-{name}.md" for name in ("organise", "take-part"))


def first_cells(page: Path, header: str) -> list[str]:
    """The code in the first cells of the table with this header."""
    below = page.read_text().split(f"\n| {header} |", 1)[1]
    rows = re.search(r"\n\|-.*\n((?:\|.*\n)+)", below)
    assert rows, header
    return [name for line in rows[1].splitlines() for name in re.findall(r"`([\w]+)`", line.split(" | ")[0])]


@pytest.mark.parametrize(
    ("page", "header", "model", "without"),
    [
        (ORGANISE, "key | default | meaning", Benchmark, {"folder"}),
        (ORGANISE, "limit | default |", Limits, set()),
        (ORGANISE, "key of `build` | default | meaning", BuildPlan, set()),
        (ORGANISE, "key of a sample | default | meaning", Source, set()),
        (TAKE_PART, "key of `submission.yaml` | meaning", SubmissionFile, set()),
    ],
)
def test_every_key_stands_in_its_page(page, header, model, without):
    header = header.removesuffix(" |")
    assert first_cells(page, header) == [name for name in model.model_fields if name not in without]


def test_every_key_of_a_phase_stands_in_its_page():
    section = ORGANISE.read_text().split("### Phases")[1].split("###")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(Phase.model_fields)


def test_every_metric_and_bundled_benchmark_stands_in_its_page():
    section = ORGANISE.read_text().split("### Metrics")[1].split("###")[0]
    named = [
        name
        for line in re.findall(r"^\| `.*", section, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", line.split(" | ")[0])
    ]
    assert sorted(named) == sorted(METRICS)
    assert sorted(first_cells(ORGANISE, "bundled | what is ranked | data")) == sorted(shipped_benchmarks())


def test_the_environment_and_the_folders_are_those_of_a_run(tmp_path):
    benchmark = write_benchmark(tmp_path / "b", rows=100)
    sandbox = FakeSandbox()
    submission = load_submission(write_submission(tmp_path / "s", preprocess="x"), benchmark)
    run_submission(benchmark, "public", submission, tmp_path / "work", sandbox)
    page = TAKE_PART.read_text()
    named = set(re.findall(r"`(COLLIDEKIT_[A-Z]+)`", page))
    assert named == {name for name in sandbox.jobs[0].environment if name.startswith("COLLIDEKIT")}
    for mount in sandbox.jobs[1].mounts:
        assert f"`{mount.target}`" in page, mount


def test_states_and_faults_are_explained():
    page = TAKE_PART.read_text()
    assert "A run is pending, running, success, error or canceled." in page
    assert {state.value for state in State} == {"pending", "running", "success", "error", "canceled"}
    assert first_cells(TAKE_PART, "fault | meaning") == []
    for fault in Fault:
        assert f"| {fault.value} | " in page
