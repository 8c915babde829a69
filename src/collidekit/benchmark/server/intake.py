"""Submissions as they arrive: stored whole, read once as a check, and put into the queue."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import yaml
from attrs import frozen
from fastapi import HTTPException

from collidekit.benchmark.server.service import Service
from collidekit.benchmark.store import User, Version
from collidekit.benchmark.store.archive import ArchiveLimits
from collidekit.benchmark.submission import SUBMISSION_FILE

UPLOADS_AT_ONCE = 100
"""Uploads that are received at the same time; each one holds a thread."""
CHECKS_AT_ONCE = 2
"""Archives that are unpacked at the same time; each one may take twice ``ArchiveLimits.size`` of the disk."""
ROOM = 2 * CHECKS_AT_ONCE * ArchiveLimits().size
_threads = anyio.CapacityLimiter(UPLOADS_AT_ONCE)
_checks = ThreadPoolExecutor(CHECKS_AT_ONCE, "check")


@frozen
class Intake:
    """Who submits what where."""

    user: User
    version: Version
    phase: str
    name: str
    parameters: dict[str, Any]
    seed: int
    request: str | None
    """A text of the client's choice that makes a repeated request harmless."""


async def receive(
    service: Service, intake: Intake, content: AsyncIterator[bytes], name: str, expected: str = ""
) -> str:
    """Store an archive while it arrives; returns its SHA-256."""
    _check_disk(service, service.settings.upload)

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


def _check_disk(service: Service, wanted: int) -> None:
    if shutil.disk_usage(service.settings.folder).free < service.settings.free + wanted:
        raise HTTPException(507, "the disk of the server is nearly full; tell the organiser")


async def queue_archive(service: Service, intake: Intake, upload: str) -> int:
    """Put a stored archive into the queue; returns the run. Archives that grow when they are unpacked cannot fill the disk."""

    def submit() -> int:
        _check_disk(service, ROOM)
        return submit_archive(service, intake, upload)

    return await asyncio.wrap_future(_checks.submit(submit))


def submit_archive(service: Service, intake: Intake, upload: str) -> int:
    """Put a stored archive into the queue; returns the run. The store reads it and refuses one with an error."""
    return service.store.submit(
        intake.user,
        intake.version.name,
        intake.phase,
        upload,
        intake.name,
        intake.parameters,
        seed=intake.seed,
        request=intake.request,
        without_images=service.without_images(),
    )


def submit_environment(service: Service, intake: Intake, image: str, preprocess: str, tagger: str) -> int:
    """Put a container image and commands into the queue; returns the run."""
    content = {"name": intake.name, "image": image, "preprocess": preprocess, "tagger": tagger}
    text = yaml.safe_dump({key: value for key, value in content.items() if value}, sort_keys=False, allow_unicode=True)
    with tempfile.TemporaryDirectory(prefix="incoming-", dir=service.settings.folder) as place:
        Path(place, SUBMISSION_FILE).write_text(text, encoding="utf-8")
        upload = service.store.upload_folder(intake.user, Path(place)).sha256
    return submit_archive(service, intake, upload)
