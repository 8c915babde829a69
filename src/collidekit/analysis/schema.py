"""The analysis file: what a row, a class, an input and a discriminator are."""

# ruff: noqa: RUF012 - pydantic copies the defaults

import hashlib
import json
from itertools import combinations, pairwise
from os.path import isfile  # pathlib's raise an error for a name that is too long
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, FiniteFloat, Tag, field_validator, model_validator
from pydantic import Discriminator as UnionBy

from collidekit.analysis.dilepton import Dilepton, check_dilepton
from collidekit.analysis.discriminators import Discriminator
from collidekit.analysis.estimates import KEYS, Estimate
from collidekit.analysis.features import Feature, Fraction, Name, Strict, Unit, with_unit, wrong
from collidekit.analysis.figure_of_merit import FigureOfMerit
from collidekit.analysis.functions import CONSTANTS
from collidekit.analysis.kinematics import Kinematics
from collidekit.analysis.labels import Label
from collidekit.analysis.pairs import Quantity, check_pairs, pair_features
from collidekit.analysis.plot_settings import PlotSettings
from collidekit.analysis.targets import (
    PLACE,
    Assignment,
    Expression,
    MemberTarget,
    Regression,
    RowTarget,
    Target,
    as_text,
    as_texts,
    collections_of,
    constituent,
)
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.names import name_problem
from collidekit.plugins import entry_point, file_and_class, is_known, known_names, user_sources
from collidekit.shown import counted, html_table

RELEGATED, OF_SOURCE = "relegated", ("file", "row")
COLUMNS = ("label", "weight", *OF_SOURCE)
"""Columns of predictions beside those that an analysis names."""
FORMATS = ("auto", "root", "parquet", "hdf5", "jsonlines", "csv", "npz")


def _format(name: str) -> str:
    if name not in FORMATS and (name.lower() in FORMATS or not is_known("reader", name, dict.fromkeys(FORMATS))):
        known = ", ".join(known_names("reader", dict.fromkeys(FORMATS)))
        raise wrong(f"{name!r} is none of {known}, nor a reader of yours such as my_reader.py:MyReader")
    return name


class Source(Strict):
    """Where the rows of a file are."""

    format: Annotated[str, AfterValidator(_format)] = "auto"
    """One of FORMATS, ``file.py:ClassName`` of a reader of the user's, or the name of one of an installed package."""
    tree: str | None = None
    """ROOT: name of the TTree or RNTuple. HDF5: the group to read. Not needed where a file holds only one."""
    layout: str | list[Any] | None = None
    """JSON lines whose lines are lists: the name of each position, or a layout by its name. SPANet's HDF5 with several sequential
    inputs: their names in the order in which positions count over all of them (see docs/formats.md)."""


class Collection(Strict):
    """A ragged group of inputs: any number of constituents, tracks or vertices in a row."""

    limit: Annotated[int, Field(ge=1)]
    order: Expression | None = None
    """Constituents are kept in descending order of this expression; without it, in the order of the file."""
    where: Expression | None = None
    """Constituents for which this does not hold are left out."""
    features: Annotated[list[Feature], Field(min_length=1)]
    momenta: Annotated[list[Expression], Field(min_length=4, max_length=4)] | None = None
    """px, py, pz, E in GeV: for networks that look at four-vectors."""
    coordinates: Annotated[list[Expression], Field(min_length=2, max_length=2)] | None = None
    """Two angles, such as (eta, phi) from the jet axis: for networks that look for neighbours."""
    pairs: dict[Name, Annotated[list[Quantity], Field(min_length=1)]] = Field({}, exclude=True)
    """What each member has in common with each member of another collection; an ``Analysis`` holds it as features."""

    @property
    def first_momentum(self) -> int:
        """The first column that is no feature: the columns of a constituent are features, four-momentum, coordinates."""
        return len(self.features)

    @property
    def first_coordinate(self) -> int:
        """The column of the first coordinate, where there are coordinates."""
        return self.first_momentum + (4 if self.momenta else 0)

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.first_coordinate + (2 if self.coordinates else 0)


class Group(Strict):
    """A flat group of inputs: one number for each feature in a row."""

    features: Annotated[list[Feature], Field(min_length=1)]

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self.features)


