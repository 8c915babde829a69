"""Predictions of a tagger: one row per input row, in input order, in memory and as Parquet or ROOT file."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from collidekit.analysis.discriminators import Discriminator
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.extras import need
from collidekit.histograms import fill
from collidekit.inference.column_file import write_columns
from collidekit.inference.uncertainties import Uncertainty
from collidekit.sealed import as_written, check_seal
from collidekit.shown import counted, html_table

Array = np.ndarray[Any, Any]
AGAIN = "remove it and predict again"
FORMAT = 2
"""Version of the metadata; version 1 had only classes."""
SHOWN = 5
"""Number of rows that a notebook shows."""


@dataclass(frozen=True)
class Predictions:
    """Predictions of the rows of files or of a dataset, with truth and weights.

    ``probabilities (N, K)`` are the class probabilities, ``labels (N,)`` the true class index, or -1 if the truth is
    unknown. ``weights`` have the shape (N,). ``spectators`` and ``event`` hold an array (N,) for each name. ``members``
    holds the probabilities (N, K) of each member of an ensemble, if they were kept.
    """

    classes: tuple[str, ...]
    probabilities: Array
    labels: Array
    weights: Array
    definitions: Mapping[str, Discriminator] = field(default_factory=dict)
    spectators: Mapping[str, Array] = field(default_factory=dict)
    event: Mapping[str, Array] = field(default_factory=dict)
    members: Mapping[str, Array] = field(default_factory=dict)
    combination: str = ""
    """``mean`` or ``median`` for an ensemble, else empty."""
    relegated: Array | None = None
    """Probability (N,) that a row is relegated; with it, the probabilities of a row sum to 1."""
    temperature: float = 1.0
    """Temperature by which the logits were divided; 1 without calibration. For an ensemble, the temperature of the first member."""
    values: Mapping[str, Array] = field(default_factory=dict)
    """Estimates (N,) by the name of the value."""
    truth: Mapping[str, Array] = field(default_factory=dict)
    """True values (N,) by the name of the value, NaN if unknown."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Units by the name of the value."""
    member_values: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    """Estimates of each member of an ensemble, if they were kept."""
    positions: Mapping[str, Array] = field(default_factory=dict)
    """Assigned constituent (N,) of each ``<parent>_<slot>``: its position in the file, -1 if there are too few constituents."""
    true_positions: Mapping[str, Array] = field(default_factory=dict)
    """True constituent (N,) of each ``<parent>_<slot>``: -1 if it is not in the event, -2 if the truth is unknown."""
    parent_probabilities: Mapping[str, Array] = field(default_factory=dict)
    """Probabilities (N,) of each ``<parent>_assignment`` and ``<parent>_detection``."""
    uncertainties: Mapping[str, Uncertainty] = field(default_factory=dict)
    """Uncertainties by the name of the value."""
    densities: Mapping[str, Array] = field(default_factory=dict)
    """Negative logarithm (N,) of the joint density at the truth, for each target that has one; NaN if the truth is unknown."""

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Predictions({counted(len(self), 'row')}: {', '.join(self.columns())})"

    def _repr_html_(self) -> str:
        columns = self.columns()
        rows = zip(*(values[:SHOWN].tolist() for values in columns.values()), strict=True)
        return html_table(f"Predictions: {counted(len(self), 'row')}", rows, list(columns), f"the first {SHOWN} rows")

    def to_awkward(self) -> Any:
        """Return an awkward array of records with the columns of the written file."""
        import awkward as ak

        return ak.zip(self.columns(), depth_limit=1)

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame with the columns of the written file."""
        return need("pandas", "pandas").DataFrame(self.columns())

    def to_hist(self, column: str, *, bins: int = 50, limits: tuple[float, float] | None = None) -> Any:
        """Return a weighted ``hist.Hist`` of a column, with the axes ``class`` (true class) and ``value``."""
        columns = self.columns()
        if column not in columns:
            raise CollidekitError(f"the predictions have no column {column!r}{did_you_mean(column, list(columns))}")
        return fill(column, columns[column], self.weights, self.labels, self.classes, bins, limits)

    def discriminator(self, name: str) -> Array:
        """Return the scores (N,) of a discriminator; 0 if numerator and denominator of a fraction are both 0."""
        definition = self.definitions[name]
        classes = (*definition.signal, *definition.background)
        scores: Array = definition.scores({c: self.probabilities[:, self.classes.index(c)] for c in classes})
        return scores

    def task(self, name: str) -> tuple[Array, Array, Array]:
        """Return scores, truth (True = signal) and weights of the signal and background rows of a discriminator."""
        definition = self.definitions[name]
        signal = np.isin(self.labels, [self.classes.index(c) for c in definition.signal])
        background = np.isin(self.labels, [self.classes.index(c) for c in definition.background])
        rows = signal | background
        return self.discriminator(name)[rows], signal[rows], self.weights[rows]

    def discriminators_with_truth(self) -> list[str]:
        """Return the discriminators for which there are signal and background rows."""
        return [name for name in self.definitions if len(np.unique(self.task(name)[1])) == 2]

    def values_with_truth(self) -> list[str]:
        """Return the names of estimated values whose truth is known for some rows."""
        return [name for name, truth in self.truth.items() if np.isfinite(truth).any()]

    def of_members(self) -> dict[str, "Predictions"]:
        """Return the predictions of each member of an ensemble, if they were kept."""
        return {
            name: replace(
                self,
                probabilities=values,
                members={},
                combination="",
                member_values={},
                positions={},  # not kept for members
                true_positions={},
                parent_probabilities={},
                uncertainties={},
                values=self.member_values.get(name, self.values),
            )
            for name, values in self.members.items()
        }

    def columns(self) -> dict[str, Array]:
        """Return all columns of the written file.

        The columns are ``prob_<class>``, ``pred_<value>``, ``true_<value>``, uncertainties, label, weight,
        discriminators, event numbers, spectators and members. The probabilities of the first member of an ensemble are
        in ``prob_<class>_1``, of the second in ``prob_<class>_2``. A name that an earlier column has already gets its
        kind as a prefix: a spectator ``label`` becomes ``spectator_label``.
        """
        columns: dict[str, Array] = {f"prob_{name}": self.probabilities[:, k] for k, name in enumerate(self.classes)}
        if self.relegated is not None:
            columns["prob_relegated"] = self.relegated
        for name in self.values:
            columns |= {
                f"pred_{name}": self.values[name],
                f"true_{name}": self.truth[name],
                **self._uncertainty_columns(name),
            }
        columns |= {f"nll_{name}": values for name, values in self.densities.items()}
        for name in self.positions:
            columns |= {f"index_{name}": self.positions[name], f"true_index_{name}": self.true_positions[name]}
        columns |= {f"{name}_probability": values for name, values in self.parent_probabilities.items()}
        columns |= {"label": self.labels.astype(np.int32)} if self.classes else {}
        columns["weight"] = self.weights
        names = self._names()
        # double precision, as thresholds: with rounded scores, rows could change sides at a working point
        columns |= {names["discriminator", name]: self.discriminator(name) for name in self.definitions}
        columns |= {names["event", name]: values for name, values in self.event.items()}
        columns |= {names["spectator", name]: values for name, values in self.spectators.items()}
        for number, values in enumerate(self.members.values(), 1):
            columns |= {names["member", f"prob_{name}_{number}"]: values[:, k] for k, name in enumerate(self.classes)}
        for number, estimates in enumerate(self.member_values.values(), 1):
            columns |= {names["member", f"pred_{name}_{number}"]: values for name, values in estimates.items()}
        return columns

    def _uncertainty_columns(self, name: str) -> dict[str, Array]:
        """Return the columns of the uncertainty of a value."""
        if (found := self.uncertainties.get(name)) is None:
            return {}
        columns = {f"pred_{name}_{suffix}": values for suffix, values in found.columns.items()}
        return columns if found.pit is None else {**columns, f"pit_{name}": found.pit}

    def _names(self) -> dict[tuple[str, str], str]:
        """Return the column name of each discriminator, event number, spectator and class of a member."""
        taken = {f"prob_{name}" for name in (*self.classes, "relegated")} | {"label", "weight"}
        taken |= {f"{kind}_{name}" for kind in ("pred", "true") for name in self.values}
        taken |= {column for name in self.values for column in self._uncertainty_columns(name)}
        taken |= {f"nll_{name}" for name in self.densities}
        taken |= {f"{kind}_{name}" for kind in ("index", "true_index") for name in self.positions}
        taken |= {f"{name}_probability" for name in self.parent_probabilities}
        names: dict[tuple[str, str], str] = {}
        members = [f"prob_{name}_{number + 1}" for number in range(len(self.members)) for name in self.classes]
        members += [f"pred_{name}_{number + 1}" for number in range(len(self.member_values)) for name in self.values]
        kinds: dict[str, Iterable[str]] = {
            "discriminator": self.definitions, "event": self.event, "spectator": self.spectators, "member": members,
        }  # fmt: skip
        for kind, entries in kinds.items():
            for name in entries:
                column = name
                while column in taken:
                    column = f"{kind}_{column}"
                taken.add(column)
                names[kind, name] = column
        return names

    def write(self, path: str | Path) -> Path:
        """Write a ``.parquet`` or ``.root`` file; it appears when it is complete."""
        return write_columns(Path(path), self.columns(), "predictions", self._metadata())

    def _metadata(self) -> dict[str, Any]:
        names = self._names()
        return {
            "format": FORMAT,
            "classes": self.classes,
            "values": list(self.values),
            "units": dict(self.units),
            "uncertainties": {name: found.describe() for name, found in self.uncertainties.items()},
            "densities": list(self.densities),
            "positions": list(self.positions),
            "parent_probabilities": list(self.parent_probabilities),
            "temperature": self.temperature,
            "discriminators": {name: entry.identity for name, entry in self.definitions.items()},
            "spectators": {name: column for (kind, name), column in names.items() if kind == "spectator"},
            "event": {name: column for (kind, name), column in names.items() if kind == "event"},
            "combination": self.combination,
            "relegates": self.relegated is not None,
            "member_values": {
                member: {name: names["member", f"pred_{name}_{number}"] for name in estimates}
                for number, (member, estimates) in enumerate(self.member_values.items(), 1)
            },
            "members": {
                member: [names["member", f"prob_{name}_{number}"] for name in self.classes]
                for number, member in enumerate(self.members, 1)
            },
        }

    @classmethod
    def read(cls, path: str | Path) -> "Predictions":
        """Read a Parquet file written by ``write``."""
        path = Path(path)
        try:
            table = pq.read_table(path, page_checksum_verification=True)
        except (OSError, pa.ArrowException, ValueError) as error:
            said = " ".join(str(error).split())[:200]
            raise CollidekitError(f"{path}: is not a readable Parquet file ({said}); {AGAIN}") from error
        text = (table.schema.metadata or {}).get(b"collidekit")
        if text is None:
            raise CollidekitError(f"{path}: is not a file of predictions; make one with 'collidekit predict'")
        with as_written(path, AGAIN):  # the page checksums do not cover the metadata
            return cls._of(path, table, check_seal(path, json.loads(text), AGAIN))

    @classmethod
    def _of(cls, path: Path, table: pa.Table, meta: dict[str, Any]) -> "Predictions":
        """Return the predictions of a table and its metadata."""
        if (form := meta.get("format", 1)) > FORMAT:
            raise CollidekitError(
                f"{path}: was written by a newer version of collidekit (format {form}); read it with that version"
            )
        columns = {name: table.column(name).to_numpy() for name in table.column_names}
        return cls(
            classes=tuple(meta["classes"]),
            probabilities=_side_by_side([columns[f"prob_{name}"] for name in meta["classes"]], len(table)),
            labels=columns["label"] if meta["classes"] else np.full(len(table), -1),
            weights=columns["weight"],
            definitions={name: Discriminator(**entry) for name, entry in meta["discriminators"].items()},
            spectators={name: columns[column] for name, column in meta["spectators"].items()},
            event={name: columns[column] for name, column in meta["event"].items()},
            members={
                member: _side_by_side([columns[column] for column in taken], len(table))
                for member, taken in meta.get("members", {}).items()
            },
            combination=meta.get("combination", ""),
            relegated=columns["prob_relegated"] if meta.get("relegates") else None,
            temperature=float(meta.get("temperature", 1.0)),
            values={name: columns[f"pred_{name}"] for name in meta.get("values", ())},
            truth={name: columns[f"true_{name}"] for name in meta.get("values", ())},
            units=meta.get("units", {}),
            uncertainties={
                name: Uncertainty.read(name, entry, columns) for name, entry in meta.get("uncertainties", {}).items()
            },
            densities={name: columns[f"nll_{name}"] for name in meta.get("densities", ())},
            positions={name: columns[f"index_{name}"] for name in meta.get("positions", ())},
            true_positions={name: columns[f"true_index_{name}"] for name in meta.get("positions", ())},
            parent_probabilities={
                name: columns[f"{name}_probability"] for name in meta.get("parent_probabilities", ())
            },
            member_values={
                member: {name: columns[column] for name, column in taken.items()}
                for member, taken in meta.get("member_values", {}).items()
            },
        )


def _side_by_side(columns: list[Array], rows: int) -> Array:
    return np.stack(columns, axis=1) if columns else np.zeros((rows, 0))
