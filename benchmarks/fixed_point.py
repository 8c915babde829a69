"""Evaluate a small particle-flow network in fixed-point precision for a trigger, with the bit-accurate emulation of hls4ml.

python benchmarks/fixed_point.py [--checkpoint FOLDER] [--slots 16] [--formats 32,12 16,6 12,5 10,4 8,3] [--epochs 40]

It trains on the leading constituents of the bundled top-tagging sample, converts the network with hls4ml, compiles it with g++ and
evaluates it on the bundled test sample. There is no synthesis: latency and resources of a chip are not measured.
"""

import argparse
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from fixed_size import FixedSizePFN, largest_number, multiplications, slots_of, weights, with_rounded_numbers

from collidekit import construct, load_plan, measure_roc, train
from collidekit.dataset.batch import Batch, concatenate
from collidekit.dataset.loader import Dataset
from collidekit.dataset.not_finite import NotFinite
from collidekit.evaluation.classification.comparison import paired_difference
from collidekit.evaluation.classification.roc_result import RocResult
from collidekit.evaluation.numbers import with_error
from collidekit.inference.file_rows import rows_of_files
from collidekit.shipped import find_analysis
from collidekit.training.checkpoint import Checkpoint, load_checkpoint

FEATURES = ("part_deta", "part_dphi", "part_logptrel")
NETWORK = {"phi": [32, 32, 32], "f": [32, 16], "activation": "relu"}
TRAINING = {
    "batch_size": 256, "learning_rate": 0.004, "lr_scheduler": "one_cycle", "weight_decay": 0.0, "ema_decay": 0.99,
    "augmentation": "rotation",
}  # fmt: skip
MODES = {"plain": "", "rounded": ",AP_RND,AP_SAT"}
"""Rounding and overflow modes: truncation and wrap-around, the default of hls4ml, or rounding and saturation."""
FORMATS = ["32,12", "16,6", "12,5", "10,4", "8,3"]
SIGNAL, TARGET = "top", 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--checkpoint", help="a PFN with ReLU instead of training one; its analysis must fit the sample"
    )
    parser.add_argument(
        "--slots", type=int, default=16, choices=range(1, 129), metavar="K", help="number of leading constituents"
    )
    parser.add_argument(
        "--formats", nargs="+", type=a_format, default=FORMATS, metavar="W,I", help="number of bits and of integer bits"
    )
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if find_spec("hls4ml") is None or shutil.which("g++") is None:
        print("skipped: this needs hls4ml (pip install hls4ml) and the compiler g++")
        return
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.checkpoint:
            checkpoint = load_checkpoint(options.checkpoint)
        else:
            checkpoint = trained(folder, options.slots, options.epochs, options.seed)
        measure(checkpoint, options.slots, options.formats, folder)


def a_format(text: str) -> str:
    """Return a format ``W,I`` with W bits, of which I are integer bits including the sign."""
    width, integer = map(int, text.split(","))
    if not 1 <= integer <= width <= 64:
        raise ValueError(text)
    return f"{width},{integer}"


def trained(folder: Path, slots: int, epochs: int, seed: int) -> Checkpoint:
    """Return a small PFN, trained on the leading constituents of the bundled sample."""
    analysis = folder / "top_tagging.yaml"
    analysis.write_text(yaml.safe_dump(with_leading(slots)))
    construct(load_plan(analysis), str(sample("train")), folder / "dataset", progress=False)
    settings: dict[str, Any] = {"model_name": "pfn", "model_options": {**NETWORK, "norm": slots}, **TRAINING}
    return train(Dataset(folder / "dataset"), folder / "training", show=False, epochs=epochs, seed=seed, **settings)


def with_leading(slots: int) -> dict[str, Any]:
    """Return the analysis of top tagging with few constituents and features, and no other inputs."""
    content: dict[str, Any] = yaml.safe_load(find_analysis("top_tagging").read_text())
    constituents = content["inputs"]["constituents"]
    kept = [
        entry for entry in constituents["features"] if (entry if isinstance(entry, str) else entry["name"]) in FEATURES
    ]
    content["inputs"] = {"constituents": {**constituents, "limit": slots, "features": kept}}
    return {key: value for key, value in content.items() if key not in ("files", "training")}


def sample(part: str) -> Path:
    """Return the bundled file ``train`` or ``test``."""
    analysis = find_analysis("top_tagging")
    return (analysis.parent / load_plan(analysis).analysis.files.test[0]).with_name(f"{part}.root")


