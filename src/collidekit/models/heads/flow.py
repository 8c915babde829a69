"""Normalising flow: the joint distribution of all values of a target, given the outputs of the network.

Rational-quadratic splines (arXiv:1906.04032) in coupling layers, as for the neutrinos of top pairs in arXiv:2207.00664 and
arXiv:2307.02405, behind an affine transformation. Library: zuko.
"""

import copy
from functools import partial
from math import ceil, log, pi
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from collidekit.analysis.estimates import LEVELS, suffix_of
from collidekit.analysis.targets import Regression
from collidekit.dataset.batch import Batch
from collidekit.extras import need
from collidekit.models.heads.base import exact
from collidekit.models.heads.flow_inverse import draw_with_volume
from collidekit.models.heads.regression import RegressionHead
from collidekit.models.heads.w_mass import deviations, lepton_momenta
from collidekit.reconstruction.event_random import target_noise

LAYERS = 4
"""Number of coupling layers; each value is transformed in half of them."""
SPLINE_BINS = 8
HIDDEN = (64, 64)
"""Hidden units of the network of each layer."""
TOGETHER = 1 << 11
"""Number of draws of all rows that are computed together, so that they stay in the cache of a processor."""


class FlowHead(RegressionHead):
    """Head of a flow: the outputs (N, 64) of the network are the context of a flow in the learned scale.

    All columns are computed from draws in the unit of the target: ``pred_<value>`` is their median, ``_mean`` their mean, ``_q16`` etc.
    are quantiles, ``_mode`` is the value of the draw with the highest joint density of all values in their unit, and ``_shell`` that
    of the draw whose W bosons are nearest to the W mass.
    """

    def __init__(self, target: Regression) -> None:
        super().__init__(target)
        kinds = ["mean", "mode", *(suffix_of(level) for level in LEVELS if level != 0.5)]
        kinds += ["shell"] if target.on_shell else []
        self.columns = tuple(
            f"pred_{name}{end}" for name in target.values for end in ("", *(f"_{kind}" for kind in kinds))
        )
        self.flow = _flow(len(target.values), target.outputs)

    def density(self, context: Tensor, scaled: Tensor) -> Tensor:
        """Return −log of the density (...) at values (..., V) in the learned scale, for contexts (..., C)."""
        with torch.autocast(context.device.type, enabled=False):
            kind = next(self.flow.parameters()).dtype
            noise, volume = self.flow(context.to(kind)).call_and_ladj(scaled.to(kind))
            found: Tensor = (noise.square() / 2 + log(2 * pi) / 2).sum(-1) - volume
            return found

    def draw(self, context: Tensor, noise: Tensor) -> Tensor:
        """Return values (..., V) in the learned scale, for contexts (..., C) and normal random numbers (..., V)."""
        with torch.autocast(context.device.type, enabled=False):
            kind = next(self.flow.parameters()).dtype
            found: Tensor = self.flow(context.to(kind)).inv(noise.to(kind))
            return found

    def estimates(self, raw: Tensor) -> Tensor:
        """Return the values (N, V) of noise 0, in the unit of the target: fast, and near the median."""
        return self.in_unit(self.draw(raw, raw.new_zeros(len(raw), len(self.target.values))))

    def decode_with(self, raw: Tensor, noise: Tensor, leptons: Tensor | None = None) -> dict[str, Tensor]:
        """Return the columns of draws from noise (N, K, V), with operations that can be exported.

        With ``on_shell`` it needs the momenta px, py, pz, E (N, M, 4) of the leptons, NaN if there are none.
        """
        scaled, volume = draw_with_volume(self.flow, raw, noise)
        densities = noise.square().sum(dim=-1) / 2 - volume + self._volume(scaled)
        return self._summary(self.in_unit(scaled), densities, leptons)

    def answer(self, raw: Tensor, batch: Batch, name: str) -> dict[str, Tensor]:
        """Return the columns of draws from the noise of each event, ``pit_<value>`` and ``nll_<target>``.

        They are computed in double precision. If the truth is not known, the last two are NaN.
        """
        precise = copy.deepcopy(self).double()
        size = max(1, TOGETHER // self.target.draws)
        starts = range(0, max(len(raw), 1), size)  # a batch without rows is one part, too
        rows = [precise.part(raw[k : k + size], batch.slice(k, k + size), name) for k in starts]
        return {column: torch.cat([part[column] for part in rows]) for column in rows[0]}

    def part(self, raw: Tensor, batch: Batch, name: str) -> dict[str, Tensor]:
        """Return the columns of ``answer`` for a number of rows whose draws are computed together."""
        noise, chance = event_noise(batch, name, self.target.draws, len(self.target.values))
        truth = batch.truth.get(name)
        truth = torch.full((len(raw), len(self.target.values)), torch.nan) if truth is None else truth
        leptons = lepton_momenta(batch, self.target.on_shell).to(raw).double() if self.target.on_shell else None
        noise = noise.to(raw.device)
        return self.judged(raw.double(), noise, truth.to(raw.device).double(), chance.to(raw.device), name, leptons)

    def judged(
        self, context: Tensor, noise: Tensor, truth: Tensor, chance: Tensor, name: str, leptons: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return the columns for noise (N, K, V), truth (N, V), a uniform random number (N, V) of each value, leptons (N, M, 4)."""
        scaled = self.draw(context[:, None], noise)
        values = self.in_unit(scaled)
        densities = self.density(context[:, None], scaled) + self._volume(scaled)
        columns = self._summary(values, densities, leptons)
        pit = _rank(values, truth, chance)
        columns |= {f"pit_{value}": pit[:, v] for v, value in enumerate(self.target.values)}
        return {**columns, f"nll_{name}": self._truth_density(context, truth)}

    def _summary(self, values: Tensor, densities: Tensor, leptons: Tensor | None) -> dict[str, Tensor]:
        """Return the columns of draws (N, K, V) in their unit, given −log of their densities (N, K) up to a constant."""

        def smallest(costs: Tensor) -> Tensor:
            """Return the draw (N, V) with the smallest cost (N, K)."""
            return values.gather(1, costs.argmin(1)[:, None, None].expand(-1, 1, len(self.target.values)))[:, 0]

        ordered = values.topk(self.target.draws, dim=1, largest=False).values
        at = partial(_quantile, ordered, draws=self.target.draws)
        parts = [at(0.5), values.mean(1), smallest(densities), *(at(level) for level in LEVELS if level != 0.5)]
        if leptons is not None:
            parts.append(
                smallest(
                    deviations(values.reshape(*values.shape[:2], len(self.target.values) // 3, 3), leptons[:, None])
                )
            )
        found = torch.stack(parts, dim=2)
        return dict(zip(self.columns, found.flatten(1).unbind(1), strict=True))

    def _truth_density(self, context: Tensor, truth: Tensor) -> Tensor:
        """Return −log of the joint density (N,) at the truth, in its unit; NaN if not known, infinite if impossible."""
        scaled = self.scaled(truth)
        possible, known = scaled.isfinite().all(dim=1), truth.isfinite().all(dim=1)
        safe = torch.where(possible[:, None], scaled, 0.0)
        found = self.density(context, safe) + self._volume(safe)
        return torch.where(possible, found, torch.inf).masked_fill(~known, torch.nan)

    def _volume(self, scaled: Tensor) -> Tensor:
        """Return the logarithm of the ratio of volumes in the unit and in the learned scale (...), at values (..., V)."""
        values = exact(scaled)
        width, shift = self.width.to(values), self.shift.to(values)
        found = width.log().expand_as(values)
        if self.target.scale == "log":
            found = found + values * width + shift
        return found.sum(-1)


class Noise(NamedTuple):
    """Random numbers of rows: normal (N, K, V) for the draws, uniform (N, V) for ranks among the draws."""

    normal: Tensor
    uniform: Tensor


def event_noise(batch: Batch, name: str, draws: int, values: int) -> Noise:
    """Return the random numbers of each row for a target: a function of its event numbers only, or of file and entry.

    They do not depend on the order of the rows or on the batch. Rows of one event have the same random numbers.
    """
    event = batch.event or {"file": batch.source[:, 0], "row": batch.source[:, 1]}
    columns = {key: column.cpu().numpy() for key, column in event.items()}
    return Noise(*map(torch.from_numpy, target_noise(columns, name, draws, values)))


def _flow(values: int, context: int) -> nn.Module:
    """Return the flow from values in the learned scale to normal noise, given a context."""
    need("zuko", "flow")
    from zuko.flows.autoregressive import MaskedAutoregressiveTransform
    from zuko.flows.gaussianization import ElementWiseTransform
    from zuko.lazy import LazyComposedTransform
    from zuko.transforms import MonotonicAffineTransform, MonotonicRQSTransform

    half, places = ceil(values / 2), torch.arange(values)
    orders = [places, values - 1 - places, (places % 2) * half + places // 2]
    orders.append(values - 1 - orders[2])
    shapes = [(SPLINE_BINS,), (SPLINE_BINS,), (SPLINE_BINS - 1,)]
    spline: Any = partial(MonotonicRQSTransform, slope=1e-3)
    layers = [
        MaskedAutoregressiveTransform(
            values, context, passes=2, order=order, univariate=spline, shapes=shapes, hidden_features=HIDDEN
        )
        for order in orders[:LAYERS]
    ]
    first = ElementWiseTransform(values, context, univariate=MonotonicAffineTransform, hidden_features=HIDDEN)
    found: nn.Module = LazyComposedTransform(first, *(layers if values > 1 else layers[:1]))
    return found


def _quantile(ordered: Tensor, level: float, draws: int) -> Tensor:
    """Return the quantile (N, V) of K sorted draws (N, K, V), at the position level (K + 1).

    The mean probability between the draws k and k + 1 is 1 / (K + 1)."""
    place = min(max(level * (draws + 1) - 1, 0.0), draws - 1.0)
    low = int(place)
    high = min(low + 1, draws - 1)
    return ordered[:, low] + (place - low) * (ordered[:, high] - ordered[:, low])


def _rank(values: Tensor, truth: Tensor, chance: Tensor) -> Tensor:
    """Return the rank (N, V) of the truth among draws (N, K, V), in [0, 1]; exactly uniform if both have one distribution."""
    below = (values < truth[:, None]).sum(1)
    equal = (values == truth[:, None]).sum(1)
    rank = (below + chance * (equal + 1)) / (values.shape[1] + 1)
    return torch.where(truth.isnan(), torch.nan, rank)
