"""Expressions of the analysis file: parsed to a syntax tree against a whitelist and evaluated on awkward arrays.

Nothing is ever passed to ``eval``: attributes, subscripts, keywords, strings and unknown calls are errors. A text that is too
long or nested too deeply is also an error.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import awkward as ak
import numpy as np

from collidekit.analysis.functions import CONSTANTS, FUNCTIONS, RowError, as_number, choose, same_sign, signed, unsigned
from collidekit.analysis.names import hide_quotes
from collidekit.errors import CollidekitError, did_you_mean

LONGEST = 10_000
"""Largest number of characters in an expression."""
DEEPEST = 100
"""Largest number of nested operators and brackets in an expression."""


def _power(base: Any, exponent: Any) -> Any:
    """Return the power in floating point, because integers would overflow silently and have no negative powers."""
    base = base * 1.0
    return base * base if isinstance(exponent, int) and exponent == 2 else np.power(base, exponent)


def _arithmetic(
    function: Callable[[Any, Any], Any], bound: Callable[[float, float], float] | None = None
) -> Callable[[Any, Any], Any]:
    """Return a function for arithmetic: conditions count as 0 and 1 (numpy reads ``+`` as "or"), unsigned integers as signed.

    Integers whose result does not fit into 64 bits become floating point; ``bound`` gives the largest possible result from
    two absolute values.
    """

    def call(a: Any, b: Any) -> Any:
        a, b = signed(a), signed(b)
        if bound and bound(_largest(a), _largest(b)) >= 2.0**63 and np.any(abs(_flat(function(a * 1.0, b))) >= 2.0**63):
            a = a * 1.0
        return function(a, b)

    return call


def _largest(value: Any) -> float:
    """Return the largest absolute value of integers; 0 if there are none or the numbers are not integers."""
    if isinstance(value, ak.Array) and "int" not in str(ak.type(value)):
        return 0.0
    flat = _flat(value)
    if flat.dtype.kind != "i" or not flat.size:
        return 0.0
    return max(float(flat.max()), -float(flat.min()))


def _subtract(a: Any, b: Any) -> Any:
    """Return the signed difference; from 2^63 on it is exact for integers, or an error if it does not fit into 64 bits."""
    a, b = same_sign(a, b)
    if not (_is_large(a) or _is_large(b)) or _is_floating(a) or _is_floating(b):
        return _signed_difference(a, b)
    wrapped = np.subtract(_as_bits(a), _as_bits(b))  # modulo 2^64
    near = np.subtract(a * 1.0, b * 1.0)
    found = ak.values_astype(wrapped, np.int64) if isinstance(wrapped, ak.Array) else wrapped.astype(np.int64)
    size, turned = abs(_flat(near)), np.signbit(_flat(near)) != (_flat(found) < 0)
    if np.any((size >= 2.0**64) | ((size >= 2.0**62) & turned)):
        raise CollidekitError(
            "is a difference that does not fit into 64 bits in some rows; multiply both numbers by 1.0 to allow rounding"
        )
    return found


def _is_large(value: Any) -> bool:
    """Return whether a value is unsigned and at least 2^63 somewhere."""
    return unsigned(value) is not None and bool(np.any(_flat(value) >= np.uint64(1 << 63)))


def _as_bits(value: Any) -> Any:
    """Return integers as unsigned integers with the same bits."""
    value = as_number(value)
    if isinstance(value, ak.Array):
        return ak.values_astype(value, np.uint64)
    return np.uint64(value & (1 << 64) - 1) if isinstance(value, int) else np.asarray(value).astype(np.uint64)


def _exact_unsigned(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return a function for remainders and integer quotients that is exact for unsigned numbers, such as event numbers from 2^63.

    Division by 0 gives NaN, and the other results are then in floating point.
    """

    def exact(a: Any, b: Any) -> Any:
        a, b = same_sign(a, b)
        if _is_large(a) and not _is_floating(b) and not np.any(_flat(b) < 0):
            return signed(function(a, _as_bits(b)))
        return function(signed(a), signed(b))

    def call(a: Any, b: Any) -> Any:
        zero = np.equal(b, 0)
        if _is_floating(a) or _is_floating(b) or not np.any(_flat(zero)):
            return exact(a, b)
        return choose(zero, np.nan, exact(a, choose(zero, 1, b)) * 1.0)

    return call


_signed_difference = _arithmetic(np.subtract, operator.add)


def _flat(value: Any) -> Any:
    return np.asarray(ak.flatten(value, axis=None) if isinstance(value, ak.Array) else value)


def _is_floating(value: Any) -> bool:
    return bool(_flat(value).dtype.kind == "f")


