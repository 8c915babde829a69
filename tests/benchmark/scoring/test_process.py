"""The scorer in a process of its own: the same numbers, and a reason for whatever fails."""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scoring_toys import AUC, R30, gaussian_scores, write_benchmark

from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.scoring.arrays import (
    in_order_of,
    read_predictions_npz,
    read_truth_npz,
    write_predictions,
    write_truth,
)
from collidekit.benchmark.scoring.failures import ScoringCanceled, ScoringError, UnfitPredictions
from collidekit.benchmark.scoring.from_definition import read_truths, score
from collidekit.benchmark.scoring.process import score_in_process
from collidekit.benchmark.states import Fault
from collidekit.errors import CollidekitError

ROWS = 1000


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Benchmark, np.ndarray]:
    folder = tmp_path_factory.mktemp("toy")
    p, labels = gaussian_scores(ROWS, 1.5, 1)
    return write_benchmark(folder, {"nominal": {"label": labels}}), p


def written(folder: Path, p: np.ndarray, keys: np.ndarray | None = None) -> dict[str, Path]:
    keys = np.arange(len(p)) if keys is None else keys
    return {"nominal": write_predictions(folder / "p.npz", p[None, :, None], keys)}


def test_the_numbers_are_those_of_this_process(toy: tuple[Benchmark, np.ndarray], tmp_path: Path) -> None:
    benchmark, p = toy
    here = score(benchmark, "final", {"nominal": p[None, :, None]}, read_truths(benchmark, "final"))
    assert score_in_process(benchmark, "final", written(tmp_path, p), 60) == here


def test_rows_are_matched_by_their_key(toy: tuple[Benchmark, np.ndarray], tmp_path: Path) -> None:
    benchmark, p = toy
    order = np.random.default_rng(1).permutation(ROWS)
    straight = score_in_process(benchmark, "final", written(tmp_path, p), 60)
    assert score_in_process(benchmark, "final", written(tmp_path, p[order], order), 60) == straight
    with pytest.raises(ScoringError, match="the keys of the predictions are not those of the truth"):
        score_in_process(benchmark, "final", written(tmp_path, p, np.arange(1, ROWS + 1)), 60)


def test_without_keys_the_order_is_that_of_the_features(tmp_path: Path) -> None:
    p, labels = gaussian_scores(ROWS, 1.5, 1)
    straight = write_benchmark(tmp_path, {"nominal": {"label": labels}})
    expected = score_in_process(
        straight, "final", {"nominal": write_predictions(tmp_path / "p.npz", p[None, :, None])}, 60
    )
    order = np.random.default_rng(2).permutation(ROWS)
    turned = write_benchmark(tmp_path, {"nominal": {"label": labels}}, {"nominal": {"row": order, "x": np.zeros(ROWS)}})
    path = write_predictions(tmp_path / "turned.npz", p[order][None, :, None])
    assert score_in_process(turned, "final", {"nominal": path}, 60) == expected


def test_unfit_predictions_are_the_participant_s(toy: tuple[Benchmark, np.ndarray], tmp_path: Path) -> None:
    benchmark, p = toy
    with pytest.raises(UnfitPredictions, match="top is nan in row 3 of run 0") as caught:
        score_in_process(benchmark, "final", written(tmp_path, np.where(np.arange(ROWS) == 3, np.nan, p)), 60)
    assert caught.value.fault is Fault.PARTICIPANT


