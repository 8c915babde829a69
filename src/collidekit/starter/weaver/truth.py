"""Convert labels, observers and weights of a data configuration."""

import re
from collections.abc import Iterator
from typing import Any

from collidekit.analysis.names import simple_name
from collidekit.analysis.schema import RELEGATED
from collidekit.errors import CollidekitError
from collidekit.starter.event_numbers import is_event_name
from collidekit.starter.text import quoted
from collidekit.starter.weaver.data_file import DataFile
from collidekit.starter.weaver.variables import Variables

_BACKGROUND = re.compile(r"qcd|light|uds|bkg|background", re.IGNORECASE)
_NEVER = "0 == 1"


def find_classes(file: DataFile, variables: Variables) -> dict[str, str]:
    """Return a condition for each label of type ``simple``; for a label that cannot be converted, it is always false."""
    labels = file.mapping("labels")
    if labels.get("type") != "simple":
        return {}
    value = labels.get("value")
    if not isinstance(value, list) or len(value) < 2:
        raise CollidekitError(f"{file.lines.at(('labels', 'value'))}: value must be a list of at least two labels")
    texts = [str(label) for label in value]
    short = all(text.startswith("label_") and text[6:7].isalpha() for text in texts)
    found: dict[str, str] = {}
    for i, text in enumerate(texts):
        name = simple_name(text.removeprefix("label_") if short else text)
        name = name if name.isidentifier() and name != RELEGATED else f"label_{name}"
        if name in found:
            raise CollidekitError(f"{file.lines.at(('labels', 'value', i))}: {text} is listed twice")
        try:
            converted = variables.need(text)
            found[name] = converted.text if converted.is_condition else f"{converted.text} == 1"
        except CollidekitError as error:
            file.report(f"label {text}: {error}; write its condition in 'classes'", "labels", "value", i)
            found[name] = _NEVER
    return found


def find_values(file: DataFile, variables: Variables) -> dict[str, str]:
    """Return the labels of type ``custom``, which become targets with numbers."""
    labels = file.mapping("labels")
    if labels.get("type") == "simple":
        return {}
    value = labels.get("value")
    if not isinstance(value, dict) or not value:
        raise CollidekitError(f"{file.lines.at(('labels', 'value'))}: value must be a mapping of names to expressions")
    found = {}
    for name, text in value.items():
        try:
            if not str(name).isidentifier():
                raise CollidekitError("is not a valid name")
            found[str(name)] = variables.need(str(text)).text
        except CollidekitError as error:
            file.report(f"label {name}: {error}", "labels", "value", name)
    return found


def background_of(classes: list[str]) -> str:
    """Return the background class of the discriminators."""
    return next((name for name in classes if _BACKGROUND.search(name)), classes[0])


def find_observers(file: DataFile, variables: Variables, lists: set[str]) -> tuple[list[str], list[str]]:
    """Return the spectators and the event numbers from observers and monitor variables. ``lists`` cannot be spectators."""
    spectators: list[str] = []
    event: list[str] = []
    for key in ("observers", "monitor_variables"):
        for i, name in enumerate(file.names(key)):
            try:
                if not name.isidentifier():
                    raise CollidekitError("is not a valid name")
                if name in lists:
                    raise CollidekitError("is a list, but a spectator is one number per row")
                variables.need(name)
            except CollidekitError as error:
                file.report(f"{name}: {error}", key, i)
                continue
            (event if is_event_name(name) else spectators).append(name)
    return list(dict.fromkeys(spectators)), list(dict.fromkeys(event))


def write_weights(file: DataFile, variables: Variables, classes: dict[str, str]) -> Iterator[str]:
    """Yield lines for ``weight`` and ``kinematics``. weaver samples rows by weights, so some settings have no counterpart."""
    weights = file.mapping("weights")
    if not weights:
        return
    if weights.get("use_precomputed_weights"):
        try:
            branches = weights.get("weight_branches") or []
            text = variables.need(" * ".join(f"({branch})" for branch in branches)).text
        except CollidekitError as error:
            file.report(f"weight_branches: {error}", "weights", "weight_branches")
            return
        yield f"weight: {quoted(text)}"
        file.report(
            "weight_branches: weaver samples rows by them; collidekit uses them in the loss and in the evaluation",
            "weights",
            "weight_branches",
        )
        return
    if base := weights.get("reweight_basewgt"):
        file.report(
            f"reweight_basewgt: {base} multiplies the sampling probability of a row in weaver; 'weight' is used in the loss",
            "weights",
            "reweight_basewgt",
        )
    if (method := weights.get("reweight_method")) not in ("ref", "flat"):
        file.report(f"reweight_method: {method!r} is unknown", "weights", "reweight_method")
        return
    yield from _kinematics(file, variables, weights, classes)


def _kinematics(
    file: DataFile, variables: Variables, weights: dict[str, Any], classes: dict[str, str]
) -> Iterator[str]:
    edges, listed = weights.get("reweight_vars"), [str(name) for name in weights.get("reweight_classes") or []]
    if not isinstance(edges, dict) or not 1 <= len(edges) <= 2 or not listed:
        file.report(
            "reweight_vars, reweight_classes: must be one or two variables with edges, and at least one class",
            "weights",
        )
        return
    try:
        for name in edges:
            variables.need(name)
        conditions = {label: _condition(variables, label) for label in listed}
    except CollidekitError as error:
        file.report(f"reweight_vars: {error}", "weights", "reweight_vars")
        return
    of_condition = {text: name for name, text in classes.items()}
    flat = weights["reweight_method"] == "flat"
    reference = (
        of_condition.get(conditions[listed[0]]) if not flat else background_of(list(classes)) if classes else None
    )
    bins = ", ".join(f"{name}: {list(values)}" for name, values in edges.items())
    if flat or reference is None:
        reason = (
            "flat: kinematics can only bring all classes to the shape of one class"
            if flat
            else f"ref: {listed[0]} is not a class of the labels"
        )
        file.report(f"reweight_method {reason}; the line 'kinematics' is a comment", "weights", "reweight_method")
    if reference:
        yield f"{'# ' if flat else ''}kinematics: {{{bins}, reference: {reference}}}"
    if set(conditions.values()) != set(classes.values()):
        file.report(
            "reweight_classes: kinematics uses the classes of the labels, not these",
            "weights",
            "reweight_classes",
        )
    file.report(
        "reweight_classes: weaver samples equal numbers of rows of each class; collidekit uses the numbers in the files",
        "weights",
        "reweight_classes",
    )
    for key, reason in (
        ("class_weights", "they set numbers of rows in weaver, but factors of the loss in collidekit"),
        ("reweight_threshold", "the weights of a class are limited to 1 above their 95 % quantile"),
        ("reweight_hists", "histograms are computed from the training rows"),
    ):
        if weights.get(key) is not None:
            file.report(f"{key}: {reason}", "weights", key)
    if weights.get("reweight_discard_under_overflow", True):
        file.report(
            "rows beyond the edges: weaver discards them; in collidekit they belong to the first or last bin",
            "weights",
            "reweight_vars",
        )


def _condition(variables: Variables, label: str) -> str:
    converted = variables.need(label)
    return converted.text if converted.is_condition else f"{converted.text} == 1"
