"""The store of each task, from ``--store`` or the environment variable COLLIDEKIT_STORE."""

import os
from pathlib import Path

from collidekit.analysis.load import parse_yaml
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.outputs.find import VERSIONS
from collidekit.stores.server import check_url

DEFAULT, HERE = "default", "here"


def store_of(task: str) -> str:
    """Return the URL of the store of a task's outputs; an empty text if they stay in the results folder.

    COLLIDEKIT_STORE is a URL for all outputs, or a YAML file with a table ``stores:`` with a URL for each task.
    """
    if not (named := os.environ.get("COLLIDEKIT_STORE", "")):
        return ""
    if "://" in named:
        return check_url(named, "--store")
    stores = read_stores(Path(named).expanduser())
    return stores.get(task, stores.get(DEFAULT, ""))


def all_stores(named: str) -> list[str]:
    """Return the URLs of all stores in ``--store``, which is a URL or a file."""
    if "://" in named:
        return [check_url(named, "--store")]
    return sorted({url for url in read_stores(Path(named).expanduser()).values() if url})


def read_stores(path: Path) -> dict[str, str]:
    """Return the store of each task in a file, and of ``default``; empty for outputs that stay in the results folder."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CollidekitError(f"--store {path}: is neither a URL nor a readable file ({error})") from None
    content, lines = parse_yaml(text, str(path), "a file of stores")
    if not isinstance(content, dict) or list(content) != ["stores"] or not isinstance(content["stores"], dict):
        raise CollidekitError(f"{path}:1: must hold only one table, such as 'stores: {{default: root://host//path}}'")
    return {task: _checked(task, url, lines.at(("stores", task))) for task, url in content["stores"].items()}


def _checked(task: str, url: object, where: str) -> str:
    known = (DEFAULT, *VERSIONS)
    if task not in known:
        close = did_you_mean(task, known) or f"; write {DEFAULT} or the name of a task, such as {known[1]}"
        raise CollidekitError(f"{where}: there is no task {task!r}{close}")
    if url == HERE:
        return ""
    if not isinstance(url, str):
        raise CollidekitError(f"{where}: {url!r} is not a URL; write a URL or {HERE}")
    return check_url(url, where)
