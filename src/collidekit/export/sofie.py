"""Operators of a graph that ROOT's SOFIE, which makes C++ code of a graph, does not know."""

from collections.abc import Iterable

SOURCE = "ROOT's list tmva/sofie/README.md at commit 027f205"
"""Source of the list below. It is about names alone: SOFIE may still refuse a type or an attribute of an operator."""
OPERATORS = frozenset(
    """Abs Add AveragePool BatchNormalization Cast Concat Constant ConstantOfShape Conv ConvTranspose Cos Div Einsum Elu Equal Erf Exp
    Expand EyeLike Flatten GRU Gather Gemm GlobalAveragePool Greater GreaterOrEqual Identity If LSTM LayerNormalization LeakyRelu Less
    LessOrEqual Log MatMul Max MaxPool Mean Min Mul Neg Pad Pow RNN RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range
    Reciprocal ReduceMean ReduceProd ReduceSum ReduceSumSquare Relu Reshape ScatterElements Selu Shape Sigmoid Sin Slice Softmax Split
    Sqrt Squeeze Sub Sum Tanh Tile TopK Transpose Unsqueeze Where""".split()  # noqa: SIM905
)


def missing_operators(operators: Iterable[str]) -> list[str]:
    """Return the operators that SOFIE lacks."""
    return sorted(set(operators) - OPERATORS)


def describe_sofie(operators: Iterable[str]) -> str:
    """Return in one sentence whether SOFIE knows the operators of a graph."""
    missing = missing_operators(operators)
    if not missing:
        return f"ROOT SOFIE knows all operators of the graph, by {SOURCE}."
    return f"ROOT SOFIE does not take the graph: it lacks {', '.join(missing)}, by {SOURCE}."
