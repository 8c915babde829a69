"""A benchmark as a challenge for EvalAI: participants send predictions, and the scorer of collidekit scores them there."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

import yaml

from collidekit.benchmark.definition import Benchmark, load_benchmark
from collidekit.benchmark.platforms.archive import write_zip, zip_bytes
from collidekit.benchmark.platforms.logo import logo
from collidekit.benchmark.platforms.pages import data_page, evaluation_page, overview, terms
from collidekit.benchmark.platforms.periods import Period, periods, shown
from collidekit.benchmark.platforms.program import program_files
from collidekit.benchmark.platforms.reference import public_files, reference_files
from collidekit.benchmark.scoring.labels import metric_labels

DEFAULT_DAYS = 365
"""Length of a last phase without an end, which EvalAI needs."""
EVALUATE = Path(__file__).parent / "platforms" / "evalai_main.py"


def export_evalai(folder: str | Path, out: str | Path, *, start: datetime | None = None) -> Path:
    """Write the zip file of a challenge: ``challenge_config.yaml``, pages, truth and ``evaluation_script.zip``."""
    benchmark = load_benchmark(folder)
    when = periods(benchmark, start)
    script: dict[str, str | bytes | Path] = {f"program/{name}": text for name, text in program_files().items()}
    script |= {
        "__init__.py": "from .main import evaluate\n",
        "main.py": EVALUATE,
        "requirements.txt": "numpy\npyarrow\n",
    }
    content: dict[str, str | bytes | Path] = {
        "challenge_config.yaml": yaml.safe_dump(
            _config(benchmark, when), sort_keys=False, allow_unicode=True, width=120
        ),
        "logo.png": logo(benchmark.title),
        "evaluation_script.zip": zip_bytes(script),
        "templates/description.html": _html(overview(benchmark)),
        "templates/evaluation_details.html": _html(evaluation_page(benchmark)),
        "templates/submission_guidelines.html": _html(data_page(benchmark)),
        "templates/terms_and_conditions.html": _html(terms(benchmark)),
    }
    for name in benchmark.phases:
        content[f"annotations/{name}.zip"] = zip_bytes(reference_files(benchmark, name))
        content |= {f"public_data/{name}/{path}": file for path, file in public_files(benchmark, name).items()}
    return write_zip(Path(out), content)


def _config(benchmark: Benchmark, when: Mapping[str, Period]) -> dict[str, Any]:
    leading = (benchmark.order or [benchmark.metrics[0].name])[0]
    metrics = {metric.name: metric for metric in benchmark.metrics}
    names = list(benchmark.phases)
    ends = [end or begin + timedelta(days=DEFAULT_DAYS) for begin, end in when.values()]
    phases, splits, of_phases = [], [], []
    for number, (name, end) in enumerate(zip(names, ends, strict=True), start=1):
        phase = benchmark.phases[name]
        phases.append(
            {
                "id": number,
                "name": name,
                "codename": name,
                "description": "templates/submission_guidelines.html",
                "leaderboard_public": phase.visible,
                "is_public": True,
                "is_submission_public": phase.visible,
                "start_date": shown(when[name][0]),
                "end_date": shown(end),
                "test_annotation_file": f"annotations/{name}.zip",
                "max_submissions_per_day": phase.submissions_per_day,
                "max_submissions_per_month": phase.submissions,
                "max_submissions": phase.submissions,
                "allowed_submission_file_types": ".zip, .npy, .csv, .parquet",
                "is_restricted_to_select_one_submission": False,
                "is_partial_submission_evaluation_enabled": False,
            }
        )
        splits.append({"id": number, "name": name, "codename": name})
        of_phases.append(
            {
                "challenge_phase_id": number,
                "leaderboard_id": 1,
                "dataset_split_id": number,
                "visibility": 3 if phase.visible else 1,
                "leaderboard_decimal_precision": 5,
                "is_leaderboard_order_descending": metrics[leading].direction == "higher",
            }
        )
    labels = metric_labels(benchmark.metrics)
    return {
        "title": benchmark.title,
        "short_description": (benchmark.description.strip() or benchmark.title).splitlines()[0][:140],
        "description": "templates/description.html",
        "evaluation_details": "templates/evaluation_details.html",
        "terms_and_conditions": "templates/terms_and_conditions.html",
        "submission_guidelines": "templates/submission_guidelines.html",
        "image": "logo.png",
        "leaderboard_description": "Errors are one standard deviation.",
        "evaluation_script": "evaluation_script.zip",
        "remote_evaluation": False,
        "is_docker_based": False,
        "start_date": shown(min(begin for begin, _ in when.values())),
        "end_date": shown(max(ends)),
        "published": False,
        "leaderboard": [
            {
                "id": 1,
                "schema": {
                    "labels": list(metrics),
                    "default_order_by": leading,
                    "metadata": {
                        name: {"sort_ascending": metric.direction == "lower", "description": labels[name]}
                        for name, metric in metrics.items()
                    },
                },
            }
        ],
        "challenge_phases": phases,
        "dataset_splits": splits,
        "challenge_phase_splits": of_phases,
    }


def _html(markdown: str) -> str:
    """Return a page as plain text in HTML."""
    return f"<pre style='white-space: pre-wrap'>{escape(markdown)}</pre>\n"
