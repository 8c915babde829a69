"""SHA-256 of the files of a benchmark: verified before each run, written into the benchmark file by ``build``."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

import yaml

from collidekit.analysis.load import YamlLoader
from collidekit.benchmark.definition import FILE, Benchmark, refuse_shown_truth
from collidekit.errors import CollidekitError
from collidekit.files import write_text


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise CollidekitError(
            f"{path}: there is no such file; write it, or let section 'build' of {FILE} make it"
        ) from None
    except OSError as error:
        raise CollidekitError(f"{path}: cannot be read ({error.strerror or error})") from None


def verify(benchmark: Benchmark, phase: str | None = None) -> None:
    """Compare the files of a phase, or of the whole benchmark, with their checksums.

    Raises CollidekitError for the first file that is missing, changed, or has no checksum, and where a public file is the truth.
    """
    refuse_shown_truth(benchmark)
    build = quote(str(benchmark.folder))
    for file in benchmark.data_files(phase):
        path = benchmark.path(file)
        if not path.is_file():
            raise CollidekitError(f"{path}: is missing; make it with: collidekit benchmark build {build}")
        if not file.sha256:
            raise CollidekitError(
                f"{benchmark.folder / FILE}: {file.path} has no sha256; write it with: collidekit benchmark build {build}"
            )
        if (found := sha256(path)) != file.sha256:
            raise CollidekitError(
                f"{path}: was changed or is damaged: its SHA-256 is {found[:12]}…, and {FILE} says {file.sha256[:12]}…; restore the file; or, "
                f"to keep what it is now, run: collidekit benchmark build {build}, and then start the server again, or submit "
                "with that folder and --store"
            )


def write_checksums(benchmark: Benchmark) -> dict[str, str]:
    """Write the checksum of every data file into the benchmark file, whose other lines stay as they are; return them by path."""
    path = benchmark.folder / FILE
    found = {file.path: sha256(benchmark.path(file)) for file in benchmark.data_files()}
    refuse_shown_truth(benchmark, found)
    write_text(path, with_checksums(path.read_text(encoding="utf-8"), found))
    return found


def with_checksums(text: str, checksums: Mapping[str, str]) -> str:
    """Return the text of a benchmark file with these checksums of files, by path."""
    edits: list[tuple[int, int, str]] = []
    root = yaml.compose(text, Loader=YamlLoader)
    for node in _file_nodes(root):
        entries = _children(node)
        name = (entries["path"] if entries else node).value
        if name not in checksums:
            continue
        if not entries:  # a bare path
            edits.append(
                (
                    node.start_mark.index,
                    node.end_mark.index,
                    f"{{path: {_scalar(text, node)}, sha256: {checksums[name]}}}",
                )
            )
        elif "sha256" in entries:
            old = entries["sha256"]
            edits.append((old.start_mark.index, old.end_mark.index, checksums[name]))
        else:
            end = entries["path"].end_mark.index
            separator = ", " if node.flow_style else "\n" + " " * node.start_mark.column
            edits.append((end, end, f"{separator}sha256: {checksums[name]}"))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _scalar(text: str, node: Any) -> str:
    return text[node.start_mark.index : node.end_mark.index]


def _children(node: Any) -> dict[str, Any]:
    return {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}


def _file_nodes(root: Any) -> list[Any]:
    """Return the nodes of the data files of a benchmark file."""
    top = _children(root)
    samples = [
        sample
        for phase in _children(top.get("phases")).values()
        for sample in _children(_children(phase).get("samples")).values()
    ]
    found = [node for sample in samples for key, node in _children(sample).items() if key in ("features", "truth")]
    lists = [_children(sample).get("public") for sample in samples] + [top.get("training")]
    return found + [node for entry in lists if isinstance(entry, yaml.SequenceNode) for node in entry.value]


def definition_hash(benchmark: Benchmark) -> str:
    """Return the SHA-256 of all that the benchmark file says, comments and layout apart: another definition has another one."""
    return hashlib.sha256(benchmark.model_dump_json().encode()).hexdigest()
