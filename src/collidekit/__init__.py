"""Machine learning on collider events: from ROOT files to a tagger that people can trust, deploy and compare.

The names below are all that most scripts need; they are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "Dataset",
    "Loader",
    "Plan",
    "Predictions",
    "Training",
    "TrainingConfig",
    "construct",
    "load_checkpoint",
    "load_plan",
    "measure_discriminator",
    "predict_dataset",
    "predict_files",
    "simulate",
]

if TYPE_CHECKING:
    from collidekit.analysis.scope import Plan
    from collidekit.dataset.construct import construct
    from collidekit.dataset.loader import Dataset, Loader
    from collidekit.evaluation.roc_result import measure_discriminator
    from collidekit.inference.predict import predict_dataset, predict_files
    from collidekit.inference.predictions import Predictions
    from collidekit.shipped import load_plan
    from collidekit.simulation import simulate
    from collidekit.training.checkpoint import load_checkpoint
    from collidekit.training.config import TrainingConfig
    from collidekit.training.loop import Training

_WHERE = {
    "Dataset": "dataset.loader",
    "Loader": "dataset.loader",
    "Plan": "analysis.scope",
    "Predictions": "inference.predictions",
    "Training": "training.loop",
    "TrainingConfig": "training.config",
    "construct": "dataset.construct",
    "load_checkpoint": "training.checkpoint",
    "load_plan": "shipped",
    "measure_discriminator": "evaluation.roc_result",
    "predict_dataset": "inference.predict",
    "predict_files": "inference.predict",
    "simulate": "simulation",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'collidekit' has no attribute {name!r}")
    return getattr(import_module(f"collidekit.{_WHERE[name]}"), name)
