"""``collidekit init FILE.yaml FILES``: convert the YAML file of another tool to an analysis file."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from collidekit.analysis.load import YamlLoader
from collidekit.starter.spanet import Translated, translate_event_file
from collidekit.starter.weaver.convert import convert_data_file
from collidekit.starter.weaver.data_file import is_data_file


def translate(
    path: Path, patterns: Sequence[str], output: Path, tree: str | None = None, force: bool = False
) -> Translated:
    """Write an analysis file for SPANet's event file or weaver's data configuration."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=YamlLoader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        content = None  # the reader of event files raises the error
    convert = convert_data_file if is_data_file(content) else translate_event_file
    return convert(path, patterns, output, tree, force)
