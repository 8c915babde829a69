"""Numerical precision of a training."""

import platform
from typing import Literal

import torch

from collidekit.analysis.features import Strict
from collidekit.settings import setting


class PrecisionSettings(Strict):
    """Settings of precision and compilation."""

    mixed_precision: bool = setting(False, "bfloat16 where it is safe, float32 elsewhere")
    training_precision: Literal["float32", "float64", "bfloat16"] = setting(
        "float32", "precision of all numbers: float32, float64 or bfloat16"
    )
    use_torch_compile: bool = setting(False, "compile the dense parts of the network with torch.compile")
    torch_compile_mode: Literal["default", "reduce-overhead", "max-autotune"] = setting(
        "default", "mode of torch.compile: default, reduce-overhead or max-autotune"
    )

    @property
    def precision(self) -> str:
        """Precision under its name in Lightning Fabric."""
        if self.mixed_precision:
            return "bf16-mixed"
        return {"float32": "32-true", "float64": "64-true", "bfloat16": "bf16-true"}[self.training_precision]


def computes_in_bfloat16() -> bool:
    """Return whether there is a GPU, or the processor has instructions for bfloat16 (other ones emulate it)."""
    if torch.cuda.is_available() or platform.machine() not in ("x86_64", "AMD64"):
        return True
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
