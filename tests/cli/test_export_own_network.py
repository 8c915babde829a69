"""Export of a user's network, which needs a padded form."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Run, Trained

WITHOUT = """
import torch
from torch import nn

from collidekit.models import Embedding, Network
from collidekit.models.layers import segment_sum


class Sums(Network):
    def __init__(self, inputs, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.part = nn.Linear(len(inputs["particles"].features), 8)
        self.output = nn.Linear(8, outputs)

    def forward(self, inputs):
        particles = inputs["particles"]
        return self.output(segment_sum(self.part(particles.values).relu(), particles.offsets))
"""
WITH = (
    WITHOUT
    + """
    def padded(self, inputs):
        particles = inputs["particles"]
        row = (self.part(particles.values).relu() * particles.there).sum(dim=1)
        return Embedding(self.output(row), row, {})
"""
)


@pytest.fixture
def training(trained: Trained, run: Run, tmp_path: Path) -> Callable[[str], Path]:
    def train(text: str) -> Path:
        (tmp_path / "sums.py").write_text(text)
        words = [*trained.words, "--model", tmp_path / "sums.py", "--set", "model_options={}"]
        result = run(*words)
        assert result.exit_code == 0, result.output
        return next((tmp_path / "results" / "TrainingTask").rglob("best_model.pt"))

    return train


def test_without_a_padded_form(
    training: Callable[[str], Path], refused: Callable[..., str], trained: Trained, tmp_path: Path
) -> None:
    said = refused("export", training(WITHOUT), "--files", trained.test, "-o", tmp_path / "bundle")
    assert "network Sums has no padded form" in said
    assert "docs/networks.md" in said
    assert not (tmp_path / "bundle").exists()


def test_with_a_padded_form(training: Callable[[str], Path], run: Run, trained: Trained, tmp_path: Path) -> None:
    result = run("export", training(WITH), "--files", trained.test, "-o", tmp_path / "bundle")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "bundle" / "model.onnx").is_file()
