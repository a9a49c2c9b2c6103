"""A face model's graph as a finished .dfm file that old programs can read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from understudy.errors import BadOption
from understudy.io.model_files.dfm import CHANNELS, FACE, onnx_package, walk_messages

# The set of operators that other programs of this field expect, and the age of the format that goes
# with it.
OPSET, _FORMAT = 12, 7
# A file is one message of a protocol buffer, which ends at 2 GiB; the graph itself takes some of
# that.
LIMIT = 2**31 - 2**24
# What newer sets of operators say by an input and older ones by an attribute.
_AXES = {"ReduceMean", "ReduceSum", "Squeeze", "Unsqueeze"}


def finalize(
    model: Any, resolution: int, batch: int | None, metadata: Mapping[str, str]
) -> tuple[bytes, int]:
    """Return the file's bytes and its opset: 12 where the graph can be written in it, else its own.

    model: ModelProto with the literal names. batch: None = any. metadata: of the file.

    Raises:
        BadOption: It is larger than 2 GiB.
    """
    _strip(model)
    _declare_shapes(model, resolution, batch)
    onnx_package("onnx.helper").set_model_props(model, dict(metadata))
    model.producer_name, model.producer_version = (
        "Understudy",
        metadata.get("understudy.version", ""),
    )
    if model.ByteSize() > LIMIT:
        raise BadOption(
            f"export: {model.ByteSize() / 2**30:.1f} GiB do not fit into one file of ONNX (2)."
            " Export a smaller model."
        )
    model = _to_opset_12(model) or model
    return model.SerializeToString(deterministic=True), _opset(model)


def _strip(model: Any) -> None:
    """Remove the exporter's notes for debugging, which name places on this machine."""
    for each in walk_messages(model):
        for name in ("metadata_props", "doc_string"):
            if name in each.DESCRIPTOR.fields_by_name:
                each.ClearField(name)
    model.graph.ClearField("value_info")


def _declare_shapes(model: Any, resolution: int, batch: int | None) -> None:
    """Full shapes of input and outputs: TensorRT builds on them."""
    channels = {FACE: 3, **CHANNELS}
    for value in (*model.graph.input, *model.graph.output):
        if value.name in channels:
            shape = value.type.tensor_type.shape
            shape.ClearField("dim")
            for side in (batch or "N", resolution, resolution, channels[value.name]):
                shape.dim.add(
                    **({"dim_param": side} if isinstance(side, str) else {"dim_value": side})
                )


def _to_opset_12(model: Any) -> Any | None:
    """The same graph in opset 12; None when it cannot be written there.

    ONNX's own converter knows no way down for these operators.
    """
    onnx = onnx_package("onnx")
    lower = onnx.ModelProto()
    lower.CopyFrom(model)
    _rewrite_nodes(lower.graph)
    used = {name for node in lower.graph.node for name in node.input} | {
        each.name for each in lower.graph.output
    }
    weights = [each for each in lower.graph.initializer if each.name in used]
    del lower.graph.initializer[:]
    lower.graph.initializer.extend(weights)
    del lower.opset_import[:]
    lower.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    lower.ir_version = _FORMAT
    try:
        onnx.checker.check_model(lower, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
        return None
    return lower


def _rewrite_nodes(graph: Any) -> None:
    """Rewrite the nodes as older opsets put them, where that is the same; all others stay."""
    onnx = onnx_package("onnx")
    values = {each.name: each for each in graph.initializer}
    for node in graph.node:
        if (
            node.op_type not in {*_AXES, "Reshape"}
            or len(node.input) != 2
            or node.input[1] not in values
        ):
            continue
        constant, needless = (
            onnx.numpy_helper.to_array(values[node.input[1]]),
            "noop_with_empty_axes",
        )
        if node.op_type in _AXES:
            node.input.pop()
            node.attribute.append(onnx.helper.make_attribute("axes", constant.tolist()))
        elif constant.all():
            # It says what a 0 among the sides would mean.
            needless = "allowzero"
        kept = [each for each in node.attribute if each.name != needless]
        del node.attribute[:]
        node.attribute.extend(kept)


def _opset(model: Any) -> int:
    return int(next(each.version for each in model.opset_import if each.domain in ("", "ai.onnx")))
