"""Copy of user code for reading files, a processor or a reader, in the bundle."""

import shutil
from pathlib import Path
from typing import Any

from collidekit.analysis.schema import FORMATS, Analysis
from collidekit.files import write_text
from collidekit.plugins import file_and_class, user_sources
from collidekit.runtime.schema import Schema
from collidekit.trust import code_of

FOLDER = "code"


def with_code(schema: Schema, analysis: Analysis, folder: Path) -> Schema:
    """Copy the source of processor and reader into the folder of a bundle; return the schema with their new paths and hashes."""
    form = analysis.source.format
    names = {"processor": analysis.processor, "reader": None if form in FORMATS else form}
    found = code_of(names)
    content: dict[str, Any] = {**schema.analysis, "source": dict(schema.analysis["source"])}
    for what, entry in found.items():
        if "file" not in entry:  # from an installed package
            continue
        path, name = file_and_class(str(names[what]))
        place = Path(FOLDER, what, Path(path).name)
        _copy(Path(path), folder / place.parent)
        del entry["source"]
        entry["file"] = place.as_posix()
        named = f"{entry['file']}:{name}" if name else entry["file"]
        if what == "processor":
            content["processor"] = named
        else:
            content["source"]["format"] = named
    return schema.model_copy(update={"analysis": content, "code": found})


def _copy(path: Path, folder: Path) -> None:
    """Copy a file and all user's modules that it imports, such that the imports work."""
    sources = user_sources(path)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, folder / path.name)
    for module, text in sources.items():
        if module != path.name:
            is_package = any(other.startswith(f"{module}.") for other in sources)
            file = folder.joinpath(*module.split("."), "__init__.py") if is_package else folder.joinpath(*module.split(".")).with_suffix(".py")  # fmt: skip
            write_text(file, text)
