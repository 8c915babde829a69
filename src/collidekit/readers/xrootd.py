"""The XRootD client: its timeouts, and the meaning of its errors."""

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
"""Timeouts in seconds, and a number of tries. Defaults of the client are 120, 5, 60, 1800, 1800 and 15: half an hour in total."""

FINAL = {
    3010: "permission denied; check the permissions of the file, and your certificate, ticket or token",
    3011: "there is no such file on the server",
    3016: "is a folder; name its files, such as .../*.root",
    3030: "the server denies access; check your certificate, ticket or token",
}
"""Errors that another try cannot solve; after any other error, another try is made."""


@dataclass(frozen=True)
class Trouble:
    """The reason why a server did not return data."""

    said: str
    final: str | None = None
    """The error message if another try cannot help."""


@cache
def limit_waits() -> None:
    """Set timeouts of seconds instead of half an hour; variables such as XRD_CONNECTIONWINDOW override them."""
    client = import_module("XRootD.client")
    for name, value in WAITS.items():
        client.EnvPutInt(name, value)
    # at exit the client checks all objects of the process, and some objects of torch raise warnings
    warnings.filterwarnings("ignore", r".*torch\.distributed\.reduce_op", FutureWarning)


def trouble(error: BaseException) -> Trouble | None:
    """Return the failure of the server or network that caused an error; None if there is none."""
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
