"""Working points as files: JSON, YAML and correctionlib."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from collidekit.evaluation.classification.correction import write_correction
from collidekit.evaluation.classification.points_in_bins import PointsInBins
from collidekit.evaluation.classification.working_points import DiscriminatorPoints
from collidekit.files import plain, write_json, write_text


def write_working_points(
    stem: Path,
    found: Sequence[DiscriminatorPoints],
    description: str = "",
    in_bins: Sequence[PointsInBins] = (),
) -> list[Path]:
    """Write ``<stem>.json``, ``<stem>.yaml`` and, for correctionlib, ``<stem>_correctionlib.json``.

    Working points ``in_bins`` of spectators are written in addition to those of all rows.
    """
    content = {
        "format": "collidekit working points 1",
        **({"of": description} if description else {}),
        "rule": "tagged: score >= threshold",
        "discriminators": {entry.discriminator: entry.as_dict() for entry in found},
        **({"in_bins": [entry.as_dict() for entry in in_bins]} if in_bins else {}),
    }
    text = yaml.safe_dump(plain(content), sort_keys=False, allow_unicode=True, width=120)
    return [
        write_json(stem.with_name(stem.name + ".json"), content),
        write_text(stem.with_name(stem.name + ".yaml"), text),
        write_correction(stem.with_name(stem.name + "_correctionlib.json"), found, description, in_bins),
    ]
