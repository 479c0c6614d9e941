"""Weights from Caffe's `.caffemodel`: protocol buffers, read by the package `protobuf`.

Caffe's arrays lie in memory as PyTorch's do, so that its layers become modules of a state dict.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fastcnn.hdf5.errors import FormatError
from fastcnn.interop.pytorch.layout import Array
from fastcnn.interop.pytorch.pairing import Pairing
from fastcnn.interop.pytorch.weights import check_model, load_state_dict
from fastcnn.saving import endings
from fastcnn.training.model_settings import ModelSettings
from fastcnn.utils import arguments, input_file

SCHEMA = """
Net       layers 2 OldLayer*  layer 100 Layer*
Layer     name 1 bytes  type 2 bytes  bottom 3 bytes*  top 4 bytes*  blobs 7 Blob*
OldLayer  layer 1 OldestLayer  name 4 bytes  number 5 int64  blobs 6 Blob*
OldestLayer  name 1 bytes  type 2 bytes  blobs 50 Blob*
Blob      num 1 int64  channels 2 int64  height 3 int64  width 4 int64
Blob      data 5 bytes*  shape 7 Shape  doubles 8 bytes*
Shape     dim 1 int64*
"""
"""Of each message the fields that are read: name, number, type, a star where they are repeated.

Packed floats are declared as the bytes that they are, of which no list of Python's is made.
"""

INNER_PRODUCT = 14
"""The number of the fully connected layer's type in the older form of files."""


def load_caffe_weights(
    model: ModelSettings,
    path: str | os.PathLike[str],
    bgr: bool = True,
    skip_mismatch: bool = False,
    verbose: bool = True,
) -> Pairing:
    """Put the weights of a Caffe network into a model of the same architecture.

    Read are Convolution, Deconvolution, InnerProduct, PReLU, and BatchNorm with the Scale behind
    it, which together are a BatchNormalization; in the present form of files and both older ones.
    Layers are paired as `load_torch_weights` does it, and the rows of the first dense layer behind
    a Flatten are permuted.

    Args:
        model: The model.
        path: The `.caffemodel`, which the package `protobuf` reads.
        bgr: Whether the network takes images as blue, green, red, as nearly all of Caffe do: then
            the first kernel is turned, so that the model takes red, green, blue. Without effect for
            images of another number of channels than 3.
        skip_mismatch: Leave out what does not fit in place of raising.
        verbose: Whether the pairing is printed.

    Returns:
        The pairing: the Caffe layer of each layer, with dots for slashes, and what was left out.

    Raises:
        FormatError: The file is damaged, a layer of either side has no partner, or weights are not
            finite (a ValueError); nothing has changed.
        ValueError: A layer of the model is of a kind that Caffe does not have.
        TypeError: The model is none, as where the two arguments are swapped.
        ImportError: The package `protobuf` is not installed.
        OSError: The file cannot be opened.

    References:
        Jia et al., 2014: Caffe: Convolutional architecture for fast feature embedding.
    """
    check_model("load_caffe_weights", model)
    path = arguments.path("load_caffe_weights", "path", path)
    endings.check_read(path, endings.CAFFE)
    state = read(path)
    if arguments.flag("load_caffe_weights", "bgr", bgr):
        _turn_first_kernel(state)
    return load_state_dict(model, path, state, skip_mismatch, verbose)


def read(path: str) -> dict[str, Array]:
    """Return the weights of a `.caffemodel` as a state dict.

    Raises:
        FormatError: It is damaged, or none.
        ImportError: The package `protobuf` is not installed.
        OSError: It cannot be opened.
    """
    try:
        from google.protobuf.message import DecodeError
    except ImportError:
        raise ImportError(
            f"'{path}' takes the package protobuf: pip install 'fastcnn[caffe]'."
        ) from None
    with input_file.opened(path) as file:
        data = file.read()
    try:
        state = _state_of(_layers(_message("Net").FromString(data)))
    except (DecodeError, UnicodeDecodeError, ValueError) as error:
        raise FormatError(f"'{path}' cannot be read: {error}.") from None
    if not state:
        raise FormatError(f"'{path}' has no layer with weights: it is no .caffemodel, or empty.")
    return state


