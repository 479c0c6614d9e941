"""A layer of the user's own, as functions of arrays that the host calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from fastcnn import initializers, regularizers
from fastcnn.graph.parameter import Parameter
from fastcnn.layers.base import Layer, LayerOptions, Shape
from fastcnn.utils import user_code

if TYPE_CHECKING:
    from fastcnn.graph.program import Buffer, Program

Floats = NDArray[np.floating[Any]]
"""float32 in a step, float64 where gradients are checked."""


class CustomLayer(Layer):
    """A layer of your own: derive a class that has `forward` and `backward`, in NumPy.

    Both are called on the host with a whole batch, in training and prediction. Arrays that are
    passed cannot be written to. What `forward` should hand on to `backward` may be kept in private
    attributes, `self._mask = ...`. The constructor's arguments, each kept under its own name, are
    what is saved of the layer.

    `forward(self, x, *weights)` returns the outputs; a further argument `training` tells whether it
    is a training step. `backward(self, x, y, dy, *weights)` returns the gradient of x and, where
    there are weights, a tuple of it and the gradient of each weight. `shape_after(self, shape)`
    returns the shape of an output, by default the input's, and `make_parameters(self, shape)` a
    list of `self.weight(...)`, by default none. `fastcnn.check_gradients` tells whether backward
    fits forward.

    Args:
        **common: `name`, text without "/" (None makes one from the class), and `trainable`, by
            default True.

    Raises:
        TypeError: The class lacks a method.

    Shape:
        x, dx [N, *shape], y, dy [N, *shape_after(shape)], float32.
    """

    settings: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **common: Unpack[LayerOptions]):
        super().__init__(**common)

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        if "settings" not in vars(cls) and "__init__" in vars(cls):
            common = ("name", "trainable")
            own = user_code.arguments_of(cls)
            cls.settings = tuple(argument for argument in own if argument not in common)

    def _check_constructed(self) -> None:
        super()._check_constructed()
        user_code.check_kept(self.label, self, self.settings)

    @user_code.needed("which returns y")
    def forward(self, x: Floats, *weights: Floats) -> Any:
        """Return the outputs of a batch; a derived class defines it.

        Args:
            x: The inputs.
            *weights: The layer's weights, in the order of `make_parameters`.

        Shape:
            x [N, *shape] -> [N, *shape_after(shape)].
        """

    @user_code.needed("which returns dx, or (dx, *gradients) where it has weights")
    def backward(self, x: Floats, y: Floats, dy: Floats, *weights: Floats) -> Any:
        """Return the gradient of x, or (that, *those of the weights); a derived class defines it.

        Args:
            x: The inputs, as `forward` was given them.
            y: The outputs, as it returned them.
            dy: The gradient of the outputs.
            *weights: The layer's weights, in the order of `make_parameters`.

        Shape:
            x [N, *shape], y, dy [N, *shape_after(shape)] -> dx [N, *shape]; the gradient of a
            weight is that of the sum over the batch, of the weight's shape.
        """

    def weight(
        self,
        name: str,
        shape: Sequence[int],
        initializer: initializers.InitializerLike = "zeros",
        regularizer: regularizers.RegularizerLike = None,
    ) -> Parameter:
        """Return a weight, for `make_parameters`.

        Args:
            name: Its name in the layer.
            shape: Its shape.
            initializer: What it begins with, a name, a class, a {"class_name", "config"} or an
                object of `fastcnn.initializers`.
            regularizer: Its penalty, likewise of `fastcnn.regularizers`; None for none.
        """
        begin, penalty = initializers.get(initializer), regularizers.get(regularizer)
        return Parameter(self, name, tuple(map(int, shape)), begin, penalty)

    def build(self, input_shape: Shape, prefix: str = "") -> None:
        super().build(input_shape, prefix)
        self._check_arguments([parameter.name for parameter in self.parameters])

    def _check_arguments(self, names: Sequence[str]) -> None:
        """TypeError where a method does not take weights of these names."""
        optional = ["training"]
        user_code.check_takes(self.label, "forward", self.forward, "x", *names, optional=optional)
        user_code.check_takes(self.label, "backward", self.backward, "x", "y", "dy", *names)

    def lower(self, program: Program, x: Buffer) -> Buffer:
        return program.add(
            "custom",
            [x],
            self.output_shape,
            self.named_parameters(),
            code=self,
            training=program.training,
        )

    def outputs(self, x: Floats, weights: Sequence[Floats], training: bool) -> NDArray[Any]:
        """Return what `forward` returns, of the right shape.

        Args:
            x: The inputs.
            weights: The layer's weights.
            training: Whether it is a training step.
        """
        options = {"training": training} if user_code.takes(self.forward, "training") else {}
        with user_code.named(self.label, "forward"):
            value: object = self.forward(x, *weights, **options)
        shape = (len(x), *self.output_shape)
        return user_code.returned(self.label, "forward", value, shape)

    def gradients(
        self, x: Floats, y: Floats, dy: Floats, weights: Sequence[Floats]
    ) -> list[NDArray[Any]]:
        """Return what `backward` returns, each of the right shape.

        Args:
            x: The inputs.
            y: The outputs.
            dy: Their gradient.
            weights: The layer's weights.
        """
        with user_code.named(self.label, "backward"):
            value: object = self.backward(x, y, dy, *weights)
        results = value if weights and isinstance(value, tuple | list) else (value,)
        if len(results) != 1 + len(weights):
            names = ", ".join(["dx", *(f"d{parameter.name}" for parameter in self.parameters)])
            raise ValueError(
                f"{self.label}: backward must return ({names}), the gradients of the input and of "
                f"each weight. Received {len(results)} of them."
            )
        shapes = [x.shape, *(weight.shape for weight in weights)]
        return [
            user_code.returned(self.label, method, result, shape)
            for method, result, shape in zip(self._gradient_names(), results, shapes, strict=True)
        ]

    def _gradient_names(self) -> list[str]:
        """Return what the errors call each result of `backward`."""
        if not self.parameters:
            return ["backward"]
        names = ["dx", *(f"the gradient of {parameter.name}" for parameter in self.parameters)]
        return [f"backward, as {name}," for name in names]

    def compute(self, x: Floats, weights: Sequence[Floats], training: bool, y: Floats) -> None:
        """Write the outputs into y; FloatingPointError where `forward` made them not finite in a
        training step.

        Args:
            x: The inputs.
            weights: The layer's weights.
            training: Whether it is a training step.
            y: Where the outputs go.
        """
        y[...] = self.outputs(x, weights, training)
        if training:
            user_code.check_finite(self.label, "forward", y, x, *weights)

    def differentiate(
        self, x: Floats, y: Floats, dy: Floats, weights: Sequence[Floats], *targets: Floats | None
    ) -> None:
        """Write the gradients of x and of each weight into arrays; FloatingPointError where
        `backward` made them not finite.

        Args:
            x: The inputs.
            y: The outputs.
            dy: Their gradient.
            weights: The layer's weights.
            *targets: Where each gradient goes; None where it is not wanted.
        """
        results = self.gradients(x, y, dy, weights)
        for method, result, target in zip(self._gradient_names(), results, targets, strict=True):
            if target is not None:
                target[...] = result
                user_code.check_finite(self.label, method, target, x, y, dy, *weights)
