"""The error for the user, and suggestions for misspelt names."""

LONGEST = 4000
"""Maximum number of characters of a message; the middle of a longer message is left out."""


class CollidekitError(Exception):
    """A user error: a one-line message that names the file, branch, row or line and says what to do.

    The command prints it without a traceback and exits with code 2.
    """

    def __init__(self, message: str = "") -> None:
        half = LONGEST // 2
        super().__init__(message if len(message) <= LONGEST else f"{message[:half]} ... {message[-half:]}")


def did_you_mean(name: str, known: list[str] | tuple[str, ...]) -> str:
    """Return a suggestion such as ``" (did you mean 'jet_pt'?)"`` if a known name is similar, else an empty text."""
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=3, cutoff=0.6)
    if not close:
        return ""
    return " (did you mean " + " or ".join(repr(match) for match in close) + "?)"
