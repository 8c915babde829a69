"""A tagger on made-up rows with every kind of feature, and one that is linear."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from collidekit.analysis.schema import Analysis
from collidekit.attacks.base import Attack
from collidekit.attacks.build import build_attack
from collidekit.attacks.settings import AttackSettings
from collidekit.dataset.batch import Batch, Input, Ragged
from collidekit.dataset.statistics import Statistics, statistics
from collidekit.models import Tagger, build_network

ROWS = 200
TRACKS: list[Any] = [
    "d0",
    {"name": "z0", "bounds": [-1, 1]},
    {"name": "sip", "default": -9},
    {"name": "hits", "kind": "integer"},
    {"name": "charge", "attackable": False},
]
JET: list[Any] = ["pt", {"name": "tagged", "kind": "flag"}, "width"]

Build = Callable[..., Attack]


@pytest.fixture
def analysis() -> Analysis:
    return Analysis.model_validate(
        {
            "name": "made_up",
            "classes": {"light": "label == 0", "b": "label == 1", "c": "label == 2"},
            "inputs": {"tracks": {"limit": 10, "features": TRACKS}, "jet": {"features": JET}},
        }
    )


@pytest.fixture
def batch() -> Batch:
    """Rows of 0 to 5 tracks."""
    random = np.random.default_rng(4)
    counts = random.integers(0, 6, ROWS)
    total = int(counts.sum())
    tracks = np.stack(
        [
            random.normal(0, 0.05, total),
            random.normal(0, 0.8, total).clip(-1, 1),
            np.where(random.uniform(size=total) < 0.2, -9, random.normal(2, 3, total)),
            random.integers(3, 12, total),
            random.choice([-1, 1], total),
        ],
        axis=1,
    )
    jet = np.stack(
        [random.exponential(50, ROWS) + 20, random.integers(0, 2, ROWS), random.normal(0.1, 0.03, ROWS)], axis=1
    )
    offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(counts)]))
    numbers = torch.arange(ROWS)
    return Batch(
        inputs={
            "tracks": Ragged(torch.from_numpy(tracks).float(), offsets, len(TRACKS)),
            "jet": torch.from_numpy(jet).float(),
        },
        labels=numbers % 3,
        weights=torch.ones(ROWS),
        spectators={},
        event={},
        keys=numbers,
        processes=torch.zeros(ROWS, dtype=torch.int64),
        source=torch.stack([torch.zeros_like(numbers), numbers], dim=1),
        index=numbers,
    )


@pytest.fixture
def found(batch: Batch, analysis: Analysis) -> Statistics:
    return statistics(batch, analysis)


@pytest.fixture
def tagger(analysis: Analysis, found: Statistics) -> Tagger:
    """A small PFN with dropout and batch norm, scaled to the rows, in training mode."""
    torch.manual_seed(1)
    options = {"phi": [16, 16], "f": [16], "dropout": 0.2, "norm": 5}
    tagger = Tagger(analysis, build_network("pfn", analysis.inputs, 3, options))
    tagger.scaling.fit(found)
    return tagger.train()


@pytest.fixture
def build(analysis: Analysis, tagger: Tagger, found: Statistics) -> Build:
    """An attack on that tagger."""
    summary = {name: {key: entry.summary() for key, entry in group.items()} for name, group in found.items()}

    def make(attack: str, magnitude: float = 0.1, **settings: Any) -> Attack:
        named = {f"attack_{name}": value for name, value in settings.items()}
        made = build_attack(
            AttackSettings(attack=attack, attack_magnitude=magnitude, **named), analysis, tagger.scaling, summary
        )
        assert made is not None
        return made

    return make


class Linear(nn.Module):
    """Logits (N, 2) that are linear in six features: 0 and w x."""

    constituent_width = 0

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, inputs: dict[str, Input]) -> Tensor:
        score = inputs["plane"] @ self.weights  # type: ignore[operator]
        return torch.stack([torch.zeros_like(score), score], dim=1)


@pytest.fixture
def linear() -> tuple[Tagger, Batch, Analysis]:
    """A linear tagger in raw units of different widths, and its rows."""
    names = [f"x{i}" for i in range(6)]
    analysis = Analysis.model_validate(
        {"name": "plane", "classes": {"a": "y == 0", "b": "y == 1"}, "inputs": {"plane": {"features": names}}}
    )
    random = torch.Generator().manual_seed(2)
    widths = torch.tensor([1.0, 10.0, 0.1, 3.0, 0.5, 100.0])
    rows = 300
    numbers = torch.arange(rows)
    batch = Batch(
        inputs={"plane": torch.randn(rows, 6, generator=random) * widths + 2 * widths}, labels=numbers % 2,
        weights=torch.ones(rows), spectators={}, event={}, keys=numbers, processes=torch.zeros(rows, dtype=torch.int64),
        source=torch.stack([numbers, numbers], dim=1), index=numbers,
    )  # fmt: skip
    tagger = Tagger(analysis, Linear(torch.tensor([0.5, -1.0, 2.0, 0.2, -0.7, 0.05])))  # type: ignore[arg-type]
    tagger.scaling.fit(statistics(batch, analysis))
    return tagger.eval(), batch, analysis
