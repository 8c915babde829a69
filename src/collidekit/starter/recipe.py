"""Training settings for a first tagger, by the number of rows and by what the inputs are."""

from collections.abc import Iterator

from collidekit.starter.guessed import Guess, GuessedInput

FEW_ROWS, _MANY = 5_000, 50_000
TRAINING_OF_EVENTS = """training:
  model_name: transformer_small  # others with --model: see docs/networks.md
  model_options: {width: 64, layers: 2, dropout: 0.2}
  epochs: 10
  batch_size: 256
  learning_rate: 0.001
  lr_scheduler: one_cycle
  lr_decay_factor: 0.001
  weight_decay: 0.01
  ema_decay: 0.99
"""
"""The settings where rows are whole events with assignments."""


def recipe(found: Guess) -> Iterator[tuple[str, str, str]]:
    """Name, value and reason of each setting."""
    collections = [entry for entry in found.inputs if entry.limit]
    many = found.rows_in_files >= _MANY
    if collections:
        yield "model_name", "pfn", "others with --model: see docs/networks.md"
        norm = max(round(max(entry.mean_count for entry in collections)), 1)
        sizes = "" if many else "phi: [64, 64, 64], f: [64, 64], dropout: 0.2, "
        yield "model_options", f"{{{sizes}activation: silu, norm: {norm}}}", "norm: the mean number of constituents"
    else:
        yield "model_name", "mlp", "no collection was found, and pfn needs one"
    yield "epochs", "30", "of which the best is kept"
    if found.rows_in_files < FEW_ROWS and not found.test_on_training:
        yield "min_steps", "1000", "more epochs where there are so few rows"
    yield "batch_size", "512" if many else "256" if found.rows_in_files >= FEW_ROWS else "128", ""
    yield "learning_rate", "0.004" if many else "0.002", ""
    yield "lr_scheduler", "one_cycle" if many else "cosine", ""
    yield "lr_decay_factor", "0.001", ""
    yield "betas", "[0.9, 0.999]", ""
    yield "weight_decay", "0" if many else "0.0001", ""
    yield "ema_decay", "0.999" if many else "0.99", "a running mean of the weights is kept"
    if found.split:
        yield "train_val_split", f"{found.split:g}", "so that each class has rows in training and in validation"
    if collections and all(only_momenta(entry) for entry in collections):
        yield "augmentation", "rotation", "about the axis, of which nothing else depends"


def only_momenta(entry: GuessedInput) -> bool:
    """Whether a rotation about the axis changes no more than its coordinates: impact parameters, for example, point somewhere."""
    return bool(entry.coordinates) and not entry.more
