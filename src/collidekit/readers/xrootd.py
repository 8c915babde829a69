"""The XRootD client: how long it waits for a server, and what its errors mean."""

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module

WAITS = {
    "ConnectionWindow": 10,
    "ConnectionRetry": 1,
    "StreamTimeout": 30,
    "StreamErrorWindow": 0,
    "RequestTimeout": 180,
    "TimeoutResolution": 1,
}
"""Seconds, and a number of tries. The client's own would be 120, 5, 60, 1800, 1800 and 15: half an hour in all."""

FINAL = {
    3010: "may not be read; look at its permissions, and at your certificate, ticket or token",
    3011: "there is no such file on the server",
    3016: "is a folder; name its files, such as .../*.root",
    3030: "the server does not let you in; look at your certificate, ticket or token",
}
"""What a server can answer for good; after any other error it is worth to ask again."""


@dataclass(frozen=True)
class Trouble:
    """What kept a server from giving what was asked for."""

    said: str
    final: str | None = None
    """What is wrong, where another try cannot help."""


@cache
def limit_waits() -> None:
    """Make the client wait for seconds, not for half an hour; a variable such as XRD_CONNECTIONWINDOW wins."""
    client = import_module("XRootD.client")
    for name, value in WAITS.items():
        client.EnvPutInt(name, value)
    # at exit the client looks at all objects of the process, and some of torch complain about that
    warnings.filterwarnings("ignore", r".*torch\.distributed\.reduce_op", FutureWarning)


def trouble(error: BaseException) -> Trouble | None:
    """What the server or the network did, if that is behind an error."""
    for cause in _causes(error):
        text = " ".join(str(cause).split())
        if isinstance(cause, FileNotFoundError):
            return Trouble(text, FINAL[3011])
        if found := re.search(r"\[(ERROR|FATAL)\] .*", text):
            answer = re.search(r"Server responded with an error: \[(\d+)\]|(Auth failed)", found[0])
            code = int(answer[1] or 3030) if answer else 0
            return Trouble(found[0], FINAL.get(code))
        if isinstance(cause, ConnectionError | TimeoutError) or text == "I/O operation on closed file":
            return Trouble(f"{type(cause).__name__}: {text}")
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
