"""PReLU: a rectifier that learns its slope below zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from fastcnn import initializers, regularizers
from fastcnn.graph.parameter import Parameter
from fastcnn.layers.base import Layer, LayerOptions, Shape
from fastcnn.layers.documented import documented
from fastcnn.utils.arguments import is_whole

if TYPE_CHECKING:
    from fastcnn.graph.program import Buffer, Program


@documented
class PReLU(Layer):
    """x above zero, alpha * x below, where alpha is learned.

    Args:
        alpha_initializer: What the slopes begin with, a name, a class, a {"class_name", "config"}
            or an object of `fastcnn.initializers`.
        alpha_regularizer: Their penalty, likewise of `fastcnn.regularizers`; None for none.
        shared_axes: Axes along which all numbers share a slope, counted from 1 as the batch is 0:
            the first ones, so (1, 2) for a slope a channel. None for a slope a number.

    Raises:
        ValueError: `shared_axes` are not the first ones, a name is unknown, or, when the model is
            built, the input has fewer axes.
        TypeError: An argument is of a wrong type.

    Shape:
        Input and output: [N, ...], any shape.
        Alpha: that of an image, with 1 for the shared axes.

    References:
        He et al., 2015: Delving deep into rectifiers.
    """

    settings = ("alpha_initializer", "alpha_regularizer", "shared_axes")

    def __init__(
        self,
        alpha_initializer: initializers.InitializerLike = "zeros",
        alpha_regularizer: regularizers.RegularizerLike = None,
        shared_axes: Sequence[int] | None = None,
        **common: Unpack[LayerOptions],
    ):
        super().__init__(**common)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.shared_axes = None if shared_axes is None else self._checked(shared_axes)

    def _checked(self, value: Sequence[int]) -> Shape:
        whole = isinstance(value, tuple | list) and all(is_whole(axis) for axis in value)
        if whole and sorted(value) == list(range(1, len(value) + 1)):
            return tuple(int(axis) for axis in value)
        raise ValueError(
            f"{self.label}: shared_axes must be None or the first axes, counted from 1, such as "
            f"(1, 2) for a slope a channel. Received {value!r}."
        )

    def shape_after(self, shape: Shape) -> Shape:
        shared = len(self.shared_axes or ())
        if shared > len(shape):
            raise ValueError(
                f"{self.label}: shared_axes={self.shared_axes} are more axes than an input of "
                f"shape {shape} has."
            )
        return shape

    def make_parameters(self, shape: Shape) -> list[Parameter]:
        shared = len(self.shared_axes or ())
        alpha_shape = (*(1,) * shared, *shape[shared:])
        initializer, regularizer = self.alpha_initializer, self.alpha_regularizer
        return [Parameter(self, "alpha", alpha_shape, initializer, regularizer)]

    def lower(self, program: Program, x: Buffer) -> Buffer:
        return program.add("prelu", [x], x.shape, self.named_parameters())
