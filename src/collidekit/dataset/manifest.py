"""The manifest of a dataset: its input files, its content, and checksums."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from collidekit import __version__
from collidekit.analysis.schema import Analysis
from collidekit.dataset.exact import common_kind
from collidekit.dataset.kinematics import kinematic_bin, number_of_bins
from collidekit.dataset.manifest_form import check_form
from collidekit.dataset.rows import Rows
from collidekit.dataset.shards import BLOCK, kinds_of
from collidekit.dataset.split import by_inputs, group_squares, large_groups, repeated_keys
from collidekit.dataset.statistics import FeatureStatistics, Statistics, merge_statistics, statistics
from collidekit.errors import CollidekitError
from collidekit.files import read_json
from collidekit.sealed import as_written, check_seal, read_sealed, write_sealed

FORMAT = 3
"""Version of the shards and the manifest; a dataset of another version is constructed again."""


@dataclass
class Summary:
    """Counts of one part, or, merged, of the whole dataset."""

    file: int = 0
    rows: int = 0
    failed: str = ""
    part_checksum: int = 0
    """Checksum of the file of the part."""
    cutflow: dict[str, int] = field(default_factory=dict)
    replaced: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    """Rows dropped by each condition of the selection while one of its variables was NaN."""
    class_counts: dict[str, int] = field(default_factory=dict)
    class_weights: dict[str, float] = field(default_factory=dict)
    known: dict[str, int] = field(default_factory=dict)
    """Rows in which all values of a target of rows are known."""
    negative_weights: int = 0
    histogram: list[list[float]] = field(default_factory=list)
    """Sum of weights in the kinematic bins, one list for each class."""
    kinematic_counts: list[list[int]] = field(default_factory=list)
    """Numbers of rows in the kinematic bins, one list for each class."""
    constituents: dict[str, int] = field(default_factory=dict)
    repeated: list[list[int]] = field(default_factory=list)
    """Key and count of rows with equal inputs, if the inputs decide the split."""
    equal_rows: dict[str, int] = field(default_factory=dict)
    """Number of groups of equal rows that are too large to stay together, and of the rows in them."""
    keys: list[int] = field(default_factory=list)
    """Smallest and largest key of the split."""
    entries: int = 0
    """Number of file entries that rows come from."""
    key_squares: int = 0
    """Sum of the squared numbers of rows that share a key, in a chunk."""
    statistics: Statistics | None = None
    kinds: dict[str, str] = field(default_factory=dict)
    """Types of spectators and event numbers, see ``shards.kinds_of``."""

    @classmethod
    def of(cls, file: int, rows: Rows, analysis: Analysis) -> "Summary":
        batch = rows.batch
        labels, weights = batch.labels.numpy(), batch.weights.numpy().astype(np.float64)
        bins = kinematic_bin(batch, analysis)
        size = number_of_bins(analysis)
        return cls(
            file=file,
            rows=len(batch),
            cutflow=rows.cutflow,
            replaced=rows.replaced,
            lost=rows.lost,
            class_counts={name: int((labels == k).sum()) for k, name in enumerate(analysis.classes)},
            class_weights={name: float(weights[labels == k].sum()) for k, name in enumerate(analysis.classes)},
            known={name: int(values.isfinite().all(dim=1).sum()) for name, values in batch.truth.items()},
            negative_weights=int((weights < 0).sum()),
            histogram=[
                np.bincount(bins[labels == k], weights[labels == k], minlength=size).tolist()
                for k in range(len(analysis.classes))
            ],
            kinematic_counts=[
                np.bincount(bins[labels == k], minlength=size).tolist() for k in range(len(analysis.classes))
            ],
            repeated=repeated_keys(batch.keys.numpy()) if by_inputs(analysis) else [],
            keys=[int(batch.keys.min()), int(batch.keys.max())] if len(batch) else [],
            entries=len(np.unique(batch.source[:, 1].numpy())),
            key_squares=group_squares(batch.keys.numpy()),
            constituents={
                name: len(entry.data) for name, entry in batch.inputs.items() if name in analysis.collections
            },
            statistics=statistics(batch, analysis),
            kinds=kinds_of(batch),
        )

    def content(self) -> dict[str, Any]:
        """Return the content for JSON."""
        features = self.statistics or {}
        parts = {name: {f: entry.content() for f, entry in group.items()} for name, group in features.items()}
        return {**vars(self), "statistics": parts}

    @classmethod
    def read(cls, path: Path) -> "Summary":
        content = read_sealed(path, always=True)
        with as_written(path):
            parts = {
                name: {feature: FeatureStatistics.read(values) for feature, values in features.items()}
                for name, features in content["statistics"].items()
            }
            return cls(**{**content, "statistics": parts or None})


def summarise(analysis: Analysis, summaries: list[Summary]) -> Summary:
    """Return the summary of all parts, merged in the order of the input."""
    shape = (len(analysis.classes), number_of_bins(analysis))
    total = Summary(histogram=np.zeros(shape).tolist(), kinematic_counts=np.zeros(shape, np.int64).tolist())
    for summary in summaries:
        if summary.failed:
            continue
        total.rows += summary.rows
        total.negative_weights += summary.negative_weights
        for name in ("cutflow", "replaced", "lost", "class_counts", "class_weights", "known", "constituents"):
            merged, part = getattr(total, name), getattr(summary, name)
            for key, value in part.items():
                merged[key] = merged.get(key, 0) + value
        total.histogram = (np.asarray(total.histogram) + np.asarray(summary.histogram)).tolist()
        total.kinematic_counts = (np.asarray(total.kinematic_counts) + np.asarray(summary.kinematic_counts)).tolist()
        for name, kind in summary.kinds.items():
            total.kinds[name] = common_kind({kind, total.kinds.get(name, kind)})
        total.key_squares += summary.key_squares
        total.entries += summary.entries
        if summary.keys:
            both = [*total.keys, *summary.keys]
            total.keys = [min(both), max(both)]
        assert summary.statistics is not None
        total.statistics = merge_statistics(total.statistics, summary.statistics)
    for name in analysis.classes:
        total.class_counts.setdefault(name, 0)
    groups = large_groups([summary.repeated for summary in summaries if not summary.failed], total.rows)
    total.equal_rows = {"groups": len(groups), "rows": sum(groups.values())}
    total.repeated = [[key, size] for key, size in groups.items()]
    if groups:
        total.key_squares = total.rows  # these groups are broken up, and any other group is small
    return total


@dataclass(frozen=True)
class Manifest:
    """The content of ``manifest.json``."""

    folder: Path
    analysis: Analysis
    inputs: list[dict[str, Any]]
    shards: list[dict[str, Any]]
    summary: dict[str, Any]

    @property
    def rows(self) -> int:
        return sum(int(shard["rows"]) for shard in self.shards)

    @property
    def class_counts(self) -> dict[str, int]:
        return dict(self.summary["class_counts"])

    @property
    def histogram(self) -> np.ndarray[Any, Any]:
        """Sum of weights (classes, bins) in the kinematic bins."""
        return np.asarray(self.summary["histogram"])

    @property
    def files(self) -> list[str]:
        return [entry["path"] for entry in self.inputs]


def write_manifest(
    folder: Path, analysis: Analysis, inputs: list[dict[str, Any]], shards: list[dict[str, Any]], total: Summary
) -> Manifest:
    """Write ``manifest.json``; a dataset is complete once this file exists."""
    summary = dict(vars(total))
    summary["statistics"] = {
        name: {feature: entry.summary() for feature, entry in features.items()}
        for name, features in (total.statistics or {}).items()
    }
    summary["bad_files"] = sum("skipped" in entry for entry in inputs)
    content = {
        "collidekit": __version__,
        "format": FORMAT,
        "analysis": analysis.model_dump(mode="json"),
        "fingerprint": analysis.fingerprint,
        "inputs": inputs,
        "shards": shards,
        "summary": {
            key: value
            for key, value in summary.items()
            if key not in ("file", "failed", "part_checksum", "keys", "entries")
        },
    }
    write_sealed(folder / "manifest.json", content)
    return read_manifest(folder)


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a dataset folder after checking its form."""
    path, remedy = folder / "manifest.json", f"remove the folder {folder} and construct it again"
    content = read_json(path, remedy)
    with as_written(path, remedy):
        if content.get("format") != FORMAT:
            raise CollidekitError(f"{folder}: is a dataset of another version of collidekit; {remedy}")
        content = check_seal(path, content, remedy)
        analysis = Analysis.model_validate(content["analysis"])
        check_form(content, analysis, BLOCK)
        return Manifest(folder, analysis, content["inputs"], content["shards"], content["summary"])
