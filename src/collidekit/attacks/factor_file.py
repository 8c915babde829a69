"""Files with a factor for each feature."""

import math
from pathlib import Path

from collidekit.analysis.load import parse_yaml
from collidekit.errors import CollidekitError


def read_factors(path: str | Path) -> dict[str, float]:
    """Read a file of factors: ``feature: factor``, or ``input.feature: factor``."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise CollidekitError(
            f"{path}: cannot be read ({error.strerror}); it should hold factors of an attack"
        ) from None
    except UnicodeDecodeError as error:
        raise CollidekitError(f"{path}: neither JSON nor YAML ({error})") from None
    content, _ = parse_yaml(text, str(path), "a file of factors")
    if not isinstance(content, dict):
        raise CollidekitError(f"{path}: must hold a factor for each feature, as in 'trk_d0: 2.0'")
    for key, factor in content.items():
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not math.isfinite(factor):
            shown = type(factor).__name__ if isinstance(factor, dict | list) else repr(factor)
            raise CollidekitError(f"{path}: the factor of {key} is {shown}, not a number")
    return {str(key): float(factor) for key, factor in content.items()}
