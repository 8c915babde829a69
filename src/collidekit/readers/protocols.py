"""Servers from which files may be read, so that a list of files cannot make the program contact any address."""

import os
import re

from collidekit.errors import CollidekitError

ALWAYS = ("root", "roots", "xroot")


def check_protocol(url: str) -> None:
    """Raise an error for a URL that is not ``root://`` and not of a protocol in the environment variable COLLIDEKIT_PROTOCOLS.

    ``a::b://...`` chains protocols; each of them must be allowed.
    """
    named = os.environ.get("COLLIDEKIT_PROTOCOLS", "").replace(",", " ").split()
    for part in re.sub(r"\[[0-9a-fA-F:.]*\]", "", url).split("::"):
        protocol = part.partition("://")[0].lower()
        if protocol not in (*ALWAYS, *(name.lower().removesuffix("://") for name in named)):
            raise CollidekitError(
                f"{url}: only local files and root:// are read; to allow this protocol, set the environment variable "
                f"COLLIDEKIT_PROTOCOLS={protocol[:40]}"
            )