def measure(checkpoint: Checkpoint, slots: int, formats: list[str], folder: Path) -> None:
    """Print the size of the network, and a row of the table for single precision and for each format and mode."""
    tagger = checkpoint.tagger
    read = rows_of_files(checkpoint.plan(), [str(sample("test"))], False, [], NotFinite())
    batch = concatenate([Batch.of(rows) for rows in read])
    model, inputs = FixedSizePFN(tagger, slots, SIGNAL), slots_of(tagger, batch, slots)
    is_signal = batch.labels.numpy() == list(checkpoint.analysis.classes).index(SIGNAL)
    with torch.inference_mode():
        logits = model(inputs)[:, 0].double().numpy()
        differs = np.abs(probability(logits) - tagger.predict(batch)[f"prob_{SIGNAL}"].numpy()).max()
    print(
        f"{sum(part.numel() for part in weights(model)):,} weights, {multiplications(model, slots):,} multiplications a jet, "
        f"{len(logits):,} jets\nlargest number in a layer {largest_number(model, inputs):.3g}; single precision with {slots} slots "
        f"differs from the tagger by {differs:.1e}\n\n"
        "| numbers | mode | AUC | minus single precision | 1/εB at εS = 0.5 | largest difference | weights that are 0 | same bits |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    single = measure_roc("single", logits, is_signal, targets=(TARGET,))
    print(f"| single precision | | {with_error(single.auc, single.auc_error)} | | {single.rejections[0]} | | | |")
    rows = [(name, mode) for name in formats for mode in MODES]
    for number, (name, mode) in enumerate(rows):
        found = emulated(model, inputs, f"ap_fixed<{name}{MODES[mode]}>", folder / f"project_{number}")
        result = measure_roc(mode, found, is_signal, targets=(TARGET,))
        differs = np.abs(probability(found) - probability(logits)).max()
        print(
            f"| `ap_fixed<{name}>` | {mode} | {with_error(result.auc, result.auc_error)} | {change(result, single)} | "
            f"{result.rejections[0]} | {differs:.2g} | {zeros(model, name, mode):.0%} | "
            f"{same_bits(model, inputs, name, found) if mode == 'rounded' else ''} |",
            flush=True,
        )


def probability(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def change(result: RocResult, single: RocResult) -> str:
    """Return the difference in AUC with its error, from common bootstrap weights."""
    found = paired_difference(result, single).auc
    if found.value is None:
        return found.reason or ""
    return with_error(round(found.value, 9), found.error)  # equal scores differ by rounding alone


def zeros(model: FixedSizePFN, name: str, mode: str) -> float:
    """Return the fraction of weights that are 0 in a format. Truncation changes a small negative weight to the largest negative number instead."""
    width, integer = map(int, name.split(","))
    scaled = torch.cat([part.flatten() for part in weights(model)]) * 2 ** (width - integer)
    return float((torch.floor(scaled + 0.5 * (mode == "rounded")) == 0).double().mean())


def same_bits(model: FixedSizePFN, inputs: torch.Tensor, name: str, found: np.ndarray) -> str:
    """Return the fraction of jets with the same logit as the exact arithmetic of ``with_rounded_numbers``."""
    width, integer = map(int, name.split(","))
    return (
        f"{(with_rounded_numbers(model, inputs, width, integer)[:, 0].numpy() == found).mean():.0%}"
        if width <= 24
        else ""
    )


def emulated(model: FixedSizePFN, inputs: torch.Tensor, precision: str, folder: Path) -> np.ndarray:
    """Return the logits (N,) of the fixed-point arithmetic, for inputs (N, F + 1, k).

    ``precision`` applies to inputs, weights, biases and results of each layer. If it rounds, sums inside of a layer are exact.
    Otherwise they have the same format, the default of hls4ml.
    """
    with quiet(folder.with_suffix(".log")):
        import hls4ml

        config = hls4ml.utils.config_from_pytorch_model(
            model, tuple(inputs.shape[1:]), granularity="name", backend="Vitis", default_precision=precision,
            channels_last_conversion="internal",
        )  # fmt: skip
        exact = "AP_RND" in precision
        for layer in config["LayerName"].values():
            parts = layer["Precision"]
            parts.update({part: precision for part in parts if part != "table" and not (exact and part == "accum")})
        converted = hls4ml.converters.convert_from_pytorch_model(
            model, output_dir=str(folder), hls_config=config, backend="Vitis", io_type="io_parallel"
        )
        converted.compile()
        found = converted.predict(np.ascontiguousarray(inputs.numpy().transpose(0, 2, 1)))
    return np.asarray(found, dtype=np.float64).reshape(len(inputs))


@contextlib.contextmanager
def quiet(log: Path) -> Iterator[None]:
    """Redirect the output of hls4ml and g++ to a file."""
    kept = os.dup(1), os.dup(2)
    with open(log, "w") as file:
        try:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
                yield
        finally:
            for number, before in zip((1, 2), kept, strict=True):
                os.dup2(before, number)
                os.close(before)


if __name__ == "__main__":
    main()
