"""Tagger: defaults and bounds of the inputs, scaling, network and heads in one module, whose weights are stored together."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from collidekit.analysis.schema import Analysis
from collidekit.analysis.targets import Assignment, MemberTarget, Target
from collidekit.dataset.batch import Batch, Input
from collidekit.errors import CollidekitError
from collidekit.models.filling import Filling
from collidekit.models.heads import ClassesHead, Head, RegressionHead, regression_head
from collidekit.models.heads.assignment import collections_used, of_event
from collidekit.models.named_modules import NamedModules
from collidekit.models.network import Network
from collidekit.models.scaling import Scaling
from collidekit.models.target_heads import TargetHeads
from collidekit.shown import html_table


def outputs_of(analysis: Analysis, head: Head) -> int:
    """Return the number of outputs of a network: those of the head of the classes and of each target of rows."""
    needed = head.outputs + sum(target.outputs for target in analysis.regressions.values())
    return max(needed, 1)  # at least one, which is not used if all targets are learned from embeddings


class Tagger(nn.Module):
    """Model with inputs in raw units: ``forward`` returns raw numbers of the head (N, M) for the loss, ``predict`` columns (N,).

    ``predict`` also accepts missing, infinite and unbounded values, which a constructed dataset does not have.

    ``head`` is the head of the classes of rows, without outputs if there are no classes. ``regressions`` are the heads of targets of
    rows. ``target_heads`` returns the logits of those targets of constituents that the network can learn (only those in ``members``,
    if given); it is None if there are none.
    """

    def __init__(
        self, analysis: Analysis, network: Network, head: Head | None = None, members: Iterable[str] | None = None
    ) -> None:
        super().__init__()
        self.targets = analysis.targets
        self.filling = Filling(analysis.inputs)
        self.scaling = Scaling(analysis.inputs)
        self.network = network
        self.head = head or ClassesHead.of(analysis)
        heads = {name: regression_head(target) for name, target in analysis.regressions.items()}
        self.regressions: Mapping[str, RegressionHead] = NamedModules(heads)  # type: ignore[assignment]
        wanted = (
            analysis.member_targets if members is None else {name: analysis.member_targets[name] for name in members}
        )
        embedded: dict[str, MemberTarget | Assignment] = {
            name: target for name, target in wanted.items() if network.embeds and network.width_of(target.collection)
        }
        for name, target in analysis.assignments.items():
            for collection in collections_used(target):
                if not (network.embeds and network.width_of(collection)):
                    raise CollidekitError(
                        f"target {name!r}: network {type(network).__name__} has no embedding of the {collection}, so it cannot "
                        "assign them; take another, such as transformer_small"
                    )
            embedded[name] = target
        self.target_heads = TargetHeads(embedded, analysis.collections, network) if embedded else None

    def _repr_html_(self) -> str:
        parts = [
            ("network", self.network),
            ("head", self.head),
            *((f"head of {k}", m) for k, m in self.regressions.items()),
        ]
        parts += [("heads of targets", self.target_heads)] if self.target_heads is not None else []
        rows = [(what, type(part).__name__, sum(p.numel() for p in part.parameters())) for what, part in parts]
        total = sum(p.numel() for p in self.parameters())
        inputs = ", ".join([*self.network.collections, *self.network.groups])
        return html_table(f"Tagger of {inputs}: {total:,} parameters", rows, ("part", "class", "parameters"))

    @property
    def learned_targets(self) -> dict[str, Target]:
        """Targets for which this tagger has a head, except the classes of rows."""
        members = self.target_heads.collections if self.target_heads else {}
        return {name: target for name, target in self.targets.items() if name in self.regressions or name in members}

    def forward(self, batch: Batch, with_targets: bool = False) -> Tensor | tuple[Tensor, dict[str, Any]]:
        """Return the raw numbers of the head; ``with_targets`` also those of each learned target."""
        scaled = self._scaled(batch.inputs)
        if not with_targets:
            return self.outputs(scaled)
        if self.target_heads is None:
            return self._split(self.network(scaled))
        found = self.network.embed(scaled)
        raw, targets = self._split(found.outputs)
        return raw, {**targets, **self.target_heads(found, scaled)}

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """Return the columns of the heads, (N,) each."""
        scaled = self._scaled(self.filling(batch.inputs))
        assigned: dict[str, Tensor] = {}
        if self.target_heads is not None and self.target_heads.assignments:
            embedding = self.network.embed(scaled)
            raw, targets = self._split(embedding.outputs)
            for name, scores in self.target_heads.scores(embedding, scaled).items():
                head = self.target_heads.heads[name]
                found = head.decode(scores, scaled)  # type: ignore[operator]
                assigned |= {**found, **of_event(name, head.target, found)}  # type: ignore[arg-type]
        else:
            raw, targets = self._split(self.network(scaled))
        columns: dict[str, Tensor] = dict(self.head.decode(raw))
        for name, head in self.regressions.items():
            columns |= head.answer(targets[name], batch, name)
        return columns | assigned

    def _scaled(self, inputs: Mapping[str, Input]) -> dict[str, Input]:
        scaled: dict[str, Input] = self.scaling(inputs)
        parameter = next(self.network.parameters(), None)
        if parameter is not None:  # the network may have another precision than the scaling
            scaled = {name: entry.to(parameter.device, parameter.dtype) for name, entry in scaled.items()}
        return scaled

    def outputs(self, scaled: dict[str, Input]) -> Tensor:
        """Return the raw numbers (N, M) of the head for scaled inputs."""
        return self._split(self.network(scaled))[0]

    def _split(self, outputs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Split the outputs of the network into raw numbers of the head and of each target of rows."""
        if not self.regressions:
            raw: Tensor = self.head(outputs if self.head.outputs else outputs[:, :0])
            return raw, {}
        sizes = [self.head.outputs, *(head.outputs for head in self.regressions.values())]
        first, *others = outputs.split(sizes, dim=1)  # type: ignore[no-untyped-call]
        found = zip(self.regressions.items(), others, strict=True)
        return self.head(first), {name: head(part) for (name, head), part in found}
