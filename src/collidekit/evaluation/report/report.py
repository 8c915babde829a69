"""The report of a run: one self-contained HTML file."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined

from collidekit.errors import CollidekitError
from collidekit.files import write_text
from collidekit.shown import html_table


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Table:
    """A table of texts; the first ``names`` columns are left-aligned, the others hold numbers."""

    kind: ClassVar[str] = "table"
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    names: int = 1


@dataclass(frozen=True)
class Pictures:
    """Inlined PNG files: side by side (``pair``), or as thumbnails that grow on a click (``grid``)."""

    kind: ClassVar[str] = "pictures"
    paths: tuple[Path, ...]
    captions: tuple[str, ...] = ()
    layout: Literal["pair", "grid"] = "pair"

    @property
    def items(self) -> list[tuple[str, str]]:
        """Return the data of each picture with its caption."""
        captions = (*self.captions, *[""] * (len(self.paths) - len(self.captions)))
        return [(inline(path), caption) for path, caption in zip(self.paths, captions, strict=True)]


@dataclass(frozen=True)
class Facts:
    """Names with short values, such as package versions."""

    kind: ClassVar[str] = "facts"
    entries: Mapping[str, str]


@dataclass(frozen=True)
class Details:
    """Long preformatted text that is folded away, such as the resolved configuration."""

    kind: ClassVar[str] = "details"
    summary: str
    text: str


Block = Text | Table | Pictures | Facts | Details


@dataclass(frozen=True)
class Section:
    """A heading with blocks below it; each kind of result has its own section."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def anchor(self) -> str:
        return "".join(letter if letter.isalnum() else "-" for letter in self.title.lower())


@dataclass(frozen=True)
class ReportContent:
    """Content of a report, in order; ``headline`` holds the few large numbers at the top."""

    title: str
    subtitle: str = ""
    headline: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    footer: str = "Made with collidekit"

    def _repr_html_(self) -> str:
        rows = [*self.headline.items(), *(("warning", text) for text in self.warnings)]
        return html_table(self.title, rows, note="sections: " + ", ".join(section.title for section in self.sections))


def inline(path: Path) -> str:
    """Return a PNG file as base64 text."""
    try:
        return base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        raise CollidekitError(f"{path}: this plot of the report cannot be read ({error.strerror})") from error


def write_report(path: Path, content: ReportContent) -> Path:
    """Write the report; plots and style are inlined, and nothing is loaded from the network."""
    environment = Environment(
        loader=PackageLoader("collidekit.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return write_text(path, environment.get_template("report.html.j2").render(report=content))
