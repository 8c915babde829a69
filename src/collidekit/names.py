"""Names that become folders: of analyses, datasets and trainings."""

import unicodedata

LONGEST = 150


def name_problem(name: str) -> str:
    """What is wrong with a name that is to be one folder; an empty text where it may be one."""
    if not name or name != name.strip():
        return "is empty, or begins or ends with a blank"
    if name.startswith(("/", ".", "~")):
        return "begins with / or . or ~"
    if "/" in name or "\\" in name:
        return "holds a / or a \\"
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        return "holds a control character"
    if len(name.encode("utf-8", "replace")) > LONGEST:
        return f"is longer than {LONGEST} bytes"
    return ""
