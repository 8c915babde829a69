"""Plots of the evaluation, each written as PNG and PDF if a path is given.

A plot function returns the list of written files; its ``figure`` is the matplotlib figure, which a notebook shows.
"""

from collidekit.evaluation.plots.assignment import plot_assignment
from collidekit.evaluation.plots.confusion import plot_confusion_matrix, plot_confusion_relegated
from collidekit.evaluation.plots.efficiency import plot_efficiency
from collidekit.evaluation.plots.grid import plot_grid
from collidekit.evaluation.plots.inputs import plot_input
from collidekit.evaluation.plots.points_in_bins import plot_points_in_bins
from collidekit.evaluation.plots.relegation import plot_risk_coverage
from collidekit.evaluation.plots.relegation_boundary import plot_boundary
from collidekit.evaluation.plots.relegation_mass import plot_masses
from collidekit.evaluation.plots.residuals import plot_estimates, plot_residuals, plot_resolution
from collidekit.evaluation.plots.robustness import plot_attacked_shapes, plot_carried, plot_robustness
from collidekit.evaluation.plots.roc import plot_roc
from collidekit.evaluation.plots.shapes import plot_discriminator_shapes
from collidekit.evaluation.plots.significance import (
    plot_scan,
    plot_significance_coverage,
    plot_significance_epochs,
    plot_significance_seeds,
)
from collidekit.evaluation.plots.spectrum import plot_spectrum
from collidekit.evaluation.plots.training import plot_loss_curves
from collidekit.evaluation.plots.uncertainties import plot_pit

__all__ = [
    "plot_assignment",
    "plot_attacked_shapes",
    "plot_boundary",
    "plot_carried",
    "plot_confusion_matrix",
    "plot_confusion_relegated",
    "plot_discriminator_shapes",
    "plot_efficiency",
    "plot_estimates",
    "plot_grid",
    "plot_input",
    "plot_loss_curves",
    "plot_masses",
    "plot_pit",
    "plot_points_in_bins",
    "plot_residuals",
    "plot_resolution",
    "plot_risk_coverage",
    "plot_robustness",
    "plot_roc",
    "plot_scan",
    "plot_significance_coverage",
    "plot_significance_epochs",
    "plot_significance_seeds",
    "plot_spectrum",
]
