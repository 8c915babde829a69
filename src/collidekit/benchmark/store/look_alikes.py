"""Names that a reader takes for the same, and names that are made to be taken for others."""

import unicodedata

from collidekit.errors import CollidekitError

MOST_MARKS = 2
"""Most combining marks on one letter; Vietnamese needs two."""
BLANK = "\u115f\u1160\u2800\u3164\uffa0"
"""Characters that count as printable and show nothing."""
EAST_ASIAN = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO")
CYRILLIC = dict(zip("авеѕіјкмнорстухԁԛԝһӏүѵ", "abesijkmhopctyxdqwhlyv", strict=True))
GREEK = dict(zip("αβεζηικμνορτυχγωϲϳ", "abezhikmnoptyxywcj", strict=True))
"""By the capital where it looks like a Latin one: Η and H, Ν and N."""
ARMENIAN = dict(zip("օոսհզցյ", "onuhqgj", strict=True))
LATIN = CYRILLIC | GREEK | ARMENIAN
"""Small letters of other scripts, and the Latin ones that they look like (Unicode Technical Standard 39)."""


def name_key(name: str) -> str:
    """Return what names have in common that a reader takes for the same.

    Case, compatible letters, combining marks, dashes, white space, and letters of other scripts that look like Latin ones make no
    difference.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    bare = "".join(_shape(letter) for letter in unicodedata.normalize("NFD", folded))
    return " ".join(unicodedata.normalize("NFC", bare).split()) or folded


def _shape(letter: str) -> str:
    if unicodedata.category(letter) == "Pd":
        return "-"
    if unicodedata.name(letter, "").startswith(("COMBINING ", "VARIATION SELECTOR")):
        return ""
    return LATIN.get(letter, letter)


def check_look(name: str, what: str) -> None:
    """Raise an error for a name that may be taken for another one, or that covers what stands around it."""
    if any(letter in BLANK for letter in name):
        raise CollidekitError(f"{what} {name!a}: the name holds a character that shows nothing; leave it out")
    marks = 0
    for letter in unicodedata.normalize("NFD", name):
        marks = marks + 1 if unicodedata.category(letter) in ("Mn", "Me") else 0
        if marks > MOST_MARKS:
            raise CollidekitError(
                f"{what} {name!a}: the name has more than {MOST_MARKS} accents on one letter; leave some out"
            )
    for word in _words(name):
        scripts = sorted({script for letter in word if (script := _script(letter))})
        if len(scripts) > 1:
            raise CollidekitError(
                f"{what} {name!r}: the word {word!r} mixes letters that look alike in {' and '.join(scripts)}; write it in one script"
            )


def _words(name: str) -> list[str]:
    return "".join(letter if letter.isalpha() or unicodedata.combining(letter) else " " for letter in name).split()


def _script(letter: str) -> str:
    """Return the script of a letter; empty for marks, and for Greek letters that look like no Latin one, as in ΔR."""
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", letter))[0]
    script = unicodedata.name(plain, "").partition(" ")[0]
    if not plain.isalpha() or (script == "GREEK" and plain.casefold() not in GREEK):
        return ""
    return "East Asian" if script.startswith(EAST_ASIAN) else script.capitalize()
