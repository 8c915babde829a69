"""Training settings of a first tagger, from the number of rows and the type of the inputs."""

from collections.abc import Iterator

from collidekit.starter.guessed import Guess, GuessedInput

FEW_ROWS, _MANY = 5_000, 50_000
TRAINING_OF_EVENTS = """training:
  model_name: transformer_small  # docs/networks.md lists other networks; --model selects one
  model_options: {width: 64, layers: 2, dropout: 0.2}
  epochs: 10
  batch_size: 256
  learning_rate: 0.001
  lr_scheduler: one_cycle
  lr_decay_factor: 0.001
  weight_decay: 0.01
  ema_decay: 0.99
"""
"""Training settings for rows that are whole events with assignments."""


def recipe(found: Guess) -> Iterator[tuple[str, str, str]]:
    """Yield name, value and reason of each setting."""
    collections = [entry for entry in found.inputs if entry.limit]
    many = found.rows_in_files >= _MANY
    if collections:
        yield "model_name", "pfn", "docs/networks.md lists other networks; --model selects one"
        norm = max(round(max(entry.mean_count for entry in collections)), 1)
        sizes = "" if many else "phi: [64, 64, 64], f: [64, 64], dropout: 0.2, "
        yield "model_options", f"{{{sizes}activation: silu, norm: {norm}}}", "norm: the mean number of constituents"
    else:
        yield "model_name", "mlp", "because no collection was found; pfn needs one"
    yield "epochs", "30", "the epoch with the lowest validation loss is kept"
    if found.rows_in_files < FEW_ROWS and not found.test_on_training:
        yield "min_steps", "1000", "more epochs, because there are few rows"
    yield "batch_size", "512" if many else "256" if found.rows_in_files >= FEW_ROWS else "128", ""
    yield "learning_rate", "0.004" if many else "0.002", ""
    yield "lr_scheduler", "one_cycle" if many else "cosine", ""
    yield "lr_decay_factor", "0.001", ""
    yield "betas", "[0.9, 0.999]", ""
    yield "weight_decay", "0" if many else "0.0001", ""
    yield "ema_decay", "0.999" if many else "0.99", "moving average of the weights of the network"
    if found.split:
        yield (
            "train_val_split",
            f"{found.split:g}",
            "so that every class has rows in the training and in the validation set",
        )
    if collections and all(only_momenta(entry) for entry in collections):
        yield "augmentation", "rotation", "about the jet axis; no other feature depends on this angle"


def only_momenta(entry: GuessedInput) -> bool:
    """Return whether a rotation about the jet axis changes only the coordinates. Impact parameters, for example, also change."""
    return bool(entry.coordinates) and not entry.more
