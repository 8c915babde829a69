"""Relegation: a network that may refuse rows, trained on classes and on the significance of a signal in a window.

After the relegator classifier of McCracken and George. The formula is theirs. The training is stable because of the way in which
the significance enters, see ``Relegation``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from collidekit.analysis.features import Strict
from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch
from collidekit.dataset.transfer import on_host, send
from collidekit.errors import CollidekitError
from collidekit.models.heads import Head, RelegationHead
from collidekit.models.heads.relegation import doubt
from collidekit.objectives.base import Objective, Validation
from collidekit.objectives.significance import Significance
from collidekit.objectives.window_posterior import WindowPosterior
from collidekit.settings import Positive, Share, setting

if TYPE_CHECKING:
    from collidekit.training.config import TrainingConfig

PULL = 1.5
"""Upper limit of the gradient of the significance for one row, in units of the gradient of its cross entropy."""
STEEPER = 3.0
"""The predicted class is a step function of the logits; its gradient is that of a softmax of this factor times the logits."""
GENTLE = 1 / 3
"""Weight of all terms that train the relegated output. It moves no boundary; it limits the influence of relegation on the
shared layers, where it would reduce the separation of rare rows."""
MEMORY = 0.5
"""Fraction of the running yields that is kept in a step."""
FLOOR = 0.01
"""If less than this fraction of the signal is predicted as signal, the running yields are this fraction of all signal and
background: with yields of 0 no single row gives a gain, and a network that refuses everything would never change."""
SMALLEST_SHOWN = 0.1
"""Lower limit of Z / Z0 in the validation loss, so that it is finite for a network that predicts no signal."""
PRIOR_MEMORY, LARGEST_PRIOR, MARGIN = 0.9, 3.0, 0.5


class Slopes(NamedTuple):
    """The significance, and the derivatives of its logarithm with respect to expected signal and background."""

    z: float
    signal: float
    background: float


def relegated_cross_entropy(log_p: Tensor, truth: Tensor) -> Tensor:
    """Return -log[(p_true + p_rel) / (1 + p_rel)] of each row (N,), from log probabilities (N, K + 1), relegation last.

    ``truth (N, K)`` is one for the class of the row, or the probability of each. Relegating a row costs log 2, not 0.
    """
    relegated = log_p[:, -1:]
    each = relegated.exp().log1p() - torch.logaddexp(log_p[:, :-1], relegated)
    return (truth * each).sum(dim=1)


class RelegationSettings(Strict):
    """Settings of relegation."""

    significance_weight: Positive = setting(3.0, "weight of the significance relative to the cross entropy")
    significance_warmup: Share = setting(0.3, "fraction of the training after which relegation has its full weight")
    expected_yields: bool = setting(
        True, "compute signal and background from the probabilities of the network, not from labels"
    )


class Relegation(Objective):
    """L = CE + relCCE + w (Z0/Z - 1), and its variants; Z the significance in the window, Z0 = sqrt(all signal in it).

    ``relegator`` as above; ``relegator_factor`` relCCE Z0/Z; ``relegator_difference`` relCCE - w Z/Z0; ``modified_binary``
    CE + w (Z0/Z - 1), with no relegation.

    *Yields.* Training rows of class c have the weight E_c / W_c, expected events over their mean weight. The mean of
    (weight x in window x predicted as signal) over a batch of any size is therefore an unbiased S or B. Z is not linear in S and B:
    its derivatives are taken at running means of S and B, and the gradient passes only through the unbiased means. With
    ``expected_yields``, the label is replaced by its probability given the inputs: the class probabilities of the network,
    calibrated to the window (``WindowPosterior``) and, like a temperature, to the validation set. In the tails with few rows,
    the probability has a much smaller statistical error than the label.

    *Gradient per row.* Each row in the window has a number, d(w Z0/Z)/d(its probability to be signal). Its sign tells whether Z
    grows if the row is kept. It is limited by ``PULL``; this moves no boundary, because the number is small at the boundaries.

    *Separate gradients.* The class outputs are trained by cross entropy only. Only the relegated output is trained by the
    significance, with the weight ``GENTLE`` in the shared layers, so that the classes do not get worse. If Z grows by
    keeping rows that are more likely background, the weight of the signal in the cross entropy grows until they are predicted
    as signal. ``modified_binary`` has no relegated output; its classes are trained by both.

    *Order of refusal.* The rows that are refused first are those with the least certain class, along the whole boundary; the network
    only learns how many (``models.heads.relegation``).

    *Warm-up.* In the first half of ``significance_warmup``, a fraction of the training, only the classes are trained. In the second
    half, relCCE, w and the weight of the signal rise. With classes that are not yet trained, the relegated output would go to
    values where its gradient vanishes.
    """

    settings: ClassVar[tuple[str, ...]] = tuple(RelegationSettings.model_fields)
    needs_merit = keeps_last = True
    losses_compare = False  # training uses the significance of a batch, validation that of all rows
    head: ClassVar[type[Head]] = RelegationHead
    variant = "relegator"

    def __init__(self, analysis: Analysis, weight: float = 3.0, warmup: float = 0.3, expected: bool = True) -> None:
        assert analysis.figure_of_merit is not None
        self.merit, self.name = analysis.figure_of_merit, analysis.name
        self.classes = list(analysis.classes)
        self.signal = torch.tensor(self.merit.is_signal(self.classes))
        self.significance = Significance.of(self.merit)
        self.weight, self.warmup, self.expected = weight, warmup, expected
        self.relegates = issubclass(self.head, RelegationHead)
        self.scale = torch.ones(len(self.classes))
        self.largest, self.yields, self.all_yields = 1.0, [1.0, 1.0], [1.0, 1.0]
        self.side_scale = [1.0, 1.0]
        """Mean number of expected events per row of signal and of background in the window."""
        self.prior, self.cross_entropy = 0.0, 1.0
        self.posterior = WindowPosterior(np.ones(len(self.classes)))

    @classmethod
    def build(cls, config: TrainingConfig, analysis: Analysis) -> Self:
        return cls(analysis, config.significance_weight, config.significance_warmup, config.expected_yields)

    def in_window(self, batch: Batch) -> Tensor:
        """Return whether the figure of merit of each row (N,) is in its window."""
        low, high = self.merit.limits
        values = batch.spectators[self.merit.variable]
        return (values >= low) & (values <= high)

    def begin(self, rows: Iterable[tuple[Batch, Tensor]]) -> None:
        """Sum the weights of each class, in all and in the window; raise an error if the figure of merit cannot be used."""
        total, inside = np.zeros(len(self.classes)), np.zeros(len(self.classes))
        count, lowest, highest = 0, np.inf, -np.inf
        for batch, weights in rows:
            values, labels = batch.spectators[self.merit.variable].numpy(), batch.labels.numpy()
            if not np.isfinite(values).all():
                bad = int(batch.source[int(np.flatnonzero(~np.isfinite(values))[0]), 1])
                raise CollidekitError(
                    f"{self.name}: the figure of merit {self.merit.variable} is NaN or infinite in row {bad} of its file; "
                    "exclude such rows with 'selection:'"
                )
            lowest, highest = min(lowest, values.min()), max(highest, values.max())
            total += np.bincount(labels, weights.numpy(), len(total))
            inside += np.bincount(labels, weights.numpy() * self.in_window(batch).numpy(), len(total))
            count += len(batch)
        low, high = self.merit.limits
        if lowest == highest:
            raise CollidekitError(f"{self.name}: the figure of merit {self.merit.variable} is {lowest:g} in all rows")
        signal = self.signal.numpy()
        for name, side in (("signal", signal), ("background", ~signal)):
            if inside[side].sum() <= 0:
                raise CollidekitError(
                    f"{self.name}: no {name} row has {self.merit.variable} in the window [{low:g}, {high:g}] of the figure of "
                    f"merit; the values reach from {lowest:g} to {highest:g}"
                )
        expected = np.array(self.merit.expected(dict(zip(self.classes, total, strict=True))))
        self.scale = torch.tensor(expected / (total / count))
        in_window = expected * inside / total
        self.largest = float(np.sqrt(in_window[signal].sum()))
        self.all_yields = [float(in_window[side].sum()) for side in (signal, ~signal)]
        self.side_scale = [float(in_window[side].sum() / (inside[side].sum() / count)) for side in (signal, ~signal)]
        self.yields = list(self.all_yields)
        self.posterior = WindowPosterior(inside / total)

    def loss(self, outputs: Tensor, batch: Batch, weights: Tensor) -> Tensor:
        classes = len(self.classes)
        log_q = F.log_softmax(outputs[:, :classes], dim=1)
        device, prior = outputs.device, self._prior(outputs)
        logits = self.logits(outputs.detach())
        loss = (-log_q.gather(1, batch.labels[:, None]).squeeze(1) * prior.exp()[batch.labels] * weights).mean()
        log_p = log_q
        if self.relegates:
            doubtful = doubt(log_q, log_q.shape[1])
            refused = outputs[:, classes:] - doubtful + doubtful.detach()
            log_p = F.log_softmax(torch.cat([log_q.detach(), refused], dim=1), dim=1)
            known = (self.posterior.trust * logits).softmax(dim=1) if self.expected else self._one_hot(batch.labels)
            relegated = (relegated_cross_entropy(log_p, known) * weights).mean()
            self.cross_entropy = PRIOR_MEMORY * self.cross_entropy + (1 - PRIOR_MEMORY) * relegated.item()
            loss = loss + self._gentle() * self._warmth() * relegated
        inside = weights * self.in_window(batch)
        truth = self._truth(logits, batch.labels, inside)
        called = send(F.pad(self.signal, (0, 1)), device)[log_p.argmax(dim=1)]  # 0 for a relegated row
        self._update_yields(called, truth, inside)
        slopes = self._slopes()
        self._update_prior(slopes)
        pull = self._pull(truth, slopes).to(outputs)
        kept = (STEEPER * log_p).softmax(dim=1)[:, :classes][:, self._side(True, device)].sum(dim=1)
        return loss + self._gentle() * (pull * inside * kept).mean()

    def logits(self, outputs: Tensor) -> Tensor:
        """Return the logits (N, K) of the classes, corrected for the weight of the signal in the cross entropy."""
        return F.log_softmax(outputs[:, : len(self.classes)], dim=1) - self._prior(outputs)

    def _prior(self, like: Tensor) -> Tensor:
        return send(torch.where(self.signal, self.prior, 0.0).to(like.dtype), like.device)

    def _side(self, signal: bool, device: torch.device) -> Tensor:
        """Return the indices of the classes of signal, or of background."""
        return send((self.signal == signal).nonzero().squeeze(1), device)

    def _gentle(self) -> float:
        return GENTLE if self.relegates else 1.0

    def _warmth(self) -> float:
        return min(max(2 * self.progress / self.warmup - 1, 0.0), 1.0) if self.warmup else 1.0

    def _truth(self, logits: Tensor, labels: Tensor, inside: Tensor) -> Tensor:
        """Return the class (N, K) of each row, as probabilities or as its label."""
        if not self.expected:
            return self._one_hot(labels).double()
        logs, truth = (
            logits.double().cpu().numpy(),
            on_host(labels).numpy(),
        )  # the fit runs on the host: this waits for the device
        self.posterior.fit(logs, truth, inside.double().cpu().numpy())
        return send(torch.from_numpy(self.posterior(logs)), logits.device)

    def _one_hot(self, labels: Tensor) -> Tensor:
        return F.one_hot(labels, len(self.classes)).float()

    def _update_yields(self, called: Tensor, truth: Tensor, inside: Tensor) -> None:
        """Update the running yields from the rows of a batch that are predicted as signal."""
        device = truth.device
        scaled = truth * send(self.scale, device) * (called * inside).double()[:, None]
        sums = torch.stack([scaled[:, self._side(signal, device)].sum() for signal in (True, False)])
        found = [value / len(called) for value in sums.cpu().tolist()]
        self.yields = [MEMORY * old + (1 - MEMORY) * new for old, new in zip(self.yields, found, strict=True)]
        if self.yields[0] < FLOOR * self.all_yields[0]:
            self.yields = [FLOOR * value for value in self.all_yields]

    def _slopes(self) -> Slopes:
        """Return significance and derivatives at the running yields."""
        z, by_signal, by_background = self.significance.slopes(*self.yields)
        return Slopes(z, by_signal / z, by_background / z)

    def _update_prior(self, slopes: Slopes) -> None:
        """Update the logarithm of the weight of the signal in the cross entropy: if rows predicted as background increase log Z,
        it grows until they are predicted as signal."""
        gain, cost = self.side_scale[0] * slopes.signal, -self.side_scale[1] * slopes.background
        pays_from = np.log(cost / gain) - self._offset()
        steepness = self.posterior.trust * self.posterior.steepness
        wanted = self._warmth() * min(max(0.0, MARGIN - pays_from / steepness), LARGEST_PRIOR)
        self.prior = PRIOR_MEMORY * self.prior + (1 - PRIOR_MEMORY) * float(wanted)

    def _offset(self) -> float:
        """Return the calibrated log odds of signal for rows to which the network gives a probability of one half."""
        offsets, signal = self.posterior.offsets, self.signal.numpy()
        with np.errstate(invalid="ignore"):  # a diverging training ends with its own error
            return float(np.logaddexp.reduce(offsets[signal]) - np.logaddexp.reduce(offsets[~signal]))

    def _pull(self, truth: Tensor, slopes: Slopes) -> Tensor:
        """Return the limited derivative (N,) of the term of the significance with respect to the probability of signal.

        For ``relegator_factor`` the common factor Z0 / Z is omitted, because it would only change the learning rate.
        """
        if self.variant == "relegator_factor":
            strength = self.cross_entropy
        elif self.variant == "relegator_difference":
            strength = self.weight * slopes.z / self.largest
        else:
            strength = self.weight * self.largest / slopes.z
        strength *= self._warmth()
        by_class = torch.where(self.signal, slopes.signal, slopes.background) * self.scale
        return (-strength * (truth @ send(by_class.to(truth.dtype), truth.device))).clamp(-PULL, PULL)

    def calibrate(self, validation: Validation) -> None:
        assert isinstance(validation, RelegationValidation)
        if self.expected and validation.kept.parts:
            self.posterior.fit_trust(*validation.kept.columns())

    def scores(self) -> dict[str, float]:
        """Return running yields and significance of the training rows."""
        return {"significance": float(self.significance(*self.yields))}

    def validation(self) -> RelegationValidation:
        return RelegationValidation(self)

    def validation_loss(self, outputs: Tensor, batch: Batch, weights: Tensor) -> Tensor:
        """Return the mean relCCE, 0 without relegation; ``RelegationValidation`` adds the other terms."""
        if not self.relegates:
            return outputs.new_zeros(())
        return (relegated_cross_entropy(F.log_softmax(outputs, dim=1), self._one_hot(batch.labels)) * weights).mean()

    def state(self) -> dict[str, Any]:
        return {
            "yields": [float(value) for value in self.yields],
            "prior": float(self.prior),
            "cross_entropy": float(self.cross_entropy),
            "posterior": self.posterior.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.yields, self.prior = list(state["yields"]), float(state["prior"])
        self.cross_entropy = float(state["cross_entropy"])
        self.posterior.restore(state["posterior"])


class RelegationValidation(Validation):
    """Validation loss with the term of the significance, and the significance, from true labels of the validation set."""

    objective: Relegation

    def __init__(self, objective: Relegation) -> None:
        super().__init__(objective)
        self.sums = np.zeros((2, len(objective.classes)))
        """Sums of weights of all rows, and of rows predicted as signal in the window."""
        self.cross_entropy = 0.0
        """Loss of the classes, summed over all rows."""
        self.kept = Thinned()
        """Logits (N, K), labels (N,) and weights (N,) of rows for the fit of the calibration."""

    def add(self, outputs: Tensor, batch: Batch, weights: Tensor) -> None:
        super().add(outputs, batch, weights)
        classes = outputs[:, : len(self.objective.classes)]
        self.cross_entropy += (F.cross_entropy(classes, batch.labels, reduction="none") * weights).sum().item()
        self.kept.add(self.objective.logits(outputs.float()), batch.labels, weights)
        calls = outputs.argmax(dim=1)
        signal = [*self.objective.signal.tolist(), False]
        called = torch.tensor(signal)[calls.cpu()] & self.objective.in_window(batch).cpu()
        labels, values = batch.labels.cpu().numpy(), weights.double().cpu().numpy()
        for row, counted in enumerate((values, values * called.numpy())):
            self.sums[row] += np.bincount(labels, counted, self.sums.shape[1])

    def scores(self) -> dict[str, float]:
        names, signal = self.objective.classes, self.objective.signal.numpy()
        for name, side in (("signal", signal), ("background", ~signal)):
            if self.sums[0][side].sum() <= 0:
                raise CollidekitError(
                    f"{self.objective.name}: no {name} row with a weight is in the validation set; "
                    "give more rows, or set a smaller train_val_split"
                )
        expected = self.objective.merit.expected(dict(zip(names, self.sums[0], strict=True)))
        found = np.array(expected) * self.sums[1] / np.maximum(self.sums[0], 1e-300)
        return {"significance": float(self.objective.significance(found[signal].sum(), found[~signal].sum()))}

    def loss(self) -> float:
        largest = self.objective.largest
        of = max(self.scores()["significance"], SMALLEST_SHOWN * largest)
        relegated, weight, classes = super().loss(), self.objective.weight, self.cross_entropy / self.rows
        if self.objective.variant == "relegator_factor":
            return classes + relegated * largest / of
        if self.objective.variant == "relegator_difference":
            return classes + relegated - weight * of / largest
        return classes + relegated + weight * (largest / of - 1)


class Thinned:
    """Collection of rows; if there are too many, only every second, fourth, eighth … row is kept."""

    def __init__(self, most: int = 50_000) -> None:
        self.most, self.stride, self.seen = most, 1, 0
        self.parts: list[tuple[Tensor, ...]] = []

    def add(self, *columns: Tensor) -> None:
        first = -self.seen % self.stride
        self.seen += len(columns[0])
        self.parts.append(tuple(column[first :: self.stride].cpu() for column in columns))
        while sum(len(part[0]) for part in self.parts) > self.most:
            self.parts = [tuple(torch.cat(parts)[::2] for parts in zip(*self.parts, strict=True))]
            self.stride *= 2

    def columns(self) -> tuple[np.ndarray[Any, Any], ...]:
        return tuple(torch.cat(parts).numpy() for parts in zip(*self.parts, strict=True))
