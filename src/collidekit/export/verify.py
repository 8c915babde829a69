"""Verification of a bundle on this machine, with the verifier that each bundle contains."""

from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from collidekit.errors import CollidekitError
from collidekit.extras import need
from collidekit.runtime.folder import REMEDY, read_schema
from collidekit.runtime.schema import CALLS, CHECKSUMS, GOLDEN, REAL

THREADS = 4


@frozen
class Check:
    """One check of a bundle."""

    title: str
    passed: bool
    found: str


def checks(folder: Path, threads: int = THREADS) -> Iterator[Check]:
    """Run the checks of a bundle one after another, without torch and without code of the bundle.

    Damaged files are failed checks. Raises CollidekitError if the folder is not a bundle, has a newer format or a
    damaged schema, or if a file is missing.
    """
    need("onnxruntime", "runtime")
    schema = read_schema(folder)
    for name in (CHECKSUMS, GOLDEN, CALLS, REAL, *(graph.file for graph in schema.graphs)):
        if not (folder / name).is_file():
            raise CollidekitError(f"{folder}: the bundle has no {name}; {REMEDY}")
    from collidekit.export.templates import verify as verifier

    for title, passed, found in verifier.checks(folder, threads):  # type: ignore[no-untyped-call]
        yield Check(title, passed, found)


def verify(folder: Path, threads: int = THREADS) -> list[Check]:
    """Return all checks of a bundle that is being written; raise CollidekitError if one of them fails."""
    found = list(checks(folder, threads))
    require(found, "nothing was written")
    return found


def require(found: list[Check], remedy: str = REMEDY) -> None:
    """Raise CollidekitError if a check failed; ``remedy`` is the advice in the message."""
    failed = [check for check in found if not check.passed]
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise CollidekitError(
            f"the bundle does not pass the check {failed[0].title!r}: {failed[0].found[:300]}{more}; {remedy}"
        )
