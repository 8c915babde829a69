"""Random seeds of tasks that train at several points."""

from collections.abc import Sequence

from collidekit.errors import CollidekitError
from collidekit.tasks.training import TrainingParameters


def chosen_seeds(task: TrainingParameters, seeds: Sequence[str]) -> list[int]:
    """Return the seeds of ``--seeds``, or the seed of the training without them."""
    if not seeds:
        return [task.training_config().seed]
    if task.seed is not None:
        raise CollidekitError("--seed: cannot be used with --seeds; leave out one of the two")
    try:
        found = [int(seed) for seed in seeds]
    except ValueError:
        raise CollidekitError(f"--seeds: {','.join(map(str, seeds))} must be whole numbers") from None
    if len(set(found)) < len(found):
        raise CollidekitError(f"--seeds: {','.join(map(str, seeds))}: a seed is repeated")
    return found
