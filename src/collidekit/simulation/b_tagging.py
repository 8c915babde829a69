"""A parametrised b tagger with working points of 85, 77, 70 and 60 % efficiency.

Efficiencies and mistag rates depend on flavour and pT. They are of the size that the LHC experiments reach, but not a measurement.
The odds p / (1 - p) at 60 GeV are multiplied by a function of pT:

- b and c jets: (pT / 60)^0.6 up to 120 GeV, constant up to 200 GeV, then also multiplied by (pT / 200)^-0.5.
- light jets: 1 up to 100 GeV, then (pT / 100)^0.7.
"""

from __future__ import annotations

import numpy as np

from collidekit.simulation.generator import FloatArray, IntArray

EFFICIENCIES = {
    5: (0.85, 0.77, 0.70, 0.60),
    4: (0.40, 0.20, 0.10, 0.03),
    0: (0.03, 0.008, 0.0025, 0.0007),
}
"""Fractions of b, c and light jets with pT = 60 GeV that pass the working points, from loose to tight."""
TAGGED = 3
"""Lowest quantile of a b-tagged jet: the 77 % working point."""


def tagging_efficiency(flavour: IntArray, pt: FloatArray) -> FloatArray:
    """Return the fractions (J, 4) of jets that pass each working point; flavour is 5, 4 or 0, pT in GeV."""
    at_60 = np.array([EFFICIENCIES[0], EFFICIENCIES[4], EFFICIENCIES[5]])[np.searchsorted([0, 4, 5], flavour)]
    heavy = (np.clip(pt, 1.0, 120.0) / 60) ** 0.6 * (np.maximum(pt, 200.0) / 200) ** -0.5
    light = (np.maximum(pt, 100.0) / 100) ** 0.7
    odds = at_60 / (1 - at_60) * np.where(flavour == 0, light, heavy)[:, None]
    return np.asarray(odds / (1 + odds))


def tag(flavour: IntArray, pt: FloatArray, rng: np.random.Generator) -> IntArray:
    """Draw the quantile of each jet, (J,): 1 fails all working points, 2 passes only 85 %, ..., 5 passes 60 %."""
    passed = rng.random(len(pt))[:, None] < tagging_efficiency(flavour, pt)
    return np.asarray(1 + passed.sum(axis=1))
