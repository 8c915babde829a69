"""A function of tensors in torch -> one ONNX file with free batch and length."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from collidekit.errors import CollidekitError
from collidekit.extras import need

ROWS, LENGTH = 3, 7
"""Sizes of the example: of 0 and 1 a tracer makes constants."""
OPSETS = (17, 20)
"""The lowest has LayerNormalization as one node; the highest is that of the runtimes of both experiments."""


def check_opset(opset: int) -> None:
    """Raise CollidekitError for an opset that is not for the runtimes of the experiments."""
    if not OPSETS[0] <= opset <= OPSETS[1]:
        raise CollidekitError(
            f"--opset: {opset} is none of {OPSETS[0]} to {OPSETS[1]}, which the runtimes of the experiments know"
        )


def to_onnx(
    module: nn.Module,
    example: Sequence[Tensor],
    input_names: Sequence[str],
    output_names: Sequence[str],
    axes: Mapping[str, Mapping[int, str]],
    opset: int = 17,
) -> Any:
    """Return the ONNX model of a module; ``axes`` names the free axes of inputs and outputs.

    Raises CollidekitError for an operation that has no counterpart in ONNX, with the line of the network it stands in.
    """
    onnx = need("onnx", "export")
    check_opset(opset)
    try:
        with warnings.catch_warnings(), torch.no_grad(), TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")
            file = Path(folder, "model.onnx")
            torch.onnx.export(
                module,
                tuple(example),
                file,
                input_names=list(input_names),
                output_names=list(output_names),
                dynamic_axes={name: dict(free) for name, free in axes.items()},
                opset_version=opset,
                dynamo=False,
            )
            model = onnx.load(file)
    except torch.onnx.errors.OnnxExporterError as error:
        raise CollidekitError(f"the network cannot be exported: {_reason(error)}") from error
    onnx.checker.check_model(model, full_check=True)
    return model


def _reason(error: Exception) -> str:
    """What an exporter says, in one line."""
    return " ".join(str(error).split())[:300]
