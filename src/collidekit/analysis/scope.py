"""The names that an expression may use in one chunk: columns of the file, variables of the analysis, built-in indices."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import awkward as ak
import numpy as np

from collidekit.analysis.expressions import Expression
from collidekit.analysis.functions import RowError
from collidekit.analysis.load import Lines, expressions
from collidekit.analysis.names import ColumnNames, quoted
from collidekit.analysis.schema import Analysis
from collidekit.errors import CollidekitError, did_you_mean

BUILT_IN = ("row_index",)
"""``row_index``: position of a row in its event (0 if rows are events)."""
LONGEST_CHAIN = 100
"""Largest number of variables that use each other in a chain."""


class Plan:
    """An analysis with parsed expressions: it knows which columns to read, and the value of each expression in a chunk."""

    def __init__(self, analysis: Analysis, lines: Lines | None = None) -> None:
        self.analysis = analysis
        self.lines = lines or Lines(analysis.name or "analysis", None)
        self.expressions = expressions(analysis, self.lines)
        self.variables = {name: self.expressions["variables", name] for name in analysis.variables}
        self.members = {name: self.expressions["members", name] for name in analysis.members}
        self._no_cycles()
        self._members_are_used()

    def __repr__(self) -> str:
        return f"Plan({self.analysis!r})"

    def _repr_html_(self) -> str:
        return self.analysis._repr_html_()

    def __getitem__(self, place: tuple[str | int, ...]) -> Expression:
        return self.expressions[place]

    def __contains__(self, place: tuple[str | int, ...]) -> bool:
        return place in self.expressions

    def leaves(self, expressions: Iterable[Expression]) -> list[str]:
        """Return the columns of the file that expressions depend on, directly or through variables."""
        return sorted({name for expression in expressions for name in self._leaves(expression)})

    def under(self, *place: str | int) -> list[Expression]:
        """Return all expressions below a place of the file, in order."""
        return [value for key, value in self.expressions.items() if key[: len(place)] == place]

    def columns(
        self,
        available: Iterable[str],
        with_truth: bool = True,
        path: str = "",
        unreadable: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Return the columns to read from a file with the columns ``available``; an unknown name is an error with its line.

        ``unreadable`` maps columns of the file that do not hold numbers to their types.

        Columns of ``dilepton`` are not part of a dataset; ``columns_of_expressions`` returns them.

        Without truth, columns used only by classes, weights and targets of rows may be missing. Columns used only by targets
        of constituents are not read.
        """
        available, inside = list(available), f" in {path}" if path else ""
        known = ColumnNames(available)
        self._refuse_shadowed(set(available), inside)
        needed: dict[str, None] = {}
        for place, expression in self.expressions.items():
            of_rows = place[0] == "targets" and place[2] in ("values", "parents")
            if place[0] in ("variables", "dilepton") or (place[0] == "targets" and not with_truth and not of_rows):
                continue
            if place[0] == "members" and not _begins(needed, str(place[1])):
                continue
            leaves = self._leaves(expression)
            absent = [name for name in leaves if known.find(name) is None]
            if not with_truth and absent and (place[0] in ("classes", "weight") or of_rows):
                continue
            for name, user in leaves.items():
                column = known.find(name)
                if column is None:
                    raise CollidekitError(
                        f"{user.where}: {user.text!r}: {_why_missing(name, known, unreadable or {})}{inside}"
                        f"{did_you_mean(name, [*self.variables, *available])}"
                    )
                needed[column] = None
        return list(needed)

    def columns_of_expressions(self, used: Iterable[Expression], available: Iterable[str], path: str) -> list[str]:
        """Return the columns of a file that some expressions need; an unknown name is an error that names its line."""
        available = list(available)
        known = ColumnNames(available)
        needed: dict[str, None] = {}
        for expression in used:
            for name, user in self._leaves(expression).items():
                if (column := known.find(name)) is None:
                    raise CollidekitError(
                        f"{user.where}: {user.text!r}: {_why_missing(name, known, {})} in {path}"
                        f"{did_you_mean(name, [*self.variables, *available])}"
                    )
                needed[column] = None
        return list(needed)

    def _refuse_shadowed(self, known: set[str], inside: str) -> None:
        """Raise an error if an expression uses a constant or built-in name that is also a branch of the file."""
        for expression in self.expressions.values():
            for name in sorted((expression.constants | (expression.names & set(BUILT_IN))) & known):
                raise CollidekitError(
                    f"{expression.where}: {expression.text!r}: {name!r} is a built-in name, but also a branch{inside}; "
                    f"write the branch as {quoted(name)}, or define a variable for the value that you need"
                )

    def available(self, names: Iterable[str], scope: "Scope") -> bool:
        """Return whether a chunk has all these names, or everything that the variables among them need."""
        return all(
            self.available(self.variables[name].names, scope) if name in self.variables else name in scope
            for name in names
        )

    def missing(self, available: Iterable[str]) -> dict[str, Expression]:
        """Return every name that neither the file nor a variable defines, with an expression of a dataset that uses it."""
        known = ColumnNames([*available, *BUILT_IN])
        needed: dict[str, Expression] = {}
        for place, expression in self.expressions.items():
            if place[0] not in ("variables", "dilepton"):
                leaves = self._leaves(expression)
                needed |= {name: user for name, user in leaves.items() if known.find(name) is None}
        return needed

    def _leaves(self, expression: Expression) -> dict[str, Expression]:
        """Return the names that an expression needs from the file, through variables, each with the expression that uses it."""
        leaves: dict[str, Expression] = {}
        seen: set[str] = set()
        todo = [expression]
        while todo:
            user = todo.pop()
            for name in sorted(user.names - seen):
                seen.add(name)
                if name in self.variables:
                    todo.append(self.variables[name])
                elif name not in BUILT_IN:
                    leaves[name] = user
        return leaves

    def _no_cycles(self) -> None:
        depth: dict[str, int] = {}

        def visit(name: str, above: tuple[str, ...]) -> int:
            if name in above:
                chain = " -> ".join((*above[above.index(name) :], name))
                raise CollidekitError(f"{self.variables[name].where}: variables use each other in a circle: {chain}")
            if name not in depth:
                used = sorted(self.variables[name].names & self.variables.keys())
                depth[name] = 1 + max((visit(other, (*above, name)) for other in used), default=0)
            if len(above) + depth[name] > LONGEST_CHAIN:
                where = self.variables[name].where
                raise CollidekitError(f"{where}: a chain of more than {LONGEST_CHAIN} variables that use each other")
            return depth[name]

        for name in self.variables:
            visit(name, ())

    def _members_are_used(self) -> None:
        """Raise an error if the index of members is not a branch, or if no branch of the members is used."""
        used = self.leaves(expression for place, expression in self.expressions.items() if place[0] != "members")
        for name, index in self.members.items():
            where = f"{index.where}: members.{name}"
            if self.leaves([index]) != [index.text]:
                raise CollidekitError(f"{where}: {index.text!r} is not a branch of the file")
            if not _begins(used, name):
                near = did_you_mean(name, [leaf.rpartition("_")[0] for leaf in used])
                raise CollidekitError(f"{where}: no branch that begins with '{name}_' is used{near}")


