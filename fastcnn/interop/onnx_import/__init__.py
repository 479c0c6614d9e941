"""ONNX files as models: architecture and weights."""

from __future__ import annotations

import os

import numpy as np

from fastcnn.data.augment.preprocessing import steps as preprocessing_steps
from fastcnn.data.images.decoder import Decoder
from fastcnn.interop.graph import as_chain
from fastcnn.interop.imported_model import Model, ModelMaker, Shape, refusals_named
from fastcnn.interop.onnx_import import elementwise, model_file, products, reshaping, windows
from fastcnn.interop.onnx_import.model_file import Array, OnnxGraph, OnnxNode
from fastcnn.interop.onnx_import.translator import (
    CHANNELS_FIRST,
    START,
    Handler,
    Tensor,
    Translator,
)
from fastcnn.layers import Layer
from fastcnn.saving import endings
from fastcnn.training.model_settings import ModelSettings
from fastcnn.utils import arguments

HANDLERS: dict[str, Handler] = {
    **elementwise.ACTIVATIONS,
    "Abs": elementwise.absolute,
    "Add": elementwise.binary,
    "AveragePool": windows.average_pool,
    "BatchNormalization": products.batch_normalization,
    "Cast": elementwise.cast,
    "Concat": reshaping.concat,
    "Conv": windows.convolution,
    "ConvTranspose": windows.transposed,
    "Div": elementwise.binary,
    "Dropout": elementwise.dropout,
    "Flatten": reshaping.flatten,
    "Gemm": products.gemm,
    "GlobalAveragePool": windows.global_average_pool,
    "GlobalMaxPool": windows.global_max_pool,
    "GroupNormalization": products.group_normalization,
    "Identity": elementwise.identity,
    "InstanceNormalization": products.instance_normalization,
    "LRN": products.response_normalization,
    "LayerNormalization": products.layer_normalization,
    "LpPool": windows.lp_pool,
    "MatMul": products.matmul,
    "MaxPool": windows.max_pool,
    "Mean": elementwise.sum_of,
    "Mul": elementwise.binary,
    "PRelu": elementwise.prelu,
    "Pad": reshaping.pad,
    "ReduceMax": windows.reduction,
    "ReduceMean": windows.reduction,
    "Reshape": reshaping.reshape,
    "Resize": reshaping.resize,
    "Slice": reshaping.crop,
    "Softmax": elementwise.softmax,
    "Squeeze": reshaping.squeeze,
    "Sub": elementwise.binary,
    "Sum": elementwise.sum_of,
    "Transpose": reshaping.transpose,
    "Unsqueeze": reshaping.unsqueeze,
    "Upsample": reshaping.resize,
}
"""By operation of ONNX, what makes layers of a node."""

NUMBER_BY_NUMBER = {"Identity", "Cast", "Add", "Sub", "Mul", "Div"}


def load_model(
    path: str | os.PathLike[str],
    make: ModelMaker[Model],
    input_shape: Shape | None = None,
    output: str | None = None,
) -> Model:
    """Return the model of an ONNX file.

    Args:
        path: The file.
        make: Makes the model.
        input_shape: One image's, as fastcnn has it; None for the file's own.
        output: Which of several outputs is wanted; None where there is one.

    Raises:
        ImportError: There is no package onnx.
        FormatError: It is no such file, is damaged, or holds what fastcnn has not.
        OSError: It cannot be opened.
    """
    path = arguments.path("from_onnx", "path", path)
    endings.check_read(path, endings.ONNX)
    with refusals_named(path, (ValueError, TypeError, RecursionError)):
        graph = model_file.read(path, output)
        return build(graph, make, input_shape)


