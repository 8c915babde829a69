"""Four-momenta of the constituents, under the names of the analysis for them and their components."""

import ast
from collections.abc import Iterable, Mapping

import torch
from attrs import evolve
from torch import Tensor

from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.consistency.changes import Rules
from collidekit.consistency.dependents import Dependents
from collidekit.consistency.lists import Counts, Lists, lists_of
from collidekit.dataset.batch import Batch, Ragged
from collidekit.errors import CollidekitError

COMPONENTS = ("px", "py", "pz", "energy")
_ARGUMENTS = {"px": ("pt", "phi"), "py": ("pt", "phi"), "pz": ("pt", "eta"), "energy": ("pt", "eta", "mass")}
"""Arguments of the functions of expressions that return a component."""


class Momenta:
    """Replacement of momenta, and of all values that the analysis computes from them.

    ``moved`` are the components of a momentum that change: of px, py, pz, energy, pt, eta, phi, mass.
    """

    def __init__(self, what: str, analysis: Analysis, moved: Iterable[str], fixed: bool) -> None:
        plan, moved = Plan(analysis), frozenset(moved)
        self.names = {name: momentum_names(plan, name) for name, entry in analysis.collections.items() if entry.momenta}
        if not self.names:
            raise CollidekitError(f"{what}: no collection of the analysis has momenta to change")
        sources = {
            leaf
            for name, parts in self.names.items()
            for component, expression in zip(COMPONENTS, plan.under("inputs", name, "momenta"), strict=True)
            if component in moved
            for leaf in _sources(plan, ast.parse(expression.text.strip(), mode="eval").body, parts, moved)
        }
        known = frozenset(name for parts in self.names.values() for name in parts)
        self.dependents = Dependents(what, analysis, Rules(plan, known, frozenset(sources), fixed))

    def replace(self, batch: Batch, new: Mapping[str, Tensor]) -> Batch:
        """Return the batch with new momenta px, py, pz, E (T, 4) for each collection that has momenta."""
        after: dict[str, Ragged] = {}
        before_values: dict[str, Lists] = {}
        after_values: dict[str, Lists] = {}
        for name, parts in self.names.items():
            entry = batch.inputs[name]
            assert isinstance(entry, Ragged)
            data = entry.data.clone()
            data[:, entry.num_features : entry.num_features + 4] = new[name].to(data.dtype)
            after[name] = evolve(entry, data=data)
            before_values |= named(entry, entry.momenta.double(), parts)
            after_values |= named(entry, new[name], parts)
        return self.dependents(batch, after, before_values, after_values)


def named(entry: Ragged, momenta: Tensor, parts: Mapping[str, str]) -> dict[str, Lists]:
    """Return lists for each row under the names of the analysis."""
    shape = Counts(entry.counts.numpy())
    return {name: lists_of(entry, momentum_part(momenta, part), shape) for name, part in parts.items()}


def momentum_part(momenta: Tensor, part: str) -> Tensor:
    """Return a component or another coordinate of momenta (T, 4)."""
    px, py, pz, energy = momenta.unbind(1)
    match part:
        case "pt":
            return torch.hypot(px, py)
        case "eta":
            return torch.asinh(pz / torch.hypot(px, py))
        case "phi":
            return torch.atan2(py, px)
        case "mass":
            return (energy.square() - px.square() - py.square() - pz.square()).clamp_min(0).sqrt()
    return momenta[:, COMPONENTS.index(part)]


def momentum_names(plan: Plan, collection: str) -> dict[str, str]:
    """Return name -> component of the momentum, if a component is a name or a function of names as in ``px(trk_pt, trk_phi)``."""
    found: dict[str, str] = {}
    for component, expression in zip(COMPONENTS, plan.under("inputs", collection, "momenta"), strict=True):
        node = ast.parse(expression.text.strip(), mode="eval").body
        while isinstance(node, ast.Name):
            found[node.id] = component
            if node.id not in plan.variables:
                break
            node = ast.parse(plan.variables[node.id].text.strip(), mode="eval").body
        match node:
            case ast.Call(func=ast.Name(id=function), args=arguments) if function == component:
                for part, argument in zip(_ARGUMENTS[function], arguments, strict=True):
                    if isinstance(argument, ast.Name):
                        found[argument.id] = part
    return found


def _sources(plan: Plan, node: ast.expr, parts: Mapping[str, str], moved: frozenset[str]) -> set[str]:
    """Return the names that change if this expression does: names in it except for constant components, and the names of variables.

    The index of ``pick`` and ``at`` only tells where a value is from, and ``spread`` gives a number of the row.
    """
    match node:
        case ast.Name(id=name):
            if name in parts and parts[name] not in moved:
                return set()
            if name not in plan.variables:
                return {name}
            below = ast.parse(plan.variables[name].text.strip(), mode="eval").body
            return {name} | _sources(plan, below, parts, moved)
        case ast.Call(func=ast.Name(id="spread")):
            return set()
        case ast.Call(func=ast.Name(id="pick" | "at"), args=[values, _]):
            return _sources(plan, values, parts, moved)
    children = node.args if isinstance(node, ast.Call) else ast.iter_child_nodes(node)
    return {name for child in children if isinstance(child, ast.expr) for name in _sources(plan, child, parts, moved)}
