"""``collidekit init event.yaml FILES``: translate SPANet's event file (arXiv 2106.03898) to an analysis file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from collidekit.analysis.angles import in_degrees
from collidekit.analysis.load import parse_analysis
from collidekit.analysis.schema import Analysis, Source
from collidekit.analysis.scope import Plan
from collidekit.dataset.rows import build_rows, columns_to_read
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.files import replacing
from collidekit.readers import open_file
from collidekit.readers.spanet import padded_lengths
from collidekit.starter.columns import Column, expression_names, is_event_number, is_weight, plain_name
from collidekit.starter.empty_files import without_empty_files
from collidekit.starter.event_file import EventFile, EventInput, read_event_file
from collidekit.starter.momenta import find_momentum
from collidekit.starter.recipe import TRAINING_OF_EVENTS
from collidekit.starter.rule import kind_of
from collidekit.starter.spanet_targets import Numbers, Slots, find_numbers, find_slots
from collidekit.starter.starter import FILES, check_output, relative_to_output, sample_files
from collidekit.starter.text import quoted
from collidekit.starter.units import radians

_ROWS = 2_000
"""Number of rows of the first file that are read to test the translation before the analysis file is written."""
_MEV = 2_000.0
"""A median transverse momentum above this is not in GeV."""


@dataclass(frozen=True)
class Translated:
    """The written analysis file, the parts of the event file that it lacks, and messages for the user."""

    path: Path
    analysis: Analysis
    not_translated: list[str]
    notes: list[str]


class _Translation:
    """The sections of an analysis file, and messages for the user."""

    def __init__(self, event: EventFile, columns: Mapping[str, Column], lengths: Mapping[str, int]) -> None:
        self.event, self.columns, self.lengths = event, columns, lengths
        self.variables: dict[str, str] = {}
        self.notes: list[str] = []

    def inputs(self) -> Iterator[str]:
        for entry in self.event.inputs.values():
            yield f"  {plain_name(entry.name)}:"
            if entry.sequential:
                yield f"    limit: {self.lengths[entry.name]}  # the length of the padded lists"
                if momenta := self._momenta(entry):
                    yield f"    momenta: [{', '.join(momenta)}]  # px, py, pz, E"
            yield "    features:"
            yield from (f"      - {self._feature(entry, feature, how)}" for feature, how in entry.features.items())

    def _column(self, entry: EventInput, feature: str) -> Column:
        name = f"{entry.name}_{feature}"
        column = self.columns.get(name)
        if column is None or column.is_list != entry.sequential:
            shape = "(rows, entries) with a MASK of the same shape" if entry.sequential else "(rows,)"
            raise CollidekitError(
                f"{self.event.path}: INPUTS has {entry.name}/{feature}, but the file has no dataset INPUTS/{entry.name}/{feature} of shape "
                f"{shape}{did_you_mean(name, list(self.columns))}"
            )
        return column

    def _feature(self, entry: EventInput, feature: str, how: str) -> str:
        column = self._column(entry, feature)
        log = "log" in how
        name = f"{plain_name(entry.name)}_{'log_' if log else ''}{plain_name(feature)}"
        expression = f"log({column.name} + 1)" if log else column.name
        kind = "continuous" if log else kind_of(column.finite)
        parts = [f"name: {name}", f'expression: "{expression}"' if expression != name else ""]
        parts += [f"kind: {kind}" if kind != "continuous" else "", "scaling: none" if "normalize" not in how else ""]
        written = [part for part in parts if part]
        return name if len(written) == 1 else f"{{{', '.join(written)}}}"

    def _momenta(self, entry: EventInput) -> list[str]:
        """Return new variables or columns for px, py, pz and E; if they cannot be computed, add a note and return none."""
        prefix = f"{entry.name}_"
        own = {
            name.removeprefix(prefix): column.name for name, column in self.columns.items() if name.startswith(prefix)
        }
        own = {name: text for name, text in own.items() if self.columns[prefix + name].is_list}
        phi = next(
            ((own[c], own[s]) for c, s in (("cos_phi", "sin_phi"), ("cosphi", "sinphi")) if {c, s} <= set(own)), None
        )
        momentum = find_momentum(own | ({"phi": ""} if phi and "phi" not in own else {}))
        if momentum is None or not (momentum.energy or (momentum.mass and not momentum.px)):
            self.notes.append(
                f"{entry.name}: no momenta, because pt, eta, phi, and mass or e are not all in the file; networks that need momenta raise an error"
            )
            return []
        # find_momentum returns bare names; expressions need the columns
        parts = {part: own.get(name, "") for part, name in vars(momentum).items() if isinstance(name, str)}
        if median := self._median(entry.name, momentum.pt if momentum.pt in own else ""):
            self.notes.append(
                f"{entry.name}: the median pt is {median:.0f}, but momenta must be in GeV; divide them by 1000"
            )
        if parts["phi"] and in_degrees(self.columns[prefix + momentum.phi].values):
            self.notes.append(
                f"{entry.name}: {parts['phi']} is in degrees, judging from its values; momenta multiply it by pi / 180"
            )
            parts["phi"] = radians(parts["phi"])
        if parts["px"]:
            return [parts["px"], parts["py"], parts["pz"], parts["energy"]]
        pt, eta, energy = parts["pt"], parts["eta"], parts["energy"]
        expressions = {
            "px": f"px({pt}, {parts['phi']})" if parts["phi"] else f"{pt} * {phi and phi[0]}",
            "py": f"py({pt}, {parts['phi']})" if parts["phi"] else f"{pt} * {phi and phi[1]}",
            "pz": f"pz({pt}, {eta})",
        }
        if not energy:
            expressions["energy"] = f"energy({pt}, {eta}, {parts['mass']})"
        names = {part: self.variable(f"{plain_name(entry.name)}_{part}", text) for part, text in expressions.items()}
        return [names["px"], names["py"], names["pz"], names.get("energy", energy)]

    def _median(self, name: str, pt: str) -> float:
        values = self.columns[f"{name}_{pt}"].finite if pt else np.zeros(0)
        return float(np.median(values)) if len(values) and np.median(values) > _MEV else 0.0

    def variable(self, name: str, expression: str) -> str:
        """Add a variable under an unused name, and return the name."""
        while name in self.columns or name in self.variables:
            name += "_"
        self.variables[name] = expression
        return name


def translate_event_file(
    event_path: Path, patterns: Sequence[str], output: Path, tree: str | None = None, force: bool = False
) -> Translated:
    """Write an analysis file for an event file and data in SPANet's layout, and test it on rows of the first file.

    Raises CollidekitError if the event file is invalid, or if the data lack something that it names.
    """
    check_output(output, force)
    event = read_event_file(event_path)
    if not patterns:
        raise CollidekitError(
            f"{event_path}: HDF5 files are missing; give them after it: collidekit init {event_path} FILE.h5"
        )
    source = Source(tree=tree, layout=list(event.sequential) if len(event.sequential) > 1 else None)
    files = without_empty_files(patterns, lambda path: source)
    paths = files.paths
    lengths = padded_lengths(paths[0], tree)
    if missing := [name for name in event.sequential if name not in lengths]:
        raise CollidekitError(
            f"{paths[0]}: {event_path} has the sequential input {missing[0]}, but the file has no INPUTS/{missing[0]}/MASK of shape "
            f"(rows, entries); it has {', '.join(lengths) or 'no masks'}. Files of SPANet 1, with a mask in the group of the values, cannot be "
            "translated: write them in the layout of SPANet 2"
        )
    sampled = sample_files(paths[:FILES], source).columns
    columns = {column.name.strip("`"): column for column in sampled.values()}
    with open_file(paths[0], source) as reader:
        known, rows, names = set(reader.truth), min(reader.rows, _ROWS), expression_names(reader.columns)

        def positions(name: str) -> NDArray[np.int64]:
            return np.asarray(reader.read([name], 0, rows)[name])

        slots = find_slots(event, known, positions)
        numbers = find_numbers(event, slots, columns)
        if not slots.parents and not numbers.targets and not numbers.classes:
            raise CollidekitError(
                f"{event_path}: no target or class of it can be translated: {'; '.join(slots.not_translated + numbers.not_translated)}"
            )
        made = _Translation(event, columns, lengths)
        named = [relative_to_output(pattern, output) for pattern in files.patterns]
        text, notes = _text(made, slots, numbers, source, named, output, names)
        plan = Plan(*parse_analysis(text, str(output)))
        needed = columns_to_read(plan, list(reader.columns), path=paths[0])
        build_rows(plan, reader.read(needed, 0, rows), paths[0], 0, 0)
    with replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    lost = event.not_translated + slots.not_translated + numbers.not_translated
    return Translated(output, plan.analysis, lost, [*files.notes, *notes])


def _text(
    made: _Translation,
    slots: Slots,
    numbers: Numbers,
    source: Source,
    files: list[str],
    output: Path,
    names: Mapping[str, str],
) -> tuple[str, list[str]]:
    """Return the text of the whole analysis file, and the notes in it."""
    inputs = list(made.inputs())
    first = plain_name(made.event.sequential[0])
    a_list = next(c.name for n, c in made.columns.items() if c.is_list and n.startswith(f"{made.event.sequential[0]}_"))
    count = made.variable(f"n_{first}", f"count({a_list})")
    rest = list(_rest(made, count))
    notes = made.notes + slots.notes + numbers.notes
    lost = made.event.not_translated + slots.not_translated + numbers.not_translated
    keys = source.model_dump(exclude_defaults=True)
    if "layout" in keys:
        keys["layout"] = f"[{', '.join(quoted(name, True) for name in keys['layout'])}]"
    if "tree" in keys:
        keys["tree"] = quoted(keys["tree"], True)
    parts = [
        [
            f"# {_one_line(output.stem)}: translated from SPANet's event file {_one_line(made.event.path)}",
            "#   collidekit check THIS_FILE     show the content of the files and find problems",
            "#   collidekit run THIS_FILE       train, evaluate and write the report",
        ],
        [f"# NOT TRANSLATED: {_one_line(said)}" for said in lost],
        [f"# Note: {_one_line(said)}" for said in notes],
        [
            *([f"source: {{{', '.join(f'{key}: {value}' for key, value in keys.items())}}}"] if keys else []),
            "files:",
            f"  training: [{', '.join(quoted(file, True) for file in files)}]",
            "  # test: [test.h5]   # files of the test set; without this line, the test set is a part of the training files",
        ],
        ["variables:", *(f"  {name}: {quoted(text)}" for name, text in made.variables.items())],
        ["classes:", *(f"  {name}: {quoted(text)}" for name, text in numbers.classes.items())]
        if numbers.classes
        else [],
        list(_targets(slots, numbers, names)),
        [
            "# `log` of the event file is log(x + 1). Features without `normalize` have `scaling: none`.",
            "inputs:",
            *inputs,
        ],
        [*rest, *_discriminators(list(numbers.classes))],
        [TRAINING_OF_EVENTS.rstrip()],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n", notes


def _discriminators(classes: list[str]) -> Iterator[str]:
    """Yield discriminators of each class against the first one."""
    if classes:
        yield "discriminators:"
        yield from (f"  {name}_vs_{classes[0]}: {{signal: {name}, background: {classes[0]}}}" for name in classes[1:])


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _targets(slots: Slots, numbers: Numbers, names: Mapping[str, str]) -> Iterator[str]:
    if not slots.parents and not numbers.targets:
        return
    yield "targets:"
    if slots.parents:
        yield "  assignment:"
        yield f"    collection: {slots.collection}"
        yield "    parents:"
        for parent, entries in slots.parents.items():
            written = {
                slot: quoted(names[column], True)
                if collection == slots.collection
                else f"{{index: {quoted(names[column], True)}, collection: {collection}}}"
                for slot, (column, collection) in entries.items()
            }
            yield f"      {parent}: {{{', '.join(f'{slot}: {text}' for slot, text in written.items())}}}"
        if slots.symmetries:
            groups = ", ".join(f"[{group}]" for group in map(", ".join, slots.symmetries))
            yield f"    symmetries: [{groups}]"
    yield from (f"  {name}: {text}" for name, text in numbers.targets.items())


def _rest(made: _Translation, count: str) -> Iterator[str]:
    used = {f"{entry.name}_{feature}" for entry in made.event.inputs.values() for feature in entry.features}
    outside = {name: column for name, column in made.columns.items() if name not in used}
    events = [column.name for column in outside.values() if not column.is_list and is_event_number(column)]
    weights = [column.name for column in outside.values() if not column.is_list and is_weight(column)]
    if weights:
        yield "# Possible weight of a row, for training and evaluation; SPANet does not use it:"
        yield f"# weight: {weights[0]}"
        made.notes.append(f"{weights[0]} may be a weight; it is a comment in the file, because SPANet uses no weights")
    yield f"spectators: [{count}]  # stored with the predictions"
    if names := [name for name in events if name.isidentifier()]:
        yield f"event: [{', '.join(names)}]  # a hash of it assigns an event to the training or the validation set"
    else:
        made.notes.append(
            "no event number was found: a hash of the inputs splits training and validation, so that equal rows stay together"
        )
    unused = [
        name
        for name, column in outside.items()
        if name.startswith(tuple(f"{entry}_" for entry in made.event.inputs)) and not is_weight(column)
    ]
    if unused:
        yield f"# Columns of the file that the event file does not use: {', '.join(unused)}"