def build(graph: OnnxGraph, make: ModelMaker[Model], input_shape: Shape | None = None) -> Model:
    """Return the model of a graph.

    Args:
        graph: What a file holds.
        make: Makes the model.
        input_shape: One image's, as fastcnn has it; None for the graph's own.

    Raises:
        ValueError: A node is one that fastcnn has no layer for, or does not fit the others.
    """
    shape, channels_last = _input(graph, input_shape)
    translator = Translator(graph, HANDLERS)
    end = translator.run(reshaping.start(translator, shape, channels_last))
    end = _as_output(translator, end)
    layers = as_chain(translator.nodes.values(), START, end.node)
    if not layers:
        layers = [elementwise.Rescaling(1.0)]
    fastcnn_wrote = bool(graph.metadata)
    model = make(layers, shape, graph.name if fastcnn_wrote and graph.name else "sequential")
    _assign(translator.weights)
    _describe(model, graph)
    return model


def _input(graph: OnnxGraph, input_shape: Shape | None) -> tuple[Shape, bool]:
    """Return the shape of the model's input, and whether the graph has its channels last."""
    sizes = graph.input_shape[1:]
    if len(sizes) not in (1, 2, 3):
        raise ValueError(
            f"its input has {len(graph.input_shape)} axes, and fastcnn's models take images [N, H, "
            "W, C] or rows [N, features]"
        )
    if len(sizes) == 2:  # images of one channel, without an axis for it
        sizes = (*sizes, 1)
    channels_last = len(graph.input_shape) == 3 or _has_channels_last(graph)
    if input_shape is not None:
        arranged = input_shape
        if len(input_shape) == 3 and not channels_last:
            arranged = (input_shape[2], *input_shape[:2])
        fits = len(arranged) == len(sizes) and all(
            size in (None, wanted) for size, wanted in zip(sizes, arranged, strict=True)
        )
        if not fits:
            raise ValueError(f"input_shape is {input_shape}, and its input has the shape {sizes}")
        sizes = arranged
    shape = tuple(size for size in sizes if size is not None)
    if len(shape) < len(sizes):
        raise ValueError(
            f"it leaves its input's shape open, {graph.input_shape}, and fastcnn's models have "
            "one: pass input_shape=(height, width, channels) to from_onnx"
        )
    if len(shape) == 3 and not channels_last:
        shape = (*shape[1:], shape[0])
    return shape, channels_last


def _has_channels_last(graph: OnnxGraph) -> bool:
    """Return whether images come as [N, H, W, C]: fastcnn says so, or they are transposed first."""
    layout = graph.metadata.get("input_layout")
    if layout is not None:
        return bool(layout == "NHWC")
    readers: dict[str, list[OnnxNode]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    name = graph.input
    for _ in graph.nodes:
        first = readers.get(name, [])
        if len(first) != 1:
            break
        if first[0].kind == "Transpose":
            return first[0].attributes.get("perm") == [0, 3, 1, 2]
        if first[0].kind not in NUMBER_BY_NUMBER:
            break
        name = first[0].outputs[0]
    return False


def _as_output(t: Translator, end: Tensor) -> Tensor:
    """Return the output in an order that fastcnn's users expect: maps as [N, H, W, C]."""
    if len(end.shape) == 3 and end.axes == CHANNELS_FIRST:
        return end
    return t.plain(end)


def _assign(weights: dict[Layer, dict[str, Array]]) -> None:
    for layer, arrays in weights.items():
        if not layer.built:
            continue  # it does not lead to the output
        parameters = layer.named_parameters()
        for name, array in arrays.items():
            if parameters[name].shape != array.shape:
                raise ValueError(
                    f"the {name} of {layer.label} should have the shape {parameters[name].shape}. "
                    f"It has {array.shape}"
                )
            parameters[name].value[...] = np.asarray(array, np.float32)


def _describe(model: ModelSettings, graph: OnnxGraph) -> None:
    """Give a model what a file of fastcnn says of it beside the graph."""
    about = graph.metadata
    try:
        model.class_names = about.get("class_names")
        model.preprocessing = preprocessing_steps(about.get("preprocessing", []))
        if about.get("decoder") is not None:
            model.decoder = Decoder.from_config(about["decoder"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"its metadata are damaged: {error}") from None
