"""A table of results: as text for the report, as LaTeX for a note, and as CSV with all digits."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from collidekit.evaluation.binomial import Efficiency
from collidekit.evaluation.numbers import with_error
from collidekit.files import replacing, write_text
from collidekit.sealed import read_as

NOTHING = "–"
_LATEX = {
    "\\": r"\textbackslash{}", "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "±": r"$\pm$", "<": "$<$", ">": "$>$", "≥": r"$\geq$", "≤": r"$\leq$", "−": "$-$", "–": "--",
    "Δ": r"$\Delta$", "φ": r"$\phi$", "ν": r"$\nu$", "ℓ": r"$\ell$", "t̄": r"$\bar{t}$", "⟨": r"$\langle$", "⟩": r"$\rangle$",
    "⅓": r"$\frac{1}{3}$", "⅔": r"$\frac{2}{3}$", "⁺": "$^+$", "×": r"$\times$",
}  # fmt: skip


@dataclass(frozen=True)
class Sheet:
    """One table; the first ``names`` columns are texts, the others numbers."""

    name: str
    """File name without suffix."""
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str
    names: int = 1
    most: int = 0
    """Maximum number of rows in a report; 0 means all."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, content: Any) -> "Sheet":
        """Return the object that ``as_dict`` wrote."""
        found: Sheet = read_as(cls, content)
        return found

    def write_latex(self, folder: Path) -> Path:
        """Write ``<name>.tex``, a table that needs no package."""
        caption = rf"\caption{{{as_latex(self.caption)}}}"
        table = tabular(self.header, self.rows, self.names)
        lines = [r"\begin{table}", r"\centering", caption, *table, r"\end{table}"]
        return write_text(folder / f"{self.name}.tex", "\n".join(lines) + "\n")


def tabular(header: Sequence[str], rows: Sequence[Sequence[str]], names: int) -> list[str]:
    """Return the lines of a ``tabular`` that needs no package; the first ``names`` columns are texts."""
    columns = "l" * names + "r" * (len(header) - names)
    begin, end = rf"\begin{{tabular}}{{{columns}}}", r"\end{tabular}"
    return [begin, r"\hline", _line(header), r"\hline", *map(_line, rows), r"\hline", end]


def _line(cells: Sequence[str]) -> str:
    return " & ".join(map(as_latex, cells)) + r" \\"


def as_latex(text: str) -> str:
    """Return a text with the special characters of LaTeX escaped."""
    text = text.replace("t̄", "\0")
    return "".join(_LATEX["t̄"] if letter == "\0" else _LATEX.get(letter, letter) for letter in text)


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    """Write lines with all digits; unknown values are empty cells."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for row in rows:
            writer.writerow(
                ["" if cell is None or (isinstance(cell, float) and not isfinite(cell)) else cell for cell in row]
            )
    return path


def shown(value: float, error: float) -> str:
    """Return a number with its error, or a dash if it is unknown."""
    return with_error(value, error) if isfinite(value) else NOTHING


def of_efficiency(found: Efficiency | None) -> str:
    """Return an efficiency with its error, or a dash if there is none."""
    return str(found) if found else NOTHING
