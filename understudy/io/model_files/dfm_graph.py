"""Whether a graph of ONNX can be run: its memory and time have to follow from its input's shape.

What a graph computes with pixels may be anything. What it may not is run in circles, or let pixels
say how large a tensor becomes: nobody could tell then what running it costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

# The operators of convolutional networks. Nothing else has a place in a face model.
_OPERATORS: Final = frozenset(
    """
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast
    CastLike Ceil Celu Clip Concat Constant ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh
    CumSum DepthToSpace DequantizeLinear Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp
    Expand EyeLike Flatten Floor Gather GatherElements GatherND Gelu Gemm GlobalAveragePool
    GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HardSigmoid
    HardSwish Hardmax Identity InstanceNormalization IsInf IsNaN LRN LayerNormalization LeakyRelu
    Less LessOrEqual Log LogSoftmax LpNormalization LpPool MatMul MatMulInteger Max MaxPool Mean
    MeanVarianceNormalization Min Mish Mod Mul Neg Not Or PRelu Pad Pow QLinearConv QLinearMatMul
    QuantizeLinear RMSNormalization Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp
    ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round
    ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax Softplus
    Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Swish Tan Tanh ThresholdedRelu Tile TopK
    Transpose Trilu Unsqueeze Upsample Where Xor
    """.split()
)
# Which of their inputs say how large the output is, or how it is laid out.
_SIZES: Final = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1, 2),
    "TopK": (1,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
}
# They give a shape, which no pixel changes.
_OF_SHAPE: Final = ("Shape", "Size")


def find_fault(model: Any, pixels: str) -> str:
    """Return why a graph cannot be run, in words that follow a file's name; "" when it can.

    model: ModelProto. pixels: the name of its input that holds faces; what follows from another
    one alone, the morph, may say how large a tensor becomes, since it stays the same.
    """
    if model.functions or any(each.domain not in ("", "ai.onnx") for each in model.graph.node):
        domains = {each.domain for each in (*model.functions, *model.graph.node)}
        return f"has operators of its own ({', '.join(sorted(domains - {'', 'ai.onnx'}))})"
    if model.graph.sparse_initializer:
        return "keeps its weights in a sparse form"
    for node in model.graph.node:
        if node.op_type not in _OPERATORS or any(map(_holds_graph, node.attribute)):
            return f"has the operator {node.op_type}, which no face model needs"
    sized = find_sized_by(model, pixels)
    return f"lets pixels say how large a tensor becomes ({sized})" if sized else ""


def find_sized_by(model: Any, source: str) -> str:
    """Return an operator for which a value of that input says how large a tensor becomes; or ""."""
    takers: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            takers.setdefault(name, []).append(node)
    # Nodes may stand in any order.
    seen, waiting = {source}, [source]
    while waiting:
        name = waiting.pop()
        for node in takers.get(name, ()):
            if name in _sizes(node):
                return f"{node.op_type} {node.name}".strip()
            new = set() if node.op_type in _OF_SHAPE else set(node.output) - seen
            seen |= new
            waiting += new
    return ""


def _holds_graph(attribute: Any) -> bool:
    return bool(
        attribute.HasField("g")
        or attribute.graphs
        or attribute.HasField("sparse_tensor")
        or attribute.sparse_tensors
        or attribute.HasField("tp")
        or attribute.type_protos
    )


def _sizes(node: Any) -> Iterator[str]:
    places = (1,) if node.op_type.startswith("Reduce") else _SIZES.get(node.op_type, ())
    return (node.input[place] for place in places if place < len(node.input))
