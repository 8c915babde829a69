"""Where an output comes from: resolved settings, versions, git state, seeds, inputs."""

import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("collidekit", "torch", "numpy", "awkward", "uproot", "coffea", "pyarrow", "law", "lightning-fabric")


def versions(packages: Sequence[str] = _PACKAGES) -> dict[str, str]:
    """Of Python and of packages: without a choice those that decide numbers."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def git_state(folder: Path | None = None) -> dict[str, str]:
    """Commit of the checkout one works in, and whether it has changes; empty where there is none."""

    def ask(*words: str) -> str:
        run = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
        return run.stdout.strip()

    try:
        commit = ask("rev-parse", "HEAD")
        changed = ask("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"git commit": commit, "git changes": "yes" if changed else "none"}


def provenance(settings: dict[str, Any]) -> dict[str, Any]:
    """The content of an output folder's ``run.json``."""
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": settings,
        "versions": versions(),
        "git": git_state(),
    }
