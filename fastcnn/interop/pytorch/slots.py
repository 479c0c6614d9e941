"""The layers of a model as PyTorch's modules: which arrays each needs, by PyTorch's names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from fastcnn.graph.parameter import Parameter
from fastcnn.interop.pytorch.layout import (
    Array,
    Connected,
    Layout,
    Matrix,
    Order,
    Row,
    Slopes,
    flattened,
)
from fastcnn.layers import (
    AuxiliaryClassifier,
    BatchNormalization,
    Concat,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Flatten,
    GroupNormalization,
    Layer,
    LayerNormalization,
    Permute,
    PReLU,
    Reshape,
    SeparableConv2D,
)
from fastcnn.layers.base import Shape
from fastcnn.layers.containers import Branches
from fastcnn.layers.convolution import Convolution

NAMES = {
    **dict.fromkeys(("kernel", "depthwise_kernel", "pointwise_kernel", "gamma", "alpha"), "weight"),
    **dict.fromkeys(("bias", "beta"), "bias"),
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
"""PyTorch's names of parameters."""


@dataclass(frozen=True)
class Entry:
    """A parameter, and how it lies in PyTorch's memory."""

    parameter: Parameter
    layout: Layout

    def exported(self) -> Array:
        """Return a copy of the parameter's values as PyTorch has them."""
        return np.array(self.layout.to_torch(self.parameter.value))


@dataclass(frozen=True)
class Slot:
    """What PyTorch has as one module: the layer's path, its arrays by PyTorch's names."""

    name: str
    entries: dict[str, Entry]
    auxiliary: bool

    def fits(self, shapes: Mapping[str, Shape]) -> bool:
        """Return whether a module with arrays of these shapes may be this one."""
        return shapes.keys() == self.entries.keys() and all(
            self.entries[name].layout.fits(shape) for name, shape in shapes.items()
        )

    @property
    def shapes(self) -> dict[str, Shape]:
        """The usual shapes of its arrays."""
        return {name: entry.layout.shapes[0] for name, entry in self.entries.items()}


def slots_of(layers: Sequence[Layer]) -> list[Slot]:
    """Return the modules that a model's layers are, in the model's order.

    Raises:
        ValueError: PyTorch has nothing that a layer could be; its path is named.
    """
    slots: list[Slot] = []
    _walk(layers, None, False, slots)
    return slots


def _walk(chain: Sequence[Layer], order: Order, auxiliary: bool, slots: list[Slot]) -> Order:
    """Append a chain's slots; from the order of its inputs, return that of its outputs."""
    wanted = _orders_before_maps(chain)
    for number, layer in enumerate(chain):
        if isinstance(layer, Branches):
            side = auxiliary or isinstance(layer, AuxiliaryClassifier)
            ends = [_walk(inner, order, side, slots) for inner in layer.chains]
            if isinstance(layer, Concat):
                order = _side_by_side(layer, ends)
            continue
        if layer.parameters:
            outputs = wanted.get(number)
            inputs = outputs if order is None and not isinstance(layer, Dense) else order
            slots += [
                Slot(name, _entries(layer, layouts), auxiliary)
                for name, layouts in _modules(layer, inputs, outputs)
            ]
        order = _order_after(layer, order)
    return order


def _entries(layer: Layer, layouts: Layouts) -> dict[str, Entry]:
    own = layer.named_parameters()
    return {NAMES[name]: Entry(own[name], layout) for name, layout in layouts.items()}


def _order_after(layer: Layer, order: Order) -> Order:
    """Return the order of a layer's outputs; None for maps, but for those with permuted axes."""
    becomes_row = isinstance(layer, Flatten | Reshape) and len(layer.output_shape) == 1
    if isinstance(layer, Permute) and len(layer.input_shape) == 3:
        places = (flattened(layer.input_shape) if order is None else order).reshape(
            layer.input_shape
        )
        return places.transpose([axis - 1 for axis in layer.dims]).ravel()
    if becomes_row and order is None and len(layer.input_shape) == 3:
        return flattened(layer.input_shape)
    moves_nothing = becomes_row or layer.output_shape == layer.input_shape
    return None if isinstance(layer, Dense | Convolution) or not moves_nothing else order