def _why_missing(name: str, known: ColumnNames, unreadable: Mapping[str, str]) -> str:
    """Return the reason why a name has no column: it is ambiguous, holds no numbers, or is unknown."""
    if name in unreadable:
        return no_numbers(name, unreadable[name])
    found = [quoted(column.strip("`")) for column in known.alike(name)]
    if len(found) > 1:
        return f"{name!r} could be any of the branches {', '.join(sorted(found))}; write the one you mean in backticks"
    return f"there is no branch or variable {name!r}"


def no_numbers(name: str, kind: str) -> str:
    """Return the message for a branch that does not hold numbers."""
    text = re.search(r"str|char|\bS\d|<U|object", kind)
    return f"{name!r} is {f'text ({kind})' if text else kind}, not numbers or lists of numbers"


def flat_numbers(values: ak.Array) -> np.ndarray[Any, Any]:
    """Return numbers in one dimension, with NaN for missing ones."""
    if not values.layout.is_numpy:
        values = ak.fill_none(values, np.nan)
    return np.asarray(ak.to_numpy(values, allow_missing=False))


def flat_values(value: Any, counts: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return one number for each constituent; a number of the row is repeated."""
    if isinstance(value, ak.Array) and value.ndim > 1:
        return flat_numbers(ak.flatten(value, axis=1))
    return np.repeat(np.broadcast_to(np.asarray(value), counts.shape), counts)


def _begins(names: Iterable[str], collection: str) -> bool:
    return any(name.startswith(f"{collection}_") for name in names)


class Scope(Mapping[str, Any]):
    """Columns of a chunk, and variables that are evaluated at their first use. Numbers are held in 64 bits.

    ``entries`` (N,) is the entry of the file ``path`` that each of the N rows comes from.
    """

    def __init__(self, plan: Plan, columns: Mapping[str, Any], path: str, entries: np.ndarray[Any, Any]) -> None:
        self._variables = plan.variables
        self._columns = dict(columns)
        self._names = ColumnNames(self._columns)
        self._values: dict[str, Any] = {}
        self.path = path
        self.entries = entries

    @property
    def rows(self) -> int:
        return len(self.entries)

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            if name in self._variables:
                self._values[name] = self.value(self._variables[name])
            else:
                column = self._names.find(name)
                if column is None:
                    raise KeyError(name)
                self._values[name] = _wide(self._columns[column])
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._variables, **self._columns})

    def __len__(self) -> int:
        return len({**self._variables, **self._columns})

    def __contains__(self, name: object) -> bool:
        return name in self._variables or (isinstance(name, str) and self._names.find(name) is not None)

    def select(self, mask: np.ndarray[Any, Any]) -> "Scope":
        """Return the same names for the rows of a mask."""
        chosen = object.__new__(Scope)
        chosen._variables = self._variables
        chosen._columns = {name: values[mask] for name, values in self._columns.items()}
        chosen._names = self._names
        chosen._values = {name: values[mask] for name, values in self._values.items() if _per_row(values, self.rows)}
        chosen.path, chosen.entries = self.path, self.entries[mask]
        return chosen

    def value(self, expression: Expression) -> Any:
        """Return the expression for all rows; an error in one row names the file and the row."""
        try:
            return expression.evaluate(self)
        except RowError as error:
            raise CollidekitError(f"{self.place(error.row)}: {error}") from None

    def place(self, row: int) -> str:
        """Return the file and the entry of a row."""
        return f"{self.path}: row {self.entries[row]}"

    def numbers(self, expression: Expression) -> np.ndarray[Any, Any]:
        """Return the expression as one number per row (N,); a list is an error."""
        value = self.value(expression)
        if isinstance(value, ak.Array):
            if value.ndim != 1:
                lists = [name for name in sorted(expression.names) if getattr(self[name], "ndim", 0) > 1]
                of = (
                    f" (so {'are' if len(lists) > 1 else 'is'} {', '.join(lists)})"
                    if lists != [expression.text]
                    else ""
                )
                raise CollidekitError(
                    f"{expression.where}: {expression.text!r}: is a list in each row of {self.path}{of}, but one number is needed "
                    "here (reduce it with sum, max, first ...)"
                )
            value = flat_numbers(value)
        return np.broadcast_to(np.asarray(value), (self.rows,))

    def mask(self, expression: Expression) -> np.ndarray[Any, Any]:
        """Return an expression as a condition for each row (N,); a number other than 0 and 1 is an error."""
        values = self.numbers(expression)
        refuse_numbers(values, expression)
        return values.astype(bool)


def refuse_numbers(values: np.ndarray[Any, Any], expression: Expression) -> None:
    """Raise an error if a condition has values other than true and false, or 1 and 0, such as NaN."""
    if values.dtype == bool:
        return
    bad = np.flatnonzero((values != 0) & (values != 1))
    if len(bad):
        raise CollidekitError(
            f"{expression.where}: {expression.text!r}: is the number {values[bad[0]]:g} in some rows, but a condition is needed "
            "here; compare it with something, such as > 0"
        )


def _per_row(values: Any, rows: int) -> bool:
    return isinstance(values, ak.Array | np.ndarray) and values.ndim > 0 and len(values) == rows


def _wide(values: Any) -> Any:
    """Return floats in double precision and integers in 64 bits, so that arithmetic on small types does not overflow."""
    if isinstance(values, ak.Array):
        kind = str(ak.type(values))
        if re.search(r"\bfloat(16|32)\b", kind):
            return ak.values_astype(values, np.float64)
        if re.search(r"\bu?int(8|16|32)\b", kind):
            return ak.values_astype(values, np.int64)
    return values
