"""Report and card name the epoch whose weights were kept."""

from pathlib import Path

import pytest

import collidekit as ck
from collidekit.bundle.training_facts import training_facts
from collidekit.training.checkpoint import kept_epoch, load_checkpoint
from collidekit.training.loop import Training


def test_without_a_model_the_lowest_validation_loss(tmp_path: Path) -> None:
    rows = [{"epoch": "1", "val_loss": "0.5"}, {"epoch": "2", "val_loss": "0.4"}, {"epoch": "3", "val_loss": "0.6"}]
    assert kept_epoch(tmp_path, rows)["epoch"] == "2"


def test_an_objective_that_keeps_the_last_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a learning rate that makes the loss rise, the last epoch is not the one with the lowest loss."""
    sample = Path(__file__).parents[2] / "samples" / "top_tagging" / "test.root"
    ck.construct(ck.load_plan("top_tagging"), str(sample), tmp_path / "data")
    config = ck.TrainingConfig(model_name="mlp", epochs=3, batch_size=256, learning_rate=1e-3)
    training = Training(config, ck.Dataset(tmp_path / "data"), tmp_path / "training")
    training.objective.keeps_last = True
    losses = iter([(loss, {"accuracy": 0.5}) for loss in (0.5, 0.4, 0.6)])
    monkeypatch.setattr(training, "validate", lambda: next(losses))
    best = training.run()
    assert load_checkpoint(best).epoch == 3
    facts = training_facts(tmp_path / "training")
    assert facts["best_epoch"] == 3
    assert facts["validation_loss"] == pytest.approx(0.6)
