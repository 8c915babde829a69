"""The training loop. Read ``Training.run`` first: epochs of steps, validation, checkpoints; all else serves it."""

import math
import time
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from collidekit.dataset.batch import Batch
from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.models.network import build_network
from collidekit.models.tagger import Tagger
from collidekit.objectives.classification import Classification
from collidekit.training.augmentation import AUGMENTATIONS
from collidekit.training.checkpoint import load_content, save_checkpoint
from collidekit.training.config import TrainingConfig
from collidekit.training.display import Display
from collidekit.training.ema import WeightAverage
from collidekit.training.history import Board, History
from collidekit.training.optimizers import build_optimizer
from collidekit.training.prepare import prepare
from collidekit.training.schedules import SCHEDULES
from collidekit.training.weighting import class_weights

SAVE_SECONDS = 120.0
"""Within an epoch a checkpoint is written this often."""

_DTYPES = {"64-true": torch.float64, "bf16-true": torch.bfloat16}


class Training:
    """One training in one folder: ``run`` begins it, or goes on from its last checkpoint."""

    def __init__(
        self, config: TrainingConfig, dataset: Dataset, folder: Path, display: Display | None = None, threads: int = 1,
        accelerator: str = "auto",
    ) -> None:  # fmt: skip
        self.config, self.folder, self.analysis = config, folder, dataset.analysis
        self.display = display or Display(shown=False)
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(config.seed)
        self.objective = Classification(
            class_weights(self.analysis), config.loss_function, config.label_smoothing, config.focal_gamma
        )
        network = build_network(
            config.model_name, self.analysis.inputs, self.objective.outputs, config.model_options
        )
        self.tagger = Tagger(self.analysis, network)
        self.data = prepare(dataset, config, threads)
        self.tagger.scaling.fit(self.data.statistics)
        self.optimizer = build_optimizer(
            config.optimizer, self.tagger.parameters(), config.learning_rate, config.betas, config.eps,
            config.weight_decay,
        )  # fmt: skip
        self.fabric = Fabric(accelerator=accelerator, devices=1, precision=config.precision)  # type: ignore[arg-type]
        module = torch.compile(self.tagger, mode=config.torch_compile_mode, dynamic=True) if config.use_torch_compile else None
        self.model, self.optimizer = self.fabric.setup(module or self.tagger, self.optimizer)
        self.average = WeightAverage(self.tagger, config.ema_decay) if config.ema_decay else None
        self.augment = AUGMENTATIONS[config.augmentation](self.analysis) if config.augmentation != "none" else None
        self.history = History()
        self.step, self.epoch, self.step_in_epoch = 0, 1, 0
        self.best = {"loss": math.inf, "epoch": 0.0}
        self.sums = {"loss": 0.0, "right": 0.0, "weight": 0.0, "rows": 0.0, "seconds": 0.0}

    @property
    def steps_per_epoch(self) -> int:
        return max(math.ceil(self.data.rows / self.config.batch_size), 1)

    def run(self) -> Path:
        """Train to the last epoch; returns the path of the best model."""
        board = Board(self.folder / "tensorboard", self.step)
        with self.display:
            self.display.header()
            while self.epoch <= self.config.last_epoch and not self._stop_early():
                self._train_epoch()
                row = self._finish_epoch()
                board.add(self.step, {key: value for key, value in row.items() if key not in ("epoch", "steps")})
        board.close()
        return self.folder / "best_model.pt"

    def _train_epoch(self) -> None:
        config = self.config
        self.model.train()
        self.data.training.set_epoch(self.epoch)
        self.display.begin(self.epoch, config.last_epoch, self.steps_per_epoch, self.step_in_epoch)
        saved = begun = time.monotonic()
        for batch in self.data.training.iterate(skip=self.step_in_epoch):
            learning_rate = self._set_learning_rate()
            loss, right = self._train_step(batch)
            if not math.isfinite(loss):
                raise CollidekitError(
                    f"{self.folder}: the loss is {loss} at step {self.step} of epoch {self.epoch}; take a smaller "
                    "--learning-rate or set --gradient-clip"
                )
            self.step, self.step_in_epoch = self.step + 1, self.step_in_epoch + 1
            if self.average:
                self.average.update(self.tagger, self.step)
            self.history.losses.append(loss)
            now = time.monotonic()
            for key, value in {"loss": loss * len(batch), "right": right, "rows": len(batch), "seconds": now - begun}.items():
                self.sums[key] += value
            begun = now
            rows, seconds = self.sums["rows"], max(self.sums["seconds"], 1e-9)
            self.display.step(self.sums["loss"] / rows, loss, rows / seconds, learning_rate)
            if now - saved > SAVE_SECONDS:
                self.save("last.pt")
                saved = begun = time.monotonic()

    def _train_step(self, batch: Batch) -> tuple[float, float]:
        """One step of the optimizer: the loss, and how many rows are right."""
        weights = self.data.weighting(batch)
        batch = self._on_device(batch)
        if self.augment:
            batch = self.augment(batch)
        outputs = self.model(batch)
        loss = self.objective.loss(outputs, batch, weights.to(outputs))
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        if self.config.gradient_clip:
            self.fabric.clip_gradients(self.model, self.optimizer, max_norm=self.config.gradient_clip)
        self.optimizer.step()
        return loss.item(), float((outputs.detach().argmax(dim=1) == batch.labels).sum())

    def _finish_epoch(self) -> dict[str, float]:
        """Validate, note the epoch, keep the best model and a checkpoint."""
        sums = self.sums
        val_loss, val_accuracy = self.validate()
        row = {
            "epoch": self.epoch,
            "train_loss": sums["loss"] / max(sums["rows"], 1),
            "val_loss": val_loss,
            "train_accuracy": sums["right"] / max(sums["rows"], 1),
            "val_accuracy": val_accuracy,
            "learning_rate": float(self.optimizer.param_groups[0]["lr"]),
            "rows": sums["rows"],
            "seconds": round(sums["seconds"], 3),
            "rows_per_second": round(sums["rows"] / max(sums["seconds"], 1e-9), 1),
            "steps": self.step,
        }
        self.history.epochs.append(row)
        improved = val_loss < self.best["loss"]
        if improved:
            self.best = {"loss": val_loss, "epoch": float(self.epoch)}
        self.display.end(row, improved)
        finished, self.epoch, self.step_in_epoch = self.epoch, self.epoch + 1, 0
        self.sums = dict.fromkeys(sums, 0.0)
        if improved:
            save_checkpoint(self.folder / "best_model.pt", self._kept().state_dict(), self.analysis, self.config, finished, {})
        self.save(f"model_{finished}.pt")
        self.save("last.pt")
        self.history.write(self.folder)
        return row

    @torch.no_grad()
    def validate(self) -> tuple[float, float]:
        """Loss and accuracy of the validation rows, with the averaged weights where they are kept."""
        model = self._kept()
        model.eval()
        loss, right, weight, rows = 0.0, 0.0, 0.0, 0
        for batch in self.data.validation:
            weights = self.data.weighting(batch)
            batch = self._on_device(batch)
            with self.fabric.autocast():
                outputs = model(batch)
            loss += self.objective.loss(outputs, batch, weights.to(outputs)).item() * len(batch)
            right += float(((outputs.argmax(dim=1) == batch.labels) * weights.to(outputs)).sum())
            weight += float(weights.sum())
            rows += len(batch)
        return loss / rows, right / weight if weight > 0 else 0.0

    def _kept(self) -> Tagger:
        return self.average.model if self.average else self.tagger  # type: ignore[return-value]

    def _stop_early(self) -> bool:
        patience = self.config.early_stopping
        stop = bool(patience) and self.epoch - 1 - self.best["epoch"] >= patience
        if stop:
            self.display.say(f"stopped: no better validation loss in {patience} epochs")
        return stop

    def _set_learning_rate(self) -> float:
        progress = self.epoch - 1 + min(self.step_in_epoch / self.steps_per_epoch, 1.0)
        factor = SCHEDULES[self.config.lr_scheduler](
            progress, self.config.epochs, self.config.lr_decay_factor, self.config.warmup
        )
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * factor
        return self.config.learning_rate * factor

    def _on_device(self, batch: Batch) -> Batch:
        dtype = _DTYPES.get(self.config.precision)
        return batch if dtype is None and self.fabric.device.type == "cpu" else batch.to(self.fabric.device, dtype)

    def save(self, name: str) -> None:
        """Write all that is needed to go on from here."""
        state: dict[str, Any] = {
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.model.state_dict() if self.average else {},
            "history": self.history.state(),
            "random": torch.get_rng_state(),
            "best": self.best,
            "sums": self.sums,
            "position": [self.step, self.epoch, self.step_in_epoch],
        }
        save_checkpoint(self.folder / name, self.tagger.state_dict(), self.analysis, self.config, self.epoch - 1, state)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint: weights, optimizer, averages, history, position and random state."""
        content = load_content(path)
        state = content["state"]
        if not state:
            raise CollidekitError(f"{path}: holds a model for prediction, not the state of a training")
        self.tagger.load_state_dict(content["tagger"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average:
            self.average.model.load_state_dict(state["average"])
        self.history = History.from_state(state["history"])
        self.best, self.sums = dict(state["best"]), dict(state["sums"])
        self.step, self.epoch, self.step_in_epoch = state["position"]
        torch.set_rng_state(state["random"])

