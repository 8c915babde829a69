"""Check that the server can listen at its address, before it prints anything."""

import errno
import socket

from collidekit.errors import CollidekitError


def check_port(host: str, port: int) -> None:
    """Raise an error with one sentence where another program has the port, or the address is not one of this machine."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # as the server does: connections that ended do no harm
            tried.bind(address)
    except (OSError, UnicodeError) as error:
        code = getattr(error, "errno", None)
        if code == errno.EADDRINUSE:
            raise CollidekitError(
                f"--port {port}: another program listens on this port of {host} already; end it, or give another port"
            ) from None
        if code == errno.EACCES:
            raise CollidekitError(
                f"--port {port}: this user may not use the port; give one above 1023 and put a proxy in front"
            ) from None
        raise CollidekitError(f"--host {host}: is no address of this machine ({error})") from None
