"""Problems found by a check, in words: errors stop a training or make it wrong, warnings are for the user to decide."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collidekit.analysis.scope import Plan
from collidekit.dataset.check_part import Part
from collidekit.dataset.check_units import angles_in_degrees, mixed_units
from collidekit.dataset.far_values import far_values
from collidekit.dataset.not_finite import lost_notes
from collidekit.dataset.overlap import SHARED_IS_ERROR
from collidekit.dataset.separation import Separation, best_alone, suspicious
from collidekit.dataset.warnings import processes_without_files

_MANY_BAD = 0.01


@dataclass(frozen=True)
class Problem:
    """One problem, described in a sentence."""

    text: str
    error: bool = False


def problems_of(plan: Plan, part: Part) -> Iterator[Problem]:
    """Yield the problems of the training files or of the test files."""
    for file in part.files:
        if file.problem:
            yield Problem(file.problem, error=True)
    if part.name == "training":
        for text in processes_without_files(plan.analysis, [file.path for file in part.files]):
            yield Problem(text)
    if not part.seen:
        return
    yield from _class_problems(plan, part)
    yield from _value_problems(plan, part)
    yield from _repeated(plan, part)


def _class_problems(plan: Plan, part: Part) -> Iterator[Problem]:
    for (a, b), (count, place) in part.overlaps.items():
        yield Problem(
            f"{part.name}: {count:,} rows are in both class {a!r} and class {b!r}; the first is {place}", error=True
        )
    for name, (count, place) in part.bad_truth.items():
        yield Problem(
            f"{part.name}: {name} is NaN or infinite in {count:,} rows, and classes, weights or kinematics depend on it; the first is "
            f"{place}. Exclude such rows in the selection",
            error=True,
        )
    if not part.selected:
        steps = "; ".join(f"{name}: {count:,}" for name, count in part.cutflow.items())
        yield Problem(f"{part.name}: no row is left after selection and classes ({steps})", error=True)
        return
    for name in plan.analysis.classes:
        if not part.class_counts.get(name):
            text = f"{part.name}: no row is in class {name!r} ({plan.analysis.classes[name]})"
            yield Problem(text, error=part.name == "training")
        elif part.weight_sums.get(name, 1.0) <= 0:  # none where the weights themselves are a problem of the file
            text = (
                f"{part.name}: the weights of class {name!r} sum to {part.weight_sums[name]:g}; it must be more than 0"
            )
            yield Problem(text, error=True)
    for name in plan.analysis.row_targets:
        known = sum(int(np.isfinite(values).all(axis=1).sum()) for values in part.truth[name])
        if known < part.selected:
            left_out = (
                f"a value of target {name!r} is NaN or infinite in {part.selected - known:,} of {part.selected:,} rows"
            )
            yield Problem(f"{part.name}: {left_out}; such rows are ignored by this target", error=not known)
        for value, column in zip(
            plan.analysis.row_targets[name].values, np.concatenate(part.truth[name]).T, strict=True
        ):
            numbers = column[np.isfinite(column)]
            if len(numbers) > 1 and (numbers == numbers[0]).all():
                yield Problem(
                    f"{part.name}: {value} of target {name!r} is {numbers[0]:g} in every row; there is nothing to learn"
                )
    counts = [count for count in part.class_counts.values() if count]
    if counts and max(counts) > 100 * min(counts):
        yield Problem(
            f"{part.name}: the largest class has {max(counts) / min(counts):,.0f} times the rows of the smallest"
        )
    if part.negative_weights:
        yield Problem(f"{part.name}: {part.negative_weights:,} rows have a negative weight")


def _value_problems(plan: Plan, part: Part) -> Iterator[Problem]:
    for name, count in part.replaced.items():
        share = count / max(part.values.get(name.split(".")[0], 0), 1)
        yield Problem(
            f"{part.name}: {name} is NaN or infinite {count:,} times ({share:.2%}); it becomes the default there"
        )
    for text in lost_notes(part.lost):
        yield Problem(f"{part.name}: {text}")
    for name, count in part.empty.items() if len(plan.analysis.collections) == 1 else ():
        if count > _MANY_BAD * part.selected:
            yield Problem(f"{part.name}: {count:,} rows ({count / part.selected:.1%}) have no {name}")
    for group, features in (part.statistics or {}).items():
        for feature in plan.analysis.inputs[group].features:
            name, entry = feature.name, features[feature.name]
            if part.name == "training":  # the scaling is computed from training rows
                for text in far_values(f"{group}.{name}", feature, entry):
                    yield Problem(f"training: {text}")
            if not entry.count:
                yield Problem(f"{part.name}: {group}.{name} is the default in every row")
            elif entry.low == entry.high and entry.count > 1 and not entry.missing:
                yield Problem(f"{part.name}: {group}.{name} is {entry.low:g} in every row; it cannot help")


def _repeated(plan: Plan, part: Part) -> Iterator[Problem]:
    hashes = np.concatenate(part.hashes) if part.hashes else np.zeros(0, np.int64)
    unique, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    again = len(hashes) - len(unique)
    if not again:
        return
    labels, earlier = np.concatenate(part.labels), first[inverse]
    differ = int((labels != labels[earlier]).sum())
    second = int(np.flatnonzero(earlier != np.arange(len(hashes)))[0])
    said = f"; {differ:,} of them in another class" if differ else ""
    yield Problem(
        f"{part.name}: {again:,} rows repeat the inputs of an earlier row exactly{said}. The first: "
        f"{part.place(int(earlier[second]))} and {part.place(second)}"
    )


def problems_of_both(plan: Plan, parts: list[Part]) -> list[Problem]:
    """Return problems with rows that are in both training and test files, by content and by event number."""
    if len(parts) < 2 or not all(part.hashes for part in parts):
        return []
    training, test = parts
    found = []
    both = np.isin(np.concatenate(test.hashes), np.concatenate(training.hashes))
    if count := int(both.sum()):
        share = count / len(both)
        found.append(
            Problem(
                f"{count:,} test rows ({share:.2%}) are also in the training files, with equal inputs; the first is "
                f"{test.place(int(np.flatnonzero(both)[0]))}",
                error=share > SHARED_IS_ERROR,
            )
        )
    if plan.analysis.event and (shared := int(np.isin(np.concatenate(test.keys), np.concatenate(training.keys)).sum())):
        event = ", ".join(plan.analysis.event)
        found.append(
            Problem(
                f"{shared:,} test rows have an event number ({event}) of the training files. "
                + (
                    "Is it the same sample?"
                    if count
                    else "Their inputs differ: event numbers may restart in each sample."
                )
            )
        )
    return found


def problems_of_units(parts: list[Part]) -> list[Problem]:
    """Return problems with angles in degrees, and with momenta in GeV in one file and in MeV in another one."""
    files = [quantities for part in parts for quantities in part.quantities.of_files.items()]
    return [Problem(text) for text in (*angles_in_degrees(files), *mixed_units(files))]


def separation_of(plan: Plan, part: Part) -> tuple[dict[str, Separation], list[Problem]]:
    """Return how well each feature alone separates classes, and the suspicious features."""
    if not part.sample:
        return {}, []
    matrix, labels = np.concatenate(part.sample), np.concatenate(part.sample_labels)
    found = suspicious(matrix, labels, plan.analysis)
    return best_alone(matrix, labels, plan.analysis), [Problem(entry.question()) for entry in found]
