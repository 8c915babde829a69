"""Ctrl-C under law ends with one line, as in the command."""

import sys
from types import TracebackType


def end_in_one_line() -> None:
    """From now on a KeyboardInterrupt that ends this process is one line; luigi and law let it through to the interpreter."""
    shown = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            said = "interrupted; no incomplete file was written; run the same command again to continue"
            print(f"error: {said}", file=sys.stderr, flush=True)
        else:
            shown(kind, error, trace)

    if shown.__name__ != show.__name__:
        sys.excepthook = show
