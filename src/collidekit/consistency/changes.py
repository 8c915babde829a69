"""Changes of the value of an expression if names in it change, even if other names in it are unknown.

A batch holds features, but not the columns of the file. Yet log(part_pt / jet_pt) changes by the log
of the ratio of the new part_pt to the old one, for any jet_pt.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from collidekit.analysis.functions import FUNCTIONS, delta_phi
from collidekit.analysis.scope import Plan
from collidekit.consistency.lists import REDUCTIONS, Array, Counts, FlatExpression, Lists, as_number


class UnknownNameError(Exception):
    """The change depends on a name with an unknown value."""


@dataclass(frozen=True)
class Change:
    """Values before and after if they are known, else the added or multiplied change; numbers, or lists for each row."""

    old: Any = None
    new: Any = None
    plus: Any = None
    times: Any = None

    def difference(self) -> Any:
        return self.plus if self.new is None else self.new - self.old

    def ratio(self) -> Any:
        return self.times if self.new is None else self.new / self.old


class Names(Mapping[str, Any]):
    """Values by name: given ones, and variables of the analysis that are computed from them."""

    def __init__(self, plan: Plan, values: Mapping[str, Any]) -> None:
        self._plan, self._values = plan, dict(values)

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            if name not in self._plan.variables:
                raise UnknownNameError(name)
            self._values[name] = _expression(self._plan.variables[name].text).evaluate(self)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class Rules:
    """Rules for which expressions change and which are known, as a function of names only.

    ``names`` have values in a batch, ``moved`` names change. ``lists`` are names of lists that lose
    members, each with the collections that are made from it. ``fixed`` tells whether an unknown name is constant
    if it occurs together with a changing one.
    """

    def __init__(
        self, plan: Plan, names: frozenset[str], moved: frozenset[str], fixed: bool,
        lists: Mapping[str, frozenset[str]] | None = None,
    ) -> None:  # fmt: skip
        self.plan, self.names, self.moved, self.fixed, self.lists = plan, names, moved, fixed, dict(lists or {})
        self.changes, self.known = cache(self._changes), cache(self._known)
        self.reduces, self.tree = cache(self._reduces), cache(_tree)

    def _changes(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            below = self._definition(node)
            return node.id in self.moved or (below is not None and self.changes(below))
        if self.lists and _is_reduction(node) and self.collections(node):
            return True
        return any(self.changes(child) for child in _operands(node))

    def _known(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            below = self._definition(node)
            return node.id in self.names or (below is not None and self.known(below))
        return all(self.known(child) for child in _operands(node))

    def _reduces(self, node: ast.expr) -> bool:
        """Return whether the expression uses a list as a whole."""
        below = self._definition(node) if isinstance(node, ast.Name) else None
        return _is_reduction(node) or any(self.reduces(child) for child in ([below] if below else _operands(node)))

    def collections(self, node: ast.expr) -> frozenset[str]:
        """Return the collections that lose members in a list."""
        found = [self.lists[leaf] for leaf in self.leaves(node) if leaf in self.lists]
        return frozenset.intersection(*found) if found else frozenset()

    def leaves(self, node: ast.expr) -> frozenset[str]:
        """Return the names below a node that are not variables."""
        if isinstance(node, ast.Name):
            below = self._definition(node)
            return frozenset({node.id}) if below is None else self.leaves(below)
        return frozenset().union(*(self.leaves(child) for child in _operands(node)))

    def definition(self, node: ast.expr) -> ast.expr:
        """Return the definition of a name, to the end of a chain of names."""
        while isinstance(node, ast.Name) and (below := self._definition(node)) is not None:
            node = below
        return node

    def _definition(self, node: ast.Name) -> ast.expr | None:
        variable = None if node.id in self.names else self.plan.variables.get(node.id)
        return None if variable is None else self.tree(variable.text)


class Follower:
    """Changes of expressions in one batch.

    ``stored`` are the old values of expressions, by their text, for the constituents that stay: they have ``shape``, and are selected by
    ``keep (T,)``. ``vanished (N,)`` is the number of removed constituents of a collection, by its name.
    """

    def __init__(
        self, rules: Rules, old: Mapping[str, Any], new: Mapping[str, Any], stored: Mapping[str, Any],
        shape: Counts, keep: Array | None = None, vanished: Mapping[str, Array] | None = None,
    ) -> None:  # fmt: skip
        self.rules, self.stored, self.keep, self.vanished = rules, stored, keep, vanished or {}
        self.old, self.new = Names(rules.plan, old), Names(rules.plan, new)
        self.shape = shape

    def change(self, node: ast.expr) -> Change:
        """Return the change of an expression; raise UnknownNameError if it depends on an unknown name."""
        rules = self.rules
        if rules.known(node):
            new = self.value(node)
            return Change(self._kept(as_number(_of_node(node).evaluate(self.old))) if rules.changes(node) else new, new)
        text = ast.unparse(node)
        if not rules.changes(node):
            if text in self.stored:
                return Change(self.stored[text], self.stored[text])
            if rules.fixed:
                return Change(plus=0.0, times=1.0)
            raise UnknownNameError(min(leaf for leaf in rules.leaves(node) if leaf not in rules.names))
        found = self._by_parts(node)
        if found.new is None and text in self.stored:
            old = self.stored[text]
            return Change(old, old + found.plus if found.plus is not None else old * found.times)
        return found

    def value(self, node: ast.expr) -> Any:
        """Return the new value of a known expression."""
        return as_number(_of_node(node).evaluate(self.new))

    def _kept(self, value: Any) -> Any:
        """Return the members of lists that stay."""
        if self.keep is None or not isinstance(value, Lists):
            return value
        return Lists(value.values[self.keep], self.shape)

    def _by_parts(self, node: ast.expr) -> Change:
        rules = self.rules
        match node:
            case ast.Name(id=name):
                below = rules.definition(node)
                if isinstance(below, ast.Name):
                    raise UnknownNameError(name)
                return self.change(below)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return Change(plus=-self._difference(operand, node))
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
                a, b = self._difference(left, node), self._difference(right, node)
                return Change(plus=a + b if isinstance(op, ast.Add) else a - b)
            case ast.BinOp(left=left, op=ast.Mult() | ast.Div() as op, right=right):
                a, b = self._ratio(left, node), self._ratio(right, node)
                return Change(times=a * b if isinstance(op, ast.Mult) else a / b)
            case ast.Call(func=ast.Name(id="log" | "log10" as name), args=[argument]):
                return Change(plus=FUNCTIONS[name].call(self._ratio(argument, node)))
            case ast.Call(func=ast.Name(id="delta_phi"), args=[a, b]):
                return Change(plus=delta_phi(self._difference(a, node), self._difference(b, node)))
            case ast.Call(func=ast.Name(id="count"), args=[argument]) if rules.lists:
                found = rules.collections(argument)
                if len(found) == 1:
                    return Change(plus=-1.0 * self.vanished[min(found)])
            case ast.Call(func=ast.Name(id=name), args=args) if not _is_reduction(node):
                changes = [self.change(argument) for argument in args]
                if all(change.new is not None for change in changes):
                    call = FUNCTIONS[name].call
                    return Change(call(*(c.old for c in changes)), call(*(c.new for c in changes)))
        raise self._unknown(node)

    def _difference(self, node: ast.expr, above: ast.expr) -> Any:
        found = self.change(node).difference()
        if found is None:
            raise self._unknown(above)
        return found

    def _ratio(self, node: ast.expr, above: ast.expr) -> Any:
        found = self.change(node).ratio()
        if found is None:
            raise self._unknown(above)
        return found

    def _unknown(self, node: ast.expr) -> UnknownNameError:
        unknown = sorted(self.rules.leaves(node) - self.rules.names)
        return UnknownNameError(unknown[0] if unknown else ast.unparse(node))


def _is_reduction(node: ast.expr) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name), args=args):
            fixed = name == "at" and isinstance(args[1], ast.Constant)
            return name in REDUCTIONS or fixed or (name in ("max", "min") and len(args) == 1)
    return False


def _operands(node: ast.expr) -> list[ast.expr]:
    children = node.args if isinstance(node, ast.Call) else ast.iter_child_nodes(node)
    return [child for child in children if isinstance(child, ast.expr)]


def _tree(text: str) -> ast.expr:
    return ast.parse(text.strip(), mode="eval").body


@cache
def _expression(text: str) -> FlatExpression:
    return FlatExpression(text)


@cache
def _of_node(node: ast.expr) -> FlatExpression:
    return FlatExpression(ast.unparse(node))
