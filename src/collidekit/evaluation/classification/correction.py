"""Working points as a correctionlib file (schema version 2), for any analysis framework."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from correctionlib import schemav2

from collidekit.evaluation.classification.points_in_bins import PointsInBins
from collidekit.evaluation.classification.working_points import DiscriminatorPoints, WorkingPoint
from collidekit.files import write_text

VARIATIONS = {"nominal": "value", "up": "high", "down": "low"}


def write_correction(
    path: Path, found: Sequence[DiscriminatorPoints], description: str = "", in_bins: Sequence[PointsInBins] = ()
) -> Path:
    """Write ``threshold(discriminator, working_point)`` and ``efficiency(discriminator, working_point, class, variation)``.

    Unreachable working points are left out: correctionlib raises an error for them. If none can be reached, the file
    holds no correction and says so. Thresholds in bins are ``threshold_in_<variable>(discriminator, working_point, variable)``, for
    working points that every bin reaches; outside the bins correctionlib raises an error.
    """
    reached = [entry for entry in found if any(point.threshold is not None for point in entry.points)]
    if not reached:
        empty = schemav2.CorrectionSet(schema_version=2, description="No working point is reachable", corrections=[])
        return write_text(path, empty.model_dump_json(indent=1, exclude_unset=True) + "\n")
    names = {"discriminator": "name of the discriminator", "working_point": "such as mistag_0.01 or efficiency_0.7"}
    efficiency_names = names | {"class": "true class of the row", "variation": "nominal, or up and down by one error"}
    content = schemav2.CorrectionSet(
        schema_version=2,
        description=description or "Working points written by collidekit",
        corrections=[
            _correction("threshold", "A row is tagged if its score is at least this", names, _thresholds(reached)),
            _correction(
                "efficiency", "Tagged fraction of a class in simulation", efficiency_names, _efficiencies(reached)
            ),
            *_corrections_in_bins(in_bins, names),
        ],
    )
    return write_text(path, content.model_dump_json(indent=1, exclude_unset=True) + "\n")


def _corrections_in_bins(in_bins: Sequence[PointsInBins], names: Mapping[str, str]) -> list[schemav2.Correction]:
    """Return a correction for each variable."""
    found = []
    for variable in dict.fromkeys(entry.variable for entry in in_bins):
        mine = {entry.discriminator: _binned(entry) for entry in in_bins if entry.variable == variable}
        reached = {name: _category("working_point", points) for name, points in mine.items() if points}
        if not reached:
            continue
        said = f"A row is tagged if its score is at least this, in bins of {variable}"
        data = _category("discriminator", reached)
        found.append(_correction(f"threshold_in_{variable}", said, names, data, variable))
    return found


def _binned(entry: PointsInBins) -> dict[str, Any]:
    """Return the thresholds of each working point that all bins reach."""
    found: dict[str, Any] = {}
    for points in zip(*(one.points for one in entry.bins), strict=True):
        thresholds = [point.threshold for point in points if point.threshold is not None]
        if len(thresholds) == len(points):
            edges: list[Any] = [float(edge) for edge in entry.edges]
            found[points[0].name] = schemav2.Binning(
                nodetype="binning", input=entry.variable, edges=edges, content=thresholds, flow="error"
            )
    return found


def _correction(
    name: str, description: str, inputs: Mapping[str, str], data: schemav2.Category, number: str = ""
) -> schemav2.Correction:
    """Return a correction with text inputs, and one number input."""
    variables = [schemav2.Variable(name=key, type="string", description=text) for key, text in inputs.items()]
    if number:
        variables.append(schemav2.Variable(name=number, type="real", description="in the unit of the analysis"))
    return schemav2.Correction(
        name=name,
        description=description,
        version=1,
        inputs=variables,
        output=schemav2.Variable(name=name, type="real"),
        data=data,
    )


def _category(key: str, values: Mapping[str, Any]) -> schemav2.Category:
    items = [schemav2.CategoryItem(key=name, value=value) for name, value in values.items()]
    return schemav2.Category(nodetype="category", input=key, content=items)


def _thresholds(found: Sequence[DiscriminatorPoints]) -> schemav2.Category:
    return _category(
        "discriminator",
        {
            entry.discriminator: _category(
                "working_point", {p.name: p.threshold for p in entry.points if p.threshold is not None}
            )
            for entry in found
        },
    )


def _efficiencies(found: Sequence[DiscriminatorPoints]) -> schemav2.Category:
    def of_classes(point: WorkingPoint) -> schemav2.Category:
        classes = point.class_efficiencies.items()
        return _category(
            "class",
            {
                label: _category("variation", {key: getattr(eff, name) for key, name in VARIATIONS.items()})
                for label, eff in classes
            },
        )

    return _category(
        "discriminator",
        {
            entry.discriminator: _category(
                "working_point", {p.name: of_classes(p) for p in entry.points if p.threshold is not None}
            )
            for entry in found
        },
    )
