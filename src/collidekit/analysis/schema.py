"""The schema of an analysis file: rows, classes, inputs, discriminators and all other keys."""

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
"""Columns of predictions other than those named by an analysis."""
FORMATS = ("auto", "root", "parquet", "hdf5", "jsonlines", "csv", "npz")


def _format(name: str) -> str:
    if name not in FORMATS and (name.lower() in FORMATS or not is_known("reader", name, dict.fromkeys(FORMATS))):
        known = ", ".join(known_names("reader", dict.fromkeys(FORMATS)))
        raise wrong(f"{name!r} is none of {known}, nor your own reader such as my_reader.py:MyReader")
    return name


class Source(Strict):
    """The format of a file and the place of the rows in it."""

    format: Annotated[str, AfterValidator(_format)] = "auto"
    """One of FORMATS, ``file.py:ClassName`` of a user's reader, or the name of a reader in an installed package."""
    tree: str | None = None
    """ROOT: name of the TTree or RNTuple. HDF5: the group to read. Not needed if a file holds only one."""
    layout: str | list[Any] | None = None
    """JSON lines whose lines are lists: the name of each position, or the name of a layout. SPANet's HDF5 with several sequential
    inputs: their names, in the order in which positions count over all of them (see docs/formats.md)."""


class Collection(Strict):
    """A ragged group of inputs: any number of constituents, tracks or vertices in a row."""

    limit: Annotated[int, Field(ge=1)]
    order: Expression | None = None
    """Constituents are kept in descending order of this expression; the default is the order of the file."""
    where: Expression | None = None
    """A condition; constituents that do not pass it are left out."""
    features: Annotated[list[Feature], Field(min_length=1)]
    momenta: Annotated[list[Expression], Field(min_length=4, max_length=4)] | None = None
    """px, py, pz, E in GeV, for networks that use four-vectors."""
    coordinates: Annotated[list[Expression], Field(min_length=2, max_length=2)] | None = None
    """Two angles, such as (eta, phi) from the jet axis, for networks that search for neighbours."""
    pairs: dict[Name, Annotated[list[Quantity], Field(min_length=1)]] = Field({}, exclude=True)
    """Quantities of each member with each member of another collection; an ``Analysis`` holds them as features."""

    @property
    def first_momentum(self) -> int:
        """The first column after the features: the columns of a constituent are features, four-momentum, coordinates."""
        return len(self.features)

    @property
    def first_coordinate(self) -> int:
        """The column of the first coordinate, if there are coordinates."""
        return self.first_momentum + (4 if self.momenta else 0)

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.first_coordinate + (2 if self.coordinates else 0)


class Group(Strict):
    """A flat group of inputs: one number per row for each feature."""

    features: Annotated[list[Feature], Field(min_length=1)]

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self.features)


def _input_kind(entry: Any) -> str:
    """Return the kind of an input; any key of a collection makes it a collection, so that errors are of the right kind."""
    keys = entry.keys() if isinstance(entry, dict) else type(entry).model_fields if isinstance(entry, Strict) else ()
    return "Collection" if {"limit", "order", "where", "momenta", "coordinates", "pairs"} & set(keys) else "Group"


Input = Annotated[Annotated[Collection, Tag("Collection")] | Annotated[Group, Tag("Group")], UnionBy(_input_kind)]


class Process(Strict):
    """Files of one simulated process, given by their names, the weight of their rows, and an additional selection."""

    files: str
    weight: Annotated[FiniteFloat, Field(gt=0)] = 1.0
    label: Label | None = None
    """The label in plots and tables; the default is the name."""
    selection: str | None = None
    """A condition on the rows of these files, after the selection of all files; such as ranges of pt and eta."""


