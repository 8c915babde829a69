"""The layouts by name."""

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.export.layouts.athena import Athena
from collidekit.export.layouts.base import Layout
from collidekit.export.layouts.cmssw import CMSSW, SeveralInputs
from collidekit.export.layouts.nuflows import NuFlows
from collidekit.export.layouts.spanet import SPANet
from collidekit.export.layouts.topcptoolkit import TopCPToolKit
from collidekit.export.layouts.triton import Triton

LAYOUTS: dict[str, type[Layout]] = {
    layout.name: layout for layout in (Layout, Athena, CMSSW, SeveralInputs, TopCPToolKit, NuFlows, SPANet, Triton)
}


def find_layout(name: str) -> type[Layout]:
    """Return the layout of a name; raise CollidekitError if there is none."""
    if name not in LAYOUTS:
        known = list(LAYOUTS)
        raise CollidekitError(
            f"there is no layout {name!r}{did_you_mean(name.lower(), known)}; known are {', '.join(known)}"
        )
    return LAYOUTS[name]
