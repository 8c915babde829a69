"""The form of ``manifest.json``, and checks that it fits its analysis."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from collidekit.analysis.schema import Analysis
from collidekit.dataset.kinematics import number_of_bins

Count = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Kind = Literal["int64", "uint64", "float64"]


class Input(TypedDict):
    """A file that rows come from, or that was skipped."""

    path: str
    rows: Count
    id: NotRequired[dict[str, str | int | float]]
    skipped: NotRequired[str]


class Shard(TypedDict):
    """A file of blocks: position, size and CRC-32 of each block, and the CRC-32 of all other bytes."""

    file: Annotated[str, Field(pattern=r"^shard_\d+\.arrow$")]
    rows: Count
    bytes: Count
    blocks: list[tuple[Count, Count, Count]]
    around: Count


class Feature(TypedDict):
    """The statistics of a feature; without values there is no smallest and no largest one."""

    count: Count
    missing: Count
    mean: Number
    std: Number
    low: Number | None
    high: Number | None
    percentiles: dict[str, Number]


class Totals(TypedDict):
    """Counts of all rows."""

    rows: Count
    cutflow: dict[str, Count]
    replaced: dict[str, Count]
    lost: dict[str, Count]
    kinds: dict[str, Kind]
    class_counts: dict[str, Count]
    class_weights: dict[str, Number]
    known: NotRequired[dict[str, Count]]
    negative_weights: Count
    histogram: list[list[Number]]
    kinematic_counts: NotRequired[list[list[Count]]]
    constituents: dict[str, Count]
    equal_rows: NotRequired[dict[str, Count]]
    repeated: NotRequired[list[tuple[int, Count]]]
    key_squares: NotRequired[Count]
    statistics: dict[str, dict[str, Feature]]
    bad_files: Count


class Content(BaseModel):
    """The parts of a manifest that are read."""

    inputs: list[Input]
    shards: list[Shard]
    summary: Totals


@cache
def _form() -> TypeAdapter[Content]:
    return TypeAdapter(Content)


def check_form(content: Mapping[str, Any], analysis: Analysis, block: int) -> None:
    """Raise ``ValueError`` or ``KeyError`` if a manifest is not valid or does not fit its analysis.

    ``block`` is the number of rows in a block, except for the last one of a shard.
    """
    try:
        found = _form().validate_python({name: content[name] for name in ("inputs", "shards", "summary")})
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    summary = found.summary
    for shard in found.shards:
        if len(shard["blocks"]) != -(-shard["rows"] // block):
            raise ValueError(f"{shard['file']}: {len(shard['blocks'])} blocks cannot hold {shard['rows']} rows")
        if any(start + size > shard["bytes"] for start, size, _ in shard["blocks"]):
            raise ValueError(f"{shard['file']}: a block lies beyond its end")
    if sum(shard["rows"] for shard in found.shards) != summary["rows"]:
        raise ValueError("its shards do not hold the number of rows that it gives")
    if list(summary["class_counts"]) != list(analysis.classes):
        raise ValueError("its classes are not those of its analysis")
    shape = (len(analysis.classes), number_of_bins(analysis))
    for table in (summary["histogram"], summary.get("kinematic_counts") or summary["histogram"]):
        if len(table) != shape[0] or any(len(line) != shape[1] for line in table):
            raise ValueError(f"its kinematic histogram is not of {shape[0]} classes and {shape[1]} bins")
    for name, entry in analysis.inputs.items():
        for feature in entry.features:
            summary["statistics"][name][feature.name]["percentiles"]["50"]
    for name in analysis.collections:
        summary["constituents"][name]
    if equal := summary.get("equal_rows"):
        equal["groups"], equal["rows"]
