"""Container images by name: only plain names, pinned to what the name means now, pulled only where that is allowed."""

import json
import re
import subprocess

from attrs import frozen

_PART = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
_NAME = re.compile(rf"(?:{_PART}(?::\d+)?/)?{_PART}(?:/{_PART})*(?::[\w][\w.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?")
_LONGEST_PULL = 900


class ImageError(Exception):
    """Error: an image cannot be used; one sentence says why."""


@frozen
class Image:
    """An image on this machine."""

    identity: str
    """The id that is run: what the name means may change, this does not."""
    digest: str
    """Recorded identity: the digest of the registry if there is one."""
    volumes: tuple[str, ...] = ()
    path: str = ""
    """Value of PATH in the image."""


def find_image(engine: str, name: str, pull: bool) -> Image:
    """Return an image by its name; with ``pull`` the engine may fetch it from its registry."""
    if not _NAME.fullmatch(name) or len(name) > 255:
        raise ImageError(f"{name[:100]!r} is not the name of a container image, such as docker.io/library/python:3.12")
    found = _inspect(engine, name)
    if found is None and pull:
        _pull(engine, name)
        found = _inspect(engine, name)
    if found is None:
        raise ImageError(
            f"the image {name} is not on this machine; the organiser can fetch it with: {engine} pull {name}"
        )
    return found


def _inspect(engine: str, name: str) -> Image | None:
    done = subprocess.run([engine, "image", "inspect", name], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        return None
    try:
        content = json.loads(done.stdout)[0]
        settings = content.get("Config") or {}
        digests = content.get("RepoDigests") or []
        path = [entry[5:] for entry in settings.get("Env") or [] if entry.startswith("PATH=")]
        return Image(
            content["Id"], (digests or [content["Id"]])[0], tuple(settings.get("Volumes") or ()), (path or [""])[0]
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise ImageError(f"what {engine} says of the image {name} cannot be understood") from None


def _pull(engine: str, name: str) -> None:
    source = f"docker://{name}" if engine.endswith("podman") else name  # never an archive or a folder of this machine
    try:
        done = subprocess.run(
            [engine, "pull", "--quiet", source], capture_output=True, text=True, timeout=_LONGEST_PULL, check=False
        )
    except subprocess.TimeoutExpired:
        raise ImageError(f"the image {name} could not be fetched in {_LONGEST_PULL // 60} minutes") from None
    if done.returncode:
        said = " ".join(done.stderr.split())[-200:]
        raise ImageError(f"the image {name} could not be fetched ({said})")
