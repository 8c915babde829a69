"""Pictures of the gallery (docs/gallery.md), from the results of ``collidekit demo``: ``python docs/draw_gallery.py results``.

The pictures are those that the tasks wrote, smaller and with 128 colours.
"""

import sys
from pathlib import Path

from PIL import Image

WIDTH = 800
"""Of a picture, in pixels."""
TARGET = Path(__file__).parent / "images" / "gallery"
PICTURES = {
    "roc_b-tagging": "ROCCurveTask/**/roc_b-tagging.png",
    "roc_top-tagging": "ROCCurveTask/**/roc_top-tagging.png",
    "shape": "ReportTask/**/shape_TvsQCD.png",
    "confusion": "ReportTask/**/confusion.png",
    "efficiency_pt": "ReportTask/**/efficiency_TvsQCD_jet_pt.png",
    "loss": "ReportTask/**/loss*.png",
    "reliability": "ReportTask/**/reliability_top.png",
    "input_logptrel": "HistogramPlotterTask/**/constituents_part_logptrel.png",
    "input_mass": "HistogramPlotterTask/**/jet_jet_mass.png",
}
"""Each picture, and where it lies below the folder of results."""


def shrink(source: Path, target: Path) -> None:
    """Write a picture of WIDTH pixels with few colours."""
    with Image.open(source) as picture:
        height = round(picture.height * WIDTH / picture.width)
        small = picture.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
    target.parent.mkdir(parents=True, exist_ok=True)
    small.quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)


def main(results: Path) -> None:
    for name, pattern in PICTURES.items():
        found = sorted(results.glob(pattern), key=lambda path: path.stat().st_mtime)
        if not found:
            sys.exit(f"{results}: there is no {pattern}; run 'collidekit demo' first")
        shrink(found[-1], TARGET / f"{name}.png")
        print(TARGET / f"{name}.png")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("python docs/draw_gallery.py RESULTS")
    main(Path(sys.argv[1]))
