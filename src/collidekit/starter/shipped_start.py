"""Analysis files that start from the bundled analysis of a known layout."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.rows import build_rows
from collidekit.shipped import find_analysis
from collidekit.starter.adapt import adapt, leave_out_class
from collidekit.starter.few_rows import FewRows, find_split
from collidekit.starter.known import Layout
from collidekit.starter.recipe import FEW_ROWS
from collidekit.starter.text import write_files, write_source
from collidekit.starter.treat import Sampled


@dataclass
class ShippedStart:
    """The text of an analysis file, the number of rows of each class, and messages for the user."""

    text: str
    plan: Plan
    counts: dict[str, int]
    notes: list[str] = field(default_factory=list)


def start_from_shipped(
    layout: Layout, samples: Sequence[Sampled], source: dict[str, Any], files: list[str], about: str, all_seen: bool
) -> ShippedStart | None:
    """Return the bundled analysis of a layout for these files; None if too many branches are missing or no rows pass."""
    path = find_analysis(layout.analysis)
    made = adapt(path.read_text(encoding="utf-8"), samples[0].chunk.fields)
    if made is None:
        return None
    plan = Plan(*parse_analysis(made.text, path.name))
    counts = count_classes(plan, samples)
    notes = [f"{layout.name}: this is the bundled analysis {layout.analysis} with your files"]
    if made.left_out:
        notes.append(f"left out, because the files have no {_some(made.absent)}: {_some(made.left_out)}")
    there = [name for name, count in counts.items() if count]
    if len(there) < 2:
        return None
    text = made.text
    for name in [name for name, count in counts.items() if not count] if all_seen else []:
        text = leave_out_class(text, name, there[0])
        notes.append(f"class {name} is left out, because the files have no rows of it")
    few = find_split(Plan(*parse_analysis(text, path.name)), samples) if all_seen else None
    if few:
        notes.append(few.note)
    text = _for_rows(_with_files(text, source, files, layout, about, few), sum(counts.values()) if all_seen else 0, few)
    plan = Plan(*parse_analysis(text, path.name))
    return ShippedStart(text, plan, {name: counts[name] for name in plan.analysis.classes}, notes)


def _for_rows(text: str, rows: int, few: FewRows | None) -> str:
    """Replace the training settings if there are few rows: smaller batches and more steps. ``rows`` is 0 if not all were sampled."""
    if rows and rows < FEW_ROWS and not (few and not few.share):
        text = re.sub(
            r"^  batch_size: \d+$",
            "  batch_size: 128  # smaller, because there are few rows",
            text,
            count=1,
            flags=re.MULTILINE,
        )
        text = re.sub(r"^  ema_decay: 0.999$", "  ema_decay: 0.99", text, count=1, flags=re.MULTILINE)
        text = re.sub(
            r"^  (epochs: \d+)$",
            r"  \1\n  min_steps: 1000  # more epochs, because there are few rows",
            text,
            count=1,
            flags=re.MULTILINE,
        )
    if few and few.share:
        text = re.sub(r"^  train_val_split: .*\n", "", text, count=1, flags=re.MULTILINE)
        text = re.sub(
            r"^  (epochs: \d+)$", rf"  \1\n  train_val_split: {few.share:g}", text, count=1, flags=re.MULTILINE
        )
    return text


def count_classes(plan: Plan, samples: Sequence[Sampled]) -> dict[str, int]:
    """Return the number of sampled rows of each class."""
    counts = dict.fromkeys(plan.analysis.classes, 0)
    for sample in samples:
        rows = build_rows(plan, sample.columns(plan), sample.path, sample.number, sample.start, keep_all=True)
        for k, name in enumerate(counts):
            counts[name] += int((rows.batch.labels == k).sum())
    return counts


def _with_files(
    text: str, source: dict[str, Any], files: list[str], layout: Layout, about: str, few: FewRows | None
) -> str:
    """Return the text with the source and the files of the user, and a comment on its origin at the top."""
    text = re.sub(r"^(source|files):.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^#\n#   collidekit run .*\n", "", text, flags=re.MULTILINE)
    head = [
        f"# {about}",
        f"# The files have the layout of {layout.name}, so this is the bundled analysis {layout.analysis}. Then run:",
        "#   collidekit check THIS_FILE     show the content of the files and find problems",
        "#   collidekit run THIS_FILE       train, evaluate and write the report",
        "#",
    ]
    begin = [
        *write_source(source),
        *write_files(files, bool(few and not few.share)),
    ]
    comment = re.match(r"(?:#.*\n)*", text)
    end = comment.end() if comment else 0
    return "\n".join(head) + "\n" + text[:end] + "\n" + "\n".join(begin) + "\n" + text[end:]


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
