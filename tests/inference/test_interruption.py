"""A killed prediction leaves no half-written file under its name; the same command then writes all of it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from toys import SMALL

from collidekit.dataset.loader import Dataset
from collidekit.inference.predict_to_file import predict_to_file
from collidekit.training.config import TrainingConfig
from collidekit.training.loop import Training


@pytest.fixture(scope="module")
def trained(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = TrainingConfig(model_options=SMALL, epochs=1, batch_size=64)
    return Training(config, dataset, tmp_path_factory.mktemp("trained"), accelerator="cpu").run()


@pytest.mark.parametrize("stage", ["predicting", "writing"])
def test_a_killed_prediction(trained: Path, files: list[str], tmp_path: Path, stage: str) -> None:
    expected = predict_to_file(trained, files, tmp_path / "expected.parquet").path.read_bytes()
    output = tmp_path / "out" / "scores.parquet"
    output.parent.mkdir()
    output.write_bytes(b"of an earlier run")
    script = Path(__file__).with_name("slow_predict.py")
    command = [sys.executable, str(script), stage, str(trained), str(output), *files]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"reached\n"
        process.send_signal(signal.SIGKILL)
    assert output.read_bytes() == b"of an earlier run"
    left = [path for path in output.parent.iterdir() if path != output]
    assert len(left) == (1 if stage == "writing" else 0)
    for path in left:
        os.utime(path, (0, 0))  # a minute later
    predict_to_file(trained, files, output)
    assert output.read_bytes() == expected
    assert list(output.parent.iterdir()) == [output]
