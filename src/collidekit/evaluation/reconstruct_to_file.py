"""``collidekit reconstruct``: run classical methods on files of dileptonic top pairs and write their results to a file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from collidekit.analysis.scope import Plan
from collidekit.dataset.batch import Batch, concatenate
from collidekit.dataset.not_finite import NotFinite
from collidekit.dataset.targets import UNKNOWN
from collidekit.errors import CollidekitError
from collidekit.evaluation.dilepton.doubts import doubts
from collidekit.evaluation.dilepton.evaluate import evaluate_dilepton
from collidekit.evaluation.dilepton.events import dilepton_events
from collidekit.evaluation.dilepton.sample import make_sample
from collidekit.evaluation.dilepton.truth import KEYS, check_truth, read_truth
from collidekit.evaluation.look import look_of
from collidekit.evaluation.reconstruction import (
    USUAL,
    Answer,
    MethodResult,
    check_methods,
    measure_methods,
    network_neutrinos,
    run_methods,
)
from collidekit.inference.column_file import write_columns
from collidekit.inference.file_rows import counted, output_suffix, rows_of_files
from collidekit.inference.own_output import check_output
from collidekit.inference.predictions import Array, Predictions
from collidekit.inference.truth_alone import truth_of
from collidekit.readers import expand
from collidekit.reconstruction.events import Status
from collidekit.reconstruction.four_momenta import mass

COMPONENTS = ("nu_px", "nu_py", "nu_pz", "nubar_px", "nubar_py", "nubar_pz")


@dataclass(frozen=True)
class Reconstructed:
    """Written file, and the results that the files allow."""

    path: Path
    events: int
    results: list[MethodResult]
    """Empty if the files hold no truth."""
    notes: list[str]
    skipped: list[str]
    plots: Path | None


def reconstruct_to_file(
    plan: Plan,
    files: Sequence[str],
    output: Path,
    methods: Sequence[str] = USUAL,
    plots: Path | None = None,
    skip_bad_files: bool = False,
    done: Callable[[int], None] = lambda rows: None,
) -> Reconstructed:
    """Reconstruct all selected events with classical methods; ``plots`` is a folder for the tables and plots of ``evaluate_dilepton``.

    Raises CollidekitError for an analysis without ``dilepton``, for an unknown method, and for ``plots`` without truth.
    """
    names = plan.analysis.dilepton
    if names is None:
        raise CollidekitError(
            f"{plan.analysis.name}: has no key 'dilepton', which names leptons, jets and missing momentum"
        )
    check_methods(methods, names)
    output_suffix(output)
    check_output(output, files, [])
    paths, skipped, counts = expand(list(files)), list[str](), NotFinite()
    read = rows_of_files(plan, paths, skip_bad_files, skipped, counts, as_given=True)
    parts = [Batch.of(part) for part in counted(read, done)]
    if not parts:
        raise CollidekitError("no event passes the selection, so there is nothing to reconstruct")
    batch = concatenate(parts)
    known = truth_of(batch, plan.analysis)
    events = dilepton_events(plan.analysis, [batch])
    keys = KEYS if plots else ("given",)
    check_truth(plan, paths, keys)
    rows = np.stack([known.event["file"], known.event["row"]], axis=1)
    truth = read_truth(plan, paths, rows, network_neutrinos(names, plan.analysis, known, truth=True), keys)
    answers = run_methods(names, events, methods, others=truth.given)
    target = plan.analysis.assignments[names.assignment]
    is_known = bool(np.any([positions != UNKNOWN for positions in known.true_positions.values()]))
    if plots and not is_known:
        raise CollidekitError("--plots: the files do not hold the true jets, which the plots need; remove this option")
    results, assigned, pairs = (
        measure_methods(plan.analysis, known, events, answers, network=False) if is_known else ([], {}, {})
    )
    if plots:
        plots.mkdir(parents=True, exist_ok=True)
        sample = make_sample(target, assigned, pairs, events, truth, names.mass_bins)
        with look_of(plan.analysis):
            evaluate_dilepton(plots, sample, plan.analysis.name)
    write_columns(output, _columns(answers, list(target.values), known), "reconstruction", {"methods": list(answers)})
    notes = [*counts.notes(), *doubts(events, target)]
    return Reconstructed(output, len(batch), results, notes, skipped, plots)


def _columns(answers: Mapping[str, Answer], slots: Sequence[str], known: Predictions) -> dict[str, Array]:
    """Return ``<method>_index_<slot>``, ``_nu_px`` to ``_nubar_pz``, ``_m_tt``, ``_score`` and ``_status``, then weight and event numbers."""
    columns: dict[str, Any] = {}
    for name, answer in answers.items():
        columns |= {f"{name}_index_{slot}": answer.positions[:, k].astype(np.int32) for k, slot in enumerate(slots)}
        pair = answer.pair.pair
        if pair is not None:
            momenta = answer.neutrinos[:, :, 1:].reshape(len(pair), 6)
            columns |= {f"{name}_{component}": momenta[:, k] for k, component in enumerate(COMPONENTS)}
            columns[f"{name}_m_tt"] = mass(pair)
        columns |= {f"{name}_score": answer.score, f"{name}_status": answer.status.astype(np.int8)}
    return {**columns, "weight": known.weights, **known.event}


STATUSES = ", ".join(
    ["-1 not two leptons of opposite charge", *(f"{one.value} {one.name.lower().replace('_', ' ')}" for one in Status)]
)
"""Meaning of the numbers of ``<method>_status``."""
