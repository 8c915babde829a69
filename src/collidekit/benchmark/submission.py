"""A submission: a folder with ``submission.yaml`` and code. Nothing of it runs outside of a sandbox."""

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

from attrs import evolve, field, frozen
from pydantic import AfterValidator, Field, ValidationError

from collidekit.benchmark.definition import Benchmark, problem, read_mapping
from collidekit.benchmark.old_commands import IMAGE, steps_of_actors
from collidekit.benchmark.parameters import checked_values
from collidekit.benchmark.parts import Part
from collidekit.errors import CollidekitError

# ruff: noqa: RUF012 - pydantic copies the defaults

SUBMISSION_FILE = "submission.yaml"
LARGEST = 2 << 30
"""Bytes of all files of a submission."""
MOST_FILES = 20_000
LARGEST_FILE = 250_000
"""Bytes of ``submission.yaml``: it is parsed before anything is known of who wrote it."""
LEFT_OUT = (
    "__pycache__", "__MACOSX", ".git", ".venv", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".DS_Store", ".ipynb_checkpoints",
)  # fmt: skip
"""Names of files and folders that are not part of a submission: not hashed, packed or unpacked."""


def _is_command(text: str) -> str:
    if "\0" in text or "\n" in text.strip():
        raise ValueError("a command is one line; put several into a script")
    return text.strip()


Command = Annotated[str, Field(max_length=10_000), AfterValidator(_is_command)]


class SubmissionFile(Part):
    """The file ``submission.yaml``."""

    name: str = Field(min_length=1, max_length=100)
    description: str = Field("", max_length=10_000)
    image: str = Field("", pattern=IMAGE)
    """Container image in which the commands run; without one, the default of the sandbox."""
    preprocess: Command = ""
    """Line of shell that runs first; it writes into the folder that the tagger finds as /preprocessed."""
    tagger: Command = ""
    """Line of shell that reads /data/features.parquet and writes predictions into /output."""
    parameters: dict[str, Any] = {}


@frozen
class Submission:
    """A submission for one benchmark, with a value for each parameter."""

    folder: Path
    name: str
    tagger: str
    preprocess: str = ""
    image: str = ""
    preprocess_image: str = ""
    """Image of the first step where it has another one, as submissions to ROB may."""
    description: str = ""
    parameters: Mapping[str, Any] = field(factory=dict)

    def steps(self) -> list[tuple[str, str, str]]:
        """Return name, command and image of each step that runs."""
        found = [("preprocess", self.preprocess, self.preprocess_image or self.image)] if self.preprocess else []
        return [*found, ("tagger", self.tagger, self.image)]


def load_submission(
    folder: str | Path, benchmark: Benchmark, parameters: Mapping[str, Any] | None = None
) -> Submission:
    """Read a submission and check it against a benchmark; ``parameters`` override those of its file.

    Raises CollidekitError, whose message is one sentence for the participant.
    """
    folder = Path(folder)
    path = folder / SUBMISSION_FILE
    if not folder.is_dir():
        raise CollidekitError(
            f"{folder}: there is no such folder; make a submission with: collidekit benchmark init {quote(str(folder))}"
        )
    if path.is_symlink() or not path.is_file():
        raise CollidekitError(
            f"{folder}: has no file {SUBMISSION_FILE}; make a submission with: collidekit benchmark init FOLDER"
        )
    if path.stat().st_size > LARGEST_FILE:
        raise CollidekitError(
            f"{path}: is larger than {LARGEST_FILE:,} bytes; put weights and tables into files of their own"
        )
    content, lines = read_mapping(path, "a submission file", "docs/benchmark-take-part.md")
    try:
        given = SubmissionFile.model_validate(content)
    except ValidationError as error:
        raise CollidekitError(problem(error, lines, lambda location: list(SubmissionFile.model_fields))) from None
    chosen = {**given.parameters, **(parameters or {})}
    values = checked_values(benchmark.parameters, chosen, str(path))
    values = {one.name: values[one.name] for one in benchmark.parameters if one.name in values and one.type != "actor"}
    found = Submission(
        folder=folder, name=given.name, tagger=given.tagger, preprocess=given.preprocess, image=given.image,
        description=given.description, parameters=values,
    )  # fmt: skip
    changed: dict[str, Any] = dict(steps_of_actors(benchmark, chosen, found, str(path)))
    found = evolve(found, **changed)
    steps = {step.name: step for step in benchmark.steps}
    if not found.tagger:
        raise CollidekitError(f"{path}: 'tagger' is required: the command that writes the predictions")
    if found.preprocess and "preprocess" not in steps:
        raise CollidekitError(
            f"{lines.at(('preprocess',))}: the benchmark {benchmark.name!r} has no pre-processing; leave 'preprocess' out"
        )
    if not found.preprocess and "preprocess" in steps and not steps["preprocess"].optional:
        raise CollidekitError(
            f"{path}: the benchmark {benchmark.name!r} needs 'preprocess', the command of the pre-processing"
        )
    check_files(folder)
    for parameter in benchmark.parameters:
        if parameter.type == "file" and parameter.name in values and not (folder / values[parameter.name]).is_file():
            raise CollidekitError(
                f"{path}: parameter {parameter.name!r}: there is no file {values[parameter.name]!r} in the submission"
            )
    return found