_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: _arithmetic(np.add, operator.add),
    ast.Sub: _subtract,
    ast.Mult: _arithmetic(np.multiply, operator.mul),
    ast.Div: _arithmetic(np.true_divide),
    ast.FloorDiv: _exact_unsigned(np.floor_divide),
    ast.Mod: _exact_unsigned(np.mod),
    ast.Pow: _arithmetic(_power),
    ast.BitAnd: np.bitwise_and,
    ast.BitOr: np.bitwise_or,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: lambda value: -value if isinstance(value, int) else np.negative(signed(value)),
    ast.UAdd: lambda value: value,
    ast.Not: np.logical_not,
}
_NODE_NAMES = {
    ast.Attribute: "an attribute (a dot)",
    ast.Subscript: "a subscript ([...]); use at(x, 0) or take(x, 3)",
    ast.Lambda: "a lambda",
    ast.ListComp: "a comprehension",
    ast.JoinedStr: "a string",
    ast.Constant: "a string",
    ast.Call: "a call with a dot or with 'name='",
    ast.NamedExpr: "':='",
    ast.Tuple: "a list of values",
    ast.List: "a list of values",
    ast.Invert: "'~'; use 'not'",
    ast.BitXor: "'^'; use ** for powers",
    ast.LShift: "'<<'",
    ast.RShift: "'>>'",
    ast.MatMult: "'@'",
}


_OTHER_LANGUAGES = {
    r"&&": "for '&&' write 'and'",
    r"\|\|": "for '||' write 'or'",
    r"!(?!=)": "for '!' write 'not'",
    r"(?<![=<>!])=(?!=)": "'=' compares nothing; write '=='",
    r"\?": "for 'a ? b : c' write 'b if a else c'",
}
"""Operators of other languages, and the Python equivalent."""
_LIBRARY_MESSAGES = {
    r"broadcast": "lists of different lengths cannot be combined: they belong to different collections",
    r"ufunc 'bitwise": "'&' and '|' are for integers; write 'and' and 'or' between conditions",
    r"string|invalid literal": "a text branch cannot be used as numbers",
    r"slice|more dimensions|exceeds the depth|[A-Z]\w*Array|awkward|overload":
        "numbers, lists and lists of lists cannot be combined in this way",
}  # fmt: skip
"""Messages of awkward and numpy, in the terms of an analysis file."""


def in_words(message: str) -> str:
    """Return the message of a library without internal details."""
    for pattern, words in _LIBRARY_MESSAGES.items():
        if re.search(pattern, message):
            return words
    return message.splitlines()[0]


def _hint(text: str) -> str:
    """Return the Python equivalent of an operator from another language; empty if there is none."""
    return next((hint for pattern, hint in _OTHER_LANGUAGES.items() if re.search(pattern, text)), "")


