"""Classes by name: built-in classes, classes in a user's Python file, and entry points of installed packages."""

import ast
import importlib.util
import inspect
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from os.path import isfile  # pathlib raises an error for a name that is too long
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from collidekit.errors import CollidekitError, did_you_mean

T = TypeVar("T")


@dataclass(frozen=True)
class Kind(Generic[T]):
    """A kind of class that is selected by name, such as networks, objectives, readers and attacks."""

    what: str
    """Name of the kind, such as ``network``; the group of its entry points is ``collidekit.networks``."""
    base: type[T]
    """Base class of a user's class."""
    public: str
    """Public name of the base class, such as ``collidekit.models.Network``."""
    built_in: Mapping[str, Any]

    def find(self, name: str) -> Any:
        """Return the class for a built-in name, ``my_file.py``, ``my_file.py:MyClass``, or the name of an entry point."""
        if name.lower() in self.built_in:
            return self.built_in[name.lower()]
        if python_file(name):
            return class_in_file(name, self.what, self.base, self.public)
        if entry := entry_point(self.what, name):
            return self._of_package(entry)
        raise CollidekitError(unknown(self.what, name, self.built_in))

    def own(self, name: str) -> str | None:
        """Return the name if it is not built-in, so that it names code of a user or of a package; None otherwise."""
        return None if name.lower() in self.built_in else name

    def _of_package(self, entry: EntryPoint) -> Any:
        where = f"{self.what} {entry.name!r} of the package {_package(entry)}"
        try:
            found = entry.load()
        except Exception as error:
            raise CollidekitError(f"{where}: cannot be imported: {type(error).__name__}: {error}") from error
        if not (inspect.isclass(found) and issubclass(found, self.base)):
            raise CollidekitError(f"{where}: {entry.value} is not a class that derives from {self.public}")
        return found


def known_names(what: str, built_in: Mapping[str, Any]) -> list[str]:
    """Return the available names of a kind: built-in names, then names of installed packages."""
    return list(dict.fromkeys([*built_in, *sorted(entry.name for entry in _entries(what))]))


def unknown(what: str, name: str, built_in: Mapping[str, Any]) -> str:
    """Return the message for an unknown name of a kind."""
    known = known_names(what, built_in)
    return f"there is no {what} {name!r}{did_you_mean(name.lower(), known)}; known are {', '.join(known)}, or a file my_{what}.py"


def is_known(what: str, name: str, built_in: Mapping[str, Any]) -> bool:
    """Return whether a name is built-in, a Python file, or an entry point of an installed package. Runs no user code."""
    return name in built_in or python_file(name) is not None or entry_point(what, name) is not None


def entry_point(what: str, name: str) -> EntryPoint | None:
    """Return the entry point of a name; raise CollidekitError if several packages provide it, None if no package does."""
    found = [entry for entry in _entries(what) if entry.name == name]
    if len({entry.value for entry in found}) > 1:
        packages = " and ".join(map(_package, found))
        raise CollidekitError(f"{what} {name!r}: is provided by {packages}; uninstall one of them")
    return found[0] if found else None


def _entries(what: str) -> list[EntryPoint]:
    return list(entry_points(group=f"collidekit.{what}s"))


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.module


def python_file(name: str | None) -> Path | None:
    """Return the Python file in a name such as ``my_network.py`` or ``mine.py:Mine``; None if it names no Python file."""
    path, _ = file_and_class(name or "")
    return Path(path) if path else None


def file_and_class(name: str) -> tuple[str, str]:
    """Split a name into its file and class; both are empty if it names no Python file."""
    path, _, chosen = name.rpartition(":")
    if path.endswith(".py"):
        return path, chosen
    return (name, "") if name.endswith(".py") else ("", "")


def class_in_file(name: str, what: str, base: type[T], public: str) -> type[T]:
    """Return the class that ``my_file.py:MyClass`` names, or the only class that ``my_file.py`` defines."""
    file, chosen = file_and_class(name)
    path = Path(file)
    module = load_module(path)
    found = {
        key: value
        for key, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, base) and value.__module__ == module.__name__
    }
    there_are = f"classes that derive from {public}: {', '.join(found) or 'none'}"
    if chosen:
        value = getattr(module, chosen, None)
        if inspect.isclass(value) and issubclass(value, base):
            return value
        raise CollidekitError(f"{path}: there is no {what} {chosen!r}{did_you_mean(chosen, list(found))}; {there_are}")
    if len(found) != 1:
        raise CollidekitError(f"{path}: must define one {what}, or give {path}:MyClass; {there_are}")
    return next(iter(found.values()))


@lru_cache(maxsize=8)
def _cached_class(name: str, what: str, base: type[T], public: str, sources: tuple[tuple[str, str], ...]) -> type[T]:
    return class_in_file(name, what, base, public)


def code_identity(what: str, name: str) -> str:
    """Return what identifies user code in a hash: its source with the user's modules that it imports, or package and version."""
    path = python_file(name)
    if path is None:
        entry = entry_point(what, name)
        return _package(entry) if entry else ""
    if not isfile(path):
        raise CollidekitError(f"{path}: there is no such file")
    sources = user_sources(path)
    return json.dumps(sources) if len(sources) > 1 else sources[path.name]


def kept_class(name: str, what: str, base: type[T], public: str) -> type[T]:
    """Return ``class_in_file``, imported once, and again when the file or a user's module that it imports has changed."""
    path = python_file(name)
    sources = user_sources(path) if path and isfile(path) else {}
    return _cached_class(name, what, base, public, tuple(sources.items()))  # type: ignore[arg-type]


def user_sources(path: Path) -> dict[str, str]:
    """Return the text of a file and of all user's modules that it imports directly or indirectly, by name.

    A user's module lies beside the file or on the search path, and is not an installed package.
    """
    found: dict[str, str] = {}
    todo = [(path.name, path)]
    while todo:
        name, file = todo.pop()
        if name not in found:
            found[name] = file.read_text(encoding="utf-8", errors="replace")
            package = name if file.name == "__init__.py" else name.rpartition(".")[0]
            modules = set(_imported(found[name], package))
            todo += [(module, own) for module in modules if (own := _user_module(module, path.parent))]
    return dict(sorted(found.items()))


def _imported(text: str, package: str) -> Iterator[str]:
    """Yield the names of all modules that a module imports, and of their packages."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[: i + 1]) for i in range(len(parts)))


def _user_module(name: str, folder: Path) -> Path | None:
    """Return the file of a user's module; None for an installed or missing module."""
    if name.partition(".")[0] in (*sys.stdlib_module_names, "collidekit", ""):
        return None
    installed = (sys.prefix, sys.base_prefix)
    own = [entry for entry in sys.path if entry and not entry.startswith(installed) and "-packages" not in entry]
    for root in (folder, *map(Path, own)):
        place = root.joinpath(*name.split("."))
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                return file
    return None


def load_module(path: Path) -> ModuleType:
    """Import a file by its path; it may import modules beside it."""
    if not isfile(path):
        raise CollidekitError(f"{path}: there is no such file")
    for beside in user_sources(path):  # a loaded module of this name may be from another folder, or have changed
        sys.modules.pop(beside, None)
    name = f"collidekit_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CollidekitError(f"{path}: is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(path.parent.absolute())
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        line = error.lineno if isinstance(error, SyntaxError) else _line(error, path)
        raise CollidekitError(f"{path}:{line}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(folder)
    return module


def _line(error: BaseException, path: Path) -> int:
    """Return the line of the file in which an error was raised."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
