"""An ONNX graph in the making, and where each of a program's buffers is in it.

fastcnn's images are [N, H, W, C] and ONNX's [N, C, H, W]: a buffer (H, W, C) is there as (C, H, W),
in fastcnn's own order too where something asks for it. Buffers of other ranks stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastcnn.graph.program import Buffer, Op, Program
from fastcnn.interop.onnx_package import onnx_package

if TYPE_CHECKING:
    import onnx

Attributes: TypeAlias = dict[str, Any]
"""Of a node: numbers, texts or lists of them."""

FIRST_OPSET = 13
"""What every runtime reads; a graph takes a later one where an op needs it."""

TO_CHANNELS_FIRST = (0, 3, 1, 2)
TO_CHANNELS_LAST = (0, 2, 3, 1)


class GraphBuilder:
    """Nodes and constants of an ONNX graph, named after the layers that they compute.

    Args:
        program: What is exported: for inference, not fused.
        fold_batch_norm: Whether moving statistics become part of the weights before them.
    """

    def __init__(self, program: Program, fold_batch_norm: bool) -> None:
        self.program = program
        self.fold_batch_norm = fold_batch_norm
        self.opset = FIRST_OPSET
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.done: set[Op] = set()  # ops that are part of another's nodes
        self._layer = ""
        self._names: set[str] = set()
        self._tensors: dict[Buffer, str] = {}
        self._channels_last: dict[Buffer, str] = {}

    def begin(self, op: Op) -> None:
        """Name what follows after the layer of an op."""
        self._layer = op.layer or "graph"

    def unique(self, name: str) -> str:
        """Return a name that nothing else has, with a number behind it where it is taken."""
        numbered, number = name, 0
        while numbered in self._names:
            number += 1
            numbered = f"{name}_{number}"
        self._names.add(numbered)
        return numbered

    def add(self, kind: str, *inputs: str, opset: int = FIRST_OPSET, **attributes: object) -> str:
        """Append a node with one output and return that output's name.

        Args:
            kind: ONNX's name of the operation.
            *inputs: The names of what it reads; "" for an input that is left out.
            opset: The first version of ONNX's operations that has it in this form.
            **attributes: Its attributes.
        """
        first = self._layer not in self._names
        return self._append(
            self._layer if first else f"{self._layer}/{kind}",
            kind,
            *inputs,
            opset=opset,
            **attributes,
        )

    def _append(self, name: str, kind: str, *inputs: str, opset: int, **attributes: object) -> str:
        name = self.unique(name)
        node = onnx_package().helper.make_node(kind, inputs, [name], name=name, **attributes)
        self.nodes.append(node)
        self.opset = max(self.opset, opset)
        return name

    def constant(self, name: str, values: object, dtype: type = np.float32) -> str:
        """Add an array that is part of the file and return its name, the layer's before it."""
        full_name = self.unique(f"{self._layer}/{name}")
        array: np.ndarray = np.ascontiguousarray(np.asarray(values, dtype))
        self.initializers.append(onnx_package().numpy_helper.from_array(array, full_name))
        return full_name

    def integers(self, name: str, values: object) -> str:
        """Add whole numbers, as shapes and places are, and return their name."""
        return self.constant(name, values, np.int64)

    def tensor(self, buffer: Buffer) -> str:
        """Return the name of a buffer's tensor, an image's with the channels first."""
        if buffer not in self._tensors:
            source = self._channels_last[buffer]
            self._tensors[buffer] = self._moved(source, TO_CHANNELS_FIRST)
        return self._tensors[buffer]

    def channels_last(self, buffer: Buffer) -> str:
        """Return the name of a tensor in fastcnn's own order."""
        if len(buffer.shape) != 3:
            return self.tensor(buffer)
        if buffer not in self._channels_last:
            source = self._tensors[buffer]
            self._channels_last[buffer] = self._moved(source, TO_CHANNELS_LAST)
        return self._channels_last[buffer]

    def either(self, buffer: Buffer) -> str:
        """Return the name of a tensor in whichever order is there."""
        return self._channels_last.get(buffer) or self.tensor(buffer)

    def bind(self, buffer: Buffer, name: str) -> None:
        """Let a tensor, an image with the channels first, be a buffer's."""
        self._tensors[buffer] = name

    def bind_channels_last(self, buffer: Buffer, name: str) -> None:
        """Let a tensor in fastcnn's own order be a buffer's."""
        if len(buffer.shape) == 3:
            self._channels_last[buffer] = name
        else:
            self._tensors[buffer] = name

    def alias(self, buffer: Buffer, source: Buffer) -> None:
        """Let a buffer have the tensors of another one of its shape."""
        for tensors in (self._tensors, self._channels_last):
            if source in tensors:
                tensors[buffer] = tensors[source]

    def _moved(self, name: str, order: tuple[int, ...]) -> str:
        """Append a Transpose that no layer asks for: the layer's name is for its own nodes."""
        own_name = f"{self._layer}/order"
        return self._append(own_name, "Transpose", name, opset=FIRST_OPSET, perm=list(order))

    def transposed(self, name: str, order: tuple[int, ...]) -> str:
        return self.add("Transpose", name, perm=list(order))

    def reshaped(self, name: str, shape: tuple[int, ...]) -> str:
        """Give each image of a tensor another shape."""
        if len(shape) == 1:
            return self.add("Flatten", name, axis=1)
        return self.add("Reshape", name, self.integers("shape", [0, *shape]))

    def as_map(self, buffer: Buffer) -> str:
        """Return a tensor [N, C, H, W] of a buffer of any rank."""
        if len(buffer.shape) == 3:
            return self.tensor(buffer)
        *others, channels = buffer.shape
        name = self.tensor(buffer)
        if not others:
            return self.reshaped(name, (channels, 1, 1))
        pixels = buffer.size // channels
        return self.transposed(self.reshaped(name, (pixels, 1, channels)), TO_CHANNELS_FIRST)

    def bind_map(self, buffer: Buffer, name: str) -> None:
        """Let what was made of `as_map` be a buffer's tensor."""
        if len(buffer.shape) > 3 or len(buffer.shape) == 2:
            name = self.transposed(name, TO_CHANNELS_LAST)
        self.bind(buffer, name if len(buffer.shape) == 3 else self.reshaped(name, buffer.shape))

    def per_channel(self, name: str, values: object, buffer: Buffer) -> str:
        """Add a number for each channel, in the shape in which it meets a buffer's tensor."""
        array = np.asarray(values)
        return self.constant(name, array.reshape(-1, 1, 1) if len(buffer.shape) == 3 else array)

    def only_reader(self, buffer: Buffer) -> Op | None:
        """Return the op that alone reads a buffer; None where others do, or the caller does."""
        readers = self.program.consumers(buffer)
        return readers[0] if len(readers) == 1 and not self.program.is_result(buffer) else None

    def weight(self, op: Op, name: str) -> NDArray[np.float32] | None:
        """Return the values of an op's parameter, None where it has none; ValueError for others
        than finite ones."""
        parameter = op.parameters.get(name)
        if parameter is None:
            return None
        values: NDArray[np.float32] = parameter.value
        if not np.isfinite(values).all():
            raise ValueError(
                f"'{parameter.path}' holds numbers that are not finite: a network with them "
                "computes nothing."
            )
        return values