CHILDREN = {
    "sleeps": ("import time; time.sleep(60)", r"did not end within 1 s"),
    "ignores": ("import signal, time; [signal.signal(s, signal.SIG_IGN) for s in (1, 2, 15)]; time.sleep(60)", "did not end within"),
    "dies": ("import os; os.kill(os.getpid(), 11)", "was ended by signal 11"),
    "killed": ("import os; os.kill(os.getpid(), 9)", "of memory, or was killed"),
    "raises": ("raise ValueError('broken metric')", r"ended with exit code 1: ValueError: broken metric"),
    "exits": ("import sys; print('no idea'); sys.exit(3)", "ended with exit code 3: no idea"),
    "silent": ("", "its answer is none: .*No such file"),
    "no_json": ("open('scores.json', 'w').write('{')", "its answer is none"),
    "nan": ("open('scores.json', 'w').write('{\"metrics\": {\"auc\": {\"value\": NaN}}}')", "the value of a score is nan"),
    "less": ("open('scores.json', 'w').write('{\"metrics\": {\"auc\": {\"value\": 1}}}')", "the scorer gave no r30"),
    "scores_but_fails": (
        "import sys; open('scores.json', 'w').write('{\"metrics\": {\"auc\": {\"value\": 1}, \"r30\": {\"value\": 1}}}'); sys.exit(5)",
        "ended with exit code 5",
    ),
    "memory": ("from collidekit.benchmark.scoring.child import limit_resources; limit_resources(1 << 30, 9); bytearray(4 << 30)", "MemoryError"),
    "huge": ("f = open('scores.json', 'w'); f.truncate(1 << 27)", "answered more than 64 MB"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHILDREN)
def test_whatever_fails_is_the_organiser_s_and_has_a_reason(
    name: str, toy: tuple[Benchmark, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark, p = toy
    code, message = CHILDREN[name]
    (tmp_path / f"child_{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    start = time.monotonic()
    with pytest.raises(ScoringError, match=message) as caught:
        score_in_process(
            benchmark, "final", written(tmp_path, p), 1 if message.startswith("did not") else 30, child=f"child_{name}"
        )
    assert caught.value.fault is Fault.ORGANISER
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 20


def test_what_the_scorer_starts_is_killed_with_it(
    toy: tuple[Benchmark, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark, p = toy
    mark = tmp_path / "grandchild"
    (tmp_path / "child_forks.py").write_text(
        f"import subprocess, sys, time\nc = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(mark)!r}, 'w').write(str(c.pid))\ntime.sleep(60)"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ScoringError, match="did not end"):
        score_in_process(benchmark, "final", written(tmp_path, p), 3, child="child_forks")
    pid = int(mark.read_text())
    for _ in range(50):
        if not _runs(pid):
            return
        time.sleep(0.1)
    pytest.fail("a process of the scorer is left")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] not in "ZX"
    except OSError:
        return False


def test_secrets_of_a_server_are_not_passed_on(
    toy: tuple[Benchmark, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark, p = toy
    monkeypatch.setenv("COLLIDEKIT_TOKEN", "secret")
    (tmp_path / "child_tells.py").write_text("import os, sys; print(sorted(os.environ)); sys.exit(4)")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ScoringError, match="'PATH'") as caught:
        score_in_process(benchmark, "final", written(tmp_path, p), 30, child="child_tells")
    assert "TOKEN" not in str(caught.value)


def test_too_little_memory_for_the_scorer(toy: tuple[Benchmark, np.ndarray], tmp_path: Path) -> None:
    benchmark, p = toy
    with pytest.raises(ScoringError, match=r"memory|MemoryError|ended|failed"):
        score_in_process(benchmark, "final", written(tmp_path, p), 60, memory=200 << 20)


def test_cancel(toy: tuple[Benchmark, np.ndarray], tmp_path: Path) -> None:
    benchmark, p = toy
    with pytest.raises(ScoringCanceled, match="canceled"):
        score_in_process(benchmark, "final", written(tmp_path, p), 60, canceled=lambda: True)


def test_a_changed_truth_or_a_wrong_metric_is_the_organiser_s(tmp_path: Path) -> None:
    p, labels = gaussian_scores(ROWS, 1.5, 1)
    benchmark = write_benchmark(tmp_path, {"nominal": {"label": labels}})
    table = pq.read_table(tmp_path / "nominal_truth.parquet")
    pq.write_table(table.slice(0, ROWS - 1), tmp_path / "nominal_truth.parquet")
    with pytest.raises(ScoringError, match="the truth does not have the SHA-256"):
        score_in_process(benchmark, "final", written(tmp_path, p), 60)
    for metrics, message in (
        ([{"name": "a", "metric": "acu"}], r"no metric 'acu' \(did you mean 'auc'\?\)"),
        (
            [AUC, {"name": "c", "metric": "coverage"}],
            "metric c: coverage is for intervals, and the task is classification",
        ),
        ([{**R30, "settings": {}}], "metric r30 needs the setting 'signal_efficiency'"),
        (
            [{**R30, "settings": {"signal_eficiency": 0.3}}],
            r"has no setting 'signal_eficiency' \(did you mean 'signal_efficiency'\?\)",
        ),
        (
            [{**R30, "settings": {"signal_efficiency": 30}}],
            "signal_efficiency must be a number above 0, at most 1, not 30",
        ),
        ([{"name": "b", "metric": "brier"}], "metric b: lower is better; set `direction: lower`"),
        ([{**AUC, "direction": "lower"}], "metric auc: higher is better"),
        (
            [{**AUC, "settings": {"across": "drop"}}],
            "metric auc: a drop is between samples, and a phase has only nominal",
        ),
        ([{**AUC, "settings": {"sample": "up"}}], "sample 'up' is not one of the phase; those are nominal"),
    ):
        wrong = write_benchmark(tmp_path, {"nominal": {"label": labels}}, metrics=metrics)
        with pytest.raises(ScoringError, match=message):
            score_in_process(wrong, "final", written(tmp_path, p), 60)


def test_npz_files_are_whole_and_without_pickles(tmp_path: Path) -> None:
    p, labels = gaussian_scores(10, 1.5, 1)
    path = write_predictions(tmp_path / "p.npz", p[None, :, None], np.arange(10))
    first = path.read_bytes()
    time.sleep(0.01)
    assert write_predictions(path, p[None, :, None], np.arange(10)).read_bytes() == first
    found, keys = read_predictions_npz(path)
    assert (found[0, :, 0] == p).all()
    assert keys.tolist() == list(range(10))
    np.savez(tmp_path / "evil.npz", values=np.array([print], dtype=object), keys=keys)
    with pytest.raises(CollidekitError, match="cannot be read as npz"):
        read_predictions_npz(tmp_path / "evil.npz")
    (tmp_path / "cut.npz").write_bytes(first[:100])
    with pytest.raises(CollidekitError, match="cannot be read as npz"):
        read_predictions_npz(tmp_path / "cut.npz")
    from scoring_toys import truth_of

    truth = truth_of(np.array(["a", "b"])[labels])
    assert read_truth_npz(write_truth(tmp_path / "t.npz", truth)).fingerprint == truth.fingerprint
    assert truth.fingerprint is truth.fingerprint, "computed once: each metric of each entry asks for it"
    assert (in_order_of(truth, found, keys, "x") == found).all()


def test_the_child_imports_neither_torch_nor_a_server() -> None:
    import subprocess

    code = "import sys\nfrom collidekit.benchmark.scoring import arrays, child, score, truth_file\nprint(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})  # fmt: skip
    loaded = json.loads(done.stdout.replace("'", '"'))
    assert not {"torch", "fastapi", "sqlalchemy", "awkward", "sklearn", "pydantic", "scipy"} & set(loaded)