def _orders_before_maps(chain: Sequence[Layer]) -> dict[int, Order]:
    """Return, by their places, the orders of rows that a Reshape makes maps of: from the Dense
    that makes such a row on, PyTorch has it as [C, H, W].
    """
    orders: dict[int, Order] = {}
    order: Order = None
    for number in reversed(range(len(chain))):
        layer = chain[number]
        if len(layer.output_shape) != 1:
            order = None
        if isinstance(layer, Reshape) and len(layer.output_shape) == 3:
            order = flattened(layer.output_shape) if len(layer.input_shape) == 1 else None
        elif order is not None:
            orders[number] = order
            order = None if isinstance(layer, Dense) else order
    return orders


def _side_by_side(layer: Concat, orders: Sequence[Order]) -> Order:
    """Return the order of rows side by side."""
    if len(layer.output_shape) != 1 or all(order is None for order in orders):
        return None
    start, parts = 0, []
    for order, shape in zip(orders, layer.shapes, strict=True):
        parts.append(start + (np.arange(shape[0]) if order is None else order))
        start += shape[0]
    return np.concatenate(parts)


Layouts = dict[str, Layout]


def _modules(layer: Layer, inputs: Order, outputs: Order) -> Iterator[tuple[str, Layouts]]:
    """Yield the names of the modules that a layer is, with the layouts of its parameters."""
    shapes = {name: parameter.shape for name, parameter in layer.named_parameters().items()}
    bias = {"bias": _vector(shapes["bias"], outputs)} if "bias" in shapes else {}
    if isinstance(layer, SeparableConv2D):
        yield (
            f"{layer.path}/depthwise",
            {"depthwise_kernel": _depthwise(shapes["depthwise_kernel"])},
        )
        pointwise = {"pointwise_kernel": _kernel(shapes["pointwise_kernel"])}
        yield f"{layer.path}/pointwise", pointwise | bias
    elif isinstance(layer, PReLU):
        yield layer.path, {"alpha": _slopes(shapes["alpha"], inputs)}
    elif isinstance(layer, BatchNormalization | GroupNormalization | LayerNormalization):
        yield layer.path, {name: _vector(shape, inputs) for name, shape in shapes.items()}
    else:
        yield layer.path, {"kernel": _kernel_of(layer, shapes, inputs, outputs)} | bias


def _kernel_of(layer: Layer, shapes: dict[str, Shape], inputs: Order, outputs: Order) -> Layout:
    """Return the layout of a layer's kernel; ValueError for kinds that PyTorch does not have."""
    if isinstance(layer, Dense):
        return Matrix(shapes["kernel"], inputs, outputs)
    if isinstance(layer, DepthwiseConv2D):
        return _depthwise(shapes["kernel"])
    if isinstance(layer, Conv2D) and layer.connections is not None:
        full = (*layer.kernel_size, len(layer.connections), layer.filters)
        return Connected(_kernel(full), layer.connections)
    if isinstance(layer, Conv2D | Conv2DTranspose):
        return _kernel(shapes["kernel"])
    raise ValueError(
        f"{layer.label} at '{layer.path}' has weights, and PyTorch has no module of its kind."
    )


def _kernel(shape: Shape) -> Layout:
    """Return the layout of [H, W, I, O]; for a transposed convolution, PyTorch calls its outputs
    inputs, and the axes are the same.
    """
    there = shape[::-1][:2] + shape[:2]
    shapes = (there, there[:2]) if shape[:2] == (1, 1) else (there,)
    return Layout(shapes, there, (2, 3, 1, 0), shape)


def _depthwise(shape: Shape) -> Layout:
    """Return the layout of [H, W, C, M], PyTorch's [C * M, 1, H, W]."""
    height, width, channels, each = shape
    there = (channels * each, 1, height, width)
    return Layout((there,), (channels, each, height, width), (2, 3, 0, 1), shape)


def _vector(shape: Shape, order: Order) -> Layout:
    """Return the layout of a vector, or of a map [H, W, C] that is [C, H, W] there."""
    if len(shape) == 1:
        return Row(shape, order)
    return _map(shape)


def _map(shape: Shape) -> Layout:
    there = (shape[-1], *shape[:-1])
    return Layout((there,), there, (*range(1, len(shape)), 0), shape)


def _slopes(shape: Shape, order: Order) -> Layout:
    size = prod(shape)
    if len(shape) == 1 and order is not None:
        return Row(shape, order)
    if shape[-1] != size:
        return _map(shape)
    return Slopes(((size,), (1,)), (size,), (0,), shape)
