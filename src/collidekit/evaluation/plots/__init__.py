"""Every plot of an evaluation, each written as png and pdf."""

from collidekit.evaluation.plots.confusion import plot_confusion_matrix
from collidekit.evaluation.plots.efficiency import plot_efficiency
from collidekit.evaluation.plots.inputs import plot_input
from collidekit.evaluation.plots.roc import plot_roc
from collidekit.evaluation.plots.shapes import plot_discriminator_shapes
from collidekit.evaluation.plots.training import plot_loss_curves

__all__ = [
    "plot_confusion_matrix",
    "plot_discriminator_shapes",
    "plot_efficiency",
    "plot_input",
    "plot_loss_curves",
    "plot_roc",
]