class Expression:
    """One parsed expression; ``where`` is the place in the file that errors name."""

    def __init__(self, text: str, where: str = "") -> None:
        self.text = text
        self.where = where or "expression"
        if len(text) > LONGEST:
            raise self._error(f"is {len(text)} characters long; at most {LONGEST} are allowed")
        try:
            hidden, self._quoted = hide_quotes(text.strip())
            if "`" in hidden or "``" in text:
                raise self._error("has a backtick without a name; write the name of a branch as `name`")
            self._tree = ast.parse(hidden, mode="eval").body
        except (SyntaxError, ValueError) as error:
            raise self._error(f"cannot be read ({_hint(text) or str(getattr(error, 'msg', error))[:100]})") from None
        except (RecursionError, MemoryError):
            raise self._too_deep() from None
        if _depth(self._tree) > DEEPEST:
            raise self._too_deep()
        self.constants: set[str] = set()
        """Constants that are used without backticks, such as pi."""
        self.names = frozenset(self._check(self._tree))

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def __reduce__(self) -> tuple[type["Expression"], tuple[str, str]]:
        return Expression, (self.text, self.where)

    def evaluate(self, scope: Mapping[str, Any]) -> Any:
        """Return the value in a scope of names: an awkward array, a numpy array or a number."""
        with np.errstate(all="ignore"):
            return self._value(self._tree, scope)

    def terms(self) -> list["Expression"]:
        """Return the parts of a top-level ``and``, for a cutflow with one line each."""
        if isinstance(self._tree, ast.BoolOp) and isinstance(self._tree.op, ast.And):
            return [Expression(self._show(value), self.where) for value in self._tree.values]
        return [self]

    def arguments(self, positions: Mapping[str, tuple[int, ...]]) -> list["Expression"]:
        """Return the arguments at some positions of the calls of functions, such as ``{"px": (1,)}`` for azimuths."""
        return [
            Expression(self._show(node.args[place]), self.where)
            for node in ast.walk(self._tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            for place in positions.get(node.func.id, ())
        ]

    def _show(self, node: ast.expr) -> str:
        """Return the text of a part of the expression, with its backticks."""
        text = ast.unparse(node)
        for hidden, name in self._quoted.items():
            text = text.replace(hidden, name)
        return text

    def _error(self, message: str) -> CollidekitError:
        text = self.text if len(self.text) <= 200 else f"{self.text[:80]} ..."
        return CollidekitError(f"{self.where}: {text!r}: {message}")

    def _too_deep(self) -> CollidekitError:
        return self._error(f"is nested more than {DEEPEST} levels deep; define parts of it under 'variables'")

    def _check(self, node: ast.expr) -> set[str]:
        """Return the names used below a node; anything outside the whitelist is an error."""
        match node:
            case ast.Constant(value=value) if isinstance(value, int | float):
                if isinstance(value, int) and value >= 1 << 64:
                    raise self._error("contains an integer beyond 64 bits; write it with an exponent, such as 1e20")
                return set()
            case ast.Name(id=name):
                if name in CONSTANTS:
                    self.constants.add(name)
                    return set()
                return {self._quoted.get(name, name)}
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return self._check(left) | self._check(right)
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
                return self._check(operand)
            case ast.BoolOp(values=values):
                return set().union(*(self._check(value) for value in values))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self._check(test) | self._check(body) | self._check(orelse)
            case ast.Compare(left=left, ops=ops, comparators=others):
                return self._check_compare(left, ops, others)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self._check_call(name, args)
        kind = _NODE_NAMES.get(type(node.op) if isinstance(node, ast.UnaryOp | ast.BinOp) else type(node))
        raise self._error(
            f"{kind or type(node).__name__} is not allowed; allowed are numbers, names, + - * / // % **, comparisons, "
            "and/or/not, 'in (1, 2)', 'a if b else c' and the functions of docs/expressions.md"
            + ("; write a branch with a dot in its name in backticks" if isinstance(node, ast.Attribute) else "")
        )

    def _check_compare(self, left: ast.expr, ops: list[ast.cmpop], others: list[ast.expr]) -> set[str]:
        names = self._check(left)
        for op, other in zip(ops, others, strict=True):
            if isinstance(op, ast.In | ast.NotIn):
                if len(ops) > 1:
                    raise self._error("'in' cannot be part of a chain of comparisons; use 'and'")
                if not isinstance(other, ast.Tuple | ast.List) or not other.elts:
                    raise self._error("'in' needs a list of numbers: 'x in (4, 5)'")
                names = names.union(*(self._check(element) for element in other.elts))
            elif type(op) in _COMPARE:
                names |= self._check(other)
            else:
                raise self._error("'is' is not allowed; use ==")
        return names

    def _check_call(self, name: str, args: list[ast.expr]) -> set[str]:
        if name not in FUNCTIONS:
            raise self._error(f"there is no function {name!r}{did_you_mean(name, list(FUNCTIONS))}")
        function = FUNCTIONS[name]
        if not function.least <= len(args) <= function.most:
            raise self._error(f"{name} takes {function.signature}, not {len(args)} arguments")
        return set().union(*(self._check(arg) for arg in args))

    def _value(self, node: ast.expr, scope: Mapping[str, Any]) -> Any:
        match node:
            case ast.Constant(value=value):
                return np.uint64(value) if isinstance(value, int) and value >= 1 << 63 else value
            case ast.Name(id=name):
                return CONSTANTS[name] if name in CONSTANTS else scope[self._quoted.get(name, name)]
            case ast.BinOp(left=left, op=op, right=right):
                return self._apply(_BINARY[type(op)], self._value(left, scope), self._value(right, scope))
            case ast.UnaryOp(op=op, operand=operand):
                return self._apply(_UNARY[type(op)], self._value(operand, scope))
            case ast.BoolOp(op=op, values=values):
                combine = np.logical_and if isinstance(op, ast.And) else np.logical_or
                parts = [self._value(value, scope) for value in values]
                return reduce(lambda a, b: self._apply(combine, a, b), parts)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self._apply(choose, *(self._value(part, scope) for part in (test, body, orelse)))
            case ast.Compare(left=left, ops=ops, comparators=others):
                return self._compare(self._value(left, scope), ops, others, scope)
            case ast.Call(func=ast.Name(id=name), args=args):
                values = [self._value(arg, scope) for arg in args]
                return self._apply(FUNCTIONS[name].call, *values, name=name)
        raise AssertionError(f"{type(node).__name__} passed the whitelist")  # pragma: no cover

    def _compare(self, left: Any, ops: list[ast.cmpop], others: list[ast.expr], scope: Mapping[str, Any]) -> Any:
        results = []
        for op, other in zip(ops, others, strict=True):
            if isinstance(op, ast.In | ast.NotIn):
                members = [self._value(element, scope) for element in other.elts]  # type: ignore[attr-defined]
                found = reduce(np.logical_or, [self._apply(np.equal, left, member) for member in members])
                results.append(found if isinstance(op, ast.In) else np.logical_not(found))
            else:
                right = self._value(other, scope)
                results.append(self._apply(_COMPARE[type(op)], left, right))
                left = right
        return reduce(np.logical_and, results)

    def _apply(self, function: Callable[..., Any], *values: Any, name: str = "") -> Any:
        try:
            return function(*values)
        except RowError as error:
            raise RowError(str(self._error(str(error))), error.row) from None
        except CollidekitError as error:
            raise self._error(str(error)) from None
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            message = in_words(str(error).strip() or type(error).__name__)
            raise self._error(f"{name + ': ' if name else ''}{message}") from None


def _depth(tree: ast.expr) -> int:
    """Return the number of nested levels, without recursion."""
    level: list[ast.AST] = [tree]
    depth = 0
    while level:
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        depth += 1
    return depth
