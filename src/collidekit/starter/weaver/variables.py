"""New variables of a data configuration, converted when another part needs them."""

import ast
from collections.abc import Mapping
from typing import Any

from collidekit.analysis.expressions import Expression
from collidekit.errors import CollidekitError
from collidekit.starter.weaver.expression import Converted, convert

_MAY_BE_INFINITE = ("log", "log10", "log1p", "exp", "expm1", "arctanh", "tan", "sinh", "cosh")


class Variables:
    """Expressions of new variables by name, converted when they are needed."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = {name: " ".join(str(text).split()) for name, text in given.items() if str(text).strip() != name}
        self._done: dict[str, Converted | CollidekitError] = {}
        self._open: list[str] = []
        self._roots: list[str] = []

    def need(self, text: str) -> Converted:
        """Convert an expression and its variables. Raises CollidekitError, with the reason, if one cannot be converted."""
        found = self._convert(text)
        self._roots.append(found.text)
        return found

    @property
    def used(self) -> dict[str, str]:
        """Converted variables that are needed, each before those that it depends on."""
        found: dict[str, str] = {}
        texts = list(self._roots)
        for text in texts:
            for name in sorted(Expression(text).names):
                done = self._done.get(name)
                if isinstance(done, Converted) and name not in found:
                    found[name] = done.text
                    texts.append(done.text)
        return found

    def unused(self) -> list[str]:
        """Return the names of variables that nothing needs."""
        used = self.used
        return [name for name in self._given if name not in used]

    def source(self, name: str) -> str:
        """Return weaver's expression of a variable, or the name of a branch."""
        return self._given.get(name, name)

    def may_be_infinite(self, name: str) -> bool:
        """Return whether an expression of a variable may be infinite; False for a branch."""
        done = self._done.get(name)
        if not isinstance(done, Converted):
            return False
        for node in ast.walk(ast.parse(done.text, mode="eval")):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.Pow):
                return True
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _MAY_BE_INFINITE:
                return True
        return any(self.may_be_infinite(other) for other in Expression(done.text).names)

    def _convert(self, text: str) -> Converted:
        found = convert(text, self._is_condition)
        for name in sorted(Expression(found.text).names):
            if name in self._given:
                self._variable(name)
        return found

    def _variable(self, name: str) -> Converted:
        if name in self._open:
            raise CollidekitError(f"the variables {' -> '.join([*self._open, name])} depend on each other")
        if name not in self._done:
            self._open.append(name)
            try:
                self._done[name] = self._convert(self._given[name])
            except CollidekitError as error:
                said = str(error)
                self._done[name] = CollidekitError(
                    said if said.startswith("the variable") else f"the variable {name}: {said}"
                )
            finally:
                self._open.pop()
        found = self._done[name]
        if isinstance(found, CollidekitError):
            raise found
        return found

    def _is_condition(self, name: str) -> bool:
        if name not in self._given:
            return False
        try:
            return self._variable(name).is_condition
        except CollidekitError:
            return False
