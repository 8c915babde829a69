"""Python files of a user's own: a network, a processor."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from collidekit.errors import CollidekitError


def load_module(path: Path) -> ModuleType:
    """Import a file by its path."""
    if not path.is_file():
        raise CollidekitError(f"{path}: there is no such file")
    name = f"collidekit_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CollidekitError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        line = error.lineno if isinstance(error, SyntaxError) else _line(error, path)
        raise CollidekitError(f"{path}:{line}: {type(error).__name__}: {error}") from error
    return module


def _line(error: BaseException, path: Path) -> int:
    """The last line of the file that an error passed through."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