def check_files(folder: Path) -> None:
    """Raise CollidekitError for what a submission may not hold: links out of it, devices, pipes, and more than its limits."""
    size = count = 0
    for path in files_of(folder):
        status = path.lstat()
        shown = path.relative_to(folder)
        if stat.S_ISLNK(status.st_mode):
            if not path.resolve().is_relative_to(folder.resolve()):
                raise CollidekitError(
                    f"{folder}: the link {shown} leads out of the submission; put the file itself there"
                )
        elif not stat.S_ISREG(status.st_mode):
            raise CollidekitError(f"{folder}: {shown} is a device, pipe or socket; a submission holds files")
        size, count = size + status.st_size, count + 1
        if size > LARGEST:
            raise CollidekitError(
                f"{folder}: is larger than {LARGEST >> 30} GB; put large files into a container image"
            )
        if count > MOST_FILES:
            raise CollidekitError(f"{folder}: holds more than {MOST_FILES:,} files; put them into a container image")


def packed_files(folder: Path) -> list[Path]:
    """Return the files of a submission that an archive holds, ordered by name; a link within the folder stands for its file."""
    check_files(folder)
    found = list(files_of(folder))
    for path in found:
        if not path.is_file():
            raise CollidekitError(
                f"{folder}: the link {path.relative_to(folder)} leads to no file; put the files themselves there"
            )
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def code_hash(folder: str | Path) -> str:
    """Return the SHA-256 of all files of a submission: names, contents and whether they can be executed.

    A link to a file counts as that file, as in the archive of the submission.
    """
    folder = Path(folder)
    total = hashlib.sha256()
    for path in files_of(folder):
        name = path.relative_to(folder).as_posix().encode("utf-8", "surrogateescape")
        if path.is_symlink() and not path.is_file():
            kind, content = b"link", hashlib.sha256(os.readlink(path).encode("utf-8", "surrogateescape")).digest()
        else:
            kind = b"run" if path.stat().st_mode & 0o100 else b"file"
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").digest()
        total.update(b"%d:%s:%s:%s" % (len(name), name, kind, content))
    return total.hexdigest()


def files_of(folder: Path) -> Iterator[Path]:
    """Yield all files and links of a submission in a fixed order, never following a link to a folder."""
    for place, folders, files in os.walk(folder, onerror=_unreadable, followlinks=False):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        folders[:] = [name for name in folders if name not in links]
        for name in sorted([*files, *links], key=os.fsencode):
            if name not in LEFT_OUT:
                yield Path(place) / name


def _unreadable(error: OSError) -> None:
    raise CollidekitError(f"{error.filename}: cannot be read ({error.strerror})")


def slug(text: str) -> str:
    """Return a name of letters, digits and _ for a text."""
    found = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return (found if found[:1].isalpha() else f"b_{found}")[:64]
