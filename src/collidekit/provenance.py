"""Provenance of an output: settings, versions and git state."""

import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("collidekit", "torch", "numpy", "awkward", "uproot", "coffea", "pyarrow", "law", "lightning-fabric")


def versions(packages: Sequence[str] = _PACKAGES) -> dict[str, str]:
    """Return the versions of Python and of packages; by default of the packages that affect results."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def git_state(folder: Path | None = None) -> dict[str, str]:
    """Return the commit of a git checkout and whether it has changes; empty outside a checkout."""

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
    """Return the content of ``run.json`` in the folder of an output."""
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": settings,
        "versions": versions(),
        "git": git_state(),
    }
