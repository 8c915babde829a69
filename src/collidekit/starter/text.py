"""Text of an analysis file from a guess, with comments on what was guessed and what the user should check."""

import json
from collections.abc import Iterator
from typing import Any

import yaml

from collidekit.analysis.load import YamlLoader
from collidekit.starter.guessed import Guess, GuessedFeature, GuessedInput
from collidekit.starter.recipe import recipe

_NICE = {"b": "B", "c": "C", "light": "L", "tau": "T"}


def write_text(found: Guess, source: dict[str, Any], files: list[str], bins: dict[str, list[float]], about: str) -> str:
    """Return the text of the whole analysis file."""
    parts = [list(_head(about, source, files, found.test_on_training))]
    parts += [
        list(part)
        for part in (
            _rows(found),
            _selection(found, bins),
            _variables(found),
            _classes(found),
            _inputs(found),
            _rest(found, bins),
        )
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def quoted(text: str, flow: bool = False) -> str:
    """Return a text as a YAML scalar, in quotes if YAML would read it as something else."""
    safe = not flow or not set(text) & set(",[]{}")
    try:
        safe = safe and yaml.load(text, YamlLoader) == text and " #" not in text and ": " not in text
    except yaml.YAMLError:
        safe = False
    return text if safe else json.dumps(text)


def _head(about: str, source: dict[str, Any], files: list[str], test_on_training: bool) -> Iterator[str]:
    yield f"# {about}"
    yield "# Guessed from the content of the files. Read it once and remove what should not be an input. Then run:"
    yield "#   collidekit check THIS_FILE     show the content of the files and find problems"
    yield "#   collidekit run THIS_FILE       train, evaluate and write the report"
    yield ""
    yield from write_source(source)
    yield from write_files(files, test_on_training)


def write_files(files: list[str], test_on_training: bool = False) -> Iterator[str]:
    """Yield the lines of the key ``files``."""
    written = f"[{', '.join(quoted(file, True) for file in files)}]"
    yield "files:"
    yield f"  training: {written}"
    if test_on_training:
        yield f"  test: {written}  # THE SAME FILES, because there are too few rows to split: the results mean nothing"
    else:
        yield "  # test: [test.root]   # files of the test set; without this line, the test set is a part of the training files"


def write_source(source: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the key ``source``, if the file needs one."""
    layout = source.get("layout")
    if isinstance(layout, list):
        yield "# The columns of a line, in order. Replace the names by the real ones. `each` is a list of any length."
        yield "source:"
        yield "  layout:"
        yield from (f"    - {text}" for text in (json.dumps(part).replace('"', "") for part in layout))
    elif source:
        yield f"source: {{{', '.join(f'{key}: {quoted(value, True)}' for key, value in source.items())}}}"


def _rows(found: Guess) -> Iterator[str]:
    if found.rows:
        yield f"# Each {found.rows} of an event is a row. The branches of the event are repeated for each of its rows."
        yield f"rows: {found.rows}"
    if found.left_out:
        what = (
            "Other collections of the event"
            if found.rows
            else "Left out, because they look like simulated truth or weights"
        )
        yield f"# {what}: {_some(found.left_out)}"
    if found.members:
        yield f"# Collections whose members belong to one {found.rows} of the event, with the branch that holds its index:"
        yield f"members: {{{', '.join(f'{name}: {index}' for name, index in found.members.items())}}}"


def _selection(found: Guess, bins: dict[str, list[float]]) -> Iterator[str]:
    yield "# Condition for the rows to keep. Without it, all rows are kept."
    if found.selection:
        yield f"selection: {quoted(' and '.join(found.selection))}  # rows with known truth"
    elif len(bins) == 2:
        (pt, edges), (eta, others) = bins.items()
        yield f"# selection: {pt} > {edges[1]:g} and abs({eta}) < {max(map(abs, others)):g}"


def _variables(found: Guess) -> Iterator[str]:
    if found.variables:
        yield "variables:"
        for name, expression in found.variables.items():
            yield f"  {name}: {quoted(expression)}"


def _classes(found: Guess) -> Iterator[str]:
    if found.label:
        yield f"# Classes from the truth in {', '.join(found.label.columns)}. Merge, rename or remove classes. Rows without a class are dropped."
        if found.label.note:
            yield f"# {found.label.note}"
        if found.label.others:
            yield f"# These columns may also hold the truth: {_some(list(found.label.others))}"
        yield "classes:"
        for name, condition in found.label.classes.items():
            yield f"  {name}: {quoted(condition)}"
        return
    yield "# FILL IN: no column looks like the truth. Write a condition for each class, such as `is_signal == 1`."
    if found.few_values:
        yield f"# Columns with few values: {', '.join(found.few_values)}"
    yield "classes:"
    yield "  background: 0 == 1"
    yield "  signal: 0 == 1"


def _inputs(found: Guess) -> Iterator[str]:
    yield "# Inputs of the network. Transforms, bounds and defaults come from quantiles of the values (docs/command.md):"
    yield "# features with long tails are transformed by log or arcsinh, bounds clip only outliers, and the default replaces"
    yield "# missing values and NaN."
    yield "inputs:"
    if not found.inputs:
        yield "  # FILL IN: no column looks like an input"
        yield "  row: {features: [row_index]}"
    for entry in found.inputs:
        yield from _input(entry)


def _input(entry: GuessedInput) -> Iterator[str]:
    yield f"  {quoted(entry.name)}:"
    if entry.limit:
        yield f"    limit: {entry.limit}"
        if entry.order:
            yield f"    order: {quoted(entry.order)}"
        if entry.where:
            yield f"    where: {quoted(entry.where)}  # the other entries are padding"
        if entry.momenta:
            yield f"    momenta: [{', '.join(quoted(text, True) for text in entry.momenta)}]  # px, py, pz, E in GeV"
        elif entry.order:
            yield "    # momenta: [px, py, pz, energy]  # FILL IN for networks that use four-momenta; the unit must be GeV"
        if entry.coordinates:
            yield f"    coordinates: [{', '.join(quoted(text, True) for text in entry.coordinates)}]"
    yield "    features:"
    refused: dict[str, list[GuessedFeature]] = {}
    for feature in entry.features:
        if feature.why_not:
            refused.setdefault(feature.why_not, []).append(feature)
        else:
            yield f"      - {_feature(feature)}{f'  # {feature.note}' if feature.note else ''}"
    for reason, features in refused.items():
        if len(features) > 6:
            yield f"      # {reason}: {_some([feature.name for feature in features])}"
            continue
        for feature in features:
            yield f"      # - {_feature(feature)}  # {reason}"


def _feature(feature: GuessedFeature) -> str:
    parts = {"name": feature.name}
    if feature.expression:
        parts["expression"] = quoted(feature.expression, True)
    if feature.unit:
        parts["unit"] = feature.unit
    if feature.kind != "continuous":
        parts["kind"] = feature.kind
    if feature.bounds:
        parts["bounds"] = f"[{feature.bounds[0]:g}, {feature.bounds[1]:g}]"
    if feature.default is not None:
        parts["default"] = f"{feature.default:g}"
    if len(parts) == 1:
        return quoted(feature.name)
    return f"{{{', '.join(f'{key}: {value}' for key, value in parts.items())}}}"


def _rest(found: Guess, bins: dict[str, list[float]]) -> Iterator[str]:
    if found.weights:
        yield f"# Possible weights of a row, for training and evaluation: {', '.join(found.weights)}"
        yield f"# weight: {found.weights[0]}"
    if found.spectators:
        yield f"spectators: [{', '.join(found.spectators)}]  # stored with the predictions"
    if found.units:
        yield f"units: {{{', '.join(f'{name}: {unit}' for name, unit in found.units.items())}}}  # guessed from the size of the values"
    if found.event:
        yield f"event: [{', '.join(found.event)}]  # rows of one event are never in both the training and the validation set"
    classes = list(found.label.classes) if found.label else ["background", "signal"]
    reference = next((name for name in ("background", "light") if name in classes), classes[0])
    if bins:
        yield "# Remove the # to sample all classes to the shape of the reference class in these bins. Then the network cannot"
        yield "# use differences of the simulated spectra to separate the classes. This reduces the number of training rows."
        yield f"# kinematics: {{{', '.join(f'{name}: {_numbers(edges)}' for name, edges in bins.items())}, reference: {reference}}}"
    yield "discriminators:"
    for signal, background in _pairs(classes, reference):
        nice = signal in _NICE and background in _NICE
        name = f"{_NICE[signal]}vs{_NICE[background]}" if nice else f"{signal}_vs_{background}"
        yield f"  {name}: {{signal: {quoted(signal, True)}, background: {quoted(background, True)}}}"
    yield "working_points: [0.1, 0.01, 0.001]  # mistag rates"
    yield ""
    yield "training:"
    for key, value, why in recipe(found):
        yield f"  {key}: {value}{f'  # {why}' if why else ''}"


def _pairs(classes: list[str], reference: str) -> Iterator[tuple[str, str]]:
    for name in classes:
        if name != reference:
            yield name, reference
    if {"b", "c"} <= set(classes):
        yield "b", "c"
        yield "c", "b"


def _numbers(edges: list[float]) -> str:
    return f"[{', '.join(f'{edge:g}' for edge in edges)}]"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return ", ".join(names[:12]) + more
