"""The result of a check for other programs; docs/command.md describes the keys."""

from dataclasses import asdict
from typing import Any

from collidekit.dataset.check import Check
from collidekit.dataset.check_estimate import estimate
from collidekit.dataset.check_part import Part

FORMAT = "collidekit check 1"


def check_as_dict(check: Check) -> dict[str, Any]:
    """Return the result of a check as plain values."""
    made = estimate(check)
    return {
        "format": FORMAT,
        "analysis": check.plan.analysis.name,
        "errors": [problem.text for problem in check.errors],
        "warnings": [problem.text for problem in check.warnings],
        "parts": [_part(part) for part in check.parts],
        "features": _features(check),
        "estimate": asdict(made) if made else None,
        "seconds": check.seconds,
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "files": [{"path": file.path, "entries": file.rows, "problem": file.problem} for file in part.files],
        "entries": part.rows,
        "entries_seen": part.seen,
        "rows": part.selected,
        "cutflow": part.cutflow,
        "classes": part.class_counts,
        "negative_weights": part.negative_weights,
    }


def _features(check: Check) -> list[dict[str, Any]]:
    found = []
    for group, features in (check.parts[0].statistics or {}).items():
        for name, entry in features.items():
            alone = check.alone.get(f"{group}.{name}")
            found.append(
                {
                    "input": group,
                    "feature": name,
                    "values": entry.count,
                    "missing": entry.missing,
                    "smallest": entry.low if entry.count else None,
                    "median": entry.percentiles()["50"] if entry.count else None,
                    "largest": entry.high if entry.count else None,
                    "auc_alone": alone.auc if alone else None,
                }
            )
    return found
