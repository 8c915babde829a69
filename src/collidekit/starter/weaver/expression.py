"""Convert weaver's expressions, which are Python on numpy and awkward arrays, to expressions of an analysis file.

They are parsed to a syntax tree and rewritten node by node; nothing is passed to ``eval``. Parts without a counterpart raise an
error with the reason.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass

from collidekit.analysis.expressions import LONGEST, Expression
from collidekit.errors import CollidekitError
from collidekit.starter.weaver.calls import (
    CONSTANTS,
    LIKE,
    LOGICAL,
    MODULES,
    OF_AWKWARD,
    REDUCTIONS,
    RENAMED,
    SAME,
    UNCHANGED,
)

_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
_COMPARED = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)


@dataclass(frozen=True)
class Converted:
    """An expression of an analysis file, and whether it is a condition."""

    text: str
    is_condition: bool

    @property
    def condition(self) -> str:
        """The expression as a condition: as in numpy, a number is true if it is not 0."""
        return self.text if self.is_condition else f"{self.text if self.text.isidentifier() else f'({self.text})'} != 0"


def convert(text: str, is_condition: Callable[[str], bool] = lambda name: False) -> Converted:
    """Convert an expression of weaver; ``is_condition`` tells which names are conditions.

    Raises CollidekitError, with the reason, if a part has no counterpart.
    """
    text = " ".join(text.split())
    if len(text) > LONGEST:
        raise CollidekitError(f"is {len(text)} characters long")
    try:
        tree = ast.parse(text, mode="eval").body
        node, condition = _Rewriter(is_condition).rewrite(tree)
        written = ast.unparse(ast.fix_missing_locations(node))
    except (SyntaxError, ValueError) as error:
        raise CollidekitError(f"cannot be read ({getattr(error, 'msg', error)})") from None
    except (RecursionError, MemoryError):
        raise CollidekitError("is nested too deeply") from None
    Expression(written)
    return Converted(written, condition)


class _Rewriter:
    """Rewriter of syntax trees; for each part it also returns whether it is a condition."""

    def __init__(self, is_condition: Callable[[str], bool]) -> None:
        self._is_condition = is_condition

    def rewrite(self, node: ast.expr) -> tuple[ast.expr, bool]:
        match node:
            case ast.Constant(value=value) if isinstance(value, int | float) and not isinstance(value, bool):
                return node, False
            case ast.Name(id=name):
                return node, self._is_condition(name)
            case ast.Attribute(attr=name) if _dotted(node.value) in MODULES and name in CONSTANTS:
                return ast.Name(id=CONSTANTS[name]), False
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(left, op, right)
            case ast.BoolOp(op=op, values=values):
                return ast.BoolOp(op=op, values=[self._condition(value) for value in values]), True
            case ast.UnaryOp(op=op, operand=operand):
                return self._unary(op, operand)
            case ast.Compare(left=left, ops=ops, comparators=others) if all(isinstance(op, _COMPARED) for op in ops):
                parts = [self.rewrite(part)[0] for part in (left, *others)]
                return ast.Compare(left=parts[0], ops=ops, comparators=parts[1:]), True
            case ast.Subscript(
                value=value, slice=ast.Tuple(elts=[ast.Slice(lower=None, upper=None, step=None), place])
            ):
                return self._member(value, place), False
            case ast.Call():
                return self._call(node)
        raise CollidekitError(f"{ast.unparse(node)[:60]!r} has no counterpart")

    def _condition(self, node: ast.expr) -> ast.expr:
        """Return a part as a condition; a number is true if it is not 0."""
        part, condition = self.rewrite(node)
        return part if condition else ast.Compare(left=part, ops=[ast.NotEq()], comparators=[ast.Constant(value=0)])

    def _binary(self, left: ast.expr, op: ast.operator, right: ast.expr) -> tuple[ast.expr, bool]:
        (a, a_is), (b, b_is) = self.rewrite(left), self.rewrite(right)
        if a_is and b_is and isinstance(op, ast.BitAnd | ast.Mult):  # in numpy, the product of conditions is "and"
            return _joined(ast.And(), a, b), True
        if a_is and b_is and isinstance(op, ast.BitOr | ast.Add):  # and their sum is "or"
            return _joined(ast.Or(), a, b), True
        if isinstance(op, ast.BitAnd) and (a_is or b_is):  # of a number, only the last bit counts
            number, condition = (b, a) if a_is else (a, b)
            bit = ast.BinOp(left=number, op=ast.BitAnd(), right=ast.Constant(value=1))
            last = ast.Compare(left=bit, ops=[ast.NotEq()], comparators=[ast.Constant(value=0)])
            return _joined(ast.And(), condition, last), True
        if isinstance(op, (*_ARITHMETIC, ast.BitAnd, ast.BitOr)):
            return ast.BinOp(left=a, op=op, right=b), False
        raise CollidekitError(
            f"the operator of {ast.unparse(ast.BinOp(left=left, op=op, right=right))[:60]!r} has no counterpart"
        )

    def _unary(self, op: ast.unaryop, operand: ast.expr) -> tuple[ast.expr, bool]:
        part, condition = self.rewrite(operand)
        if isinstance(op, ast.Not):
            return ast.UnaryOp(op=op, operand=self._condition(operand)), True
        if isinstance(op, ast.Invert):
            if not condition:
                raise CollidekitError(
                    f"'~' before {ast.unparse(operand)[:60]!r} inverts the bits of an integer; write 'not' if it is true or false"
                )
            return ast.UnaryOp(op=ast.Not(), operand=part), True
        return ast.UnaryOp(op=op, operand=part), False

    def _member(self, value: ast.expr, place: ast.expr) -> ast.expr:
        """Convert ``x[:, 0]`` to ``at(x, 0)`` and ``x[:, :3]`` to ``take(x, 3)``."""
        part, _ = self.rewrite(value)
        match place:
            case ast.Constant(value=number) if isinstance(number, int) and number >= 0:
                return _called("at", part, place)
            case ast.Slice(lower=None, upper=ast.Constant(value=number), step=None) if (
                isinstance(number, int) and number >= 0
            ):
                return _called("take", part, ast.Constant(value=number))
        raise CollidekitError(f"{ast.unparse(value)[:60]!r}: this subscript has no counterpart")

    def _call(self, node: ast.Call) -> tuple[ast.expr, bool]:
        dotted = _dotted(node.func)
        module, _, name = dotted.rpartition(".")
        keywords = {word.arg: word.value for word in node.keywords}
        known = not dotted.count(" ") and (module in MODULES or (not module and name in ("abs", "_clip")))
        if not known or not node.args:
            raise CollidekitError(f"{ast.unparse(node)[:60]!r} has no counterpart")
        if name in REDUCTIONS and (module in OF_AWKWARD or "axis" in keywords):
            return self._reduction(node, name, keywords), name in ("any", "all")
        if keywords:
            raise CollidekitError(f"{ast.unparse(node)[:60]!r}: keyword arguments have no counterpart")
        parts = [self.rewrite(argument) for argument in node.args]
        values = [part for part, _ in parts]
        if name in SAME or name in RENAMED:
            return _called(RENAMED.get(name, name), *values), name in ("isfinite", "isnan")
        if name in UNCHANGED and len(parts) == 1:
            return parts[0]
        if name in LIKE and len(values) == 1:
            return _called("spread", ast.Constant(value=LIKE[name]), values[0]), False
        if name == "where" and len(values) == 3:
            return _called("where", self._condition(node.args[0]), *values[1:]), parts[1][1] and parts[2][1]
        if name in ("power", "pow") and len(values) == 2:
            return ast.BinOp(left=values[0], op=ast.Pow(), right=values[1]), False
        if name == "square" and len(values) == 1:
            return ast.BinOp(left=values[0], op=ast.Pow(), right=ast.Constant(value=2)), False
        if name == "firsts" and len(values) == 1:
            return _called("first", values[0]), False
        if name in LOGICAL and len(values) == (1 if name == "logical_not" else 2):
            return self._logical(LOGICAL[name], [self._condition(argument) for argument in node.args]), True
        raise CollidekitError(f"{dotted} has no counterpart")

    def _logical(self, word: str, parts: list[ast.expr]) -> ast.expr:
        if word == "not":
            return ast.UnaryOp(op=ast.Not(), operand=parts[0])
        return _joined(ast.And() if word == "and" else ast.Or(), *parts)

    def _reduction(self, node: ast.Call, name: str, keywords: dict[str | None, ast.expr]) -> ast.expr:
        axis = (
            node.args[1]
            if len(node.args) == 2
            else keywords.pop("axis", ast.Constant(value=1) if name == "num" else None)
        )
        if axis is None or ast.unparse(axis) not in ("1", "-1") or keywords or len(node.args) > 2:
            raise CollidekitError(f"{ast.unparse(node)[:60]!r} must reduce the list of each row: axis=1")
        return _called(REDUCTIONS[name], self.rewrite(node.args[0])[0])


def _joined(op: ast.boolop, *parts: ast.expr) -> ast.BoolOp:
    """Join parts to ``a and b and c`` without nesting, so that each is a line of the cutflow."""
    values: list[ast.expr] = []
    for part in parts:
        values += part.values if isinstance(part, ast.BoolOp) and isinstance(part.op, type(op)) else [part]
    return ast.BoolOp(op=op, values=values)


def _called(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(func=ast.Name(id=name), args=list(arguments), keywords=[])


def _dotted(node: ast.expr) -> str:
    """Return the dotted name of a node, such as ``np.log``; a text with a blank if it is not a name."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{_dotted(value)}.{name}"
    return "no name"
