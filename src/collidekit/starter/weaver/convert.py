"""``collidekit init data.yaml FILES``: convert weaver's data configuration to an analysis file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.schema import Source
from collidekit.analysis.scope import Plan
from collidekit.dataset.rows import build_rows, columns_to_read
from collidekit.errors import CollidekitError
from collidekit.files import replacing
from collidekit.readers import open_file
from collidekit.starter.empty_files import without_empty_files
from collidekit.starter.spanet import Translated
from collidekit.starter.starter import FILES, check_output, relative_to_output, sample_files
from collidekit.starter.text import quoted
from collidekit.starter.weaver.data_file import DataFile, read_data_file
from collidekit.starter.weaver.inputs import group_inputs, write_inputs
from collidekit.starter.weaver.truth import background_of, find_classes, find_observers, find_values, write_weights
from collidekit.starter.weaver.variables import Variables

_ROWS = 2_000
"""Number of rows of the first file that are built to test the conversion before the analysis file is written."""


def convert_data_file(
    data_path: Path, patterns: Sequence[str], output: Path, tree: str | None = None, force: bool = False
) -> Translated:
    """Write an analysis file for a data configuration of weaver; with data files, test it on rows of the first one.

    Raises CollidekitError if the configuration is invalid, or if the data lack something that it names.
    """
    check_output(output, force)
    file = read_data_file(data_path)
    source = Source(tree=tree or file.content.get("treename"))
    files = without_empty_files(patterns, lambda path: source) if patterns else None
    paths = files.paths if files else []
    lists = _lists(paths, source)
    named = [relative_to_output(pattern, output) for pattern in (files.patterns if files else ())]
    text = _text(file, source, named, output, lists)
    plan = Plan(*parse_analysis(text, str(output)))
    notes = [
        *(files.notes if files else ()),
        "NaN of a feature becomes 0 before the scaling; weaver sets it to 0 after the subtraction. 'collidekit check' counts NaN",
    ]
    if paths:
        with open_file(paths[0], source) as reader:
            needed = columns_to_read(plan, list(reader.columns), path=paths[0])
            build_rows(plan, reader.read(needed, 0, min(reader.rows, _ROWS)), paths[0], 0, 0)
    else:
        notes.append("no data files were given: name them under 'files', then run 'collidekit check'")
    with replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Translated(output, plan.analysis, file.not_converted, notes)


def _lists(paths: list[str], source: Source) -> set[str]:
    """Return the names of the columns that are lists; empty without files."""
    if not paths:
        return set()
    return {name for name, column in sample_files(paths[:FILES], source).columns.items() if column.is_list}


def _text(file: DataFile, source: Source, files: list[str], output: Path, lists: set[str]) -> str:
    """Return the text of the whole analysis file. Variables are converted only if another part needs them."""
    variables = Variables(file.mapping("new_variables"))
    selection = _selection(file, variables)
    classes, values = find_classes(file, variables), find_values(file, variables)
    inputs = list(write_inputs(file, variables, group_inputs(file)))
    if not inputs:
        raise CollidekitError(f"{file.path}: none of its inputs can be converted: {'; '.join(file.not_converted)}")
    spectators, event = find_observers(file, variables, lists)
    weights = list(write_weights(file, variables, classes))
    _report_unused(file, variables, event)
    if not classes and not values:
        classes = {"background": "0 == 1", "signal": "0 == 1"}
    keys = source.model_dump(exclude_defaults=True)
    parts: list[list[str]] = [
        [
            f"# {output.stem}: converted from weaver's data configuration {file.path.name}",
            "#   collidekit check THIS_FILE     show the content of the files and find problems",
            "#   collidekit run THIS_FILE       train, evaluate and write the report",
        ],
        [f"# NOT CONVERTED: {' '.join(said.split())}" for said in file.not_converted],
        [
            *(
                [f"source: {{{', '.join(f'{key}: {quoted(value, True)}' for key, value in keys.items())}}}"]
                if keys
                else []
            ),
            "files:",
            f"  training: [{', '.join(quoted(name, True) for name in files)}]",
            "  # test: [test.root]   # files of the test set",
        ],
        [f"selection: {quoted(selection)}"] if selection else [],
        _mapping("variables", variables.used),
        _mapping("classes", classes),
        [
            "targets:",
            f"  labels: {{values: {{{', '.join(f'{name}: {quoted(text, True)}' for name, text in values.items())}}}}}",
        ]
        if values
        else [],
        ["inputs:", *inputs],
        [*weights, *_rest(spectators, event, list(classes))],
        list(_training(any(line.startswith("    limit:") for line in inputs))),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _mapping(key: str, entries: dict[str, str]) -> list[str]:
    return [f"{key}:", *(f"  {quoted(name)}: {quoted(text)}" for name, text in entries.items())] if entries else []


def _selection(file: DataFile, variables: Variables) -> str:
    """Return the selection. The selection for test files has no counterpart, so it becomes a message."""
    found = ""
    for key in ("selection", "test_time_selection"):
        text: Any = file.content.get(key)
        if text is None or not str(text).strip():
            continue
        try:
            written = variables.need(str(text)).condition
        except CollidekitError as error:
            file.report(f"{key}: {error}", key)
            continue
        if key == "selection":
            found = written
        elif written != found:
            file.report(f"{key}: the selection applies to all files; for test files it would be {written}", key)
    return found


def _report_unused(file: DataFile, variables: Variables, event: list[str]) -> None:
    """Add messages for the parts that are left out."""
    preprocess = file.mapping("preprocess")
    if preprocess.get("data_fraction") not in (None, 1) and str(preprocess.get("method")).lower().startswith("auto"):
        file.report("data_fraction: all training rows are used for the scaling", "preprocess", "data_fraction")
    masks = {var.name for name, entry in file.inputs.items() if name.endswith("_mask") for var in entry.vars}
    if unused := [name for name in variables.unused() if name not in masks]:
        file.report(
            f"new variables that are not used or not converted: {', '.join(unused)}", "new_variables", unused[0]
        )
    if not event:
        file.report(
            "observers name no event number: jets of one event may be in both the training and the validation set",
            "observers",
        )


def _rest(spectators: list[str], event: list[str], classes: list[str]) -> Iterator[str]:
    if spectators:
        yield f"spectators: [{', '.join(spectators)}]"
    if event:
        yield f"event: [{', '.join(event)}]"
    if classes:
        reference = background_of(classes)
        yield "discriminators:"
        yield from (
            f"  {name}_vs_{reference}: {{signal: {name}, background: {reference}}}"
            for name in classes
            if name != reference
        )


def _training(has_collection: bool) -> Iterator[str]:
    yield "training:"
    yield f"  model_name: {'pfn' if has_collection else 'mlp'}  # --model selects another network, such as particlenet or particle_transformer"
    yield "  epochs: 20"
    yield "  min_steps: 1000  # more epochs if there are few rows"
    yield "  batch_size: 256"
    yield "  learning_rate: 0.002"
    yield "  lr_scheduler: cosine"
