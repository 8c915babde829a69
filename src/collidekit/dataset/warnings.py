"""Warnings about a constructed dataset: its split, its kinematics and its processes."""

from collections.abc import Sequence

from collidekit.analysis.schema import Analysis
from collidekit.dataset.kinematics import support_notes
from collidekit.dataset.manifest import Manifest
from collidekit.dataset.not_finite import lost_notes
from collidekit.dataset.rows import matches
from collidekit.dataset.split import groups_note


def data_warnings(manifest: Manifest) -> list[str]:
    """Return one sentence for each unusual fact; log and report show the same sentences."""
    summary = manifest.summary
    equal = summary.get("equal_rows", {"groups": 0, "rows": 0})
    said = [groups_note(equal["groups"], equal["rows"], manifest.rows)]
    if counts := summary.get("kinematic_counts"):
        said += support_notes(manifest.analysis, manifest.histogram, counts)
    said += lost_notes(summary["lost"])
    said += _processes_without_files(manifest)
    return [text for text in said if text]


def _processes_without_files(manifest: Manifest) -> list[str]:
    return processes_without_files(manifest.analysis, [entry["path"] for entry in manifest.inputs])


def processes_without_files(analysis: Analysis, paths: Sequence[str]) -> list[str]:
    """Return a warning for each process without input files."""
    return [
        f"process {name!r}: no input file matches {process.files!r}, so it contributes no rows"
        for name, process in analysis.processes.items()
        if not any(matches(path, process.files) for path in paths)
    ]
