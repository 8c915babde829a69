"""The checkpoints of a bundle, one or one for each fold, with their graphs in a layout."""

from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from collidekit.analysis.same_inputs import check_same_inputs
from collidekit.analysis.schema import Analysis
from collidekit.dataset.parts import Folds
from collidekit.errors import CollidekitError
from collidekit.export.graph import TaggerGraph
from collidekit.export.layouts import find_layout
from collidekit.export.layouts.base import Layout
from collidekit.export.onnx_file import check_opset
from collidekit.export.options import Options
from collidekit.inference.calibrated import required_temperature
from collidekit.models.registry import build_network
from collidekit.models.tagger import Tagger, outputs_of
from collidekit.names import name_problem
from collidekit.objectives import head_of
from collidekit.training.checkpoint import Checkpoint
from collidekit.training.config import TrainingConfig


@frozen
class Member:
    """A checkpoint and its graph in a layout."""

    checkpoint: Checkpoint
    layout: Layout
    fold: int | None = None
    """The fold that the checkpoint held out; None without folds."""

    @property
    def tagger(self) -> Tagger:
        """Return the ragged network, whose numbers the graph must give."""
        return self.checkpoint.tagger

    @property
    def graph(self) -> TaggerGraph:
        """Return the padded network."""
        return self.layout.graph


def prepare_members(checkpoints: Mapping[str, Checkpoint], name: str, options: Options) -> list[Member]:
    """Return the members of a bundle in the order of their folds.

    Raises CollidekitError if checkpoints do not belong together, a name or an option is wrong, or the network does not
    fit the layout.
    """
    if problem := name_problem(name):
        raise CollidekitError(f"--name: {problem}: it cannot be the name of a model")
    if options.opset is not None:
        check_opset(options.opset)
    layout = find_layout(options.layout)
    check_members(checkpoints)
    has_folds = len(checkpoints) > 1
    members = []
    for where, checkpoint in in_order(checkpoints).items():
        temperature = required_temperature(checkpoint.temperature, where).value if options.calibrated else 1.0
        graph = TaggerGraph(checkpoint.tagger, checkpoint.analysis, temperature)
        made = layout(graph, name, options.of_layout).eval()
        made.check_events()
        members.append(Member(checkpoint, made, checkpoint.config.fold if has_folds else None))
    if has_folds and (split := fold_of_member(members[0].checkpoint)):
        members[0].layout.check_folds(split)
    return members


def fold_of_member(checkpoint: Checkpoint) -> Folds | None:
    """Return the fold that a checkpoint held out; None without folds."""
    split = checkpoint.config.split
    return split if isinstance(split, Folds) else None


def untrained(analysis: Analysis, config: TrainingConfig) -> Checkpoint:
    """Return a checkpoint with the initial weights of a training, to test early whether it can be exported."""
    head = head_of(config.objective, analysis)
    network = build_network(config.model_name, analysis.inputs, outputs_of(analysis, head), config.model_options)
    return Checkpoint(Tagger(analysis, network, head).eval(), analysis, config, 0, {})


def check_members(members: Mapping[str, Checkpoint]) -> None:
    """Raise CollidekitError unless the members are one checkpoint, or one for each fold with the same inputs and network."""
    (name, first), *others = members.items()
    folds = [fold_of_member(checkpoint) for checkpoint in members.values()]
    if not others:
        if folds[0] is not None:
            raise CollidekitError(
                f"{name}: is {first.config.fold_name}; a bundle holds the networks of all {folds[0].k} folds, so that no event is predicted "
                "by a network that was trained on it: give all of them, or the folder of the report of their run"
            )
        return
    if any(fold is None for fold in folds):
        raise CollidekitError(
            f"{len(members)} checkpoints without folds would be an ensemble, which a bundle cannot hold; give one of them"
        )
    ks = {fold.k for fold in folds if fold}
    there = sorted(fold.this for fold in folds if fold)
    if len(ks) > 1 or there != list(range(max(ks))):
        raise CollidekitError(
            f"a bundle of {max(ks)} folds needs one checkpoint of each; given are folds {', '.join(map(str, there))}"
        )
    if len(rules := {fold.rule for fold in folds if fold}) > 1:
        raise CollidekitError(
            f"the checkpoints divide rows into folds by different rules ({', '.join(sorted(rules))}); give the checkpoints of one run"
        )
    for other, checkpoint in others:
        check_same_inputs(Path(other), first.analysis, checkpoint.analysis)
        if (checkpoint.config.model_name, checkpoint.config.model_options) != (
            first.config.model_name,
            first.config.model_options,
        ):
            raise CollidekitError(
                f"{other}: has another network or other network options than {name}; give the checkpoints of one run"
            )


def in_order(members: Mapping[str, Checkpoint]) -> dict[str, Checkpoint]:
    """Return the members sorted by fold."""
    return dict(sorted(members.items(), key=lambda item: item[1].config.fold))
