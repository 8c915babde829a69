"""Bundles of shipped networks, checked with a few rows of the sample that ships."""

from pathlib import Path
from typing import Any

from collidekit.export.options import Options
from collidekit.export.sample import read_sample
from collidekit.export.write import Exported, write_bundle
from collidekit.inference.ensemble import load_members

ROWS = 96
TEST_FILE = Path(__file__).parents[2] / "samples" / "top_tagging" / "test.root"


def write(name: str, folder: Path, rows: int = ROWS, **options: Any) -> Exported:
    """Export a top tagger into a folder."""
    members = load_members([name])
    sample = read_sample(members, [str(TEST_FILE)], rows=rows, analysis="top_tagging")
    return write_bundle(members, sample, folder, "toy", Options(**options))
