"""The bundle for Codabench, read by the platform's rules and run as its worker does it."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scoring_toys import AUC, R30, gaussian_scores, write_benchmark, write_parquet

from collidekit.benchmark.codabench import export_codabench
from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.platforms.program import program_files
from collidekit.benchmark.scoring.from_definition import read_truths, score
from collidekit.benchmark.scoring.result import Scores
from collidekit.errors import CollidekitError

ROWS = 1500
START = datetime(2026, 1, 1, tzinfo=UTC)
METRICS = [
    AUC, R30, {"name": "accuracy", "metric": "accuracy"}, {"name": "brier", "metric": "brier", "direction": "lower"},
    {"name": "calibration", "metric": "calibration_error", "direction": "lower"},
]  # fmt: skip
HIDDEN = ("pydantic", "attr", "attrs", "torch", "scipy", "sklearn", "yaml", "rich", "awkward", "collidekit")
"""Packages that an image need not have; one that is imported all the same fails."""


class Platform:
    """The folders of the platform's worker in a temporary root, and what it does with a bundle."""

    def __init__(self, bundle: Path, root: Path, phase: int = 0, without: tuple[str, ...] = HIDDEN) -> None:
        self.root = root
        with zipfile.ZipFile(bundle) as archive:
            archive.extractall(root / "bundle")
        self.yaml: dict[str, Any] = yaml.safe_load((root / "bundle" / "competition.yaml").read_text())
        task = next(task for task in self.yaml["tasks"] if task["index"] == self.yaml["phases"][phase]["tasks"][0])
        shutil.copytree(root / "bundle" / task["scoring_program"], root / "app" / "program")
        shutil.copytree(root / "bundle" / task["reference_data"], root / "app" / "input" / "ref")
        for name in without:
            (root / "hidden").mkdir(exist_ok=True)
            (root / "hidden" / f"{name}.py").write_text(f"raise ImportError('{name} is not in this image')")

    def score(self, submission: Path | None) -> subprocess.CompletedProcess[str]:
        """Unpack a submission and run the command of the metadata, as the worker does."""
        results, output = self.root / "app" / "input" / "res", self.root / "app" / "output"
        for folder in (results, output):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        if submission is not None:
            with zipfile.ZipFile(submission) as archive:
                archive.extractall(results)
        metadata = yaml.safe_load((self.root / "app" / "program" / "metadata.yaml").read_text())
        command = metadata["command"].replace("/app/", f"{self.root}/app/")
        environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "PYTHONPATH": str(self.root / "hidden"),
            "PYTHONUNBUFFERED": "1",
        }
        return subprocess.run(command.split(), cwd=self.root / "app" / "program", env=environment, capture_output=True, text=True, check=False)  # fmt: skip

    def scores(self) -> dict[str, float]:
        found: dict[str, float] = json.loads((self.root / "app" / "output" / "scores.json").read_text())
        return found

    @property
    def columns(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.yaml["leaderboards"][0]["columns"]
        return found


def toy(folder: Path, **content: Any) -> tuple[Benchmark, np.ndarray, np.ndarray]:
    p, labels = gaussian_scores(ROWS, 1.5, 1)
    weights = np.random.default_rng(1).uniform(0.5, 2, ROWS)
    folder.mkdir(exist_ok=True)
    return (
        write_benchmark(folder, {"nominal": {"label": labels, "weight": weights}}, **{"metrics": METRICS, **content}),
        p,
        labels,
    )


def zipped(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    return path


def npy(folder: Path, values: np.ndarray) -> bytes:
    np.save(folder / "p.npy", values)
    return (folder / "p.npy").read_bytes()


def assert_same(found: dict[str, float], scores: Scores) -> None:
    for name, one in scores.metrics.items():
        assert found[name] == pytest.approx(one.value, rel=1e-12, abs=1e-12)
        if one.error is None:
            assert f"{name}_error" not in found
        else:
            assert found[f"{name}_error"] == pytest.approx(one.error, rel=1e-12, abs=1e-12)


def test_the_numbers_are_those_of_the_local_scorer(tmp_path: Path) -> None:
    benchmark, p, _ = toy(tmp_path / "toy")
    platform = Platform(
        export_codabench(tmp_path / "toy", tmp_path / "out.zip", start=START),
        tmp_path / "root",
        without=(*HIDDEN, "pyarrow"),
    )
    local = score(benchmark, "final", {"nominal": p[None, :, None]}, read_truths(benchmark, "final"))
    done = platform.score(zipped(tmp_path / "s.zip", predictions__npy=npy(tmp_path, p)))
    assert done.returncode == 0, done.stderr
    assert_same(platform.scores(), local)
    assert Scores.from_dict(json.loads((platform.root / "app/output/all_scores.json").read_text())) == local
    assert "<td>calibration</td>" in (platform.root / "app/output/detailed_results.html").read_text()
    assert {column["key"] for column in platform.columns} == set(platform.scores())


@pytest.mark.parametrize("kind", ["csv", "parquet", "csv without pyarrow", "ensemble", "in a folder"])
def test_every_kind_of_file(kind: str, tmp_path: Path) -> None:
    benchmark, p, _ = toy(tmp_path / "toy", ensemble={"rule": "mean", "outliers": "rob"})
    hidden = (*HIDDEN, "pyarrow") if kind == "csv without pyarrow" else HIDDEN
    platform = Platform(
        export_codabench(tmp_path / "toy", tmp_path / "out.zip", start=START), tmp_path / "root", without=hidden
    )
    runs = p[None, :, None]
    lines = "".join(f"{row},{value!r}\n" for row, value in enumerate(p.tolist()))
    if kind.startswith("csv"):
        files = {"predictions__csv": f"row,top\n{lines}".encode()}
    elif kind == "parquet":
        write_parquet(tmp_path / "p.parquet", {"row": np.arange(ROWS), "top": p})
        files = {"predictions__parquet": (tmp_path / "p.parquet").read_bytes()}
    elif kind == "ensemble":
        runs = np.array([p, np.clip(p * 0.9, 0, 1), np.full(ROWS, 0.4), p**2])[:, :, None]
        files = {f"predictions_{k}__npy": npy(tmp_path, run) for k, run in enumerate(runs)}
    else:
        files = {"mine/predictions__npy": npy(tmp_path, p)}
    done = platform.score(zipped(tmp_path / "s.zip", **files))
    assert done.returncode == 0, done.stderr
    assert_same(platform.scores(), score(benchmark, "final", {"nominal": runs}, read_truths(benchmark, "final")))


def test_several_samples_and_phases(tmp_path: Path) -> None:
    p, labels = gaussian_scores(ROWS, 1.5, 1)
    folder = tmp_path / "toy"
    folder.mkdir()
    metrics = [
        {**AUC, "settings": {"across": "worst"}},
        {"name": "drop", "metric": "auc", "direction": "lower", "settings": {"across": "drop"}},
    ]
    truth = {"nominal": {"label": labels}, "up": {"label": labels}}
    order = np.random.default_rng(3).permutation(ROWS)
    one = write_benchmark(folder, truth, {"up": {"row": order, "x": np.zeros(ROWS)}}, metrics=metrics)
    content = yaml.safe_load((folder / "benchmark.yaml").read_text())
    content["phases"] = {
        "public": {**content["phases"]["final"], "end": "2026-06-01T00:00:00+00:00"},
        "final": content["phases"]["final"],
    }
    (folder / "benchmark.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    platform = Platform(export_codabench(folder, tmp_path / "out.zip", start=START), tmp_path / "root", phase=1)
    up = np.clip(p + 0.3 * np.random.default_rng(2).normal(size=ROWS), 0, 1)
    files = {"nominal/predictions__npy": npy(tmp_path, p), "up/predictions__npy": npy(tmp_path, up[order])}
    done = platform.score(zipped(tmp_path / "s.zip", **files))
    assert done.returncode == 0, done.stderr
    expected = score(one, "final", {"nominal": p[None, :, None], "up": up[None, :, None]}, read_truths(one, "final"))
    assert_same(platform.scores(), expected)
    assert expected.metrics["drop"].value > 0
    assert [phase["name"] for phase in platform.yaml["phases"]] == ["public", "final"]
    assert platform.yaml["phases"][0]["end"] == platform.yaml["phases"][1]["start"] == "2026-06-01 00:00:00"
    assert (
        "up/predictions"
        in platform.score(zipped(tmp_path / "t.zip", **{"nominal/predictions__npy": npy(tmp_path, p)})).stderr
    )


def test_the_bundle_follows_the_platform_s_rules(tmp_path: Path) -> None:
    """What the platform's unpacker refuses: missing or empty pages, phases without end or in another order, missing files."""
    toy(
        tmp_path / "toy",
        description="Taggers of tops",
        rules="Be fair.",
        contact="me@example.org",
        order=["r30", "auc"],
    )
    platform = Platform(export_codabench(tmp_path / "toy", tmp_path / "out.zip", start=START), tmp_path / "root")
    found, bundle = platform.yaml, platform.root / "bundle"
    assert found["version"] == 2
    for page in found["pages"]:
        assert (bundle / page["file"]).read_text().strip()
    assert "Be fair." in (bundle / found["terms"]).read_text()
    assert (bundle / found["image"]).read_bytes().startswith(b"\x89PNG")
    for task in found["tasks"]:
        assert (bundle / task["scoring_program"] / "metadata.yaml").is_file()
        assert (bundle / task["reference_data"]).is_dir()
    for phase in found["phases"]:
        assert (bundle / phase["public_data"] / "nominal" / "features.parquet").is_file()
        assert (bundle / phase["starting_kit"] / "README.md").is_file()
        assert isinstance(phase["start"], str), "the platform takes dates of YAML to be midnight"
        assert phase["accepts_only_result_submissions"]
        assert phase["execution_time_limit"] == 900
    assert [column["key"] for column in platform.columns][:2] == ["r30", "auc"], "the first column ranks"
    assert [column["index"] for column in platform.columns] == list(range(len(platform.columns)))
    assert {c["key"]: c["sorting"] for c in platform.columns}["brier"] == "asc"
    assert found["docker_image"] == "codalab/codalab-legacy:py312"
    assert found["contact_email"] == "me@example.org"
    assert found["leaderboards"][0]["submission_rule"] == "Force_Best"
    done = platform.score(bundle / found["solutions"][0]["path"])
    assert done.returncode == 0, done.stderr
    assert platform.scores()["auc"] == 0.5


def test_participants_never_get_the_truth(tmp_path: Path) -> None:
    toy(tmp_path / "toy")
    with zipfile.ZipFile(export_codabench(tmp_path / "toy", tmp_path / "out.zip", start=START)) as archive:
        public = [name for name in archive.namelist() if "/public_data/" in name or "/starting_kit/" in name]
        truth = (tmp_path / "toy" / "nominal_truth.parquet").read_bytes()
        assert public
        assert all(archive.read(name) != truth and "truth" not in name for name in public)


def test_the_same_benchmark_gives_the_same_bytes(tmp_path: Path) -> None:
    toy(tmp_path / "toy")
    first, second = (
        export_codabench(tmp_path / "toy", tmp_path / name, start=START).read_bytes() for name in ("a.zip", "b.zip")
    )
    assert first == second


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "predictions.npy, predictions.csv or predictions.parquet is missing"),
        ({"predictions__npy": b"junk"}, "predictions.npy: is not a npy file"),
        ({"predictions__npy": b"", "predictions__csv": b""}, "send one of"),
        ({"predictions_0__npy": b"", "predictions_2__npy": b""}, "not all files from predictions_0 on"),
        ({"predictions__csv": b"row,top\n0,0.5\n"}, "has 1 rows; it must have the 1500 rows"),
        ({"predictions__csv": b"row,tip\n0,0.5\n"}, "it must have row, top"),
        ({"predictions__csv": "reversed"}, "the rows must have the order of the features"),
        ({"predictions__npy": "nan"}, "top = nan for row 7 is not finite"),
        ({"predictions__npy": "large"}, "top = 1.5 for row 7 is not finite or not between 0 and 1"),
        ({"predictions__npy": "pickle"}, "holds Python objects (a pickle), which are never read"),
        ({"predictions__npy": "short"}, r"has the shape (1499,)"),
        ({"predictions__parquet": b"PAR1"}, "cannot be read as parquet"),
    ],
)  # fmt: skip
def test_a_bad_submission_has_no_scores_and_a_reason(
    files: dict[str, Any], message: str, tmp_path: Path, bad: Platform
) -> None:
    p, _ = gaussian_scores(ROWS, 1.5, 1)
    odd = {
        "nan": np.where(np.arange(ROWS) == 7, np.nan, p), "large": np.where(np.arange(ROWS) == 7, 1.5, p), "short": p[1:],
        "pickle": np.array([print] * ROWS, dtype=object),
    }  # fmt: skip
    written = {}
    for name, content in files.items():
        if content == "reversed":
            content = ("row,top\n" + "".join(f"{row},0.5\n" for row in reversed(range(ROWS)))).encode()
        written[name] = npy(tmp_path, odd[content]) if isinstance(content, str) else content
    done = bad.score(zipped(tmp_path / "s.zip", **written))
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (bad.root / "app/output/scores.json").exists(), "the platform does not look at the exit code"


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    folder = tmp_path_factory.mktemp("bad")
    toy(folder / "toy")
    return Platform(export_codabench(folder / "toy", folder / "out.zip", start=START), folder / "root")


