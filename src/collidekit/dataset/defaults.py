"""Comparison of the defaults of an analysis with the bulk of the data, and better defaults."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import yaml

from collidekit.analysis.features import Feature
from collidekit.analysis.schema import Analysis
from collidekit.dataset.check import Check
from collidekit.dataset.far_values import FAR_DEFAULT, distance, find_sentinel, suggested_default, without_sentinel
from collidekit.dataset.statistics import FeatureStatistics
from collidekit.errors import CollidekitError

_NUMBER = re.compile(r"\belse\s+(-?[0-9.]+(?:e[+-]?[0-9]+)?)\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class FoundDefault:
    """One feature: how often it is missing, the range of its bulk, and the default of its missing values."""

    input: str
    feature: Feature
    share: float
    """Fraction of values at the default, including NaN and infinity."""
    low: float
    high: float
    """0.5 % and 99.5 % quantiles of all other values."""
    widths: float
    """Distance from the bulk to the default, in widths of the scaling; 0 for a default within the bulk."""
    suggested: float
    problem: str = ""
    """Another value that means "missing"."""

    @property
    def verdict(self) -> str:
        """``near``, ``far`` from the bulk, ``inside`` it, or ``none`` if nothing is missing."""
        if self.problem:
            return self.problem
        if not self.share:
            return "none missing"
        if self.share == 1:
            return "always missing"
        if self.low <= self.feature.fill <= self.high:
            return "inside the bulk"
        return "far" if self.widths > FAR_DEFAULT else "near"

    @property
    def worth_changing(self) -> bool:
        return self.verdict not in ("near", "none missing", "always missing")

    @property
    def line(self) -> str:
        """The feature with the suggested default, as a line of the analysis file."""
        entry = self.feature.model_dump(mode="json", exclude_defaults=True) | {
            "default": json.loads(f"{self.suggested:g}")
        }
        expression = _NUMBER.sub(self._replaced, self.feature.expression)
        entry.pop("expression", None)
        if expression != self.feature.name:
            entry = {"name": self.feature.name, "expression": expression, **entry}
        text = yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000)
        return f"- {text.strip()}"

    def _replaced(self, match: re.Match[str]) -> str:
        """Return an expression ``x if ... else -3`` with the default in it replaced."""
        is_default = self.feature.default is not None and float(match[1]) == self.feature.default
        return match[0].replace(match[1], f"{self.suggested:g}") if is_default else match[0]


def find_defaults(check: Check) -> list[FoundDefault]:
    """Return the defaults of all features, with collections first."""
    part = check.parts[0]
    for file in part.files:
        if file.problem:
            raise CollidekitError(file.problem)
    if not part.statistics:
        raise CollidekitError("no row is in a class, so there are no values to find defaults from")
    return list(_found(check.plan.analysis, check))


def _found(analysis: Analysis, check: Check) -> Iterator[FoundDefault]:
    part = check.parts[0]
    for group in chain(analysis.collections, analysis.groups):
        for feature in analysis.inputs[group].features:
            statistics = (part.statistics or {})[group][feature.name]
            replaced = part.replaced.get(f"{group}.{feature.name}", 0)
            yield _of(group, feature, statistics, replaced)


def _of(group: str, feature: Feature, statistics: FeatureStatistics, replaced: int) -> FoundDefault:
    total = statistics.count + statistics.missing
    missing = statistics.missing if feature.default is not None else replaced
    percentiles = statistics.percentiles()
    low, high = percentiles["0.5"], percentiles["99.5"]
    suggested, problem = suggested_default(low, high, feature.kind != "continuous"), ""
    sentinel = find_sentinel(statistics.sample, statistics.weights)
    if sentinel:
        suggested, problem = (
            without_sentinel(feature, statistics, sentinel),
            f"{sentinel.value:g} in {sentinel.share:.1%}",
        )
    return FoundDefault(
        group,
        feature,
        missing / max(total, 1),
        low,
        high,
        distance(feature.fill, feature, statistics),
        suggested,
        problem,
    )
