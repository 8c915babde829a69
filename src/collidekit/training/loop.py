"""The training loop: epochs of steps, validation, checkpoints. Read ``Training.run`` first."""

import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from torch import Tensor

from collidekit.attacks.adversary import Adversary
from collidekit.attacks.build import build_attack
from collidekit.dataset.batch import Batch
from collidekit.dataset.learned import LearnedFrom
from collidekit.dataset.loader import Dataset
from collidekit.dataset.transfer import send
from collidekit.errors import CollidekitError
from collidekit.files import is_own
from collidekit.memory import keep_freed_memory
from collidekit.models.constituent_layers import own_statistics
from collidekit.models.registry import build_network
from collidekit.models.tagger import Tagger, outputs_of
from collidekit.objectives.build import build_objective
from collidekit.objectives.target_weights import CLASSES, FACTOR, LearnedWeights
from collidekit.objectives.targets import TargetLosses, TargetScores
from collidekit.plain_text import literal
from collidekit.ranks.group import ONE, Ranks, training_with
from collidekit.threads import sharing_cores
from collidekit.tracking.active import ActiveTrackers
from collidekit.tracking.base import Tracking
from collidekit.training.augmentations import build_augmentation
from collidekit.training.checkpoint import check_same_training, code_names, load_content, save_checkpoint
from collidekit.training.compiled import compile_dense
from collidekit.training.config import TrainingConfig
from collidekit.training.device import Delayed, StepNumbers, WeightedRows, on_device
from collidekit.training.display import Display
from collidekit.training.ema import WeightAverage
from collidekit.training.fine_tuning import PretrainedWeights, freeze, rate_factors
from collidekit.training.history import History
from collidekit.training.look import check_outputs
from collidekit.training.optimizers import build_optimizer, learning_rate_of, set_learning_rate
from collidekit.training.prepare import prepare
from collidekit.training.schedules import SCHEDULES
from collidekit.training.state import TrainingState
from collidekit.training.stopping import StoppedError, StopSignals
from collidekit.trust import code_of, own_code

SAVE_SECONDS = 120.0
TRACKED_FILES = ("best_model.pt", "history.csv", "steps.csv")
FIRST_STOP = 20
FLAT = 1e-9

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # its messages would interrupt the table of epochs


