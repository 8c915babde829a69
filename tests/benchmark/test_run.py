"""A run on a sandbox that is not real: what it is given, how each ending is told, and whose fault it is."""

import json
import os
import shutil
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score
from toy_benchmarks import FakeSandbox, write_benchmark, write_submission, x_as_score

from collidekit.benchmark.run import run_submission, sample_tag
from collidekit.benchmark.run_result import WATTS
from collidekit.benchmark.scoring.failures import ScoringError, UnfitPredictions
from collidekit.benchmark.scoring.result import Score, Scores
from collidekit.benchmark.states import Fault, State
from collidekit.benchmark.submission import code_hash, load_submission

SAMPLES = {name: {"features": f"{name}.parquet", "truth": f"truth/{name}.parquet"} for name in ("nominal", "shifted")}


@pytest.fixture
def benchmark(tmp_path):
    return write_benchmark(
        tmp_path / "benchmark", parameters=[{"name": "depth", "type": "int", "default": 4}], training=[]
    )


@pytest.fixture
def submission(tmp_path, benchmark):
    return load_submission(write_submission(tmp_path / "submission"), benchmark)


def run(benchmark, submission, tmp_path, sandbox=None, **settings):
    return run_submission(benchmark, "public", submission, tmp_path / "work", sandbox or FakeSandbox(), **settings)


def test_a_good_submission_has_the_auc_of_its_predictions(benchmark, submission, tmp_path):
    found = run(benchmark, submission, tmp_path, seed=7)
    assert (found.state, found.fault, found.reason) == (State.SUCCESS, None, "")
    label = pq.read_table(benchmark.folder / "truth/truth.parquet")["label"].to_numpy()
    x = pq.read_table(benchmark.folder / "features.parquet")["x"].to_numpy()
    assert found.scores.metrics["auc"].value == pytest.approx(roc_auc_score(label, x), abs=1e-12)
    assert found.scores.rows == len(label)
    assert found.code_hash == code_hash(submission.folder)
    assert (found.seed, found.wall_seconds, found.cpu_seconds, found.peak_memory) == (7, 1.0, 2.0, 1000)
    assert found.energy_joules == 2 * WATTS
    assert (
        json.loads(json.dumps(found.as_dict()))["scores"]["metrics"]["auc"]["value"]
        == found.scores.metrics["auc"].value
    )
    assert list(found.logs) == ["nominal/tagger"]


def test_the_truth_is_in_no_mount(benchmark, submission, tmp_path):
    sandbox = FakeSandbox()
    run(benchmark, submission, tmp_path, sandbox)
    truth = benchmark.folder / "truth" / "truth.parquet"
    (job,) = sandbox.jobs
    for mount in job.mounts:
        assert not truth.is_relative_to(mount.source), mount
    assert not truth.is_relative_to(job.output)


def test_what_a_step_is_given(benchmark, tmp_path):
    (benchmark.folder / "more.parquet").write_bytes(b"x")
    folder = write_submission(
        tmp_path / "s", preprocess="prepare", tagger="tag it", parameters={"depth": 2}, image="me/tagger"
    )
    sandbox = FakeSandbox()
    run(benchmark, load_submission(folder, benchmark), tmp_path, sandbox, seed=3)
    first, second = sandbox.jobs
    assert (first.command, second.command) == (("sh", "-c", "prepare"), ("sh", "-c", "tag it"))
    assert {mount.target for mount in first.mounts} == {
        "/submission",
        "/data/features.parquet",
        "/data/parameters.json",
    }
    preprocessed = {mount.target: mount.source for mount in second.mounts}["/preprocessed"]
    assert preprocessed == first.output
    assert first.output != second.output
    assert json.loads({mount.target: mount.source for mount in second.mounts}["/data/parameters.json"].read_text()) == {
        "depth": 2
    }
    assert second.environment["COLLIDEKIT_SEED"] == "3"
    assert second.environment["COLLIDEKIT_SAMPLE"] == "nominal"
    assert second.environment["COLLIDEKIT_FEATURES"] == "/data/features.parquet"
    assert (second.image, second.directory) == ("me/tagger", "/submission")
    assert (second.limits.memory, second.limits.walltime, second.limits.output) == (4 << 30, 1800.0, 500 << 20)


