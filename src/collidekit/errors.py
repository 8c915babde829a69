"""The one kind of error that a user is meant to see."""

LONGEST = 4000
"""Characters of a message; the middle of a longer one, such as a name of 10,000 letters, is left out."""


class CollidekitError(Exception):
    """What a user can mend: one line that names the file, branch, row or line and says what to do.

    The command prints it without a traceback and exits with code 2.
    """

    def __init__(self, message: str = "") -> None:
        half = LONGEST // 2
        super().__init__(message if len(message) <= LONGEST else f"{message[:half]} ... {message[-half:]}")


def did_you_mean(name: str, known: list[str] | tuple[str, ...]) -> str:
    """``" (did you mean 'jet_pt'?)"`` where a known name is close, else an empty string."""
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=3, cutoff=0.6)
    if not close:
        return ""
    return " (did you mean " + " or ".join(repr(match) for match in close) + "?)"
