"""Whose code may run: what a user has named in a command or an analysis file, and nothing that a checkpoint names alone."""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from collidekit.errors import CollidekitError
from collidekit.plugins import user_sources

_own: set[str] = set()
"""Hashes of the code that this process was told to run."""


def python_file(name: str | None) -> Path | None:
    """The Python file that ``my_network.py`` or ``mine.py:Mine`` names; None where it is no file of Python."""
    text = name or ""
    for path in (text, text.rpartition(":")[0]):
        if path.endswith(".py"):
            return Path(path)
    return None


def code_of(names: Mapping[str, str | None]) -> dict[str, dict[str, str]]:
    """File, hash and source of each piece of code that is there, by what it is: ``network``, ``processor``, ``reader``.

    The hash covers the modules of the user's that the file imports.
    """
    found = {}
    for what, name in names.items():
        path = python_file(name)
        if path and os.path.isfile(path):
            content, sources = path.read_bytes(), user_sources(path)
            for name_of_module, text in sources.items():
                if name_of_module != path.name:
                    content += f"\0{name_of_module}\0{text}".encode()
            found[what] = {
                "file": str(path),
                "sha256": hashlib.sha256(content).hexdigest(),
                "source": sources[path.name],
            }
    return found


def own_code(*names: str | None) -> None:
    """Remember code that a user named as his own: a checkpoint with exactly this code may run it from now on."""
    for entry in code_of(dict(zip(map(str, range(len(names))), names, strict=True))).values():
        if entry["sha256"] not in _known():
            with suppress(OSError, RuntimeError):  # without a home, the flag is needed later
                _ledger().parent.mkdir(parents=True, exist_ok=True)
                with _ledger().open("a", encoding="utf-8") as file:
                    file.write(f"{entry['sha256']} {Path(entry['file']).name}\n")
        _own.add(entry["sha256"])


def _ledger() -> Path:
    """Where the hashes of a user's own code are kept."""
    state = os.environ.get("XDG_STATE_HOME")
    return Path(state or Path.home() / ".local" / "state") / "collidekit" / "own-code"


def _known() -> set[str]:
    """The hashes of this process and of the earlier ones."""
    with suppress(OSError, RuntimeError, UnicodeDecodeError):
        lines = _ledger().read_text(encoding="utf-8").splitlines()
        return _own | {line.partition(" ")[0] for line in lines}
    return _own


def trusts_code() -> bool:
    """Whether ``--trust-code`` was given, or the environment variable COLLIDEKIT_TRUST_CODE is set."""
    return os.environ.get("COLLIDEKIT_TRUST_CODE", "") not in ("", "0")


def check_code(model: Path, what: str, name: str | None, stored: Mapping[str, Any] | None) -> None:
    """An error where a model names code that has changed since it was trained, or that its user has never named.

    ``stored`` is what ``code_of`` said of it when the model was trained.
    """
    file = python_file(name)
    if file is None or trusts_code():
        return
    found = code_of({what: name}).get(what)
    if found is None:
        raise CollidekitError(f"{model}: its {what} is the code of {file}, and there is no such file")
    look = f"look at {file}, and pass --trust-code to run it"
    if not stored:
        raise CollidekitError(f"{model}: its {what} is code ({file}), and it does not hold the hash of it; {look}")
    if stored.get("sha256") != found["sha256"]:
        raise CollidekitError(
            f"{model}: its {what} is code that has changed since ({file}), so its weights may mean something else; bring "
            f"back the file as it was (the checkpoint holds its source), or {look}"
        )
    if found["sha256"] not in _known():
        raise CollidekitError(
            f"{model}: would run the code of {file} as its {what}, which no command or analysis file of yours has named yet; "
            f"{look}"
        )
