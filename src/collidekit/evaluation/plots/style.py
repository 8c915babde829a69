"""Style of all plots: ticks inwards on all sides, colours for colour-blind readers, PNG and PDF."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from collidekit.evaluation.look import look
from collidekit.evaluation.plots.experiment import collisions, experiment_label, style_of
from collidekit.files import replacing

PETROFF_6 = ("#5790fc", "#f89c20", "#e42536", "#964a8b", "#9c9ca1", "#7a21dd")
PETROFF_10 = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)
"""Colour sequences chosen for accessibility (arXiv 2107.02270)."""
BESIDE = 42
"""Number of letters of a note beside the name of the program."""
METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
    "eps": {},
}
"""Metadata without time and version, so that the same content gives the same bytes."""
MOST_BANDS = 6
"""Maximum number of classes with error bands: more bands hide one another."""

STYLE: dict[str, Any] = {
    "font.size": 12,
    "axes.labelsize": 14,
    "axes.linewidth": 1.1,
    "axes.unicode_minus": True,
    "axes.axisbelow": False,
    "axes.formatter.limits": (-3, 5),
    "axes.formatter.use_mathtext": True,
    "xaxis.labellocation": "right",
    "yaxis.labellocation": "top",
    "legend.frameon": False,
    "legend.fontsize": 11,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.8,
    "mathtext.fontset": "dejavusans",
    "pdf.fonttype": 42,
    "savefig.dpi": 150,
    "svg.fonttype": "none",
    "svg.hashsalt": "collidekit",
} | {
    f"{axis}tick.{key}": value
    for axis, sides in (("x", ("top", "bottom")), ("y", ("left", "right")))
    for key, value in {
        "direction": "in",
        "minor.visible": True,
        "major.size": 7,
        "minor.size": 3.5,
        "labelsize": 12,
        **dict.fromkeys(sides, True),
    }.items()
}


def colours(count: int) -> list[str]:
    """Return ``count`` colours; beyond ten, darker versions of the same ten."""
    if count <= len(PETROFF_6):
        return list(PETROFF_6[:count])
    palette = [*PETROFF_10, *(to_hex((0.55 * r, 0.55 * g, 0.55 * b)) for r, g, b in map(to_rgb, PETROFF_10))]
    return [palette[index % len(palette)] for index in range(count)]


@contextmanager
def figure(width: float = 7.0, height: float = 6.0) -> Iterator[Figure]:
    """Yield a figure in the style of collidekit, without a lasting change of matplotlib's global settings."""
    settings = look().settings
    factor = settings.size or 1.0
    with mpl.rc_context():
        mpl.rcParams.update(mpl.rcParamsDefault | {"backend": mpl.rcParams["backend"]} | STYLE | style_of(settings))
        canvas = Figure(figsize=(factor * width, factor * height), layout="constrained")
        FigureCanvasAgg(canvas)
        yield canvas


def with_ratio(canvas: Figure, columns: tuple[float, ...] = (1.0,)) -> Any:
    """Return axes (2, len(columns)): a main panel above a ratio panel of a third of its height, with a common x axis."""
    canvas.get_layout_engine().set(h_pad=0.03, hspace=0.0, w_pad=0.03, wspace=0.0)  # type: ignore[union-attr,call-arg]
    grid = {"height_ratios": (3, 1), "width_ratios": columns}
    return canvas.subplots(2, len(columns), sharex="col", sharey="row", squeeze=False, gridspec_kw=grid)


def plain_log_axis(axes: Axes) -> None:
    """Set a logarithmic y axis whose ticks are plain numbers, even for less than a decade."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high < 100 * low:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high > 4 * low else MaxNLocator(5, steps=[1, 2, 5]))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))


def mark(axes: Axes, note: str = "", last: Axes | None = None, letters: int = 0) -> None:
    """Write the line above the frame: the experiment on the left; on the right the note, energy and luminosity.

    ``last`` is the panel at the right end, if there are several side by side; ``letters`` is the number of letters that fit into a line of a narrow one.
    """
    axes.set_title(experiment_label(look().settings), loc="left", fontsize=12)
    (last or axes).set_title(right_title(note, letters), loc="right", fontsize=11)


def right_title(note: str, letters: int = 0) -> str:
    """Return the text above the right end of the frame, in as many lines as needed."""
    settings = look().settings
    shown = wrapped(note.replace("$", r"\$"), letters) if settings.note is not False else ""
    return "\n".join(filter(None, (shown, collisions(settings))))


def wrapped(note: str, letters: int = 0) -> str:
    """Return a note in lines that fit beside the label on the left; a line ends after a comma if there is one."""
    settings = look().settings
    more = len(settings.experiment or "") + len(settings.status or "")
    width = max((letters or BESIDE) - max(more - 4, 0), 14)
    lines = [""]
    for part in note.split(", "):
        if lines[-1] and len(lines[-1]) + 2 + len(part) > width:
            lines[-1] += ","
            lines.append(part)
        else:
            lines[-1] += f", {part}" if lines[-1] else part
    return "\n".join(
        short for line in lines for short in textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False)
    )


class Plot(list[Path]):
    """Files of a plot (none if it was not saved), and its figure, which a notebook shows."""

    def __init__(self, figure: Figure) -> None:
        super().__init__()
        self.figure = figure
        self._style: Any = STYLE | style_of(look().settings)

    def _repr_png_(self) -> bytes:
        drawn = BytesIO()
        with mpl.rc_context(self._style):  # fonts are looked up when a figure is drawn
            self.figure.savefig(drawn, format="png", dpi=STYLE["savefig.dpi"])
        return drawn.getvalue()


def save(canvas: Figure, stem: str | Path | None) -> Plot:
    """Write ``<stem>.png`` and the other formats of the look, with the same bytes for the same content; without a stem nothing is written."""
    written, settings = Plot(canvas), look().settings
    if stem is None:
        return written
    stem = Path(stem)
    for suffix in ("png", *settings.other_formats):
        path = stem.with_name(f"{stem.name}.{suffix}")
        drawn = BytesIO()  # drawn in memory: on a full disk, an error of zlib would hide the one of matplotlib
        canvas.savefig(drawn, format=suffix, metadata=METADATA[suffix], dpi=settings.dpi or STYLE["savefig.dpi"])
        with replacing(path) as temporary:
            temporary.write_bytes(drawn.getvalue())
        canvas.set_layout_engine(None)  # the layout of the first file is used for the others
        written.append(path)
    return written