def _input_kind(entry: Any) -> str:
    """Any key of a collection makes an input a collection; deciding first gives errors of the right kind only."""
    keys = entry.keys() if isinstance(entry, dict) else type(entry).model_fields if isinstance(entry, Strict) else ()
    return "Collection" if {"limit", "order", "where", "momenta", "coordinates", "pairs"} & set(keys) else "Group"


Input = Annotated[Annotated[Collection, Tag("Collection")] | Annotated[Group, Tag("Group")], UnionBy(_input_kind)]


class Process(Strict):
    """Files of one simulated process, found by their name, the weight of its rows, and a selection of its own."""

    files: str
    weight: Annotated[FiniteFloat, Field(gt=0)] = 1.0
    label: Label | None = None
    """What plots and tables call it; its name without one."""
    selection: str | None = None
    """Rows of these files that are kept, after the selection of all files; such as ranges of pt and eta."""


class Files(Strict):
    """The files of an analysis, so that it can be run without naming them; paths are relative to the analysis file."""

    training: list[str] = []
    test: list[str] = []

    @field_validator("training", "test", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


OF_LEARNING = ("weight", "unit", *KEYS, "estimate", "symmetries", "partners", "focal", "exclusivity")
"""Keys of targets that decide how they are learned, and not what a dataset holds."""


class Analysis(Strict):
    """An analysis file, read and validated. ``Analysis`` objects come from ``load_analysis(path)``."""

    name: str = ""
    files: Files = Files()
    source: Source = Source()
    rows: Name | None = None
    """A collection of the file (``Jet`` for ``Jet_pt``, ``Jet_eta`` ...) whose members are the rows; else events are."""
    members: dict[Name, Name] = {}
    """Other collections whose entries belong to rows, and the branch that says to which: ``JetPFCands_jetIdx``."""
    processor: str | None = None
    """``file.py:ClassName`` of a coffea processor that returns the rows, for what expressions cannot say."""
    selection: Expression | None = None
    variables: dict[Name, Expression] = {}
    classes: dict[Name, Expression] = {}
    """A condition for each class of rows; at least two, or none where a target of rows is learned instead."""
    inputs: Annotated[dict[Name, Input], Field(min_length=1)]
    targets: dict[Name, Target] = {}
    """What a network may learn beside the classes of rows, or instead of them; never needed for prediction."""
    weight: Expression | None = None
    processes: dict[Name, Process] = {}
    class_weights: dict[Name, Annotated[FiniteFloat, Field(ge=0)]] = {}
    units: dict[Name, Unit] = {}
    """Units of variables and branches, for the axes of plots."""
    labels: dict[str, Label] = {}
    """What plots and tables call variables, branches, expressions, classes and values of targets; between two $ stands LaTeX."""
    plots: PlotSettings = PlotSettings()
    """The label of the experiment, energy and luminosity, style and formats of all plots."""
    spectators: list[Name] = []
    event: list[Name] = []
    kinematics: Kinematics | None = None
    discriminators: dict[Name, Discriminator] = {}
    dilepton: Dilepton | None = None
    """Where leptons, jets and missing momentum are, for classical methods of reconstruction beside a network."""
    figure_of_merit: FigureOfMerit | None = None
    """The window and the yields in which the significance of a signal is measured, and learned for."""
    working_points: list[Fraction] = [0.1, 0.01, 0.001]
    """Mistag rates for which thresholds are found; ``mistag_rates`` in a file is the same key."""
    efficiencies: list[Fraction] = []
    """Signal efficiencies at which rejections are quoted and thresholds are found; by the conventions of the field without them."""
    working_point_bins: dict[Name, list[FiniteFloat]] = {}
    """Edges of bins of spectators, in each of which thresholds are found, too."""
    training: dict[Name, Any] = {}
    """Settings of the training that this analysis recommends, under the names of ``TrainingTask``'s parameters."""
    recipes: dict[Name, dict[Name, Any]] = {}
    """The settings to recommend instead where another network is chosen, by its name."""

    @field_validator("name")
    @classmethod
    def _name_of_a_folder(cls, value: str) -> str:
        if value and (problem := name_problem(value)):
            raise wrong(f"{problem}: it cannot be the name of a folder")
        return value

    @field_validator("variables", "classes", mode="before")
    @classmethod
    def _numbers_are_expressions(cls, value: Any) -> Any:
        return as_texts(value)

    @model_validator(mode="before")
    @classmethod
    def _mistag_rates(cls, data: Any) -> Any:
        """``mistag_rates`` is another name of ``working_points``."""
        if isinstance(data, dict) and "mistag_rates" in data:
            if "working_points" in data:
                raise wrong("is the same as 'working_points'; give one of the two", "mistag_rates")
            data = {("working_points" if key == "mistag_rates" else key): value for key, value in data.items()}
        return data

    @field_validator("selection", "weight", mode="before")
    @classmethod
    def _number_is_expression(cls, value: Any) -> Any:
        return as_text(value)

    @model_validator(mode="after")
    def _pairs_are_features(self) -> "Analysis":
        """Pairs become features of their collection, after those that are written out."""
        for group, entry in self.collections.items():
            features = list(entry.features)
            for other, quantities in entry.pairs.items():
                check_pairs(group, other, self.collections)
                for feature in pair_features(entry, other, self.collections[other], quantities):
                    if feature.name in [one.name for one in features]:
                        raise wrong(f"feature {feature.name!r} stands twice", "inputs", group, "pairs", other)
                    features.append(feature)
            if entry.pairs:
                self.inputs[group] = entry.model_copy(update={"features": features, "pairs": {}})
        return self

    @model_validator(mode="after")
    def _names_are_free(self) -> "Analysis":
        """No name is that of a column of predictions that collidekit gives, and nothing stands twice."""
        if len(self.classes) == 1 or not (self.classes or self.row_targets):
            raise wrong(
                "needs at least two classes, or none beside a target with 'values' or 'parents'",
                *(["classes"] if self.classes else []),
            )
        if RELEGATED in self.classes:
            raise wrong(
                f"{RELEGATED!r} is what a network says that relegates rows; give another name", "classes", RELEGATED
            )
        for name in self.discriminators:
            if name in COLUMNS or name.startswith(("prob_", "pred_", "true_")):
                raise wrong(f"{name!r} is another column of the predictions; give another name", "discriminators", name)
        for i, name in enumerate(self.event):
            if name in OF_SOURCE:
                raise wrong(
                    f"{name!r} is another column of the predictions; give the variable another name", "event", i
                )
        values: dict[str, str] = {}
        for key, target in self.row_targets.items():
            for name in target.values:
                if name in values:
                    at = ["values", name] if isinstance(target, Regression) else ["parents"]
                    raise wrong(f"target {values[name]!r} has a value {name!r}, too", "targets", key, *at)
                values[name] = key
        columns = {f"prob_{name}": f"class {name!r}" for name in self.classes}
        for key, target in self.row_targets.items():
            density = [f"nll_{key}"] if isinstance(target, Regression) and target.estimate == "flow" else []
            event = target.probabilities_of_event(key) if isinstance(target, Assignment) else []
            for column in (*target.columns, *density, *event):
                if column in columns:
                    kind = "values" if isinstance(target, Regression) else "parents"
                    said = f"{columns[column]} has the column {column!r} of the predictions, too; give another name"
                    raise wrong(said, "targets", key, kind)
                columns[column] = f"target {key!r}"
        for key in ("working_points", "efficiencies"):
            rates = getattr(self, key)
            for i, rate in enumerate(rates):
                if rate in rates[:i]:
                    raise wrong(f"{rate:g} stands twice", key, i)
        for name, discriminator in self.discriminators.items():
            for side in ("signal", "background"):
                listed = getattr(discriminator, side)
                if twice := next((used for i, used in enumerate(listed) if used in listed[:i]), None):
                    raise wrong(f"{twice!r} stands twice", "discriminators", name, side)
        return self

    @model_validator(mode="after")
    def _names_are_known(self) -> "Analysis":
        classes = list(self.classes)
        for name in self.variables:
            if name in CONSTANTS:
                raise wrong(f"{name!r} is a constant of expressions; give the variable another name", "variables", name)
        self._members_are_apart()
        self._labels_are_used()
        for key, listed in (("spectators", self.spectators), ("event", self.event)):
            for i, name in enumerate(listed):
                if name in listed[:i]:
                    raise wrong(f"{name!r} stands twice", key, i)
        for name, discriminator in self.discriminators.items():
            for side in ("signal", "background"):
                for used in getattr(discriminator, side):
                    if used not in classes:
                        raise wrong(f"no class {used!r}{did_you_mean(used, classes)}", "discriminators", name, side)
            if shared := set(discriminator.signal) & set(discriminator.background):
                raise wrong(f"{min(shared)!r} is both signal and background", "discriminators", name)
        for name, edges in self.working_point_bins.items():
            if name not in self.spectators:
                close = did_you_mean(name, self.spectators)
                raise wrong(f"{name!r} must stand among the spectators{close}", "working_point_bins", name)
            if len(edges) < 2 or any(low >= high for low, high in pairwise(edges)):
                raise wrong("needs at least two rising edges", "working_point_bins", name)
        for i, name in enumerate(self.plots.masses or ()):
            if name not in self.spectators:
                raise wrong(f"no spectator {name!r}{did_you_mean(name, self.spectators)}", "plots", "masses", i)
        for used in self.class_weights:
            if used not in classes:
                raise wrong(f"no class {used!r}{did_you_mean(used, classes)}", "class_weights", used)
        if self.kinematics and (used := self.kinematics.reference) not in classes:
            raise wrong(f"no class {used!r}{did_you_mean(used, classes)}", "kinematics", "reference")
        if self.figure_of_merit:
            self._figure_of_merit_is_apart(self.figure_of_merit)
        for key, target in self.targets.items():
            for used, place in collections_of(target).items():
                if used not in self.collections:
                    close = did_you_mean(used, list(self.collections))
                    raise wrong(f"no collection {used!r} among the inputs{close}", "targets", key, place)
            self._partners_are_kept(key, target)
            self._leptons_have_momenta(key, target)
        if self.dilepton:
            check_dilepton(self.dilepton, self.inputs, self.targets)
            for key in ("truth", "given") if self.rows else ():
                if getattr(self.dilepton, key):
                    raise wrong("needs events as rows; leave out 'rows'", "dilepton", key)
        for group, entry in self.inputs.items():
            names = [feature.name for feature in entry.features]
            for i, name in enumerate(names):
                if name in names[:i]:
                    raise wrong(f"feature {name!r} stands twice", "inputs", group, "features", i)
        return self

    def _partners_are_kept(self, key: str, target: Target) -> None:
        """The partner of a parent stands within the limit of its collection."""
        if not isinstance(target, Assignment):
            return
        for parent, text in target.partners.items():
            partner = target.partner_of(parent)
            if partner and partner[1] >= (limit := self.collections[partner[0]].limit):
                said = f"{text!r} is never kept: the limit of {partner[0]} is {limit}"
                raise wrong(said, "targets", key, "partners")

    def _leptons_have_momenta(self, key: str, target: Target) -> None:
        """The leptons of neutrinos are kept and have momenta."""
        if not isinstance(target, Regression):
            return
        where = ("targets", key, target.key_of_leptons)
        for text in target.leptons:
            collection, place = constituent(text)
            if not self.collections[collection].momenta:
                raise wrong(f"{collection} has no momenta; give them among the inputs", *where)
            if place >= (limit := self.collections[collection].limit):
                raise wrong(f"{text!r} is never kept: the limit of {collection} is {limit}", *where)

    def _figure_of_merit_is_apart(self, merit: FigureOfMerit) -> None:
        """Its classes are known, some are background, and no input shows it to the network."""
        classes, place = list(self.classes), "figure_of_merit"
        for key, names in (("signal", merit.signal), ("yields", list(merit.yields))):
            for used in names:
                if used not in classes:
                    raise wrong(f"no class {used!r}{did_you_mean(used, classes)}", place, key)
        if set(merit.signal) == set(classes):
            raise wrong("all classes are signal: at least one must be background", place, "signal")
        if missing := [name for name in classes if merit.yields and name not in merit.yields]:
            raise wrong(f"no yield of class {missing[0]!r}", place, "yields")
        same = {merit.variable, self.variables.get(merit.variable, merit.variable)}
        for group, entry in self.inputs.items():
            for i, feature in enumerate(entry.features):
                if same & {feature.name, feature.expression}:
                    said = (
                        f"{merit.variable!r} is the figure of merit: a network that sees it would shape its background"
                    )
                    raise wrong(said, "inputs", group, "features", i)
        if merit.variable not in self.spectators:
            raise wrong(f"{merit.variable!r} must stand among the spectators, too", place, "variable")

    def _members_are_apart(self) -> None:
        """A branch belongs to the rows, to one collection of members, or to the event."""
        if not self.members:
            return
        if not self.rows:
            raise wrong("needs 'rows', such as 'rows: Jet'", "members")
        for a, b in combinations((self.rows, *self.members), 2):
            if f"{a}_".startswith(f"{b}_") or f"{b}_".startswith(f"{a}_"):
                raise wrong(f"{a!r} and {b!r} would share branches", "members", b)

    def require_classes(self, what: str) -> None:
        """Raise an error where there are none, for ``what`` is of classes of rows."""
        if not self.classes:
            raise CollidekitError(f"{self.name}: {what} is of classes of rows, of which this analysis has none")

    def __repr__(self) -> str:
        features = sum(len(entry.features) for entry in self.inputs.values())
        numbers = {"class": len(self.classes), "target": len(self.targets)}
        learned = [counted(number, what) for what, number in numbers.items() if number]
        parts = *learned, counted(len(self.inputs), "input"), counted(features, "feature")
        return f"Analysis({self.name!r}: {', '.join(parts)})"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        rows = [("class", name, condition) for name, condition in self.classes.items()]
        for name, entry in self.inputs.items():
            kind = "collection" if isinstance(entry, Collection) else "group"
            rows.append((kind, name, ", ".join(feature.name for feature in entry.features)))
        for name, target in self.targets.items():
            about = ", ".join(target.values) if isinstance(target, RowTarget) else f"of {target.collection}"
            rows.append(("target", name, about))
        for name, sides in self.discriminators.items():
            rows.append(("discriminator", name, f"{' + '.join(sides.signal)} against {' + '.join(sides.background)}"))
        return html_table(repr(self), rows)

    def label(self, name: str) -> str:
        """The text of a plot's axis for a variable or branch: label and unit."""
        return with_unit(self.labels.get(name, name), self.units.get(name, ""))

    def axis(self, feature: Feature) -> str:
        """The text of a plot's axis for a feature; one without a label has that of the variable or branch that it is."""
        label = self.feature_label(feature)
        return feature.axis if label == feature.name else feature.model_copy(update={"label": label}).axis

    def feature_label(self, feature: Feature) -> str:
        """Return what plots call a feature: its own label, or that of the variable or branch that it is, or its name."""
        named = (self.labels[name] for name in (feature.name, feature.expression) if name in self.labels)
        return feature.label or next(named, feature.name)

    def expression_label(self, text: str) -> str:
        """The text of a plot's axis for an expression: that of a feature with the same expression, or of its name."""
        same = (entry for group in self.inputs.values() for entry in group.features if entry.expression == text)
        feature = None if text in self.labels else next(same, None)
        return self.label(text) if feature is None else self.axis(feature)

    @property
    def label_names(self) -> list[str]:
        """Return the names that ``labels`` may have."""
        features = [feature for group in self.inputs.values() for feature in group.features]
        coordinates = [text for entry in self.collections.values() for text in entry.coordinates or ()]
        return [
            *self.variables, *self.classes, *self.units, *self.spectators, *self.event, *coordinates, *self.targets,
            *(one for feature in features for one in (feature.name, feature.expression)),
            *(name for target in self.row_targets.values() for name in target.values),
        ]  # fmt: skip

    def _labels_are_used(self) -> None:
        """Raise an error for a label of an unknown name, which is usually misspelt."""
        known = self.label_names if self.labels else []
        for name in self.labels:
            if name not in known:
                said = f"{name!r} is no variable, feature, class, spectator or value of a target{did_you_mean(name, known)}"
                raise wrong(said, "labels", name)

    @property
    def shown(self) -> dict[str, Any]:
        """Return what decides how plots and tables look, and no number; empty where the file says nothing of it."""
        features = {
            f"{group}.{feature.name}": feature.label
            for group, entry in self.inputs.items() for feature in entry.features if feature.label
        }  # fmt: skip
        found: dict[str, Any] = {
            "labels": self.labels,
            "plots": self.plots.model_dump(mode="json", exclude_none=True),
            "features": features,
            "processes": {name: entry.label for name, entry in self.processes.items() if entry.label},
            "discriminators": {name: entry.label for name, entry in self.discriminators.items() if entry.label},
        }
        return {key: value for key, value in found.items() if value}

    @property
    def collections(self) -> dict[str, Collection]:
        return {name: entry for name, entry in self.inputs.items() if isinstance(entry, Collection)}

    @property
    def groups(self) -> dict[str, Group]:
        return {name: entry for name, entry in self.inputs.items() if isinstance(entry, Group)}

    @property
    def member_targets(self) -> dict[str, MemberTarget]:
        """The targets of constituents."""
        return {name: target for name, target in self.targets.items() if isinstance(target, MemberTarget)}

    @property
    def row_targets(self) -> dict[str, RowTarget]:
        """The targets whose truth is numbers of rows: values, and positions of constituents."""
        return {name: target for name, target in self.targets.items() if isinstance(target, RowTarget)}

    @property
    def assignments(self) -> dict[str, Assignment]:
        """The targets that assign constituents to the decay products of parents."""
        return {name: target for name, target in self.targets.items() if isinstance(target, Assignment)}

    @property
    def regressions(self) -> dict[str, Regression]:
        """The targets that are values of rows."""
        return {name: target for name, target in self.targets.items() if isinstance(target, Regression)}

    @property
    def estimates(self) -> dict[str, Estimate]:
        """The estimate of each regression, by the name of the target."""
        return {name: target.estimate for name, target in self.regressions.items()}

    @property
    def units_of_values(self) -> dict[str, str]:
        """The units of the values of targets of rows, of those that have one."""
        return {name: target.unit for target in self.regressions.values() if target.unit for name in target.values}

    def targets_of(self, collection: str) -> dict[str, MemberTarget]:
        """The targets of the constituents of one collection."""
        return {name: target for name, target in self.member_targets.items() if target.collection == collection}

    def target_columns(self, collection: str) -> list[str]:
        """Return the integer columns of a collection: its targets, and where assignments use it the position in the file."""
        used = any(collection in target.collections for target in self.assignments.values())
        return [*self.targets_of(collection), *([PLACE] if used else [])]

    @property
    def fingerprint(self) -> str:
        """A short hash of everything that decides what a constructed dataset holds."""
        without = {
            "name", "files", "units", "working_points", "discriminators", "class_weights", "training", "recipes",
            "figure_of_merit", "dilepton", "labels", "plots", "efficiencies", "working_point_bins",
        }  # fmt: skip
        content = self.model_dump(mode="json", exclude=without, exclude_defaults=True)  # a new key changes no dataset
        for target in content.get("targets", {}).values():
            for key in OF_LEARNING:
                target.pop(key, None)
        for entry in (*(feature for group in content["inputs"].values() for feature in group["features"]),
                      *content.get("processes", {}).values()):  # fmt: skip
            entry.pop("label", None)
        content["variables"] = dict(sorted(content.get("variables", {}).items()))  # the order of all else has a meaning
        if self.processor:
            content["processor"] = _code(self.processor)
        if self.source.format not in FORMATS:
            content["source"]["format"] = _code(self.source.format, "reader")
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:10]


def _code(plugin: str, what: str = "processor") -> list[Any]:
    """The class of a processor or reader and the text of its code, wherever that lies, or the version of its package."""
    path, name = file_and_class(plugin)
    if not path and (entry := entry_point(what, plugin)):
        return [plugin, entry.dist and [entry.dist.name, entry.dist.version]]
    return [name, user_sources(Path(path)) if isfile(path) else path]
