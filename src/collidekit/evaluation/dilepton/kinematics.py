"""Four-momenta of a dileptonic top pair, reconstructed or true."""

from dataclasses import dataclass

import numpy as np

from collidekit.reconstruction.four_momenta import Floats
from collidekit.reconstruction.spin import DecayDirections, decay_directions


@dataclass(frozen=True, eq=False)
class TopPair:
    """N events with both decays: the top, which decays to the positive lepton, comes first.

    Four-momenta are (E, px, py, pz) in GeV. Unknown values of an event are NaN; values that are unknown for all events are None.
    """

    tops: Floats | None = None
    """(N, 2, 4) top and antitop."""
    ws: Floats | None = None
    """(N, 2, 4)"""
    neutrinos: Floats | None = None
    """(N, 2, 4) neutrino and antineutrino."""
    leptons: Floats | None = None
    """(N, 2, 4) positive and negative lepton."""

    def __post_init__(self) -> None:
        """Replace momenta that are not finite by NaN."""
        for name in ("tops", "ws", "neutrinos", "leptons"):
            if (momenta := getattr(self, name)) is not None:
                known = np.isfinite(momenta).all(axis=-1, keepdims=True)
                object.__setattr__(self, name, np.where(known, momenta, np.nan))

    @classmethod
    def reconstructed(cls, leptons: Floats, bottoms: Floats, neutrinos: Floats | None) -> "TopPair":
        """Return the sums of leptons, b jets and neutrinos (N, 2, 4); without neutrinos there are neither W bosons nor tops."""
        if neutrinos is None or not np.isfinite(neutrinos).any():
            return cls(leptons=leptons)
        with np.errstate(invalid="ignore"):
            ws = leptons + neutrinos
        return cls(ws + bottoms, ws, neutrinos, leptons)

    @property
    def pair(self) -> Floats | None:
        """Return the sum of both tops (N, 4)."""
        return None if self.tops is None else self.tops.sum(axis=1)

    @property
    def directions(self) -> DecayDirections | None:
        """Return the directions of the leptons in the rest frames of their tops."""
        if self.tops is None or self.leptons is None:
            return None
        return decay_directions(self.tops[:, 0], self.tops[:, 1], self.leptons[:, 0], self.leptons[:, 1])
