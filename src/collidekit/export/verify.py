"""Verification of a bundle on this machine, by the verifier that goes into each bundle."""

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
    """Run the checks of a bundle one after another; torch is not needed, and no code of the bundle is run.

    Files that are damaged are failed checks. Raises CollidekitError for a folder that is no bundle, one of a newer format or with a
    damaged schema, and one in which a file is missing.
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
    """Return all checks of a bundle that is being written. Raises CollidekitError where one of them fails."""
    found = list(checks(folder, threads))
    require(found, "nothing was written")
    return found


def require(found: list[Check], remedy: str = REMEDY) -> None:
    """Raise CollidekitError where a check failed; ``remedy`` says what to do."""
    failed = [check for check in found if not check.passed]
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise CollidekitError(
            f"the bundle does not pass the check {failed[0].title!r}: {failed[0].found[:300]}{more}; {remedy}"
        )