class Files(Strict):
    """The files of an analysis, so that it can run without options for files; paths are relative to the analysis file."""

    training: list[str] = []
    test: list[str] = []

    @field_validator("training", "test", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


OF_LEARNING = ("weight", "unit", *KEYS, "estimate", "symmetries", "partners", "focal", "exclusivity")
"""Keys of targets that affect the training but not the content of a dataset."""


class Analysis(Strict):
    """A validated analysis file. ``load_analysis(path)`` returns ``Analysis`` objects."""

    name: str = ""
    files: Files = Files()
    source: Source = Source()
    rows: Name | None = None
    """A collection of the file (``Jet`` for ``Jet_pt``, ``Jet_eta`` ...) whose members are the rows; by default, events are."""
    members: dict[Name, Name] = {}
    """Other collections whose entries belong to rows, and the branch with the index of the row: ``JetPFCands_jetIdx``."""
    processor: str | None = None
    """``file.py:ClassName`` of a coffea processor that returns the rows, if expressions are not enough."""
    selection: Expression | None = None
    variables: dict[Name, Expression] = {}
    classes: dict[Name, Expression] = {}
    """A condition for each class of rows; at least two, or none if only a target of rows is learned."""
    inputs: Annotated[dict[Name, Input], Field(min_length=1)]
    targets: dict[Name, Target] = {}
    """Targets that a network is trained on beside the classes of rows, or instead of them; not needed for prediction."""
    weight: Expression | None = None
    processes: dict[Name, Process] = {}
    class_weights: dict[Name, Annotated[FiniteFloat, Field(ge=0)]] = {}
    units: dict[Name, Unit] = {}
    """Units of variables and branches, for the axes of plots."""
    labels: dict[str, Label] = {}
    """Labels of variables, branches, expressions, classes and target values in plots and tables; text between two $ is LaTeX."""
    plots: PlotSettings = PlotSettings()
    """The experiment label, energy and luminosity, style and formats of all plots."""
    spectators: list[Name] = []
    event: list[Name] = []
    kinematics: Kinematics | None = None
    discriminators: dict[Name, Discriminator] = {}
    dilepton: Dilepton | None = None
    """The leptons, jets and missing momentum for classical reconstruction methods beside a network."""
    figure_of_merit: FigureOfMerit | None = None
    """The window and yields for which the significance of a signal is measured and optimised."""
    working_points: list[Fraction] = [0.1, 0.01, 0.001]
    """Mistag rates for which thresholds are computed; ``mistag_rates`` in a file is the same key."""
    efficiencies: list[Fraction] = []
    """Signal efficiencies for which rejections and thresholds are computed; the default is the conventions of the field."""
    working_point_bins: dict[Name, list[FiniteFloat]] = {}
    """Edges of bins of spectators; thresholds are also computed in each bin."""
    training: dict[Name, Any] = {}
    """Recommended settings of the training, under the names of the parameters of ``TrainingTask``."""
    recipes: dict[Name, dict[Name, Any]] = {}
    """Recommended settings for other networks, by the name of the network."""

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
        """Convert ``mistag_rates`` to ``working_points``, of which it is another name."""
        if isinstance(data, dict) and "mistag_rates" in data:
            if "working_points" in data:
                raise wrong("is the same key as 'working_points'; give only one of the two", "mistag_rates")
            data = {("working_points" if key == "mistag_rates" else key): value for key, value in data.items()}
        return data

    @field_validator("selection", "weight", mode="before")
    @classmethod
    def _number_is_expression(cls, value: Any) -> Any:
        return as_text(value)

    @model_validator(mode="after")
    def _pairs_are_features(self) -> "Analysis":
        """Convert pairs to features of their collection, after the written features."""
        for group, entry in self.collections.items():
            features = list(entry.features)
            for other, quantities in entry.pairs.items():
                check_pairs(group, other, self.collections)
                for feature in pair_features(entry, other, self.collections[other], quantities):
                    if feature.name in [one.name for one in features]:
                        raise wrong(f"feature {feature.name!r} is given twice", "inputs", group, "pairs", other)
                    features.append(feature)
            if entry.pairs:
                self.inputs[group] = entry.model_copy(update={"features": features, "pairs": {}})
        return self

    @model_validator(mode="after")
    def _names_are_free(self) -> "Analysis":
        """Check that no name is a column of predictions that collidekit adds, and that no name is given twice."""
        if len(self.classes) == 1 or not (self.classes or self.row_targets):
            raise wrong(
                "needs at least two classes, or none beside a target with 'values' or 'parents'",
                *(["classes"] if self.classes else []),
            )
        if RELEGATED in self.classes:
            raise wrong(
                f"{RELEGATED!r} is the answer of a network that relegates rows; give another name", "classes", RELEGATED
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
                    raise wrong(f"target {values[name]!r} also has a value {name!r}", "targets", key, *at)
                values[name] = key
        columns = {f"prob_{name}": f"class {name!r}" for name in self.classes}
        for key, target in self.row_targets.items():
            density = [f"nll_{key}"] if isinstance(target, Regression) and target.estimate == "flow" else []
            event = target.probabilities_of_event(key) if isinstance(target, Assignment) else []
            for column in (*target.columns, *density, *event):
                if column in columns:
                    kind = "values" if isinstance(target, Regression) else "parents"
                    said = f"{columns[column]} also has the column {column!r} of the predictions; give another name"
                    raise wrong(said, "targets", key, kind)
                columns[column] = f"target {key!r}"
        for key in ("working_points", "efficiencies"):
            rates = getattr(self, key)
            for i, rate in enumerate(rates):
                if rate in rates[:i]:
                    raise wrong(f"{rate:g} is given twice", key, i)
        for name, discriminator in self.discriminators.items():
            for side in ("signal", "background"):
                listed = getattr(discriminator, side)
                if twice := next((used for i, used in enumerate(listed) if used in listed[:i]), None):
                    raise wrong(f"{twice!r} is given twice", "discriminators", name, side)
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
                    raise wrong(f"{name!r} is given twice", key, i)
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
                raise wrong(f"{name!r} must be listed under 'spectators'{close}", "working_point_bins", name)
            if len(edges) < 2 or any(low >= high for low, high in pairwise(edges)):
                raise wrong("needs at least two edges in ascending order", "working_point_bins", name)
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
                    raise wrong(f"feature {name!r} is given twice", "inputs", group, "features", i)
        return self

    def _partners_are_kept(self, key: str, target: Target) -> None:
        """Check that the partner of each parent is within the limit of its collection."""
        if not isinstance(target, Assignment):
            return
        for parent, text in target.partners.items():
            partner = target.partner_of(parent)
            if partner and partner[1] >= (limit := self.collections[partner[0]].limit):
                said = f"{text!r} is never kept: the limit of {partner[0]} is {limit}"
                raise wrong(said, "targets", key, "partners")

    def _leptons_have_momenta(self, key: str, target: Target) -> None:
        """Check that the leptons of neutrinos are kept and have momenta."""
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
        """Check that its classes exist, that some are background, and that it is not an input of the network."""
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
                    said = f"{merit.variable!r} is the figure of merit: a network with this input would shape its background"
                    raise wrong(said, "inputs", group, "features", i)
        if merit.variable not in self.spectators:
            raise wrong(f"{merit.variable!r} must also be listed under 'spectators'", place, "variable")

    def _members_are_apart(self) -> None:
        """Check that each branch belongs to the rows, to one collection of members, or to the event."""
        if not self.members:
            return
        if not self.rows:
            raise wrong("needs 'rows', such as 'rows: Jet'", "members")
        for a, b in combinations((self.rows, *self.members), 2):
            if f"{a}_".startswith(f"{b}_") or f"{b}_".startswith(f"{a}_"):
                raise wrong(f"{a!r} and {b!r} have branches in common", "members", b)

    def require_classes(self, what: str) -> None:
        """Raise an error if the analysis has no classes of rows, which ``what`` needs."""
        if not self.classes:
            raise CollidekitError(f"{self.name}: {what} needs classes of rows, but this analysis has none")

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
        """Return the text of a plot axis for a variable or branch: label and unit."""
        return with_unit(self.labels.get(name, name), self.units.get(name, ""))

    def axis(self, feature: Feature) -> str:
        """Return the text of a plot axis for a feature; the default is the label of its variable or branch."""
        label = self.feature_label(feature)
        return feature.axis if label == feature.name else feature.model_copy(update={"label": label}).axis

    def feature_label(self, feature: Feature) -> str:
        """Return the label of a feature: its own, or the label of its variable or branch, or its name."""
        named = (self.labels[name] for name in (feature.name, feature.expression) if name in self.labels)
        return feature.label or next(named, feature.name)

    def expression_label(self, text: str) -> str:
        """Return the text of a plot axis for an expression: that of a feature with the same expression, or of its name."""
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
        """The settings that only affect how plots and tables look; empty if the file has none."""
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
        """The targets whose truth is given by numbers of rows: values, and positions of constituents."""
        return {name: target for name, target in self.targets.items() if isinstance(target, RowTarget)}

    @property
    def assignments(self) -> dict[str, Assignment]:
        """The targets that assign constituents to the decay products of parents."""
        return {name: target for name, target in self.targets.items() if isinstance(target, Assignment)}

    @property
    def regressions(self) -> dict[str, Regression]:
        """The targets that are numbers of rows."""
        return {name: target for name, target in self.targets.items() if isinstance(target, Regression)}

    @property
    def estimates(self) -> dict[str, Estimate]:
        """The estimate of each regression, by the name of the target."""
        return {name: target.estimate for name, target in self.regressions.items()}

    @property
    def units_of_values(self) -> dict[str, str]:
        """The units of target values of rows, for values with a unit."""
        return {name: target.unit for target in self.regressions.values() if target.unit for name in target.values}

    def targets_of(self, collection: str) -> dict[str, MemberTarget]:
        """Return the targets of the constituents of one collection."""
        return {name: target for name, target in self.member_targets.items() if target.collection == collection}

    def target_columns(self, collection: str) -> list[str]:
        """Return the integer columns of a collection: its targets, and the position in the file if assignments use it."""
        used = any(collection in target.collections for target in self.assignments.values())
        return [*self.targets_of(collection), *([PLACE] if used else [])]

    @property
    def fingerprint(self) -> str:
        """A short hash of everything that affects the content of a dataset."""
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
        content["variables"] = dict(sorted(content.get("variables", {}).items()))  # the order of all other keys matters
        if self.processor:
            content["processor"] = _code(self.processor)
        if self.source.format not in FORMATS:
            content["source"]["format"] = _code(self.source.format, "reader")
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:10]


def _code(plugin: str, what: str = "processor") -> list[Any]:
    """Return the class and the code of a processor or reader, or the version of its package; the path does not matter."""
    path, name = file_and_class(plugin)
    if not path and (entry := entry_point(what, plugin)):
        return [plugin, entry.dist and [entry.dist.name, entry.dist.version]]
    return [name, user_sources(Path(path)) if isfile(path) else path]
