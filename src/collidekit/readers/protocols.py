"""Which servers files may be read from: a list of files is no reason to ask any address of the world."""

import os
import re

from collidekit.errors import CollidekitError

ALWAYS = ("root", "roots", "xroot")


def check_protocol(url: str) -> None:
    """An error for a url that is neither ``root://`` nor of a protocol in the environment variable COLLIDEKIT_PROTOCOLS.

    ``a::b://...`` chains protocols; each of them must be allowed.
    """
    named = os.environ.get("COLLIDEKIT_PROTOCOLS", "").replace(",", " ").split()
    for part in re.sub(r"\[[0-9a-fA-F:.]*\]", "", url).split("::"):
        protocol = part.partition("://")[0].lower()
        if protocol not in (*ALWAYS, *(name.lower().removesuffix("://") for name in named)):
            raise CollidekitError(
                f"{url}: only files of this machine and root:// are read; if you mean it, name the protocol in the environment "
                f"variable COLLIDEKIT_PROTOCOLS: COLLIDEKIT_PROTOCOLS={protocol[:40]}"
            )
