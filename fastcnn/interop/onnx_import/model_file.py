"""What an ONNX file holds, checked and as plain arrays and texts."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.hdf5.errors import FormatError
from fastcnn.interop.onnx_package import MOST_BYTES, onnx_package
from fastcnn.utils import input_file

if TYPE_CHECKING:
    import onnx

MOST_NODES = 20_000
"""Of a graph; the largest networks have some thousands."""
MOST_METADATA = 4 << 20
OPSETS = range(1, 29)
"""The versions of ONNX's operations that are read; others may mean other things."""

Array = NDArray[Any]


@dataclass(frozen=True)
class OnnxNode:
    """A node: its operation, the names of what it reads and makes, and its attributes."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]

    @property
    def label(self) -> str:
        """The node as errors name it."""
        return f"the node '{self.name}' ({self.kind})"

    def has_input(self, place: int) -> bool:
        return place < len(self.inputs) and self.inputs[place] != ""


@dataclass(frozen=True)
class OnnxGraph:
    """A graph of one input and one output.

    `input_shape` is that of the file, with the batch; None for a size that it leaves open.
    """

    name: str
    opset: int
    nodes: tuple[OnnxNode, ...]
    constants: dict[str, Array]
    input: str
    input_shape: tuple[int | None, ...]
    output: str
    metadata: dict[str, Any]


def read(path: str, output: str | None) -> OnnxGraph:
    """Return the graph of a file.

    Args:
        path: The file.
        output: Which of several outputs is wanted; None where there is one.

    Raises:
        FormatError: It is not such a file, is damaged, or holds what is refused.
        OSError: It cannot be opened.
    """
    onnx = onnx_package()
    with input_file.opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MOST_BYTES:
            raise FormatError(
                f"'{path}' has {size:,} bytes; an ONNX file has {MOST_BYTES:,} at most."
            )
        data = file.read()
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except Exception as error:  # protobuf has several, by its implementation
        raise FormatError(f"'{path}' is not an ONNX file, or is damaged: {error}.") from None
    return graph_of(proto, output)


def graph_of(proto: onnx.ModelProto, output: str | None = None) -> OnnxGraph:
    """Return the graph of a model; ValueError for what is damaged or refused."""
    graph = proto.graph
    if not graph.node and not graph.input:
        raise ValueError("it holds no graph, as an ONNX file does")
    if len(graph.node) > MOST_NODES:
        raise ValueError(f"its graph has {len(graph.node):,} nodes, more than {MOST_NODES:,}")
    if graph.sparse_initializer:
        raise ValueError("it has sparse constants, which are not read")
    constants = {tensor.name: array_of(tensor) for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(f"'{value.name}'" for value in inputs) or "none"
        raise ValueError(f"fastcnn's models have one input, and its graph has {names}")
    return OnnxGraph(
        graph.name,
        _opset(proto),
        tuple(_node(node, number) for number, node in enumerate(graph.node)),
        constants,
        inputs[0].name,
        _shape(inputs[0]),
        _output(graph, output),
        _metadata(proto),
    )


def array_of(tensor: onnx.TensorProto) -> Array:
    """Return the numbers of a tensor; ValueError where they are elsewhere, or not as many as it
    says."""
    onnx = onnx_package()
    label = f"its constant '{tensor.name}'"
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise ValueError(f"{label} lies in another file, which is not read")
    if tensor.data_type not in _numeric_types():
        raise ValueError(f"{label} holds no numbers that fastcnn has")
    dims = tuple(tensor.dims)
    if min(dims, default=1) < 0 or len(dims) > 8:
        raise ValueError(f"{label} has the shape {dims}")
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    stored = len(tensor.raw_data) // dtype.itemsize if tensor.HasField("raw_data") else None
    fields = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")
    count = max(len(getattr(tensor, name)) for name in fields) if stored is None else stored
    if count != prod(dims):
        raise ValueError(f"{label} has the shape {dims}, and {count:,} numbers are there")
    try:
        array: Array = onnx.numpy_helper.to_array(tensor)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{label} is damaged: {error}") from None
    return array


def _numeric_types() -> set[int]:
    types = onnx_package().TensorProto
    floats = (types.FLOAT, types.DOUBLE, types.FLOAT16, types.BFLOAT16)
    whole = (types.INT8, types.INT16, types.INT32, types.INT64, types.UINT8, types.BOOL)
    return {*floats, *whole}


def _opset(proto: onnx.ModelProto) -> int:
    versions = [entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")]
    version = max(versions, default=1)
    if version not in OPSETS:
        raise ValueError(
            f"it uses version {version} of ONNX's operations, and those from {OPSETS[0]} to "
            f"{OPSETS[-1]} are read"
        )
    return version


def _node(proto: onnx.NodeProto, number: int) -> OnnxNode:
    name = proto.name or next(iter(proto.output), "") or str(number)
    if proto.domain not in ("", "ai.onnx"):
        raise ValueError(
            f"the node '{name}' ({proto.op_type}) is of the domain '{proto.domain}', and ONNX's "
            "own operations alone are read"
        )
    if not proto.output:
        raise ValueError(f"the node '{name}' ({proto.op_type}) makes nothing")
    attributes = {entry.name: _attribute(entry, name) for entry in proto.attribute}
    return OnnxNode(name, proto.op_type, tuple(proto.input), tuple(proto.output), attributes)


def _attribute(proto: onnx.AttributeProto, node: str) -> object:
    onnx = onnx_package()
    types = onnx.AttributeProto
    plain = (types.FLOAT, types.INT, types.FLOATS, types.INTS)
    if proto.type in plain:
        value = onnx.helper.get_attribute_value(proto)
        return list(value) if proto.type in (types.FLOATS, types.INTS) else value
    if proto.type == types.STRING:
        return proto.s.decode("utf-8", "replace")
    if proto.type == types.TENSOR:
        return array_of(proto.t)
    raise ValueError(
        f"the node '{node}' has the attribute '{proto.name}', which holds no numbers or text"
    )


def _shape(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not kind.HasField("shape"):
        raise ValueError(f"its input '{value.name}' has no shape")
    return tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None
        for dim in kind.shape.dim
    )


def _output(graph: onnx.GraphProto, wanted: str | None) -> str:
    names = [value.name for value in graph.output]
    if wanted is not None:
        if wanted not in names:
            raise ValueError(f"it has no output '{wanted}': there are {', '.join(names) or 'none'}")
        return wanted
    if len(names) != 1:
        raise ValueError(
            f"fastcnn's models have one output, and its graph has {', '.join(names) or 'none'}: "
            "pass output= to from_onnx to name the one that is wanted"
        )
    return names[0]


def _metadata(proto: onnx.ModelProto) -> dict[str, Any]:
    """Return what fastcnn wrote of a model; nothing where another program wrote the file."""
    if proto.producer_name != "fastcnn":
        return {}
    texts = Counter({entry.key: len(entry.value) for entry in proto.metadata_props})
    if texts.total() > MOST_METADATA:
        raise ValueError(f"it has more than {MOST_METADATA:,} characters of metadata")
    values = {}
    for entry in proto.metadata_props:
        try:
            values[entry.key] = json.loads(entry.value)
        except (ValueError, RecursionError):
            raise ValueError(f"its metadata '{entry.key}' are not JSON") from None
    return values


def finite(array: Array, label: str) -> NDArray[np.float32]:
    """Return numbers as float32; ValueError for others than finite ones."""
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = np.asarray(array, np.float32)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{label} holds numbers that are not finite")
    return numbers
