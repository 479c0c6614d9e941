"""From the nodes of an ONNX graph to layers: what all operations share.

ONNX's maps are [N, C, H, W] and fastcnn's [N, H, W, C]. A `Tensor` says how its numbers lie in what
a layer makes, so that a Transpose only changes what is known of them, and axes are moved only
where a layer needs them elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastcnn.interop.graph import Node
from fastcnn.interop.onnx_import import constants
from fastcnn.interop.onnx_import.model_file import Array, OnnxGraph, OnnxNode, finite
from fastcnn.layers import Flatten, GlobalAveragePooling2D, GlobalMaxPooling2D, Layer, Permute
from fastcnn.layers import Reshape as ReshapeLayer

Shape = tuple[int, ...]
CHANNELS_FIRST = (2, 0, 1)
"""Where the axes (C, H, W) of a map are in (H, W, C)."""
START = "images"


@dataclass(frozen=True)
class Tensor:
    """What a node of the graph of layers makes, as ONNX sees it.

    Args:
        node: That node's name.
        shape: The shape of an image there, as fastcnn has it.
        axes: For each of ONNX's axes behind the batch, which of fastcnn's axes it is.
        source: Of a row of numbers: the shape and axes of the image that ONNX made them of in
            another order than fastcnn; None for the same order.
    """

    node: str
    shape: Shape
    axes: Shape
    source: tuple[Shape, Shape] | None = None

    @property
    def onnx_shape(self) -> Shape:
        """The shape without the batch, as ONNX sees it."""
        return tuple(self.shape[axis] for axis in self.axes)

    def order(self) -> NDArray[np.intp] | None:
        """Return the place in fastcnn's row of each number of ONNX's; None for the same order."""
        if self.source is None:
            return None
        shape, axes = self.source
        return np.arange(self.shape[0]).reshape(shape).transpose(axes).ravel()


Handler = Callable[["Translator", OnnxNode], Tensor]


class Translator:
    """Nodes of a graph of layers in the making.

    Args:
        graph: What is read.
        handlers: By operation, what makes layers of a node.
    """

    def __init__(self, graph: OnnxGraph, handlers: Mapping[str, Handler]) -> None:
        self.graph = graph
        self.opset = graph.opset
        self.nodes: dict[str, Node] = {}
        self.weights: dict[Layer, dict[str, Array]] = {}
        self.tensors: dict[str, Tensor] = {}
        self.constants = constants.Constants(graph.constants)
        self.absorbed: set[int] = set()  # nodes, by id, that others' layers have done
        self.borders: dict[str, tuple[Any, str]] = {}  # of tensors that their convolution pads
        self._handlers = handlers
        self._readers: dict[str, list[OnnxNode]] = {}
        self._used_names: set[str] = set()
        self._current = OnnxNode("", "", (), (), {})
        for node in graph.nodes:
            for name in dict.fromkeys(node.inputs):
                self._readers.setdefault(name, []).append(node)

    def run(self, start: Tensor) -> Tensor:
        """Go through all nodes and return the output."""
        self.tensors[self.graph.input] = start
        for node in self.graph.nodes:
            self._current = node
            try:
                self._translate(node)
            except (TypeError, ValueError) as error:
                text = str(error).removesuffix(".")
                raise ValueError(f"{node.label} cannot be read: {text}") from None
        if self.graph.output not in self.tensors:
            raise ValueError(f"its output '{self.graph.output}' depends on no input")
        return self.tensors[self.graph.output]

    def _translate(self, node: OnnxNode) -> None:
        for name in node.outputs:
            if name and (name in self.tensors or name in self.constants):
                raise ValueError(f"another node makes '{name}' too")
        live = [name for name in node.inputs if name in self.tensors]
        if node.kind == "Shape" and live:
            shape = self.tensors[live[0]].onnx_shape
            self.constants.add_shape(node, shape)
            return
        for name in node.inputs:
            if name and name not in self.tensors and name not in self.constants:
                raise ValueError(f"it reads '{name}', which nothing makes before it")
        if not live:
            self.constants.fold(node)
            return
        if id(node) in self.absorbed:
            self.tensors[node.outputs[0]] = self.tensors[live[0]]
            return
        for name in node.outputs[1:]:
            if name and (self._readers.get(name) or name == self.graph.output):
                raise ValueError(f"its output '{name}' is used, and only the first one is had")
        if node.kind not in self._handlers:
            raise ValueError("fastcnn has no layer for this operation")
        self.tensors[node.outputs[0]] = self._handlers[node.kind](self, node)

    def only_reader(self, name: str) -> OnnxNode | None:
        """Return the node that alone reads a tensor; None where others do, or the caller does."""
        readers = self._readers.get(name, [])
        return readers[0] if len(readers) == 1 and name != self.graph.output else None

    # -- what nodes read ---------------------------------------------------------------------

    def tensor(self, node: OnnxNode, place: int = 0) -> Tensor:
        """Return an input that is computed from the images."""
        name = node.inputs[place] if node.has_input(place) else ""
        if name not in self.tensors:
            raise ValueError(f"input {place} should be computed from the images, and is constant")
        return self.tensors[name]

    def constant(self, node: OnnxNode, place: int, what: str) -> Array:
        """Return an input that is part of the file."""
        if not node.has_input(place):
            raise ValueError(f"{what}, input {place}, is missing")
        name = node.inputs[place]
        if name not in self.constants:
            raise ValueError(f"{what}, '{name}', is computed from the images, and not constant")
        return self.constants.array(name)

    def weight(self, node: OnnxNode, place: int, what: str) -> NDArray[np.float32]:
        """Return weights that are part of the file, as finite float32."""
        return finite(self.constant(node, place, what), what)

    def integers(self, node: OnnxNode, place: int, attribute: str) -> list[int] | None:
        """Return whole numbers that are an input or, in older versions, an attribute."""
        if attribute in node.attributes:
            value = node.attributes[attribute]
            return [int(number) for number in (value if isinstance(value, list) else [value])]
        if not node.has_input(place):
            return None
        values = self.constant(node, place, attribute)
        if values.size > constants.MOST_SHAPE or values.dtype.kind not in "iu":
            raise ValueError(f"{attribute} should be some whole numbers")
        return [int(number) for number in values.ravel()]

    # -- what nodes make ---------------------------------------------------------------------

    def options(self) -> dict[str, Any]:
        """Return the name of the current node's first layer, as far as it can have one."""
        name = self._current.name.strip("/").replace("/", ".")
        if not name or name in self._used_names:
            return {}
        self._used_names.add(name)
        return {"name": name}

    def add(
        self, x: Tensor, *layers: Layer, axes: Shape | None = None, keep_source: bool = False
    ) -> Tensor:
        """Append layers behind a tensor; the axes stay where no others are said."""
        shape = x.shape
        for layer in layers:
            if layer.rank is not None and len(shape) != layer.rank:
                raise ValueError(f"{layer.label} takes no input of shape {shape}")
            shape = tuple(layer.shape_after(shape))
        name = self._append((x.node,), layers, None)
        axes = axes or (x.axes if len(shape) == len(x.shape) else tuple(range(len(shape))))
        return Tensor(name, shape, axes, x.source if keep_source else None)

    def join(self, kind: Literal["add", "concat", "multiply"], inputs: list[Tensor]) -> Tensor:
        """Append what joins tensors of the same axes."""
        name = self._append(tuple(x.node for x in inputs), (), kind)
        first = inputs[0]
        if kind == "concat":
            channels = sum(x.shape[-1] for x in inputs)
            return Tensor(name, (*first.shape[:-1], channels), first.axes)
        return replace(first, node=name)

    def _append(
        self,
        inputs: tuple[str, ...],
        layers: tuple[Layer, ...],
        join: Literal["add", "concat", "multiply"] | None,
    ) -> str:
        name = f"{self._current.name}:{len(self.nodes)}"
        layer_name = self.options().get("name") if join else None
        self.nodes[name] = Node(name, self._current.kind, inputs, layers, join, layer_name)
        return name

    def give(self, layer: Layer, **arrays: Array | None) -> Layer:
        """Remember the weights of a layer."""
        self.weights[layer] = {k: array for k, array in arrays.items() if array is not None}
        return layer

    # -- where the axes are ------------------------------------------------------------------

    def with_axes(self, x: Tensor, axes: Shape) -> Tensor:
        """Return a tensor with ONNX's axes at the places wanted, moved where they are not."""
        if x.axes == axes and x.source is None:
            return x
        if x.source is not None:
            return self.plain(x)
        dims = [x.axes[axes.index(axis)] + 1 for axis in range(len(axes))]
        return self.add(x, Permute(dims), axes=axes)

    def image(self, x: Tensor) -> Tensor:
        """Return a map with its channels last in fastcnn."""
        if len(x.shape) != 3:
            raise ValueError(
                f"it should read maps [N, C, H, W], and reads a shape of {len(x.shape) + 1} axes"
            )
        return self.with_axes(x, CHANNELS_FIRST)

    def last(self, x: Tensor, axis: int) -> Tensor:
        """Return a tensor with one of ONNX's axes, counted behind the batch, last in fastcnn."""
        rank = len(x.shape)
        if x.axes[axis] == rank - 1:
            return x
        others = [a for a in range(rank) if a != axis]
        axes = [0] * rank
        for place, other in enumerate([*others, axis]):
            axes[other] = place
        return self.with_axes(x, tuple(axes))

    def plain(self, x: Tensor) -> Tensor:
        """Return a tensor whose numbers lie in fastcnn as in ONNX."""
        if x.source is not None:
            shape, axes = x.source
            image = self.add(x, ReshapeLayer(shape), axes=axes)
            return self.flat(self.plain(image))
        return self.with_axes(x, tuple(range(len(x.axes))))

    def flat(self, x: Tensor) -> Tensor:
        """Return an image as a row of numbers, in whichever order."""
        if len(x.shape) == 1:
            return x
        pooling = self.nodes.get(x.node)
        if pooling is not None and len(pooling.layers) == 1 and x.shape[:2] == (1, 1):
            (layer,) = pooling.layers
            if isinstance(layer, GlobalAveragePooling2D | GlobalMaxPooling2D):
                row = type(layer)(name=layer.given_name)
                return Tensor(self._append(pooling.inputs, (row,), None), x.shape[2:], (0,))
        row_axes = [axis for axis in x.axes if x.shape[axis] > 1]
        y = self.add(x, Flatten(**self.options()))
        return y if row_axes == sorted(row_axes) else replace(y, source=(x.shape, x.axes))

    def reshape(self, x: Tensor, target: Shape) -> Tensor:
        """Return a tensor in another shape, as ONNX sees it."""
        if target == x.onnx_shape:
            return x
        if len(target) == 1:
            return self.flat(x)
        if x.source is not None and tuple(x.source[0][a] for a in x.source[1]) == target:
            shape, axes = x.source
            return self.add(x, ReshapeLayer(shape, **self.options()), axes=axes)
        if sum(size > 1 for size in target) <= 1 and len(target) == 3:  # in any order the same
            shape = (target[1], target[2], target[0])
            return self.add(x, ReshapeLayer(shape, **self.options()), axes=CHANNELS_FIRST)
        y = self.plain(x)
        return self.add(y, ReshapeLayer(target, **self.options()), axes=tuple(range(len(target))))

    def channels(self, values: Array, x: Tensor, what: str) -> NDArray[np.float32]:
        """Return a number for each of fastcnn's channels, of numbers that ONNX spreads over x."""
        numbers = finite(values, what)
        rank = len(x.shape)
        if numbers.size == 1 and numbers.ndim <= rank + 1:
            return np.full(x.shape[-1], numbers.item(), np.float32)
        spread = (1,) * (rank + 1 - numbers.ndim) + numbers.shape
        along = [axis for axis, size in enumerate(spread) if size > 1]
        if len(spread) != rank + 1 or len(along) != 1 or along[0] == 0:
            raise ValueError(
                f"{what} has the shape {numbers.shape}, and fastcnn has one number, or one for "
                "each channel"
            )
        axis = x.axes[along[0] - 1]
        if axis != rank - 1 or spread[along[0]] != x.shape[-1]:
            raise ValueError(f"{what} of shape {numbers.shape} does not lie along the channels")
        return self.in_order(numbers.ravel(), x)

    def in_order(self, values: NDArray[np.float32], x: Tensor) -> NDArray[np.float32]:
        """Return a number or row for each number of x in fastcnn's order, from ONNX's."""
        order = x.order()
        if order is None:
            return values
        moved = np.empty_like(values)
        moved[order] = values
        return moved
