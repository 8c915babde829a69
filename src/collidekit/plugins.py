"""Python files of a user's own: a network, a processor, a reader, and the modules beside them that they import."""

import ast
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from collidekit.errors import CollidekitError


def user_sources(path: Path) -> dict[str, str]:
    """Return the text of a file and of every module of the user's that it imports, directly or through another one, by name.

    A module is the user's if it lies beside the file or on the search path, and not among the installed packages.
    """
    found: dict[str, str] = {}
    todo = [(path.name, path)]
    while todo:
        name, file = todo.pop()
        if name not in found:
            found[name] = file.read_text(encoding="utf-8", errors="replace")
            package = name if file.name == "__init__.py" else name.rpartition(".")[0]
            modules = set(_imported(found[name], package))
            todo += [(module, own) for module in modules if (own := _own_module(module, path.parent))]
    return dict(sorted(found.items()))


def _imported(text: str, package: str) -> Iterator[str]:
    """The names that a module of a package imports, and the packages that they are in."""
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


def _own_module(name: str, folder: Path) -> Path | None:
    """The file of a module of the user's; None for one that is installed, or that is not there."""
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
    """Import a file by its path; it may import modules that lie beside it."""
    if not os.path.isfile(path):
        raise CollidekitError(f"{path}: there is no such file")
    for beside in user_sources(path):  # one of the same name may come from another folder, or have changed
        sys.modules.pop(beside, None)
    name = f"collidekit_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CollidekitError(f"{path}: not a Python file")
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
    """The last line of the file that an error passed through."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
