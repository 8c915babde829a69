"""Find the rows of a file: the tree to read, and the layout of JSON lines that are lists."""

from typing import Any

from collidekit.analysis.schema import Source
from collidekit.errors import CollidekitError
from collidekit.readers import open_file
from collidekit.readers.base import SeveralTreesError
from collidekit.readers.jsonlines import LinesAreListsError
from collidekit.readers.layout import LAYOUTS, ShapeError, is_number, written


def find_source(path: str, tree: str | None = None) -> Source:
    """Return the source of a file. Of several trees it uses the one with a usual name, else it raises CollidekitError."""
    source = Source(tree=tree)
    try:
        open_file(path, source).close()
    except SeveralTreesError as error:
        if error.is_main:
            return Source(tree=error.proposed)
        raise CollidekitError(f"{error.problem}; choose one with --tree {error.proposed}") from None
    except LinesAreListsError as error:
        return Source(layout=find_layout(error.sample, path))
    return source


def find_layout(lines: list[Any], path: str) -> str | list[Any]:
    """Return the name of a known layout that fits the lines, else a layout with a generated name for each position."""
    for name in LAYOUTS:
        layout = written(name)
        try:
            for line in lines:
                layout.line(line)
            return name
        except ShapeError:
            continue
    if not all(isinstance(line, list) for line in lines):
        raise CollidekitError(f"{path}: some lines are lists and others are not; all lines must have the same type")
    found = _template(lines, "value", once=True)
    if not isinstance(found, list):
        raise CollidekitError(f"{path}: the lines are lists of different lengths; each line must be one row")
    return found


def _template(values: list[Any], name: str, once: bool = False) -> Any:
    """Return the layout of values at the same position: a name, a list of layouts, or ``each`` for any number of members."""
    lists = [value for value in values if isinstance(value, list)]
    if not lists:
        return name if all(_numeric(value) for value in values) else None
    lengths = {len(value) for value in lists}
    if len(lengths) == 1 and (once or len(lists) == len(values)) and lengths != {0}:
        return [_template([value[i] for value in lists], f"{name}_{i}") for i in range(lengths.pop())]
    members = [member for value in lists for member in value]
    inside = _template(members, "value") if members else "value"
    return {"each": inside, "prefix": f"{name.replace('value', 'list')}_"}


def _numeric(value: Any) -> bool:
    return value is None or isinstance(value, int | float) or (isinstance(value, str) and is_number(value))