def test_training_and_public_files_are_in_data(tmp_path):
    sample = {"features": "f.parquet", "truth": "truth/t.parquet", "public": ["more/jets.pkl"]}
    folder = tmp_path / "b"
    for name in ("more/jets.pkl", "training/train.parquet"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(b"x")
    benchmark = write_benchmark(
        folder, phases={"public": {"samples": {"nominal": sample}}}, training=["training/train.parquet"]
    )
    sandbox = FakeSandbox()
    run(benchmark, load_submission(write_submission(tmp_path / "s"), benchmark), tmp_path, sandbox)
    assert {"/data/jets.pkl", "/data/training/train.parquet"} <= {mount.target for mount in sandbox.jobs[0].mounts}


@pytest.mark.parametrize(
    ("outcome", "state", "fault", "said"),
    [
        (
            {"ok": False, "reason": "ended with exit code 3", "exit_code": 3},
            State.ERROR,
            Fault.PARTICIPANT,
            "tagger on nominal: ended with exit code 3",
        ),
        (
            {"ok": False, "reason": "no cgroup", "service_fault": True},
            State.ERROR,
            Fault.SERVICE,
            "tagger on nominal: no cgroup",
        ),
        (
            {
                "ok": False,
                "reason": "bwrap: Can't bind mount /srv/my/public/jets.parquet: No such file",
                "service_fault": True,
            },
            State.ERROR,
            Fault.SERVICE,
            "tagger on nominal: bwrap: Can't bind mount jets.parquet: No such file",
        ),
        ({"ok": False, "reason": "", "canceled": True}, State.CANCELED, None, "canceled during tagger on nominal"),
    ],
)
def test_how_a_step_ends_is_how_the_run_ends(outcome, state, fault, said, benchmark, submission, tmp_path):
    found = run(benchmark, submission, tmp_path, FakeSandbox(**outcome))
    assert (found.state, found.fault, found.reason, found.scores) == (state, fault, said, None)
    assert len(found.steps) == 1
    assert "/srv" not in found.steps[0].outcome.reason
    assert ("/srv" in found.details) is ("/srv" in outcome["reason"]), "the organiser reads where it is"


def test_a_run_that_is_canceled_starts_nothing_more(benchmark, submission, tmp_path):
    sandbox = FakeSandbox()
    found = run(benchmark, submission, tmp_path, sandbox, canceled=lambda: True)
    assert (found.state, sandbox.jobs) == (State.CANCELED, [])
    found = run(benchmark, submission, tmp_path, sandbox, canceled=lambda: bool(sandbox.jobs))
    assert (found.state, found.reason, found.scores) == (State.CANCELED, "canceled before scoring", None)


def test_a_run_can_be_canceled_while_it_is_scored(benchmark, submission, tmp_path):
    scoring = threading.Event()
    found = run(
        benchmark, submission, tmp_path, canceled=scoring.is_set,
        on_step=lambda sample, step: scoring.set() if step == "scoring" else None,
    )  # fmt: skip
    assert (found.state, found.fault, found.reason, found.scores) == (
        State.CANCELED,
        None,
        "canceled during scoring",
        None,
    )


def write(values, column="top", keys=None):
    def action(job):
        pq.write_table(
            pa.table({"row": np.arange(len(values)) if keys is None else keys, column: values}),
            job.output / "predictions.parquet",
        )

    return action


@pytest.mark.parametrize(
    "action",
    [
        lambda job: None,
        write(np.full(400, np.nan)),
        write(np.full(399, 0.5)),
        write(np.full(400, 1.5)),
        write(np.full(400, 0.5), column="tops"),
        write(np.full(400, 0.5), keys=np.zeros(400, int)),
        lambda job: (job.output / "predictions.parquet").symlink_to(
            job.output.parents[2] / "benchmark/truth/truth.parquet"
        ),
    ],
)
def test_wrong_predictions_are_the_fault_of_the_participant(action, benchmark, submission, tmp_path):
    found = run(benchmark, submission, tmp_path, FakeSandbox(action))
    assert (found.state, found.fault, found.scores) == (State.ERROR, Fault.PARTICIPANT, None)
    assert found.reason
    assert "\n" not in found.reason


def test_a_changed_truth_is_the_fault_of_the_organiser(benchmark, submission, tmp_path):
    write_file = benchmark.folder / "truth" / "truth.parquet"
    write_file.write_bytes(write_file.read_bytes() + b"x")
    sandbox = FakeSandbox()
    found = run(benchmark, submission, tmp_path, sandbox)
    assert (found.state, found.fault, sandbox.jobs) == (State.ERROR, Fault.ORGANISER, [])
    assert found.reason == "the organiser's data of phase public does not fit its checksum; the organiser has to act"
    assert "truth.parquet: was changed or is damaged" in found.details


@pytest.mark.parametrize(
    ("score", "fault", "said"),
    [
        (lambda *given: Scores({"auc": Score(float("nan"))}), Fault.ORGANISER, "the scorer gives nan for auc"),
        (lambda *given: Scores({}), Fault.ORGANISER, "the scorer gives nan for auc"),
        (ScoringError("the scorer failed"), Fault.ORGANISER, "the scorer failed"),
        (UnfitPredictions("they do not add up to 1"), Fault.PARTICIPANT, "they do not add up to 1"),
    ],
)
def test_a_scorer_without_finite_scores_gives_no_success(score, fault, said, benchmark, submission, tmp_path):
    def fail(*given):
        raise score

    found = run(benchmark, submission, tmp_path, score=fail if isinstance(score, Exception) else score)
    assert (found.state, found.fault, found.scores) == (State.ERROR, fault, None)
    assert said in found.reason


def test_a_disk_that_fails_is_the_fault_of_the_service(benchmark, submission, tmp_path):
    (tmp_path / "work").write_text("a file in the place of the folder")
    found = run(benchmark, submission, tmp_path)
    assert (found.state, found.fault) == (State.ERROR, Fault.SERVICE)


def test_predictions_that_are_cut_off_are_never_left(benchmark, submission, tmp_path, monkeypatch):
    def full(path, predictions, keys):
        path.write_bytes(b"PK")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("collidekit.benchmark.run.write_predictions", full)
    found = run(benchmark, submission, tmp_path)
    assert (found.state, found.fault) == (State.ERROR, Fault.SERVICE)
    assert found.reason == "a file of the service cannot be read or written (No space left on device)"
    assert "predictions" in found.details
    assert not list((tmp_path / "work").rglob("*predictions*.npz"))


def test_output_of_an_earlier_try_is_not_read(benchmark, submission, tmp_path):
    assert run(benchmark, submission, tmp_path).state is State.SUCCESS
    found = run(benchmark, submission, tmp_path, FakeSandbox(lambda job: None))
    assert (found.state, found.fault) == (State.ERROR, Fault.PARTICIPANT)


def test_each_sample_is_run_and_none_tells_its_name(tmp_path):
    benchmark = write_benchmark(tmp_path / "b", phases={"public": {"samples": SAMPLES}})
    submission = load_submission(write_submission(tmp_path / "s"), benchmark)
    sandbox, steps = FakeSandbox(x_as_score), []
    found = run(benchmark, submission, tmp_path, sandbox, on_step=lambda sample, step: steps.append((sample, step)))
    assert found.state is State.SUCCESS
    assert {*steps[:2]} == {("nominal", "tagger"), ("shifted", "tagger")}
    assert steps[2:] == [("", "scoring")]
    assert set(found.scores.samples) == set(SAMPLES)
    told = {job.environment["COLLIDEKIT_SAMPLE"] for job in sandbox.jobs}
    assert len(told) == 2
    assert not told & set(SAMPLES)
    assert sample_tag(benchmark, "public", "nominal", found.code_hash) in told
    assert sample_tag(benchmark, "public", "nominal", "other code") not in told


def test_an_ensemble_has_its_runs(benchmark, submission, tmp_path):
    def action(job):
        table = pq.read_table(benchmark.folder / "features.parquet")
        for number in range(3):
            score = 1 / (1 + np.exp(-table["x"].to_numpy() - number))
            pq.write_table(pa.table({"row": table["row"], "top": score}), job.output / f"predictions_{number}.parquet")

    found = run(benchmark, submission, tmp_path, FakeSandbox(action))
    assert found.state is State.SUCCESS, found.reason
    assert found.scores.runs == 3


@pytest.mark.parametrize("how", ["copy", "hard link"])
def test_a_submission_that_holds_the_truth_does_not_run(how, benchmark, tmp_path):
    folder = write_submission(tmp_path / "submission")
    truth = benchmark.folder / "truth/truth.parquet"
    (shutil.copyfile if how == "copy" else os.link)(truth, folder / "weights.bin")
    sandbox = FakeSandbox()
    found = run(benchmark, load_submission(folder, benchmark), tmp_path, sandbox)
    assert (found.fault, sandbox.jobs) == (Fault.ORGANISER, [])
    assert "weights.bin: is " in found.details
    assert str(tmp_path) not in found.reason


@pytest.mark.parametrize("links", [True, False])
def test_no_path_or_order_tells_which_sample_is_shifted(links, tmp_path, monkeypatch):
    if not links:
        monkeypatch.setattr(os, "link", lambda *words: (_ for _ in ()).throw(OSError(18, "another disk")))
    benchmark = write_benchmark(tmp_path / "benchmark", phases={"public": {"samples": SAMPLES}}, training=[])
    orders = set()
    for number in range(8):
        work = tmp_path / f"work{number}"
        folder = write_submission(tmp_path / f"s{number}", preprocess="prepare", description=str(number))
        sandbox = FakeSandbox(x_as_score)
        found = run_submission(benchmark, "public", load_submission(folder, benchmark), work, sandbox)
        assert found.state is State.SUCCESS
        for job in sandbox.jobs:
            seen = [str(path.relative_to(tmp_path)) for path in (*(mount.source for mount in job.mounts), job.output)]
            assert not [path for path in seen if "nominal" in path or "shifted" in path]
        assert list(found.predictions) == ["nominal", "shifted"]
        assert not list(work.glob("*/data")), "links and copies are for the time of a run"
        orders.add(next(iter(found.logs)))
    assert orders == {"nominal/preprocess", "shifted/preprocess"}
    assert (benchmark.folder / "nominal.parquet").is_file()
