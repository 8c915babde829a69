"""A network that cannot be exported is an error with the line of the network, and never a graph with constants."""

import inspect
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from collidekit.errors import CollidekitError
from collidekit.export.onnx_file import to_onnx

FREE = {"x": {0: "N"}, "y": {0: "N"}}
Function = Callable[[Tensor], Tensor]


class Module(nn.Module):
    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (self.function(x),)


def export(function: Function, opset: int = 17) -> None:
    to_onnx(Module(function), (torch.rand(3, 4),), ["x"], ["y"], FREE, opset)


def bessel(x: Tensor) -> Tensor:
    return torch.special.i0(x)


def branches(x: Tensor) -> Tensor:
    return x + 1 if x.sum() > 0 else x


def takes_a_size(x: Tensor) -> Tensor:
    return x * float(x.shape[0] + int(x.max()))


def breaks(x: Tensor) -> Tensor:
    return x @ x


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (bessel, "operation aten::i0 does not exist in ONNX, used at "),
        (branches, "converts a value or size of a tensor to a number"),
        (takes_a_size, "converts a value or size of a tensor to a number"),
        (breaks, "mat1 and mat2 shapes cannot be multiplied"),
    ],
)
def test_the_line_of_the_network_is_named(function: Function, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CollidekitError, match="the network cannot be exported") as error:
        export(function)
    line = inspect.getsourcelines(function)[1] + 1
    assert said in str(error.value)
    assert f"{__file__}:{line}" in str(error.value)
    assert capfd.readouterr() == ("", ""), "the exporter's own words do not reach the terminal"


@pytest.mark.parametrize("opset", [16, 21])
def test_an_opset_that_the_experiments_do_not_have_is_refused(opset: int) -> None:
    with pytest.raises(CollidekitError, match=f"--opset: {opset} is not in the range 17 to 20"):
        export(torch.relu, opset)
