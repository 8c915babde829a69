"""Submissions as they arrive: stored whole, read once as a check, and put into the queue."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import yaml
from attrs import frozen
from fastapi import HTTPException

from collidekit.benchmark.server.service import Service
from collidekit.benchmark.store import User, Version
from collidekit.benchmark.submission import SUBMISSION_FILE, Submission, code_hash, load_submission
from collidekit.errors import CollidekitError

UPLOADS_AT_ONCE = 100
"""Uploads that are received at the same time; each one holds a thread."""
_threads = anyio.CapacityLimiter(UPLOADS_AT_ONCE)


@frozen
class Intake:
    """Who submits what where."""

    user: User
    version: Version
    phase: str
    name: str
    """Name of the entry; empty where submission.yaml has it."""
    parameters: dict[str, Any]
    request: str | None
    """A text of the client's choice that makes a repeated request harmless."""


async def receive(
    service: Service, intake: Intake, content: AsyncIterator[bytes], name: str, expected: str = ""
) -> str:
    """Store an archive while it arrives; returns its SHA-256."""
    if shutil.disk_usage(service.settings.folder).free < service.settings.free + service.settings.upload:
        raise HTTPException(507, "the disk of the server is nearly full; tell the organiser")

    def chunks() -> Iterator[bytes]:
        while chunk := anyio.from_thread.run(_next, content):
            yield chunk

    def store() -> str:
        return service.store.upload(intake.user, chunks(), name, service.settings.upload, expected).sha256

    return await anyio.to_thread.run_sync(store, limiter=_threads)


async def _next(content: AsyncIterator[bytes]) -> bytes:
    """Return the next piece that is not empty; at the end an empty one."""
    async for chunk in content:
        if chunk:
            return chunk
    return b""


def submit_archive(service: Service, intake: Intake, upload: str) -> int:
    """Check a stored archive and put it into the queue; returns the run."""
    with tempfile.TemporaryDirectory(prefix="incoming-", dir=service.settings.folder) as place:
        folder = service.store.uploads.unpack(upload, Path(place) / "submission")
        return _submit(service, intake, folder, upload)


def submit_environment(service: Service, intake: Intake, image: str, preprocess: str, tagger: str) -> int:
    """Put a container image and commands into the queue; returns the run."""
    content = {
        "name": intake.name,
        "image": image,
        "preprocess": preprocess,
        "tagger": tagger,
        "parameters": intake.parameters,
    }
    with tempfile.TemporaryDirectory(prefix="incoming-", dir=service.settings.folder) as place:
        text = yaml.safe_dump(
            {key: value for key, value in content.items() if value}, sort_keys=False, allow_unicode=True
        )
        Path(place, SUBMISSION_FILE).write_text(text, encoding="utf-8")
        _check(intake, Path(place))
        return _submit(service, intake, Path(place), service.store.upload_folder(intake.user, Path(place)).sha256)


def _submit(service: Service, intake: Intake, folder: Path, upload: str) -> int:
    submission = _check(intake, folder)
    return service.store.submit(
        intake.user, intake.version.name, intake.phase, upload, intake.name or submission.name, dict(submission.parameters),
        code_hash=code_hash(folder), request=intake.request,
    )  # fmt: skip


def _check(intake: Intake, folder: Path) -> Submission:
    """Read a submission as its worker will, so that the participant hears at once what is wrong."""
    try:
        return load_submission(folder, intake.version.definition, intake.parameters)
    except CollidekitError as error:  # no path of the server
        raise CollidekitError(str(error).replace(f"{folder}/", "").replace(str(folder), "the submission")) from None
