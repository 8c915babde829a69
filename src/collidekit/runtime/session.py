"""A graph in onnxruntime."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from collidekit.errors import CollidekitError
from collidekit.extras import need

Array = np.ndarray[Any, Any]


class Session:
    """A graph in onnxruntime on the CPU; ``path`` is used in error messages."""

    def __init__(self, content: bytes, path: object, opset: int, threads: int = 1) -> None:
        runtime = need("onnxruntime", "runtime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.enable_cpu_mem_arena = True
        options.log_severity_level = 4  # errors are also raised
        self.path = path
        try:
            self._session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001  # onnxruntime's errors have no common base class
            raise CollidekitError(
                f"{path}: onnxruntime {runtime.__version__} cannot load this graph of opset {opset} ({_reason(error)}); install a newer "
                "onnxruntime, or export the model with a lower opset"
            ) from None
        self.inputs = [entry.name for entry in self._session.get_inputs()]
        self.outputs = [entry.name for entry in self._session.get_outputs()]

    def run(self, names: Sequence[str], inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return the named outputs; ``inputs`` may hold more arrays than the graph takes."""
        try:
            found = self._session.run(names, {name: inputs[name] for name in self.inputs})
        except Exception as error:
            raise CollidekitError(f"{self.path}: onnxruntime cannot run this graph: {_reason(error)}") from error
        return dict(zip(names, found, strict=True))


def _reason(error: Exception) -> str:
    """Return the message of onnxruntime in one line."""
    return " ".join(str(error).split())[:200]
