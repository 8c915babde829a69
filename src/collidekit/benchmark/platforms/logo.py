"""A picture with the title of a benchmark, which some platforms want."""

from io import BytesIO

from collidekit.benchmark.scoring.tables import shown_name
from collidekit.evaluation.plots.style import colours, figure, wrapped


def logo(title: str) -> bytes:
    """Return a png with the title; the same title gives the same bytes."""
    with figure(4.0, 4.0) as canvas:
        canvas.set_facecolor(colours(1)[0])
        text = wrapped(shown_name(title, 80).replace("$", r"\$"))
        canvas.text(0.5, 0.5, text, ha="center", va="center", color="white", fontsize=20, weight="bold", wrap=True)
        content = BytesIO()
        canvas.savefig(content, format="png", dpi=75, metadata={"Software": None})
    return content.getvalue()
