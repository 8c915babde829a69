"""Triton Inference Server: the generic graph in the folders of a model repository, with ``config.pbtxt``."""

from collections.abc import Mapping

from torch import Tensor

from collidekit.export.layouts.base import Layout, refuse
from collidekit.export.layouts.columns import plain_ascii
from collidekit.runtime.schema import Schema

TYPES = {"torch.float32": "TYPE_FP32", "torch.float16": "TYPE_FP16", "torch.int8": "TYPE_INT8",
         "torch.int32": "TYPE_INT32", "torch.int64": "TYPE_INT64", "torch.bool": "TYPE_BOOL"}  # fmt: skip
LARGEST_BATCH = 1024


class Triton(Layout):
    """The generic graph as ``<model>/1/model.onnx`` with ``<model>/config.pbtxt``; each fold is a model ``<model>_fold0`` ...

    The server combines requests (``dynamic_batching``) up to ``max_batch_size`` rows (option; default 1024). It can
    combine only requests with the same number of slots, so pad collections to a common length. A tensor (N,) is ``dims:
    [ 1 ]`` for a client, with ``reshape``.
    """

    name = "triton"

    def check(self) -> None:
        if not all(letter.isalnum() or letter in "-._" for letter in self.model_name) or not self.model_name.isascii():
            raise refuse(self.name, f"the name of the model {self.model_name!r}: use only letters, digits, -, . and _")
        for name in (*self.input_names, *self.output_names):
            if not plain_ascii(name):
                raise refuse(
                    self.name, f"tensor {name!r}: use only letters, digits and _; rename it in the analysis file"
                )
        self._batch()

    @property
    def option_names(self) -> list[str]:
        return ["max_batch_size"]

    def file_name(self, fold: int | None = None) -> str:
        return f"{self._name(fold)}/1/model.onnx"

    def files(self, schema: Schema) -> dict[str, str]:
        folds = range(schema.folds) if schema.folds else (None,)
        return {f"{self._name(fold)}/config.pbtxt": self.config(fold) for fold in folds}

    def _name(self, fold: int | None) -> str:
        return self.model_name if fold is None else f"{self.model_name}_fold{fold}"

    def config(self, fold: int | None = None) -> str:
        """Return the text of ``config.pbtxt``."""
        example = self.graph.example(2, 3)
        given = dict(zip(self.input_names, example, strict=True))
        lines = [
            f'name: "{self._name(fold)}"',
            'platform: "onnxruntime_onnx"',
            f"max_batch_size: {self._batch()}",
            *self._tensors("input", given),
            *self._tensors("output", self.graph.columns(*example)),
            "dynamic_batching { }",
        ]
        return "\n".join(lines) + "\n"

    def _tensors(self, side: str, tensors: Mapping[str, Tensor]) -> list[str]:
        entries = []
        for name, tensor in tensors.items():
            free = self.axes.get(name, {})
            dims = ["-1" if axis in free else str(tensor.shape[axis]) for axis in range(1, tensor.dim())]
            shape = f"dims: [ {', '.join(dims)} ]" if dims else "dims: [ 1 ] reshape: { shape: [ ] }"
            entries.append(f'  {{ name: "{name}" data_type: {TYPES[str(tensor.dtype)]} {shape} }}')
        return [f"{side} [", ",\n".join(entries), "]"]

    def _batch(self) -> int:
        text = self.option("max_batch_size", str(LARGEST_BATCH))
        if not (text.isascii() and text.isdigit() and 0 < int(text) <= 1 << 20):
            raise refuse(self.name, f"option max_batch_size: must be a whole number from 1 to {1 << 20}, got {text!r}")
        return int(text)
