"""An image with nothing in it: with the folders of this machine mounted read-only, podman runs the system of this machine."""

import hashlib
import io
import subprocess
import tarfile

from collidekit.benchmark.sandbox.images import Image, ImageError, find_image
from collidekit.benchmark.sandbox.system import System

_FOLDERS = {
    "etc": 0o755,
    "usr": 0o755,
    "dev": 0o755,
    "proc": 0o755,
    "sys": 0o755,
    "run": 0o755,
    "tmp": 0o1777,
    "output": 0o1777,
}


def system_image(engine: str, system: System) -> Image:
    """Return the image, which is made where it is missing."""
    content = _archive(system)
    name = f"localhost/collidekit-system:{hashlib.sha256(content).hexdigest()[:12]}"
    try:
        return find_image(engine, name, pull=False)
    except ImageError:
        done = subprocess.run(
            [engine, "import", "--quiet", "-", name], input=content, capture_output=True, timeout=120, check=False
        )
        if done.returncode:
            raise ImageError(" ".join(done.stderr.decode(errors="replace").split())[-500:]) from None
        return find_image(engine, name, pull=False)


def _archive(system: System) -> bytes:
    """Return a tar file of empty folders and links, the same bytes each time."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, mode in _FOLDERS.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            archive.addfile(entry)
        for name, place in system.links:
            entry = tarfile.TarInfo(name.lstrip("/"))
            entry.type, entry.linkname = tarfile.SYMTYPE, place
            archive.addfile(entry)
    return content.getvalue()
