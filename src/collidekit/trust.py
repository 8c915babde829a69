"""Whose code may run: what a user has named in a command or an analysis file, and nothing that a checkpoint names alone."""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from os.path import isfile  # pathlib's raise an error for a name that is too long
from pathlib import Path
from typing import Any

from collidekit.errors import CollidekitError
from collidekit.plugins import entry_point, python_file, user_sources

_own: set[str] = set()
"""Hashes of the code that this process was told to run."""


def code_of(names: Mapping[str, str | None]) -> dict[str, dict[str, str]]:
    """Each piece of code that is there, by what it is: ``network``, ``objective``, ``processor``, ``reader``, ``attack``.

    Of a user's file: its path, source and hash, which covers the modules of the user's that it imports. Of a class of an
    installed package: the package and its version. ``names`` holds no built-in names.
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
    """Remember code that a user named as his own: a checkpoint with exactly this code may run it from now on."""
    files = [name for name in names if python_file(name)]
    for entry in code_of(dict(zip(map(str, range(len(files))), files, strict=True))).values():
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

    ``name`` is None for a built-in one. ``stored`` is what ``code_of`` said of it when the model was trained.
    """
    file = python_file(name)
    if file is None and (stored or name) and not trusts_code():
        _check_package(model, what, name, stored or {})
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


def check_packages(model: Path, code: Mapping[str, Any]) -> None:
    """An error where a model needs a package that is not installed."""
    for what, stored in code.items():
        name = str(stored.get("name"))
        if "package" in stored and entry_point(what, name) is None:
            package = f"{stored['package']} {stored.get('version')}"
            raise CollidekitError(
                f"{model}: its {what} {name!r} is of the package {package}, which is not installed here; install it"
            )


def _check_package(model: Path, what: str, name: str | None, stored: Mapping[str, Any]) -> None:
    """An error where the class of a package is not that of the version that the model was trained with."""
    found = code_of({what: name}).get(what, {})
    now, was = (f"{code['package']} {code.get('version')}" if "package" in code else "" for code in (found, stored))
    if now == was:
        return
    trained = f"was trained with {was}" if was else "does not say which version it was trained with"
    raise CollidekitError(
        f"{model}: its {what} {name or stored.get('name')!r} is of {now or 'collidekit itself'} here, and it {trained}, so its "
        "weights may mean something else; install that version, or pass --trust-code"
    )
