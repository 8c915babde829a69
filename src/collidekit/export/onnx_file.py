"""Conversion of a torch module to an ONNX model with free batch size and length."""

import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import torch
from torch import Tensor, nn

from collidekit.errors import CollidekitError
from collidekit.extras import need

ROWS, LENGTH = 3, 7
"""Sizes of the example; a tracer would turn sizes of 0 and 1 into constants."""
OPSETS = (17, 20)
"""Lowest and highest opset: 17 introduced LayerNormalization, 20 is supported by the runtimes of both experiments."""
CONSTANTS = "results are registered as constants in the trace"
"""Harmless warning of the tracer about tensors made from plain numbers, which are constants."""
_OPERATOR = re.compile(r"operator '([\w:]+)'")
_LINE = re.compile(r"# (\S+:\d+):\d+$")


def check_opset(opset: int) -> None:
    """Raise CollidekitError for an opset that the runtimes of the experiments do not support."""
    if not OPSETS[0] <= opset <= OPSETS[1]:
        raise CollidekitError(
            f"--opset: {opset} is not in the range {OPSETS[0]} to {OPSETS[1]} of the runtimes of the experiments"
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

    Raises CollidekitError, with the line of the network, for an operation that ONNX does not have, and for a value that
    would become a constant.
    """
    onnx = need("onnx", "export")
    check_opset(opset)
    try:
        with (
            warnings.catch_warnings(record=True) as found,
            _standard_output() as said,
            torch.no_grad(),
            TemporaryDirectory() as folder,
        ):
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", torch.jit._trace.TracerWarning)
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
        raise CollidekitError(f"the network cannot be exported: {_reason(error, said())}") from error
    except CollidekitError:
        raise
    except Exception as error:  # of a user's network or of the tracer
        raise CollidekitError(
            f"the network cannot be exported: {type(error).__name__}: {_first_line(error)}{_place(error)}"
        ) from error
    for warning in found:
        if issubclass(warning.category, torch.jit._trace.TracerWarning) and CONSTANTS not in str(warning.message):
            raise CollidekitError(
                f"the network cannot be exported: {warning.filename}:{warning.lineno} converts a value or size of a tensor to a number, "
                "which would be a constant in the graph; use operations on tensors there"
            )
    _keep_inputs(model, example, input_names, axes)
    onnx.checker.check_model(model, full_check=True)
    return model


def _keep_inputs(
    model: Any, example: Sequence[Tensor], names: Sequence[str], axes: Mapping[str, Mapping[int, str]]
) -> None:
    """Add inputs that no operation needs, which the exporter leaves out, because a caller passes all inputs."""
    from onnx import helper

    there = {value.name: value for value in model.graph.input}
    for tensor, name in zip(example, names, strict=True):
        if name not in there:
            free = axes.get(name, {})
            shape = [free.get(i, size) for i, size in enumerate(tensor.shape)]
            kind = helper.np_dtype_to_tensor_dtype(tensor.numpy().dtype)
            there[name] = helper.make_tensor_value_info(name, kind, shape)
    inputs = [there[name] for name in names]
    del model.graph.input[:]
    model.graph.input.extend(inputs)


@contextmanager
def _standard_output() -> Iterator[Callable[[], str]]:
    """Capture the standard output of the process; the yielded function returns it after the block."""
    sys.stdout.flush()
    kept, text = os.dup(1), ""
    with TemporaryFile() as file:
        os.dup2(file.fileno(), 1)
        try:
            yield lambda: text
        finally:
            sys.stdout.flush()
            os.dup2(kept, 1)
            os.close(kept)
            file.seek(0)
            text = file.read().decode(errors="replace")


def _reason(error: Exception, said: str) -> str:
    """Return the message of an exporter, with the line of an operation that ONNX does not have."""
    text = " ".join(str(error).split())[:300]
    if (name := _OPERATOR.search(text)) is None:
        return text
    lines = [_LINE.search(line) for line in said.splitlines() if f"{name[1]}(" in line]
    places = [line[1] for line in lines if line]
    return f"operation {name[1]} does not exist in ONNX" + (f", used at {places[0]}" if places else "")


def _place(error: Exception) -> str:
    """Return the line of the network at which an error was raised, which is the last line outside torch."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/torch/" not in frame.filename]
    own = not frames or frames[-1].filename == __file__
    return "" if own else f" ({frames[-1].filename}:{frames[-1].lineno})"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]