class Training:
    """One training in one folder: ``run`` starts it; after ``resume`` or ``extend`` it continues from a checkpoint.

    Within an epoch, a checkpoint is written every ``save_seconds``. With several ``ranks`` only the first one writes; the others
    make an equal object with the same folder.
    """

    def __init__(
        self, config: TrainingConfig, dataset: Dataset, folder: Path, display: Display | None = None, threads: int = 1,
        accelerator: str = "auto", save_seconds: float = SAVE_SECONDS, ranks: Ranks = ONE,
        tracking: Tracking | None = None,
    ) -> None:  # fmt: skip
        self.tracking = tracking or Tracking()
        self.config, self.folder, self.analysis = config, folder, dataset.analysis
        self.save_seconds, self.ranks = save_seconds, ranks
        self.display = display or Display(shown=False)
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in (
            folder.glob(".*.part*") if ranks.first else ()
        ):  # left by a training that was killed during a write
            if is_own(leftover):
                leftover.unlink()
        keep_freed_memory()
        self.fabric = Fabric(
            accelerator=accelerator, devices=ranks.devices, precision=config.precision,  # type: ignore[arg-type]
            plugins=[LightningEnvironment()],  # ignore variables of a batch job: collidekit starts the ranks
        )  # fmt: skip
        self.device = self.fabric.device
        self.delayed = Delayed(self.device)
        torch.manual_seed(config.seed)
        self.objective = build_objective(config, self.analysis)
        own_code(config.model_name, config.objective, config.attack)
        self.code = code_of(code_names(self.analysis, config))
        head = self.objective.head.of(self.analysis)
        outputs = outputs_of(self.analysis, head)
        network = build_network(config.model_name, self.analysis.inputs, outputs, config.model_options)
        self.tagger = Tagger(self.analysis, network, head)
        if config.use_torch_compile and not compile_dense(network, self.device, config.torch_compile_mode):
            self.display.say(
                f"network {literal(config.model_name)} has no dense part for torch.compile and is not compiled"
            )
        if ranks.size > 1 and (foreign := own_statistics(network)):
            self.display.say(
                f"[yellow]network {literal(config.model_name)}: {', '.join(foreign)} normalise with the rows of one rank, so the results "
                f"depend on the number of ranks; collidekit.models.constituent_layers.BatchNorm uses the rows of all ranks[/yellow]"
            )
        self.targets = TargetLosses(self.analysis, self.tagger.learned_targets, self.tagger.regressions)
        if missing := self.analysis.targets.keys() - self.targets.targets:
            names = ", ".join(sorted(missing))
            self.display.say(
                f"network {literal(config.model_name)} has no embedding of these constituents and does not learn {names}"
            )
        self.learned_weights: LearnedWeights | None = None
        if config.target_weights == "learned":
            self.learned_weights = LearnedWeights.of(self.analysis, list(self.targets.targets), config.objective)
            self.learned_weights.to(self.device)
        self.start = PretrainedWeights.of(config.from_checkpoint) if config.from_checkpoint else None
        if self.start:
            self.start.give_weights(self.tagger, self.analysis, config.keep_head)
        self.fixed = freeze(self.tagger, config.freeze, config.keep_head)
        self.data = prepare(dataset, config, threads)
        own = (LearnedFrom.of(dataset, config.split),) if ranks.first else ()  # only the first rank writes checkpoints
        self.learned_from = (*own, *(self.start.learned_from if self.start else ()))
        for warning in self.data.warnings:
            self.display.say(f"[yellow]{literal(warning)}[/yellow]")
        self.objective.begin((batch, self.data.weighting(batch)) for batch in self.data.training)
        self.optimizer = build_optimizer(
            config.optimizer, (p for p in self.tagger.parameters() if p.requires_grad), config.learning_rate, config.betas,
            config.eps, config.weight_decay, rate_factors(self.tagger, config.learning_rate_factors),
        )  # fmt: skip
        if self.learned_weights:
            group = {"params": list(self.learned_weights.parameters()), "weight_decay": 0.0, "factor": FACTOR}
            self.optimizer.add_param_group(group)
        scales = {
            name: {k: v.clone() for k, v in h.state_dict().items()} for name, h in self.tagger.regressions.items()
        }
        self.model, self.optimizer = self.fabric.setup(self.tagger, self.optimizer)
        if config.precision == "bf16-true":  # raw values and targets need more digits than bfloat16 has
            self.tagger.scaling.float()
            for name, head in self.tagger.regressions.items():
                head.double().load_state_dict(scales[name])
        if self.start:
            self.start.give_scaling(self.tagger)
        else:
            self.tagger.scaling.fit(self.data.statistics)
        if not (self.start and config.keep_head):
            for name, head in self.tagger.regressions.items():
                head.fit(self.data.truth[name])
        self.average = WeightAverage(self.tagger, config.ema_decay) if config.ema_decay else None
        self.augment = build_augmentation(config.augmentation, self.analysis, self.data.statistics)
        self.adversary = self._adversary(dataset)
        self.history = History()
        self.after_save: Callable[[int], None] = lambda step: None
        """Called with the number of steps when ``last.pt`` and all other files of the step are written."""
        self.signals = StopSignals()
        self._any_rank_signalled = False
        """True if any of several ranks had received a stop signal at the last step."""
        self.step, self.epoch, self.step_in_epoch = 0, 1, 0
        self.extended_from = 0
        """Last epoch of the training that this one extends."""
        self.best = {"loss": math.inf, "epoch": 0.0}
        self.sums: defaultdict[str, float] = defaultdict(float)
        self.target_scores: dict[str, float] = {}
        self.objective_scores: dict[str, float] = {}
        """Scores of the last validation, like ``target_scores``."""

    @property
    def steps_per_epoch(self) -> int:
        return max(math.ceil(self.data.rows / self.config.batch_size), 1)

    @property
    def number_of_epochs(self) -> int:
        """Number of epochs of the whole training: ``epochs``, or more to reach ``min_steps``."""
        return max(self.config.epochs, math.ceil(self.config.min_steps / self.steps_per_epoch))

    @property
    def last_epoch(self) -> int:
        return self.extended_from + self.config.extend_training if self.extended_from else self.number_of_epochs

    def run(
        self, finish: Callable[[], None] = lambda: None,
        after_epoch: Callable[[Sequence[Mapping[str, float]]], None] | None = None,
    ) -> Path:  # fmt: skip
        """Train to the last epoch; return the path of the best model. ``finish`` is called before trackers get the files.

        ``after_epoch`` is called with the rows of all epochs so far, at the start and after each epoch. If it raises an error,
        the training ends, and continues from there the next time.
        """
        if not self.ranks.first:
            for _ in self.epochs():
                pass
            return self.folder / "best_model.pt"
        if after_epoch and self.history.epochs:
            after_epoch(self.history.epochs)
        trackers = self._trackers()
        self.display.header()
        try:
            with closing(self.epochs()) as epochs:
                for row in epochs:
                    trackers.epoch(row)
                    if after_epoch:
                        after_epoch(self.history.epochs)
            finish()
        except BaseException:
            trackers.stop()
            raise
        trackers.end(int(self.best["epoch"]), [self.folder / name for name in TRACKED_FILES])
        return self.folder / "best_model.pt"

    def _trackers(self) -> ActiveTrackers:
        """Start tracking with the epochs so far; the default title contains analysis, network and folder."""
        title = self.tracking.title or f"{self.analysis.name}, {Path(self.config.model_name).stem} {self.folder.name}"
        return ActiveTrackers(
            replace(self.tracking, title=title), self.config.model_dump(mode="json"), self.analysis.name, self.folder,
            self.history.epochs, self.display.say,
        )  # fmt: skip

    def epochs(self) -> Generator[dict[str, float], None, None]:
        """Train, and yield the row of ``history.csv`` of each epoch after its validation and checkpoint.

        At that moment, ``best_model.pt`` has the best weights so far.
        """
        self.ranks.meet()
        self.ranks.check_same(self.tagger)
        with self.display, sharing_cores(torch.get_num_threads()), StopSignals() as self.signals:
            while self.epoch <= self.last_epoch and not self._stop_early():
                self._train_epoch()
                yield self._finish_epoch()
                self._stop_if_signalled()

    def _train_epoch(self) -> None:
        self.model.train()
        for module in self.fixed:
            module.eval()
        self.data.training.set_epoch(self.epoch)
        self.display.begin(self.epoch, self.last_epoch, self.steps_per_epoch, self.step_in_epoch)
        saved = begun = time.monotonic()
        cpu = time.process_time()
        for batch in self._rows():
            learning_rate = self._set_learning_rate()
            self.objective.progress = min(self._epochs_done() / self.number_of_epochs, 1.0)
            for numbers in self.delayed.add(self._train_step(batch)):
                self._record(numbers)
            self.step, self.step_in_epoch = self.step + 1, self.step_in_epoch + 1
            if self.average:
                self.average.update(self.tagger, self.step)
            now, used = time.monotonic(), time.process_time()
            self._count(seconds=now - begun, cpu=used - cpu)
            begun, cpu = now, used
            if self.history.losses:
                rows, seconds = max(self.sums["rows"], 1), max(self.sums["seconds"], 1e-9)
                self.display.step(self.sums["loss"] / rows, self.history.losses[-1], rows / seconds, learning_rate)
            if self._signalled:
                self.save("last.pt")
            self._stop_if_signalled()
            if now - saved > self.save_seconds:
                self.save("last.pt")
                saved = begun = time.monotonic()
        self._record_all()

    def _record(self, numbers: StepNumbers) -> None:
        """Add the numbers of a step to the sums; raise an error if one is not finite."""
        loss, counts, others, norm = numbers.read()
        self._check_finite(norm, f"norm of the gradients is {norm} in a step")
        total = loss + sum(others.values())
        self._check_finite(total, f"loss is {total} at step {numbers.step}")
        self.history.losses.append(loss)
        self._count(loss=loss * numbers.rows, rows=numbers.rows, **counts)
        self._count(**{f"loss_{name}": value * numbers.rows for name, value in others.items()})

    def _record_all(self) -> None:
        for numbers in self.delayed.rest():
            self._record(numbers)

    def _rows(self) -> Iterator[Batch | WeightedRows]:
        """Return the other batches of the epoch; they are already on the device if nothing changes them before a step."""
        batches = self.data.training.iterate(skip=self.step_in_epoch)
        if self.device.type == "cpu" or self.augment or self.ranks.size > 1:
            return batches
        return on_device((WeightedRows(batch, self.data.weighting(batch)) for batch in batches), self.device)

    def _stop_if_signalled(self) -> None:
        """Raise the error that ends the training after a stop signal; the state is already saved."""
        if not self._signalled:
            return
        if self.signals.received == "SIGINT":
            raise KeyboardInterrupt
        who = self.signals.received or "a signal to another rank"
        raise StoppedError(
            f"{self.folder}: stopped by {who} in epoch {min(self.epoch, self.last_epoch)}; the state is saved, and the same command "
            "goes on from there"
        )

    @property
    def _signalled(self) -> bool:
        """True if the training must stop because of a signal: all ranks agree on it in each step."""
        return bool(self.signals.received) if self.ranks.size == 1 else self._any_rank_signalled

    def _adversary(self, dataset: Dataset) -> Adversary | None:
        """Return the adversary of the training rows; None without an attack."""
        config = self.config
        attack = build_attack(config, self.analysis, self.tagger.scaling, dataset.manifest.summary["statistics"])
        if attack is None:
            return None
        return Adversary(
            attack, config.adversarial, config.adversarial_share, config.adversarial_weight, config.attack_ramp
        )

    def _count(self, **values: float) -> None:
        for key, value in values.items():
            self.sums[key] += value

    def _check_finite(self, loss: float, what: str) -> None:
        if not math.isfinite(loss):
            raise CollidekitError(
                f"{self.folder}: the {what} of epoch {self.epoch}; take a smaller --learning-rate or set --gradient-clip"
            )

    def _train_step(self, rows: Batch | WeightedRows) -> StepNumbers:
        """Make one step of the optimizer; return its loss, the weights of all and of correct rows, and the loss of each target.

        Each rank applies the network to its part of the rows; the loss is that of all rows. Nothing here waits for the device.
        """
        batch, weights = rows if isinstance(rows, WeightedRows) else WeightedRows(rows, self.data.weighting(rows))
        if self.augment:
            batch = self.augment(batch)
        device, ranks = self.device, self.ranks.of_step(len(batch))
        share = ranks.part(batch).to(device)
        with training_with(ranks):
            with ranks.own_random(self.config.seed, self.step):
                if self.adversary:
                    with self.fabric.autocast():
                        share = self.adversary.rows(self.tagger, share, self.objective.progress)
                own_outputs, logits = self.model(share, with_targets=True)
            batch = share if ranks.size == 1 else batch.to(device)
            check_outputs(self.config.model_name, own_outputs, len(share), self.tagger.head.outputs)
            weights = send(weights.to(own_outputs.dtype), device, keep=True)
            own_weights = weights[ranks.share(len(batch))]
            outputs = ranks.gather(own_outputs, len(batch))
            loss = self.objective.loss(outputs, batch, weights)
            if self.adversary:
                with ranks.own_random(self.config.seed, self.step, 1):
                    added = self.adversary.consistency(
                        self.model, self.tagger, share, own_outputs, own_weights, self.objective.progress
                    )
                loss = loss + ranks.mean(added, len(share), len(batch))
            others = self.targets(logits, share, own_weights)
            of_members: Tensor | float
            if self.learned_weights:
                loss, of_members = self.learned_weights.totals(loss, others, self.analysis.row_targets)
            else:
                loss = loss + self.targets.total(others, of_rows=True)
                of_members = self.targets.total(others, of_rows=False)
            self.optimizer.zero_grad()
            self.fabric.backward(loss + of_members)
        self._any_rank_signalled = self.ranks.reduce(self.tagger, bool(self.signals.received), ranks is self.ranks)
        norm = self._clip_gradients() if self.config.gradient_clip else None
        self.optimizer.step()
        counts = self._weigh(outputs.detach(), batch, weights)
        return StepNumbers.of(self.step, len(batch), loss.detach(), counts, others, norm)

    def _clip_gradients(self) -> Tensor | None:
        """Clip the norm of the gradients; return the norm before."""
        limit = self.config.gradient_clip
        return self.fabric.clip_gradients(self.model, self.optimizer, max_norm=limit, error_if_nonfinite=False)

    def _weigh(self, outputs: Tensor, batch: Batch, weights: Tensor) -> dict[str, Tensor]:
        """Return the sum of weights of all rows, and of the correct rows in each sense of the objective."""
        right = self.objective.right(outputs, batch)
        counts = {f"right_{name}": (rows * weights).sum() for name, rows in right.items()}
        return {**counts, "weight": weights.sum()}

    def _finish_epoch(self) -> dict[str, float]:
        """Validate, add the epoch to the history, save the best model and a checkpoint."""
        sums = self.sums
        val_loss, shares = self.validate()
        val_loss = self.ranks.agree(val_loss)
        self._check_finite(val_loss, f"validation loss is {val_loss} at the end")
        row = {
            "epoch": self.epoch,
            "train_loss": sums["loss"] / max(sums["rows"], 1),
            "val_loss": val_loss,
            **{
                f"train_{name}": sums[f"right_{name}"] / sums["weight"] if sums["weight"] > 0 else 0.0
                for name in shares
            },
            **{f"val_{name}": share for name, share in shares.items()},
            "learning_rate": learning_rate_of(self.optimizer),
            "rows": sums["rows"],
            "seconds": round(sums["seconds"], 3),
            "cpu_seconds": round(sums["cpu"], 3),
            "rows_per_second": round(sums["rows"] / max(sums["seconds"], 1e-9), 1),
            "steps": self.step,
            **{f"train_loss_{name}": sums[f"loss_{name}"] / max(sums["rows"], 1) for name in self.targets.targets},
            **{f"val_{name}": value for name, value in self.target_scores.items()},
            **{f"train_{name}": value for name, value in self.objective.scores().items()},
            **{f"val_{name}": value for name, value in self.objective_scores.items()},
            **{f"target_weight_{name}": value for name, value in self._weights_of_targets().items()},
        }
        self.history.epochs.append(row)
        improved = self.objective.keeps_last or val_loss < self.best["loss"]
        if improved:
            self.best = {"loss": val_loss, "epoch": float(self.epoch)}
        self.display.end(row, improved and not self.objective.keeps_last, self.target_scores, self.objective_scores)
        finished, self.epoch, self.step_in_epoch = self.epoch, self.epoch + 1, 0
        self.sums = defaultdict(float)
        if improved:
            self._save_best(self._kept().state_dict())
        if self.ranks.first:
            self.history.write(self.folder)
        self.ranks.check_same(self.tagger)
        self.save(f"model_{finished}.pt")
        self.save("last.pt")  # written last, so that a resumed training finds all other files of this epoch
        return row

    @torch.no_grad()
    def validate(self) -> tuple[float, dict[str, float]]:
        """Return the loss of the validation set and the fractions of correct rows, with the averaged weights if there are any."""
        model = self._kept()
        model.eval()
        validation = self.objective.validation()
        right: defaultdict[str, float] = defaultdict(float)
        weight = 0.0
        scores = TargetScores(self.targets)
        for batch in self.data.validation:
            weights = self.data.validation_weighting(batch)
            ranks = self.ranks.of_step(len(batch))
            share = ranks.part(batch).to(self.device)
            batch = share if ranks.size == 1 else batch.to(self.device)
            with self.fabric.autocast():
                outputs, logits = model(share, with_targets=True)
            own_weights = weights.to(outputs)[ranks.share(len(batch))]
            scores.add(logits, share, own_weights, counted=ranks is self.ranks or self.ranks.first)
            outputs = ranks.gather(outputs, len(batch))
            validation.add(outputs, batch, weights.to(outputs))
            for name, rows in self.objective.right(outputs, batch).items():
                right[name] += float((rows * weights.to(outputs)).sum())
            weight += float(weights.sum())
        self.objective.calibrate(validation)
        self.target_scores, self.objective_scores = scores.scores(self.ranks), validation.scores()
        return self._loss_of_rows(validation.loss()), {
            name: total / weight if weight > 0 else 0.0 for name, total in right.items()
        }

    def _weights_of_targets(self) -> dict[str, float]:
        """Return the learned weights by name; empty if weights are not learned."""
        return self.learned_weights.weights() if self.learned_weights else {}

    def _loss_of_rows(self, of_classes: float) -> float:
        """Return the loss of classes and targets of rows in the last validation."""
        names = self.analysis.row_targets
        if self.learned_weights:
            values = {name: self.target_scores[f"loss_{name}"] for name in self.targets.targets}
            self.learned_weights.refuse_negative({CLASSES: of_classes, **values})
            others = {name: torch.tensor(values[name]) for name in names}
            return self.learned_weights.totals(torch.tensor(of_classes), others, names)[0].item()
        weights = {name: self.analysis.targets[name].weight for name in names}
        return of_classes + sum(weights[name] * self.target_scores[f"loss_{name}"] for name in names)

    def _kept(self) -> Tagger:
        return self.average.model if self.average else self.tagger  # type: ignore[return-value]

    def _stop_early(self) -> bool:
        patience = self.config.early_stopping
        stop = bool(patience) and self.epoch - 1 - max(self.best["epoch"], self.extended_from) >= patience
        if stop:
            self.display.say(f"stopped: no better validation loss in {patience} epochs")
        return stop or self._overtrained()

    def _overtrained(self) -> bool:
        """Return whether a line through the last validation losses has no negative slope; never in the first 20 epochs."""
        last, losses = self.config.overtraining_stop, [row["val_loss"] for row in self.history.epochs]
        if not last or self.epoch - 1 <= max(FIRST_STOP, last, self.extended_from):
            return False
        stop = float(np.polyfit(np.arange(last), losses[-last:], 1)[0]) > -FLAT if last > 1 else False
        if stop:
            self.display.say(f"stopped: the validation loss of the last {last} epochs does not fall")
        return stop

    def _epochs_done(self) -> float:
        return self.epoch - 1 + min(self.step_in_epoch / self.steps_per_epoch, 1.0)

    def _set_learning_rate(self) -> float:
        factor = SCHEDULES[self.config.lr_scheduler](
            self._epochs_done(), self.number_of_epochs, self.config.lr_decay_factor, self.config.warmup
        )
        set_learning_rate(self.optimizer, self.config.learning_rate * factor)
        return self.config.learning_rate * factor

    def save(self, name: str) -> None:
        """Write a checkpoint with everything that is needed to continue."""
        self._record_all()
        if not self.ranks.first:
            return
        state = TrainingState.of(self).as_dict()
        save_checkpoint(
            self.folder / name, self.tagger.state_dict(), self.analysis, self.config, self.epoch - 1, state, self.code,
            self.learned_from,
        )  # fmt: skip
        if name == "last.pt":
            self.after_save(self.step)

    def _save_best(self, tagger: dict[str, Any]) -> None:
        if not self.ranks.first:
            return
        save_checkpoint(
            self.folder / "best_model.pt", tagger, self.analysis, self.config, int(self.best["epoch"]), {}, self.code,
            self.learned_from,
        )  # fmt: skip

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint of this training: weights, optimizer, averages, history, position, random state."""
        content = load_content(path)
        state = TrainingState.read(path, content["state"])
        check_same_training(path, content, self.analysis, self.config)
        if state.began_from != (self.start.checksum if self.start else ""):
            raise CollidekitError(
                f"{path}: did not start from {self.config.from_checkpoint or 'new weights'}; this training cannot continue from it"
            )
        state.give(self, content["tagger"], path)
        self._find_best(path.parent)

    def extend(self, path: Path) -> None:
        """Continue another training for ``extend_training`` epochs from its last checkpoint ``path``.

        The best epoch so far stays the best until there is a better one; the patience of early stopping starts again.
        """
        self.resume(path)
        self.extended_from = self.epoch - 1
        self.save("last.pt")

    def _find_best(self, folder: Path) -> None:
        """Copy the best model so far from the folder of the checkpoint; if it is missing, the next epoch is the best."""
        if not (epoch := int(self.best["epoch"])):
            return
        for path in (folder / "best_model.pt", folder / f"model_{epoch}.pt"):
            if path.exists() and (content := load_content(path))["epoch"] == epoch:
                self._save_best(content["state"].get("average") or content["tagger"])
                return
        self.display.say(
            f"{literal(folder)}: the best model so far, of epoch {epoch}, is missing; the next epoch replaces it"
        )
        self.best = {"loss": math.inf, "epoch": 0.0}
