"""Which checkpoints go into a bundle: one, or those of all folds of a sample."""

from collections.abc import Mapping
from pathlib import Path

from collidekit.analysis.same_inputs import check_same_inputs
from collidekit.dataset.parts import Folds
from collidekit.errors import CollidekitError
from collidekit.training.checkpoint import Checkpoint


def fold_of_member(checkpoint: Checkpoint) -> Folds | None:
    """Return the fold that a checkpoint held out; None where it was trained without folds."""
    config = checkpoint.config
    return Folds(config.folds, config.fold) if config.folds else None


def check_members(members: Mapping[str, Checkpoint]) -> None:
    """Raise CollidekitError unless the members are one checkpoint, or one for each fold with the same inputs and network."""
    (name, first), *others = members.items()
    folds = [fold_of_member(checkpoint) for checkpoint in members.values()]
    if not others:
        if folds[0] is not None:
            raise CollidekitError(
                f"{name}: is {first.config.fold_name}; a bundle holds the networks of all {folds[0].k} folds, so that no event is judged "
                "by a network that learned from it: name all of them, or the folder of the report of their run"
            )
        return
    if any(fold is None for fold in folds):
        raise CollidekitError(
            f"{len(members)} checkpoints that are no folds would be an ensemble, which a bundle cannot hold; name one of them"
        )
    ks = {fold.k for fold in folds if fold}
    there = sorted(fold.this for fold in folds if fold)
    if len(ks) > 1 or there != list(range(max(ks))):
        raise CollidekitError(
            f"a bundle of {max(ks)} folds needs one checkpoint of each; given are folds {', '.join(map(str, there))}"
        )
    for other, checkpoint in others:
        check_same_inputs(Path(other), first.analysis, checkpoint.analysis)
        if (checkpoint.config.model_name, checkpoint.config.model_options) != (
            first.config.model_name,
            first.config.model_options,
        ):
            raise CollidekitError(f"{other}: has another network, or other options of it, than {name}")


def in_order(members: Mapping[str, Checkpoint]) -> dict[str, Checkpoint]:
    """Return the members by their fold."""
    return dict(sorted(members.items(), key=lambda item: item[1].config.fold))
