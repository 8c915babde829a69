"""Machine learning on collider events: from ROOT files to a tagger that people can trust, deploy and compare.

Most scripts and notebooks need only the names below. Each is imported at its first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = [
    "Analysis",
    "Bundle",
    "Checkpoint",
    "CollidekitError",
    "Dataset",
    "Loader",
    "Network",
    "Objective",
    "Plan",
    "Predictions",
    "RocResult",
    "Tagger",
    "Training",
    "TrainingConfig",
    "WorkingPoint",
    "analysis_files",
    "check",
    "construct",
    "load_analysis",
    "load_checkpoint",
    "load_plan",
    "measure_discriminator",
    "measure_roc",
    "plot_confusion_matrix",
    "plot_discriminator_shapes",
    "plot_efficiency",
    "plot_input",
    "plot_loss_curves",
    "plot_roc",
    "predict",
    "predict_dataset",
    "predict_files",
    "simulate",
    "train",
    "working_points",
]

if TYPE_CHECKING:
    __version__: str
    from collidekit.analysis.load import load_analysis
    from collidekit.analysis.schema import Analysis
    from collidekit.analysis.scope import Plan
    from collidekit.dataset.check import check
    from collidekit.dataset.construct import construct
    from collidekit.dataset.loader import Dataset, Loader
    from collidekit.errors import CollidekitError
    from collidekit.evaluation.classification.roc_result import RocResult, measure_discriminator, measure_roc
    from collidekit.evaluation.classification.working_points import WorkingPoint, working_points
    from collidekit.evaluation.plots import (
        plot_confusion_matrix,
        plot_discriminator_shapes,
        plot_efficiency,
        plot_input,
        plot_loss_curves,
        plot_roc,
    )
    from collidekit.inference.predict import predict_dataset, predict_files
    from collidekit.inference.predictions import Predictions
    from collidekit.models import Network, Tagger
    from collidekit.objectives import Objective
    from collidekit.runtime.bundle import Bundle
    from collidekit.shipped import analysis_files, load_plan
    from collidekit.simulation import simulate
    from collidekit.steps import predict, train
    from collidekit.training.checkpoint import Checkpoint, load_checkpoint
    from collidekit.training.config import TrainingConfig
    from collidekit.training.loop import Training

_WHERE = {
    "Analysis": "analysis.schema",
    "Bundle": "runtime.bundle",
    "Checkpoint": "training.checkpoint",
    "CollidekitError": "errors",
    "Dataset": "dataset.loader",
    "Loader": "dataset.loader",
    "Network": "models",
    "Objective": "objectives",
    "Plan": "analysis.scope",
    "Predictions": "inference.predictions",
    "RocResult": "evaluation.classification.roc_result",
    "Tagger": "models",
    "Training": "training.loop",
    "TrainingConfig": "training.config",
    "WorkingPoint": "evaluation.classification.working_points",
    "analysis_files": "shipped",
    "check": "dataset.check",
    "construct": "dataset.construct",
    "load_analysis": "analysis.load",
    "load_checkpoint": "training.checkpoint",
    "load_plan": "shipped",
    "measure_discriminator": "evaluation.classification.roc_result",
    "measure_roc": "evaluation.classification.roc_result",
    "plot_confusion_matrix": "evaluation.plots",
    "plot_discriminator_shapes": "evaluation.plots",
    "plot_efficiency": "evaluation.plots",
    "plot_input": "evaluation.plots",
    "plot_loss_curves": "evaluation.plots",
    "plot_roc": "evaluation.plots",
    "predict": "steps",
    "predict_dataset": "inference.predict",
    "predict_files": "inference.predict",
    "simulate": "simulation",
    "train": "steps",
    "working_points": "evaluation.classification.working_points",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name not in _WHERE:
        raise AttributeError(f"module 'collidekit' has no attribute {name!r}")
    return getattr(import_module(f"collidekit.{_WHERE[name]}"), name)


def _version() -> str:
    """Return the version of the installed package, which is the git tag that it was built from."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("collidekit")
    except PackageNotFoundError:  # not installed, only a source tree
        return "0+unknown"


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
