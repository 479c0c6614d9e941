"""Models as ONNX files.

What a model computes at inference is a program of ops already, whatever its layers are. Each kind
of op has a function that appends its nodes to the graph.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastcnn._version import __version__
from fastcnn.graph.program import Op
from fastcnn.interop.onnx_export import (
    activations,
    elementwise,
    normalization,
    reshaping,
    windows,
)
from fastcnn.interop.onnx_export.graph_builder import GraphBuilder
from fastcnn.interop.onnx_package import MOST_BYTES, onnx_package
from fastcnn.layers.containers import lower_network
from fastcnn.saving import endings
from fastcnn.training.model_settings import ModelSettings
from fastcnn.utils import arguments, atomic_file, naming

if TYPE_CHECKING:
    import onnx

INPUT_LAYOUTS = ("NHWC", "NCHW")
LEAST_IR = 8

EMITTERS: dict[str, Callable[[GraphBuilder, Op], None]] = {
    "activation": activations.activation,
    "add": elementwise.add,
    "affine": elementwise.affine,
    "affine_sample": reshaping.affine_sample,
    "average_pool": windows.average_pool,
    "bias": elementwise.bias,
    "concat": reshaping.concat,
    "contrast_norm": normalization.contrast_norm,
    "conv2d": windows.conv2d,
    "conv2d_dx": windows.conv2d_dx,
    "copy": elementwise.copy,
    "crop": reshaping.crop,
    "group_norm": normalization.group_norm,
    "local_conv": windows.local_conv,
    "lp_pool": windows.lp_pool,
    "matmul": windows.matmul,
    "max_pool": windows.max_pool,
    "moving_scale_shift": elementwise.moving_scale_shift,
    "multiply": elementwise.multiply,
    "pad": reshaping.pad,
    "permute": reshaping.permute,
    "prelu": elementwise.prelu,
    "reshape": reshaping.reshape,
    "response_norm": normalization.response_norm,
    "scale_shift": elementwise.scale_shift,
    "softmax": activations.softmax,
    "upsample": reshaping.upsample,
}
"""By kind of op, what appends its nodes."""


def write(
    model: ModelSettings,
    path: str | os.PathLike[str],
    input_layout: str = "NHWC",
    fold_batch_norm: bool = False,
) -> None:
    """Write a model's inference as an ONNX file; a crash leaves the old file or the new one.

    Args:
        model: The model.
        path: The file.
        input_layout: "NHWC", as fastcnn has images, or "NCHW", as PyTorch has them.
        fold_batch_norm: Whether normalizations become part of the weights before them.

    Raises:
        ImportError: There is no package onnx.
        ValueError: ONNX has no form of a layer, weights are not finite, or the file would be larger
            than ONNX takes.
        OSError: It cannot be written.
    """
    target = arguments.path("to_onnx", "path", path)
    endings.check_named("to_onnx", target, ".onnx", "whoever reads ONNX")
    layouts = dict.fromkeys(INPUT_LAYOUTS)
    if input_layout not in layouts:
        raise ValueError(f"to_onnx: {naming.unknown('input_layout', str(input_layout), layouts)}")
    fold = arguments.flag("to_onnx", "fold_batch_norm", fold_batch_norm)
    package = onnx_package()
    proto = model_proto(model, input_layout == "NHWC", fold)
    if proto.ByteSize() > MOST_BYTES:
        raise ValueError(
            f"to_onnx: the file would have {proto.ByteSize():,} bytes, and ONNX files can have "
            f"{MOST_BYTES:,}."
        )
    package.checker.check_model(proto, full_check=True)
    with atomic_file.replacing(target) as file:
        file.write(proto.SerializeToString())


def model_proto(
    model: ModelSettings, channels_last: bool = True, fold_batch_norm: bool = False
) -> onnx.ModelProto:
    """Return a model as ONNX has it.

    Args:
        model: The model.
        channels_last: Whether images come and go as [N, H, W, C], not as [N, C, H, W].
        fold_batch_norm: Whether normalizations become part of the weights before them.
    """
    helper = onnx_package().helper
    program = lower_network(model.layers, model.input_shape, training=False)
    builder = GraphBuilder(program, fold_batch_norm)
    name = builder.unique("input")
    bind = builder.bind_channels_last if channels_last else builder.bind
    bind(program.input, name)
    for op in program.ops:
        builder.begin(op)
        if op in builder.done:
            continue
        if op.kind not in EMITTERS:
            raise ValueError(
                f"Layer '{op.layer}': fastcnn knows no form in ONNX of its op {op.kind}. Build the "
                "model without that layer."
            )
        EMITTERS[op.kind](builder, op)
    result = (builder.channels_last if channels_last else builder.tensor)(program.output)
    output = _named_output(builder, name, result)
    graph = helper.make_graph(
        builder.nodes,
        model.name or "fastcnn",
        [_described(name, model.input_shape, channels_last)],
        [_described(output, model.output_shape, channels_last)],
        builder.initializers,
    )
    opsets = [helper.make_opsetid("", builder.opset)]
    ir_version = max(LEAST_IR, helper.find_min_ir_version_for(opsets))
    about = {"producer_name": "fastcnn", "producer_version": __version__}
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version, **about)
    layout = "NHWC" if channels_last else "NCHW"
    helper.set_model_props(proto, _metadata(model, layout))
    return proto


def _named_output(builder: GraphBuilder, name: str, result: str) -> str:
    """Call the graph's output so, and return its name."""
    output = builder.unique("output")
    if result == name:
        builder.nodes.append(
            onnx_package().helper.make_node("Identity", [name], [output], name="output")
        )
        return output
    for node in builder.nodes:
        for names in (node.input, node.output):
            for place, used in enumerate(names):
                if used == result:
                    names[place] = output
    return output


def _described(name: str, shape: tuple[int, ...], channels_last: bool) -> onnx.ValueInfoProto:
    package = onnx_package()
    if len(shape) == 3 and not channels_last:
        shape = (shape[2], *shape[:2])
    return package.helper.make_tensor_value_info(name, package.TensorProto.FLOAT, ["N", *shape])


def _metadata(model: ModelSettings, layout: str) -> dict[str, str]:
    """Return what a file says of a model beside its graph, each as JSON."""
    about: dict[str, object] = {"fastcnn_version": __version__, "input_layout": layout}
    if model.class_names is not None:
        about["class_names"] = list(model.class_names)
    if model.preprocessing:
        about["preprocessing"] = [naming.serialize(step) for step in model.preprocessing]
    if model.decoder is not None:
        about["decoder"] = model.decoder.get_config()
    return {key: json.dumps(value, ensure_ascii=False) for key, value in about.items()}
