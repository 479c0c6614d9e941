"""What a layer's methods must return: the errors of a user's own layer name class, layer and
method.
"""

from __future__ import annotations

from typing import Protocol

from fastcnn.graph.parameter import Parameter
from fastcnn.graph.program import Buffer, Program
from fastcnn.utils.arguments import is_whole

Shape = tuple[int, ...]


class OwnLayer(Protocol):
    """A layer, as far as its methods are held to what they must return."""

    built: bool
    output_shape: Shape

    @property
    def label(self) -> str: ...

    @property
    def name(self) -> str: ...

    def shape_after(self, shape: Shape) -> Shape: ...

    def make_parameters(self, shape: Shape) -> list[Parameter]: ...

    def lower(self, program: Program, x: Buffer) -> Buffer: ...


def check_built(layer: OwnLayer) -> None:
    """Refuse a layer whose `build` left out that of its base class."""
    if not layer.built:
        raise TypeError(f"{layer.label}: its build must call super().build(input_shape, prefix).")


def output_shape(layer: OwnLayer, shape: Shape) -> Shape:
    """Return what `shape_after` says, as plain ints. TypeError unless it is a tuple of positive
    whole numbers.
    """
    after: object = layer.shape_after(shape)
    if (
        not isinstance(after, tuple | list)
        or not after
        or not all(is_whole(n) and n > 0 for n in after)
    ):
        raise TypeError(
            f"{layer.label}: shape_after({shape}) must return the shape of one output, a tuple of "
            f"positive whole numbers without the batch. Received {after!r}."
        )
    return tuple(map(int, after))


def parameters(layer: OwnLayer, shape: Shape) -> tuple[Parameter, ...]:
    """Return what `make_parameters` gives. TypeError unless they are Parameters, ValueError for two
    of one name.
    """
    weights: object = layer.make_parameters(shape)
    if not isinstance(weights, list | tuple) or not all(
        isinstance(parameter, Parameter) for parameter in weights
    ):
        raise TypeError(
            f"{layer.label}: make_parameters({shape}) must return a list of Parameters, an empty "
            f"one where it learns nothing. Received {weights!r}."
        )
    names = [parameter.name for parameter in weights]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(
            f"{layer.label}: make_parameters({shape}) names two parameters {twice!r}. Give each a "
            "name of its own: they are saved by it."
        )
    return tuple(weights)


def lowered(layer: OwnLayer, program: Program, x: Buffer) -> Buffer:
    """Return the buffer that `lower` returns. TypeError where it is none of the program's,
    ValueError where it is no output of this layer.
    """
    output: object = layer.lower(program, x)
    must = f"{layer.label}: lower(program, x) must return the Buffer with its output"
    if not isinstance(output, Buffer):
        raise TypeError(f"{must}, as program.add does. Received {output!r}.")
    if not any(output is buffer for buffer in program.buffers[output.number : output.number + 1]):
        raise ValueError(f"{must}, of the program that it is given. Received another program's.")
    if output is not program.input and program.producer(output) is None:
        raise ValueError(f"{must}. Received {output}, which no op of the program writes.")
    if not output.per_image or output.dtype != "float32" or output.shape != layer.output_shape:
        kind = f"{output.dtype} {output.shape}{' an image' if output.per_image else ' in all'}"
        raise ValueError(
            f"{must}, float32 {layer.output_shape} an image, as shape_after says. Received {kind}."
        )
    return output
