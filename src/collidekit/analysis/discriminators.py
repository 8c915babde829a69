"""Discriminators: one number computed from class probabilities, which separates signal from background."""

# ruff: noqa: RUF012 - pydantic copies the defaults

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import Field, FiniteFloat, field_validator, model_validator

from collidekit.analysis.features import Name, Strict, wrong
from collidekit.analysis.labels import Label

SMALLEST = 1e-10
"""Added to both sums of a logarithmic discriminator, as in puma, because the probability of an impossible class is 0."""

T = TypeVar("T")


class Discriminator(Strict):
    """D = S / (S + B), or ln(S / B), with S = sum w p(signal) and B = sum w p(background); evaluated on rows of these classes.

    ``background: {c: 0.018, light: 0.982}`` gives the classes weights w; the default is 1. With ``form: log`` this is the
    b-tagging discriminant ln(p_b / (f_c p_c + f_u p_u)) with f_c = 0.018.
    """

    signal: Annotated[list[Name], Field(min_length=1)]
    background: Annotated[list[Name], Field(min_length=1)]
    weights: dict[Name, Annotated[FiniteFloat, Field(gt=0)]] = {}
    """The weight of the probability of a class in its sum."""
    form: Literal["fraction", "log"] = "fraction"
    label: Label | None = None
    """The label in plots and tables; the default is the name."""

    @model_validator(mode="before")
    @classmethod
    def _weighted(cls, data: Any) -> Any:
        """Convert ``background: {c: 0.018, light: 0.982}`` to a list and weights."""
        if not isinstance(data, dict):
            return data
        weights = dict(data["weights"]) if isinstance(data.get("weights"), dict) else {}
        found = dict(data)
        for side in ("signal", "background"):
            if isinstance(value := data.get(side), dict):
                if twice := sorted(set(map(str, value)) & set(map(str, weights))):
                    raise wrong(f"{twice[0]!r} has two weights", side)
                weights |= value
                found[side] = list(value)
        return {**found, "weights": weights} if weights else found

    @field_validator("signal", "background", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _weights_of_its_classes(self) -> "Discriminator":
        for name in self.weights:
            if name not in (*self.signal, *self.background):
                raise wrong(f"{name!r} is neither signal nor background", "weights", name)
        return self

    def weight(self, name: str) -> float:
        """Return the weight of the probability of a class."""
        return self.weights.get(name, 1.0)

    def sums(self, probability: Callable[[str], T]) -> tuple[T, T]:
        """Return S and B, from a function that gives the probability of a class."""
        first, second = (self._sum(names, probability) for names in (self.signal, self.background))
        return first, second

    def _sum(self, names: list[str], probability: Callable[[str], Any]) -> Any:
        terms = [
            probability(name) * self.weights[name] if name in self.weights else probability(name) for name in names
        ]
        return sum(terms[1:], terms[0])

    def scores(self, columns: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """Return the scores (N,) from probabilities (N,) by class; 0 if both sums of a fraction vanish."""
        signal, background = self.sums(lambda name: np.asarray(columns[name], dtype=np.float64))
        if self.form == "log":
            return np.asarray(np.log((signal + SMALLEST) / (background + SMALLEST)))
        total = signal + background
        return np.divide(signal, total, out=np.zeros_like(total), where=total != 0)

    @property
    def formula(self) -> tuple[str, str]:
        """S and B as text: ``p(b)`` and ``0.018 p(c) + 0.982 p(light)``."""
        return self.formula_of({})

    def formula_of(self, labels: Mapping[str, str]) -> tuple[str, str]:
        """Return S and B as text with labels of classes."""
        first, second = (" + ".join(self._term(name, labels.get(name, name)) for name in names) for names in self.sides)
        return first, second

    @property
    def sides(self) -> tuple[list[str], list[str]]:
        """The classes of signal and of background."""
        return self.signal, self.background

    def _term(self, name: str, label: str) -> str:
        return f"{self.weights[name]:g} p({label})" if name in self.weights else f"p({label})"

    @property
    def identity(self) -> dict[str, Any]:
        """The keys that affect the scores; for a fraction without weights, only the classes of both sides."""
        return self.model_dump(exclude_defaults=True, exclude={"label"})
