"""Features from impact parameters: their significance and their lifetime sign."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from collidekit.starter.columns import Column
from collidekit.starter.guessed import GuessedFeature

TRANSVERSE = re.compile(r"(^|_)(d0|dxy|ip2d|ip3d|ip_?rphi|d0_?val|dxy_?val)$", re.IGNORECASE)
LONGITUDINAL = re.compile(r"(^|_)(z0|dz|z0_?sin_?theta|z0_?val|dz_?val)$", re.IGNORECASE)
_CHARGE = re.compile(r"(^|_)(charge|q)$", re.IGNORECASE)
_DIRECTION = re.compile(r"(^|_)(ctg?_?theta|cot_?theta|cot|theta|tan_?lambda)$", re.IGNORECASE)
_ERRORS = ("err", "error", "sigma", "unc", "uncertainty")
_MEASURED = 0.2
"""Minimum fraction of members with an error above 0."""
_SMALL = 10
"""Percentile of the absolute values that is added inside of the logarithm, so that values near 0 do not spread."""


def impact_features(columns: Sequence[Column], deta: str, dphi: str, taken: set[str]) -> Iterator[GuessedFeature]:
    """Yield features from the impact parameters of a collection.

    The lifetime sign is positive if a track crosses the jet axis in front of the primary vertex. ``deta`` and ``dphi`` are
    the angles from the axis to the track; if one is empty, it is unknown and gives no sign.
    """
    for column in columns:
        for pattern, angle in ((TRANSVERSE, dphi), (LONGITUDINAL, deta)):
            if not pattern.search(column.plain) or column.integral or not (column.finite < 0).any():
                continue
            error = find_error(column, columns)
            size = column.name
            if angle:
                yield GuessedFeature(
                    f"{column.plain}_signed", f"-sign({angle}) * {size}", made=True, note=f"lifetime sign from {angle}"
                )
            if error and f"{column.plain}_significance" not in taken:
                sign, name = (f"-sign({angle}) * ", "signed_significance") if angle else ("", "significance")
                said = f"{column.plain} divided by its error" + (f", lifetime sign from {angle}" if angle else "")
                text = f"{sign}{size} / {error.name} if {error.name} > 0 else 0"
                yield GuessedFeature(f"{column.plain}_{name}", text, made=True, note=said)


def without_sides(
    features: Sequence[GuessedFeature], columns: Sequence[Column], prefix: str, angles: Sequence[str]
) -> Iterator[GuessedFeature]:
    """Yield features of tracks for flavour tagging that do not distinguish the two sides of the jet axis.

    Angles are replaced by their absolute value. Impact parameters with a lifetime sign are replaced by the logarithm of their absolute value.
    """
    by_name = {c.plain: c for c in columns}
    signed = {f.name.removesuffix("_signed") for f in features if f.name.endswith("_signed")}
    for feature in features:
        if feature.name in angles:
            name = f"{prefix}_abs{feature.name.rpartition('_')[2]}"
            yield GuessedFeature(name, f"abs({feature.name})", made=True, why_not=feature.why_not)
        elif feature.name in signed:
            column = by_name[feature.name]
            small = float(f"{np.percentile(np.abs(column.finite), _SMALL):.1g}") or 1e-6
            note = f"absolute value of {column.plain}; another feature has the lifetime sign"
            yield GuessedFeature(
                f"{feature.name}_logsize", f"log(abs({column.name}) + {small:g})", made=True, note=note
            )
        elif not feature.why_not and _CHARGE.search(feature.name):
            charge = by_name[feature.name]
            if (charge.values == 0).any():
                yield GuessedFeature(f"{feature.name}_size", f"abs({charge.name})", "integer", made=True)
            yield replace(
                feature, why_not="the sign of the charge does not separate b, c and light: each class has both signs"
            )
        elif not feature.why_not and _DIRECTION.search(feature.name):
            yield replace(
                feature, why_not="the angles to the jet axis carry more information than the direction in the detector"
            )
        else:
            yield feature


def find_error(column: Column, columns: Sequence[Column]) -> Column | None:
    """Return the column with the error of an impact parameter, such as ``d0Uncertainty`` of ``d0`` or ``d0err`` of ``d0val``."""
    stem = re.sub(r"_?val(ue)?$", "", column.plain, flags=re.IGNORECASE).lower()
    start, _, last = stem.rpartition("_")
    names = {f"{stem}{joint}{error}" for error in _ERRORS for joint in ("", "_")}
    names |= {f"{start}{'_' if start else ''}{error}{joint}{last}" for error in _ERRORS for joint in ("", "_")}
    found = [c for c in columns if c.plain.lower() in names and not c.integral and len(c.finite)]
    return next((c for c in found if (c.finite > 0).mean() > _MEASURED), None)
