"""One-line message for Ctrl-C under law."""

import sys
from types import TracebackType


def end_in_one_line() -> None:
    """Replace the traceback of a KeyboardInterrupt, which luigi and law pass on, by a one-line message."""
    shown = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            message = "interrupted; no incomplete file was written; run the same command again to continue"
            print(f"error: {message}", file=sys.stderr, flush=True)
        else:
            shown(kind, error, trace)

    if shown.__name__ != show.__name__:
        sys.excepthook = show
