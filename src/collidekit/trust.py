"""Permission to run user code: only code that the user has named in a command or analysis file."""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from os.path import isfile  # pathlib raises an error for a name that is too long
from pathlib import Path
from typing import Any

from collidekit.errors import CollidekitError
from collidekit.plugins import entry_point, python_file, user_sources

_own: set[str] = set()
"""Hashes of the code that the user of this process has named."""


def code_of(names: Mapping[str, str | None]) -> dict[str, dict[str, str]]:
    """Return a record of user code by kind: ``network``, ``objective``, ``processor``, ``reader``, ``attack``.

    For a user's file, the record has its path, source and hash. The hash includes the user's modules that the file
    imports. For a class of an installed package, the record has the package and its version. ``names`` must not contain
    built-in names.
    """
    found = {}
    for what, name in names.items():
        path = python_file(name)
        if path and isfile(path):
            content, sources = path.read_bytes(), user_sources(path)
            for name_of_module, text in sources.items():
                if name_of_module != path.name:
                    content += f"\0{name_of_module}\0{text}".encode()
            found[what] = {
                "file": str(path),
                "sha256": hashlib.sha256(content).hexdigest(),
                "source": sources[path.name],
            }
        elif name and path is None and (entry := entry_point(what, name)) and entry.dist:
            found[what] = {
                "package": entry.dist.name,
                "version": entry.dist.version,
                "name": entry.name,
                "class": entry.value,
            }
    return found


def own_code(*names: str | None) -> None:
    """Store the hashes of code that the user has named, so that checkpoints with exactly this code may run it."""
    files = [name for name in names if python_file(name)]
    for entry in code_of(dict(zip(map(str, range(len(files))), files, strict=True))).values():
        if entry["sha256"] not in _trusted():
            with suppress(OSError, RuntimeError):  # without a home folder, --trust-code is needed later
                _hash_file().parent.mkdir(parents=True, exist_ok=True)
                with _hash_file().open("a", encoding="utf-8") as file:
                    file.write(f"{entry['sha256']} {Path(entry['file']).name}\n")
        _own.add(entry["sha256"])


def _hash_file() -> Path:
    """Return the file with the hashes of the user's own code."""
    state = os.environ.get("XDG_STATE_HOME")
    return Path(state or Path.home() / ".local" / "state") / "collidekit" / "own-code"


def _trusted() -> set[str]:
    """Return the hashes of this process and of earlier processes."""
    with suppress(OSError, RuntimeError, UnicodeDecodeError):
        lines = _hash_file().read_text(encoding="utf-8").splitlines()
        return _own | {line.partition(" ")[0] for line in lines}
    return _own


def trusts_code() -> bool:
    """Return whether ``--trust-code`` was given, or the environment variable COLLIDEKIT_TRUST_CODE is set."""
    return os.environ.get("COLLIDEKIT_TRUST_CODE", "") not in ("", "0")


def check_code(model: Path, what: str, name: str | None, stored: Mapping[str, Any] | None) -> None:
    """Raise CollidekitError if a model names code that has changed since the training, or that the user has never named.

    ``name`` is None for a built-in class. ``stored`` is the record of ``code_of`` from the training.
    """
    file = python_file(name)
    if file is None and (stored or name) and not trusts_code():
        _check_package(model, what, name, stored or {})
    if file is None or trusts_code():
        return
    found = code_of({what: name}).get(what)
    if found is None:
        raise CollidekitError(f"{model}: its {what} is code in {file}, and there is no such file")
    look = f"read {file}, and pass --trust-code to run it"
    if not stored:
        raise CollidekitError(f"{model}: its {what} is code ({file}), and the hash of the code is missing; {look}")
    if stored.get("sha256") != found["sha256"]:
        raise CollidekitError(
            f"{model}: its {what} is code that has changed since the training ({file}), so the weights may not fit; restore "
            f"the earlier file (the checkpoint holds its source), or {look}"
        )
    if found["sha256"] not in _trusted():
        raise CollidekitError(
            f"{model}: would run {file} as its {what}, and none of your commands or analysis files has named this code; {look}"
        )


def check_packages(model: Path, code: Mapping[str, Any]) -> None:
    """Raise CollidekitError if a model needs a package that is not installed."""
    for what, stored in code.items():
        name = str(stored.get("name"))
        if "package" in stored and entry_point(what, name) is None:
            package = f"{stored['package']} {stored.get('version')}"
            raise CollidekitError(
                f"{model}: its {what} {name!r} is from the package {package}, which is not installed; install it"
            )


def _check_package(model: Path, what: str, name: str | None, stored: Mapping[str, Any]) -> None:
    """Raise CollidekitError if a class is from another version of a package than at the training."""
    found = code_of({what: name}).get(what, {})
    now, was = (f"{code['package']} {code.get('version')}" if "package" in code else "" for code in (found, stored))
    if now == was:
        return
    trained = f"was trained with {was}" if was else "does not say which version it was trained with"
    raise CollidekitError(
        f"{model}: its {what} {name or stored.get('name')!r} is from {now or 'collidekit itself'}, and the model {trained}, so the "
        "weights may not fit; install that version, or pass --trust-code"
    )
