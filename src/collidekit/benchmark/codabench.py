"""A benchmark as a bundle for Codabench: participants send predictions, and the scorer of collidekit scores them there."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from collidekit.benchmark.definition import Benchmark, Metric, load_benchmark
from collidekit.benchmark.platforms.archive import write_zip, zip_bytes
from collidekit.benchmark.platforms.logo import logo
from collidekit.benchmark.platforms.pages import data_page, evaluation_page, overview, terms
from collidekit.benchmark.platforms.periods import Period, periods, shown
from collidekit.benchmark.platforms.program import program_files
from collidekit.benchmark.platforms.reference import first_submission, public_files, reference_files
from collidekit.benchmark.scoring.labels import metric_labels
from collidekit.progress import notice

IMAGE = "codalab/codalab-legacy:py312"
"""Python 3.12 and numpy, without pyarrow: predictions are npy or csv there."""
SECONDS = 900
"""Time limit of the scoring."""
DIGITS = {"background_rejection": 1, "width": 4, "interval_score": 4}
COMMAND = "python3 /app/program/score.py /app/input/ref /app/input/res /app/output"
SORTING = {"higher": "desc", "lower": "asc"}


def export_codabench(
    folder: str | Path, out: str | Path, *, image: str = IMAGE, start: datetime | None = None, seconds: int = SECONDS
) -> Path:
    """Write a competition bundle (version 2) with all phases of a benchmark; the same benchmark gives the same bytes.

    Submissions are predictions: Codabench runs the scoring program alone, so participants apply their taggers themselves. The
    scoring program holds a copy of the modules of collidekit that score; it needs Python 3.11 and numpy in the image.
    """
    benchmark = load_benchmark(folder)
    when = periods(benchmark, start)
    hidden = [name for name, phase in benchmark.phases.items() if not phase.visible]
    if hidden and len(hidden) < len(benchmark.phases):
        notice(
            f"Codabench hides the leaderboard of all phases or of none; that of {', '.join(hidden)} is visible there"
        )
    content: dict[str, str | bytes | Path] = {
        "competition.yaml": yaml.safe_dump(
            _competition(benchmark, when, image, seconds, len(hidden) == len(benchmark.phases)),
            sort_keys=False, allow_unicode=True, width=120,
        ),
        "logo.png": logo(benchmark.title),
        "pages/overview.md": overview(benchmark),
        "pages/data.md": data_page(benchmark),
        "pages/evaluation.md": evaluation_page(benchmark),
        "pages/terms.md": terms(benchmark),
        "scoring_program/metadata.yaml": f"command: {COMMAND}\n",
    }  # fmt: skip
    content |= {f"scoring_program/{name}": text for name, text in program_files().items()}
    for name in benchmark.phases:
        content |= _below(f"{name}/reference_data", reference_files(benchmark, name))
        content |= _below(f"{name}/public_data", public_files(benchmark, name))
        submission = zip_bytes(first_submission(benchmark, name))
        content[f"{name}/first_submission.zip"] = submission
        content[f"{name}/starting_kit/first_submission.zip"] = submission
        content[f"{name}/starting_kit/README.md"] = data_page(benchmark)
    return write_zip(Path(out), content)


def _competition(
    benchmark: Benchmark, when: Mapping[str, Period], image: str, seconds: int, hidden: bool
) -> dict[str, Any]:
    phases = list(benchmark.phases)
    contact = {"contact_email": benchmark.contact} if "@" in benchmark.contact and " " not in benchmark.contact else {}
    return {
        "version": 2,
        "title": benchmark.title,
        "description": benchmark.description.strip() or benchmark.title,
        "image": "logo.png",
        "terms": "pages/terms.md",
        "registration_auto_approve": False,
        "docker_image": image,
        "enable_detailed_results": True,
        **contact,
        "pages": [
            {"title": title, "file": f"pages/{title.lower()}.md"}
            for title in ("Overview", "Data", "Evaluation", "Terms")
        ],
        "phases": [_phase(benchmark, name, index, when[name], seconds) for index, name in enumerate(phases)],
        "tasks": [
            {
                "index": index,
                "name": f"{benchmark.name} {name}",
                "description": f"Phase {name} of {benchmark.title}",
                "scoring_program": "scoring_program",
                "reference_data": f"{name}/reference_data",
                "ingestion_only_during_scoring": False,
            }
            for index, name in enumerate(phases)
        ],
        "solutions": [
            {"index": i, "path": f"{name}/first_submission.zip", "tasks": [i]} for i, name in enumerate(phases)
        ],
        "leaderboards": [
            {
                "title": benchmark.title,
                "key": "main",
                "submission_rule": "Force_Best",
                "hidden": hidden,
                "columns": _columns(benchmark),
            }
        ],
    }


def _phase(benchmark: Benchmark, name: str, index: int, when: Period, seconds: int) -> dict[str, Any]:
    phase, (start, end) = benchmark.phases[name], when
    return {
        "index": index,
        "name": name,
        "description": f"{len(phase.samples)} sample{'s' if len(phase.samples) > 1 else ''}: {', '.join(phase.samples)}",
        "start": shown(start),
        **({"end": shown(end)} if end else {}),
        "max_submissions_per_day": phase.submissions_per_day,
        "max_submissions": phase.submissions,
        "execution_time_limit": seconds,
        "accepts_only_result_submissions": True,
        "hide_output": not phase.visible,
        "hide_score_output": not phase.visible,
        "starting_kit": f"{name}/starting_kit",
        "public_data": f"{name}/public_data",
        "tasks": [index],
    }


def _columns(benchmark: Benchmark) -> list[dict[str, Any]]:
    """Metrics that rank come first, since Codabench orders by the columns from left to right; errors come last."""
    ranking = benchmark.order or [benchmark.metrics[0].name]
    ordered = sorted(benchmark.metrics, key=lambda m: ranking.index(m.name) if m.name in ranking else len(ranking))
    labels = metric_labels(benchmark.metrics)
    values = [(metric.name, labels[metric.name], SORTING[metric.direction], metric) for metric in ordered]
    errors = [(f"{metric.name}_error", f"error of {labels[metric.name]}", "asc", metric) for metric in ordered]
    return [
        {"title": title, "key": key, "index": index, "sorting": sorting, "precision": _digits(metric), "hidden": False}
        for index, (key, title, sorting, metric) in enumerate([*values, *errors])
    ]


def _digits(metric: Metric) -> int:
    return DIGITS.get(metric.metric, 5) if metric.precision is None else metric.precision


def _below(folder: str, files: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{folder}/{name}": content for name, content in files.items()}
