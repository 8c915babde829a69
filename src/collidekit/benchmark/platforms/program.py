"""The files of the scoring program: the modules of collidekit that it imports, found by reading their imports."""

import ast
from pathlib import Path

import collidekit
from collidekit.benchmark.platforms import score_folder

ROOT = Path(collidekit.__file__).parent
START = '''"""Score a submission: ``python3 score.py REFERENCE RESULTS OUTPUT``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

if __name__ == "__main__":
    if sys.version_info < (3, 11):
        sys.exit("Error: the scoring program needs Python 3.11; choose another image")
    from collidekit.benchmark.platforms.score_folder import main

    sys.exit(main(*map(Path, sys.argv[1:4])))
'''


def program_files() -> dict[str, str]:
    """Return path -> text of the scoring program: ``score.py`` and the part of collidekit that it needs."""
    found: dict[str, str] = {}
    waiting = [score_folder.__name__]
    while waiting:
        module = waiting.pop()
        path = _file_of(module)
        name = path.relative_to(ROOT.parent).as_posix()
        if name in found:
            continue
        found[name] = path.read_text(encoding="utf-8")
        waiting += _imports(found[name])
        parts = module.split(".")
        waiting += [".".join(parts[:length]) for length in range(2, len(parts))]
    # the package of its own imports nothing: the one that is installed has all names of the Python interface
    found["collidekit/__init__.py"] = (
        f'"""The part of collidekit {collidekit.__version__} that scores a benchmark."""\n'
    )
    found["score.py"] = START
    return dict(sorted(found.items()))


def _imports(text: str) -> list[str]:
    """Modules of collidekit that a file imports, wherever in it."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.startswith("collidekit.")]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("collidekit"):
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name for name in inside if _exists(name)]
            found += modules
            if len(modules) < len(inside):
                found.append(node.module)
    return found


def _exists(module: str) -> bool:
    path = ROOT.parent.joinpath(*module.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _file_of(module: str) -> Path:
    path = ROOT.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
