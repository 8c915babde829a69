"""The type of the file system that holds a path."""

import re
from pathlib import Path

NETWORK = re.compile(
    r"nfs\d?|cifs|smb\d?|afs|openafs|auristorfs|fuse\.eos.*|lustre|gpfs|beegfs|ceph|fuse\.ceph.*|fuse\.sshfs|9p"
)
"""Types of file systems of network disks."""
WITHOUT_LOCKS = re.compile(r"afs|openafs|auristorfs|fuse\.eos.*")
"""Types of network disks on which a file cannot be a lock for processes of other machines."""
MOUNTS = Path("/proc/mounts")


def file_system(path: Path, mounts: Path = MOUNTS) -> str:
    """Return the type of the file system of a path, such as ``ext4`` or ``nfs4``; an empty text if it is not known."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return ""
    place = path.expanduser().resolve()
    found, longest = "", -1
    for line in lines:
        _, point, kind, *_ = line.split(" ")
        folder = Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), point))
        if (folder == place or folder in place.parents) and len(folder.parts) >= longest:
            found, longest = kind, len(folder.parts)
    return found
