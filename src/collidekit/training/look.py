"""Test of a training on a few rows: finds errors of its first step in seconds, before hours of other work."""

import traceback

import torch

from collidekit.analysis.schema import Analysis
from collidekit.attacks.build import build_attack
from collidekit.dataset.batch import Batch
from collidekit.dataset.statistics import statistics
from collidekit.errors import CollidekitError
from collidekit.models.registry import build_network
from collidekit.models.tagger import Tagger, outputs_of
from collidekit.objectives import Objective
from collidekit.objectives.build import build_objective
from collidekit.objectives.registry import KIND as OBJECTIVES
from collidekit.training.augmentations import build_augmentation
from collidekit.training.choice import check_network
from collidekit.training.config import TrainingConfig

FEW = 8
"""Number of rows of the test."""


def try_training(config: TrainingConfig, analysis: Analysis, rows: Batch | None) -> None:
    """Raise the error with which a training would start, because of its settings, its network, or its attack.

    Without rows, only the settings and the construction of the network are tested. The random state does not change.
    """
    with torch.random.fork_rng(devices=[]):
        check_network(analysis, config)
        objective = build_objective(config, analysis)
        if rows is None:
            return
        few = rows.take(torch.arange(min(FEW, len(rows))))
        found = statistics(few, analysis)
        head = objective.head.of(analysis)
        network = build_network(config.model_name, analysis.inputs, outputs_of(analysis, head), config.model_options)
        tagger = Tagger(analysis, network, head).eval()
        tagger.scaling.fit(found)
        if augment := build_augmentation(config.augmentation, analysis, found):
            few = augment(few)
        # a few rows do not give the spread of the features
        build_attack(config.model_copy(update={"attack_individual_factors": False}), analysis, tagger.scaling)
        outputs = _run_network(config.model_name, tagger, few)
        check_outputs(config.model_name, outputs, len(few), head.outputs)
        _check_columns(config.objective, tagger, outputs, analysis)
        if OBJECTIVES.own(config.objective) and type(objective).begin is Objective.begin:
            _check_loss(config.objective, objective, outputs, few)


def check_outputs(name: str, outputs: torch.Tensor, rows: int, wanted: int) -> None:
    """Raise an error unless a network returns the wanted number of outputs for each row."""
    if outputs.shape != (rows, wanted):
        raise CollidekitError(
            f"network {name}: returns outputs of shape {tuple(outputs.shape)} for {rows} rows, not {wanted} for each row"
        )


def _check_columns(name: str, tagger: Tagger, raw: torch.Tensor, analysis: Analysis) -> None:
    """Raise an error if the head of a user's objective does not decode the columns of predictions."""
    if not analysis.classes:
        return
    wanted = {f"prob_{label}" for label in analysis.classes}
    try:
        found = tagger.head.decode(raw)
    except Exception as error:
        raise CollidekitError(f"objective {name}: its head fails on the first rows: {_describe(error)}") from error
    if not isinstance(found, dict) or not wanted <= found.keys() <= {*wanted, "prob_relegated"}:
        given = ", ".join(map(str, found)) if isinstance(found, dict) else type(found).__name__
        raise CollidekitError(
            f"objective {name}: its head must decode the columns {', '.join(sorted(wanted))}, and prob_relegated where rows may be "
            f"refused; it gives {given}"
        )


def _check_loss(name: str, objective: Objective, outputs: torch.Tensor, rows: Batch) -> None:
    """Raise an error if a user's objective fails, or does not return a single number."""
    try:
        loss = objective.loss(outputs, rows, torch.ones(len(rows)).to(outputs))
    except CollidekitError:
        raise
    except Exception as error:
        raise CollidekitError(f"objective {name}: fails on the first rows: {_describe(error)}") from error
    if not isinstance(loss, torch.Tensor) or loss.shape != ():
        found = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__
        raise CollidekitError(
            f"objective {name}: its loss must be a tensor of one number, the mean over the rows, not {found}"
        )


def _describe(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})"


def _run_network(name: str, tagger: Tagger, rows: Batch) -> torch.Tensor:
    try:
        with torch.no_grad():
            outputs: torch.Tensor = tagger(rows, with_targets=True)[0]
        return outputs
    except CollidekitError:
        raise
    except Exception as error:
        raise CollidekitError(f"network {name}: fails on the first rows: {_describe(error)}") from error
