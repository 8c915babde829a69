"""The challenge for EvalAI, evaluated as its worker does it."""

import importlib.util
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from scoring_toys import AUC, R30, gaussian_scores, write_benchmark

from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.evalai import export_evalai
from collidekit.benchmark.scoring.from_definition import read_truths, score

ROWS = 1000
CALIBRATION = {"name": "calibration_error", "metric": "calibration_error", "direction": "lower"}


@pytest.fixture(scope="module")
def challenge(tmp_path_factory: pytest.TempPathFactory) -> tuple[Benchmark, Path, ModuleType]:
    """The benchmark, the unpacked challenge, and its evaluation script as a module."""
    folder = tmp_path_factory.mktemp("evalai")
    (folder / "toy").mkdir()
    _, labels = gaussian_scores(ROWS, 1.5, 1)
    benchmark = write_benchmark(folder / "toy", {"nominal": {"label": labels}}, metrics=[AUC, R30, CALIBRATION])
    with zipfile.ZipFile(
        export_evalai(folder / "toy", folder / "out.zip", start=datetime(2026, 1, 1, tzinfo=UTC))
    ) as archive:
        archive.extractall(folder / "challenge")
    with zipfile.ZipFile(folder / "challenge" / "evaluation_script.zip") as archive:
        archive.extractall(folder / "script")
    spec = importlib.util.spec_from_file_location("challenge_7", folder / "script" / "__init__.py", submodule_search_locations=[str(folder / "script")])  # fmt: skip
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["challenge_7"] = module
    spec.loader.exec_module(module)
    return benchmark, folder / "challenge", module


def evaluate(challenge: tuple[Benchmark, Path, ModuleType], file: Path) -> dict[str, Any]:
    _, folder, module = challenge
    config = yaml.safe_load((folder / "challenge_config.yaml").read_text())
    phase = config["challenge_phases"][0]
    found: dict[str, Any] = module.evaluate(
        str(folder / phase["test_annotation_file"]), str(file), phase["codename"], submission_metadata={}
    )
    assert set(found["result"][0][phase["codename"]]) == set(config["leaderboard"][0]["schema"]["labels"])
    return found


@pytest.mark.parametrize("kind", ["npy", "zip"])
def test_the_numbers_are_those_of_the_local_scorer(
    kind: str, challenge: tuple[Benchmark, Path, ModuleType], tmp_path: Path
) -> None:
    p, _ = gaussian_scores(ROWS, 1.5, 1)
    np.save(tmp_path / "mine.npy", p)
    file = tmp_path / "mine.npy"
    if kind == "zip":
        file = tmp_path / "mine.zip"
        with zipfile.ZipFile(file, "w") as archive:
            archive.write(tmp_path / "mine.npy", "predictions.npy")
            archive.writestr("../../../../escaped.npy", b"")
            archive.writestr("readme.txt", b"")
    found = evaluate(challenge, file)
    local = score(challenge[0], "final", {"nominal": p[None, :, None]}, read_truths(challenge[0], "final")).metrics
    for name, one in local.items():
        assert found["result"][0]["final"][name] == pytest.approx(one.value, rel=1e-12)
        assert found["submission_result"][f"{name}_error"] == pytest.approx(one.error, rel=1e-12)


def test_a_bad_submission_is_an_exception_with_the_reason(
    challenge: tuple[Benchmark, Path, ModuleType], tmp_path: Path
) -> None:
    np.save(tmp_path / "mine.npy", np.full(3, 0.5))
    with pytest.raises(RuntimeError, match=r"predictions.npy: has the shape \(3,\)"):
        evaluate(challenge, tmp_path / "mine.npy")


def test_the_configuration(challenge: tuple[Benchmark, Path, ModuleType]) -> None:
    _, folder, _ = challenge
    config = yaml.safe_load((folder / "challenge_config.yaml").read_text())
    for name in (
        "description",
        "evaluation_details",
        "terms_and_conditions",
        "submission_guidelines",
        "image",
        "evaluation_script",
    ):
        assert (folder / config[name]).stat().st_size, name
    phase, split = config["challenge_phases"][0], config["challenge_phase_splits"][0]
    assert (folder / phase["test_annotation_file"]).is_file()
    assert phase["end_date"] == "2027-01-01 00:00:00"
    assert split["is_leaderboard_order_descending"]
    assert config["leaderboard"][0]["schema"]["default_order_by"] == "auc"
    assert not [path for path in (folder / "public_data").rglob("*") if "truth" in path.name]
