"""Speed and memory of a few training steps."""

import resource
import sys
import time
from dataclasses import dataclass
from statistics import median

import torch

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch
from collidekit.dataset.statistics import statistics
from collidekit.models.registry import build_network
from collidekit.models.tagger import Tagger, outputs_of
from collidekit.objectives import head_of
from collidekit.threads import sharing_cores
from collidekit.training.config import TrainingConfig
from collidekit.training.effect import attack_without_effect

SECONDS, LEAST, MOST = 1.0, 2, 20
"""Time of all timed steps together, and limits of their number."""


@dataclass(frozen=True)
class TrialSteps:
    """Rows per second of training steps, number of parameters, and memory in bytes."""

    rate: float
    parameters: int
    memory: float


def try_steps(config: TrainingConfig, analysis: Analysis, rows: Batch) -> TrialSteps:
    """Time forward and backward passes on some rows. The random state does not change, and nothing is stored.

    Each step of an attack counts as a further pass.
    """
    with torch.random.fork_rng(devices=[]):
        batch = rows.take(torch.arange(config.batch_size) % len(rows))
        head = head_of(config.objective, analysis)
        network = build_network(config.model_name, analysis.inputs, outputs_of(analysis, head), config.model_options)
        tagger = Tagger(analysis, network, head)
        tagger.scaling.fit(statistics(rows, analysis))
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        tagger, batch = tagger.to(device).train(), batch.to(device)
        optimizer = torch.optim.Adam(tagger.parameters())
        times: list[float] = []
        with sharing_cores(torch.get_num_threads()):
            while len(times) < MOST and (len(times) < LEAST or sum(times) < SECONDS):
                begun = time.monotonic()
                outputs = tagger(batch, with_targets=True)[0]
                optimizer.zero_grad()
                outputs.square().mean().backward()
                optimizer.step()
                if device.type == "cuda":
                    torch.cuda.synchronize()
                times.append(time.monotonic() - begun)
        # the first step allocates memory, and other processes may slow down some steps
        seconds = max(median(times[1:]), 1e-9) * _passes(config)
        parameters = sum(parameter.numel() for parameter in tagger.parameters())
    return TrialSteps(len(batch) / seconds, parameters, _peak())


def _passes(config: TrainingConfig) -> float:
    """Return the number of passes of a step: one, one for each step of an attack from each start, and the comparison of several starts."""
    if config.attack == "nominal":
        return 1.0
    unused = attack_without_effect(config)
    steps = 1 if "attack_iterations" in unused else config.attack_iterations
    starts = 1 if "attack_starts" in unused else max(config.attack_starts, 1)
    compared = starts if starts > 1 else 0
    return 1.0 + steps * starts + compared + (config.adversarial == "trades")


def _peak() -> float:
    """Return the largest memory of this process so far, in bytes."""
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)
