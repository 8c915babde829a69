"""Operators of a graph that ROOT's SOFIE, which generates C++ code, does not support."""

from collections.abc import Iterable

SOURCE = "ROOT's list tmva/sofie/README.md at commit 027f205"
"""Source of the list below. It has only names: SOFIE may still refuse a type or an attribute of an operator."""
OPERATORS = frozenset(
    """Abs Add AveragePool BatchNormalization Cast Concat Constant ConstantOfShape Conv ConvTranspose Cos Div Einsum Elu Equal Erf Exp
    Expand EyeLike Flatten GRU Gather Gemm GlobalAveragePool Greater GreaterOrEqual Identity If LSTM LayerNormalization LeakyRelu Less
    LessOrEqual Log MatMul Max MaxPool Mean Min Mul Neg Pad Pow RNN RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range
    Reciprocal ReduceMean ReduceProd ReduceSum ReduceSumSquare Relu Reshape ScatterElements Selu Shape Sigmoid Sin Slice Softmax Split
    Sqrt Squeeze Sub Sum Tanh Tile TopK Transpose Unsqueeze Where""".split()  # noqa: SIM905
)


def missing_operators(operators: Iterable[str]) -> list[str]:
    """Return the operators that SOFIE does not support."""
    return sorted(set(operators) - OPERATORS)


def describe_sofie(operators: Iterable[str]) -> str:
    """Return a sentence that says whether SOFIE supports the operators of a graph."""
    missing = missing_operators(operators)
    if not missing:
        return f"ROOT SOFIE supports all operators of the graph, according to {SOURCE}."
    return f"ROOT SOFIE cannot read the graph: it does not support {', '.join(missing)}, according to {SOURCE}."
