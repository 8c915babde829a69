"""Settings of an export."""

from collections.abc import Mapping

from attrs import Factory, frozen

from collidekit.export.precision import Precision


@frozen
class Options:
    """Settings of a bundle."""

    layout: str = "generic"
    opset: int | None = None
    """ONNX opset; None for the default of the layout."""
    calibrated: bool = False
    """True if the graph includes the temperature of the checkpoint."""
    precision: Precision = "float32"
    of_layout: Mapping[str, str] = Factory(dict)
    """Options of the layout, see docs/export-layouts.md."""