def _message(name: str) -> Any:
    """Return the class of a message."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    kinds = descriptor_pb2.FieldDescriptorProto
    types = {"bytes": kinds.TYPE_BYTES, "int64": kinds.TYPE_INT64}
    messages: dict[str, Any] = {}
    for line in SCHEMA.strip().splitlines():
        message, *words = line.split()
        if message not in messages:
            messages[message] = file.message_type.add(name=message)
        for field, number, kind in zip(*(words[i::3] for i in range(3)), strict=True):
            declared = messages[message].field.add(name=field, number=int(number))
            repeated = kind.endswith("*")
            declared.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            declared.type = types.get(kind.rstrip("*"), kinds.TYPE_MESSAGE)
            if declared.type == kinds.TYPE_MESSAGE:
                declared.type_name = kind.rstrip("*")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe.{name}"))


class CaffeLayer(NamedTuple):
    """A layer of a file, in any of the three forms."""

    name: str
    kind: str
    inputs: list[bytes]
    outputs: list[bytes]
    blobs: list[Array]


def _layers(net: Any) -> Iterator[CaffeLayer]:
    """Yield the layers that have weights, in the order of the file."""
    for old in net.layers:
        layer = old.layer if old.layer.blobs else old
        kind = "innerproduct" if old.number == INNER_PRODUCT else old.layer.type.decode()
        if layer.blobs:
            yield CaffeLayer(layer.name.decode(), kind.lower(), [], [], _blobs(layer))
    for layer in net.layer:
        kind = layer.type.decode().lower()
        ends = list(layer.bottom), list(layer.top)
        if layer.blobs:
            yield CaffeLayer(layer.name.decode(), kind, *ends, _blobs(layer))


def _blobs(layer: Any) -> list[Array]:
    return [_array(layer.name.decode(), blob) for blob in layer.blobs]


def _array(name: str, blob: Any) -> Array:
    """Return a blob; ValueError where its shape has another count of numbers than it."""
    shape = tuple(blob.shape.dim) or (blob.num, blob.channels, blob.height, blob.width)
    data, kind = (blob.doubles, "<f8") if blob.doubles else (blob.data, "<f4")
    numbers = np.frombuffer(b"".join(data), kind)
    if min(shape) < 0 or prod(shape) != numbers.size:
        raise ValueError(f"'{name}' has {numbers.size:,} numbers for an array of shape {shape}")
    with np.errstate(over="ignore"):
        return numbers.astype(np.float32).reshape(shape)


def _state_of(layers: Iterable[CaffeLayer]) -> dict[str, Array]:
    """Return the arrays of layers by names such as "conv1.weight"."""
    state: dict[str, Array] = {}
    normalized: dict[bytes, str] = {}  # by what a BatchNorm makes, the name of its module
    for layer in layers:
        name = layer.name.replace("/", ".")
        if layer.kind == "scale" and layer.inputs and layer.inputs[0] in normalized:
            name = normalized.pop(layer.inputs[0])
        elif f"{name}.weight" in state or f"{name}.running_mean" in state:
            raise ValueError(f"two of its layers with weights are named '{layer.name}'")
        for own, array in _module(layer).items():
            state[f"{name}.{own}"] = array
        if layer.kind == "batchnorm":
            normalized |= dict.fromkeys(layer.outputs, name)
    return state


def _module(layer: CaffeLayer) -> dict[str, Array]:
    """Return a layer's arrays by PyTorch's names."""
    if layer.kind == "batchnorm":
        return _statistics(layer)
    arrays = dict(zip(("weight", "bias"), layer.blobs, strict=False))
    if len(layer.blobs) > len(arrays):
        raise ValueError(f"'{layer.name}' has {len(layer.blobs)} arrays where two were expected")
    if "weight" in arrays and layer.kind == "innerproduct":
        arrays["weight"] = _matrix(arrays["weight"])
    if "bias" in arrays:
        arrays["bias"] = arrays["bias"].ravel()
    return arrays


def _matrix(array: Array) -> Array:
    """Return the last two axes alone, where those before are 1, as older files have them."""
    return array.reshape(array.shape[-2:]) if prod(array.shape[:-2]) == 1 else array


def _statistics(layer: CaffeLayer) -> dict[str, Array]:
    """Return a BatchNorm's statistics, which are stored times the number of what was counted."""
    if len(layer.blobs) != 3 or layer.blobs[2].size != 1:
        raise ValueError(f"'{layer.name}' has other arrays than a BatchNorm's three")
    count = float(layer.blobs[2].ravel()[0])
    factor = np.float32(0 if count == 0 else 1 / count)
    return {
        "running_mean": layer.blobs[0].ravel() * factor,
        "running_var": layer.blobs[1].ravel() * factor,
    }


def _turn_first_kernel(state: dict[str, Array]) -> None:
    """Put red first where the first kernel, [O, I, H, W], sees three channels."""
    for name, array in state.items():
        if name.endswith(".weight") and array.ndim >= 2:
            if array.ndim == 4 and array.shape[1] == 3:
                state[name] = array[:, ::-1]
            return