def test_phases_need_dates_that_follow_one_another(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    benchmark, _, _ = toy(tmp_path / "toy")
    path = benchmark.folder / "benchmark.yaml"
    content = yaml.safe_load(path.read_text())
    final = content["phases"]["final"]
    for first, second, message in (
        ({"start": "2026-01-01T00:00:00+00:00"}, {}, "phase public needs an `end`"),
        (
            {"end": "2026-03-01T00:00:00+00:00"},
            {"start": "2026-02-01T00:00:00+00:00"},
            "phase final starts before phase public ends",
        ),
        ({"end": "2025-03-01T00:00:00+00:00"}, {}, "phase public ends before it starts"),
    ):
        path.write_text(
            yaml.safe_dump(
                {**content, "phases": {"public": {**final, **first}, "final": {**final, **second}}}, sort_keys=False
            )
        )
        with pytest.raises(CollidekitError, match=message):
            export_codabench(benchmark.folder, tmp_path / "x.zip", start=START)
    path.write_text(yaml.safe_dump({**content, "phases": {"public": final, "final": final}}, sort_keys=False))
    found = Platform(export_codabench(benchmark.folder, tmp_path / "x.zip", start=START), tmp_path / "dated").yaml
    assert [phase["start"] for phase in found["phases"]] == ["2026-01-01 00:00:00", "2026-04-01 00:00:00"]
    assert "no phase has a date" in capfd.readouterr().err


def test_the_program_is_small_and_needs_numpy_alone() -> None:
    files = program_files()
    assert sum(map(len, files.values())) < 200_000
    imported = {
        line.split()[1].split(".")[0] for text in files.values() for line in text.splitlines() if line.startswith(("import ", "from "))
    }  # fmt: skip
    assert imported - set(sys.stdlib_module_names) == {"numpy", "collidekit"}
    assert "collidekit/benchmark/definition.py" not in files
    assert not any(os.sep + "home" in text or "/tmp/" in text for text in files.values())


def test_metrics_of_one_kind_are_told_apart(tmp_path: Path) -> None:
    """Titles of columns differ, and the page of the evaluation shows the settings."""
    linear = {**R30, "name": "r30_linear", "settings": {"signal_efficiency": 0.3, "interpolation": "linear"}}
    toy(tmp_path / "toy", metrics=[R30, linear])
    platform = Platform(export_codabench(tmp_path / "toy", tmp_path / "out.zip", start=START), tmp_path / "root")
    titles = [column["title"] for column in platform.columns]
    assert titles[:2] == ["1/εB (εS = 0.3, interpolation = step)", "1/εB (εS = 0.3, interpolation = linear)"]
    assert len(set(titles)) == 4
    page = next(tmp_path.glob("root/bundle/**/evaluation.md")).read_text()
    assert "| signal_efficiency = 0.3, interpolation = linear | higher is better |" in page
