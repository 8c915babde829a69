"""Compare the event efficiency of a trained network and of the chi-square method on the same all-hadronic top pairs.

    collidekit run ttbar_hadronic --files train.h5 --test-files test.h5
    python benchmarks/ttbar_hadronic.py results/InferenceTask/ttbar_hadronic/.../predictions.parquet test.h5 --widths train.h5

The chi-square uses b tags, and the masses and widths of W and top from the true jets of another file. An assignment is correct
if all six jets are correct, in any order of the tops and of the quarks of a W. Only events with all six jets are used.
"""

import argparse
from pathlib import Path

import h5py
import numpy as np

from collidekit.evaluation.binomial import efficiency
from collidekit.evaluation.numbers import with_error
from collidekit.inference.predictions import Predictions
from collidekit.reconstruction.four_momenta import Floats, from_pt_eta_phi_mass, mass
from collidekit.reconstruction.hadronic import HadronicChiSquare

SLOTS = [f"{top}_{product}" for top in ("t1", "t2") for product in ("b", "q1", "q2")]
TAGGED = 3.0
"""Minimum quantile of a b-tagged jet: the 77 % working point."""


class Events:
    """Jets and true positions (N, 2, 3) of b, q, q of both tops from a file of ``collidekit simulate ttbar-hadronic``."""

    def __init__(self, path: Path) -> None:
        with h5py.File(path) as file:
            source = {name: values[:].astype(np.float64) for name, values in file["INPUTS/Source"].items()}
            true = [file[f"TARGETS/{slot.replace('_', '/')}"][:] for slot in SLOTS]
        self.mask = source["MASK"] > 0
        self.jets: Floats = from_pt_eta_phi_mass(*(source[name] for name in ("pt", "eta", "phi", "mass")))
        self.b_tag: Floats = source["btag_quantile"]
        self.true = np.stack(true, axis=1).reshape(-1, 2, 3)

    def masses(self) -> tuple[Floats, Floats]:
        """Return the masses of W and top from the true jets, for all tops with all jets."""
        row, top = np.nonzero((self.true >= 0).all(axis=2))
        chosen = self.jets[row[:, None], self.true[row, top]]
        return mass(chosen[:, 1:].sum(axis=1)), mass(chosen.sum(axis=1))


def centre_and_width(values: Floats) -> tuple[float, float]:
    """Return the median, and half the distance of the 16 % and 84 % quantiles."""
    low, middle, high = np.percentile(values, [16, 50, 84])
    return float(middle), float(high - low) / 2


def right(positions: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return whether all six jets (N, 2, 3) are correct, in any order of the tops and of both q."""

    def ordered(jets: np.ndarray) -> np.ndarray:
        return np.concatenate([jets[..., :1], np.sort(jets[..., 1:], axis=-1)], axis=-1)

    found, wanted = ordered(positions), ordered(true)
    same = (found == wanted).all(axis=(1, 2)) | (found[:, ::-1] == wanted).all(axis=(1, 2))
    return np.asarray(same & (true >= 0).all(axis=(1, 2)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", type=Path)
    parser.add_argument("events", type=Path)
    parser.add_argument(
        "--widths", type=Path, required=True, help="file with true jets that determine masses and widths"
    )
    args = parser.parse_args()

    (w_mass, w_width), (top_mass, top_width) = map(centre_and_width, Events(args.widths).masses())
    print(f"true jets: W {w_mass:.1f} +- {w_width:.1f} GeV, top {top_mass:.1f} +- {top_width:.1f} GeV")
    events, predictions = Events(args.events), Predictions.read(args.predictions)
    rows = predictions.event["row"]
    network = np.stack([predictions.positions[slot] for slot in SLOTS], axis=1).reshape(-1, 2, 3)
    answers = {"network": right(network, events.true[rows])}
    for name, threshold in (("chi-square", None), ("chi-square, b tags", TAGGED)):
        method = HadronicChiSquare(w_mass, w_width, top_mass, top_width, tag_threshold=threshold)
        found = method.reconstruct(events.jets[rows], events.mask[rows], events.b_tag[rows])
        answers[name] = right(found.jets, events.true[rows])

    complete, jets = (events.true[rows] >= 0).all(axis=(1, 2)), events.mask[rows].sum(axis=1)
    groups = {
        "all": complete,
        **{f"{n} jets": complete & (jets == n) for n in (6, 7)},
        "8 or more": complete & (jets > 7),
    }
    print(f"{'':20}" + "".join(f"{name:>18}" for name in groups))
    print(f"{'complete events':20}" + "".join(f"{chosen.sum():>18,}" for chosen in groups.values()))
    for name, is_right in answers.items():
        values = [efficiency(is_right[chosen], np.ones(chosen.sum())) for chosen in groups.values()]
        print(f"{name:20}" + "".join(f"{with_error(float(v.value), float(v.error)):>18}" for v in values))
    for name in list(answers)[1:]:
        difference = answers["network"][complete].astype(float) - answers[name][complete]
        error = difference.std(ddof=1) / np.sqrt(len(difference))
        print(f"network - {name}: {with_error(float(difference.mean()), float(error))}")
        every = answers["network"].mean(), answers[name].mean()
        print(f"  of all events: {every[0]:.3f}, {every[1]:.3f}")


if __name__ == "__main__":
    main()
