"""Names of analyses, datasets and trainings, which become folder names."""

import unicodedata

LONGEST = 150


def name_problem(name: str) -> str:
    """Return why a name cannot be the name of a folder; an empty text if it can."""
    if not name or name != name.strip():
        return "is empty, or begins or ends with a space"
    if name.startswith(("/", ".", "~")):
        return "begins with / or . or ~"
    if "/" in name or "\\" in name:
        return "holds a / or a \\"
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        return "holds a control character"
    if len(name.encode("utf-8", "replace")) > LONGEST:
        return f"is longer than {LONGEST} bytes"
    return ""
