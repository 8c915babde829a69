"""Measure the closure of D and <c_han> for a network and two classical methods, also with the two halves of the events exchanged.

python benchmarks/ttbar_closure.py PREDICTIONS.parquet FILES [--analysis ttbar_dilepton] [--methods ellipse,neutrino_weighting]

PREDICTIONS.parquet is the output of an InferenceTask on FILES, such as 'dilepton_50?.root', in sorted order. A statistical fluctuation
between even and odd events changes sign when the halves are exchanged; the mean of both directions is the bias of the response.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from collidekit import load_plan
from collidekit.evaluation.dilepton.closure import Closure, measure_closure
from collidekit.evaluation.dilepton.events import dilepton_events
from collidekit.evaluation.dilepton.read import rows_as_given
from collidekit.evaluation.dilepton.sample import Sample, make_sample
from collidekit.evaluation.dilepton.truth import read_truth
from collidekit.evaluation.reconstruction import NETWORK, measure_methods, network_neutrinos, run_methods
from collidekit.inference.predictions import Predictions
from collidekit.readers import expand
from collidekit.reconstruction.four_momenta import mass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", type=Path)
    parser.add_argument("files")
    parser.add_argument("--analysis", default="ttbar_dilepton")
    parser.add_argument("--methods", default="ellipse,neutrino_weighting")
    options = parser.parse_args()
    plan, predictions = load_plan(options.analysis), Predictions.read(options.predictions)
    analysis, names, files = plan.analysis, plan.analysis.dilepton, expand(options.files)
    assert names is not None
    rows = np.stack([predictions.event["file"], predictions.event["row"]], axis=1)
    events = dilepton_events(analysis, rows_as_given(plan, files, rows))
    truth = read_truth(plan, files, rows, network_neutrinos(names, analysis, predictions, truth=True))
    given = network_neutrinos(names, analysis, predictions)
    answers = run_methods(names, events, options.methods.split(","), given)
    results, assigned, pairs = measure_methods(analysis, predictions, events, answers)
    for line in results:
        print(
            f"{line.method:20} efficiency {line.found.complete}  width of m(tt) {line.mass and line.mass.width:.2f} GeV"
        )
    sample = make_sample(analysis.assignments[names.assignment], assigned, pairs, events, truth, names.mass_bins)
    print_widths(sample, predictions, names.mass)
    print_closures(measure_closure(sample), measure_closure(replace(sample, odd=~sample.odd)))


def print_widths(sample: Sample, predictions: Predictions, value: str | None) -> None:
    """Print the resolution of m(tt) of each method, and of the network on the events that this method solves."""
    if value is None or sample.truth.pair is None:
        return
    true = mass(sample.truth.pair)
    for name, own in sample.methods.items():
        if name == NETWORK or own.pair is None:
            continue
        known = np.isfinite(found := mass(own.pair)) & np.isfinite(true)
        widths = [half_width((estimate - true)[known]) for estimate in (found, predictions.values[value])]
        print(
            f"{name:20} solves {known.mean():.1%}: width of m(tt) {widths[0]:.1f} GeV, of the network there {widths[1]:.1f} GeV"
        )


def half_width(values: np.ndarray) -> float:
    """Return half the distance of the 16 % and 84 % quantiles."""
    low, high = np.quantile(values, [0.16, 0.84])
    return float(high - low) / 2


def print_closures(found: list[Closure], exchanged: list[Closure]) -> None:
    """Print a line for each observable, region, method and correlation."""
    print(
        f"{'':6} {'region':10} {'method':20} {'correlation':11} injected  raw     corrected        pull  exchanged  mean of both"
    )
    for one, other in zip(found, exchanged, strict=True):
        both = (one.corrected - one.truth + other.corrected - other.truth) / 2
        print(
            f"{one.observable:6} {one.region:10} {one.method:20} {one.correlation:11} {one.truth:+.3f}   {one.raw:+.3f}  "
            f"{one.corrected:+.3f} +- {one.corrected_error:.3f}  {one.pull:+.1f}  {other.pull:+.1f}       {both:+.3f}"
        )


if __name__ == "__main__":
    main()
