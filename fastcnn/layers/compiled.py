"""A layer of the user's own, as functions of one image that Numba compiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.layers.custom import CustomLayer, Floats
from fastcnn.utils import user_code

METHODS = ("forward", "backward")


class CompiledLayer(CustomLayer):
    """A layer of your own: derive a class whose `forward` and `backward` are Numba functions.

    Each works on one image and writes its result into arrays that it is given, which are 0 before:
    `forward(x, y, *weights)` writes y, `backward(x, y, dy, dx, *weights, *gradients)` writes dx and
    adds to each weight's gradient. On the CPU they become part of the network's own code, which
    threads run without Python; on a GPU they are called on the host. All else is as in
    `CustomLayer`. Numbers are constants of the functions, not settings of the layer.

    Numba does not check indices: one outside of its array reads or overwrites other memory.
    `fastcnn.check_gradients` runs the functions with such checks.

    Args:
        **common: `name`, text without "/" (None makes one from the class), and `trainable`, by
            default True.

    Raises:
        TypeError: The class lacks a method, one is no Numba function, or, when the model is built,
            takes other arguments; or, when it first runs, Numba cannot compile it.

    Shape:
        x, dx that of one input, y, dy that of one output, float32.
    """

    def _check_constructed(self) -> None:
        super()._check_constructed()
        user_code.check_compiled(self.label, type(self), METHODS, "CustomLayer")

    @staticmethod
    @user_code.needed("a Numba function of one image that writes y")
    def forward(x: Floats, y: Floats, *weights: Floats) -> None:  # type: ignore[override]
        """Write the output of one image; a derived class defines it.

        Args:
            x: The input.
            y: The output, 0 before.
            *weights: The layer's weights, in the order of `make_parameters`.
        """

    @staticmethod
    @user_code.needed(
        "a Numba function of one image that writes dx and adds to each weight's gradient"
    )
    def backward(  # type: ignore[override]
        x: Floats, y: Floats, dy: Floats, dx: Floats, *weights_and_gradients: Floats
    ) -> None:
        """Write the gradients of one image; a derived class defines it.

        Args:
            x: The input, as `forward` was given it.
            y: The output, as it wrote it.
            dy: The gradient of the output.
            dx: That of the input, 0 before.
            *weights_and_gradients: The weights, and then the gradient of each, to be added to.
        """

    def function(self, name: str) -> Any:
        """Return the Numba function of a method; None where it is none.

        Args:
            name: "forward" or "backward".
        """
        return user_code.compiled(type(self), name)

    def _check_arguments(self, names: Sequence[str]) -> None:
        gradients = [f"d{name}" for name in names]
        taken = {"forward": ("x", "y", *names)}
        taken["backward"] = ("x", "y", "dy", "dx", *names, *gradients)
        for name, arguments in taken.items():
            user_code.check_takes(self.label, name, self.function(name).py_func, *arguments)

    def outputs(self, x: Floats, weights: Sequence[Floats], training: bool) -> NDArray[Any]:
        y = np.zeros((len(x), *self.output_shape), x.dtype)
        forward = user_code.bounds_checked(self.function("forward"))
        with user_code.named(self.label, "forward"):
            for image, result in zip(x, y, strict=True):
                forward(image, result, *weights)
        return y

    def gradients(
        self, x: Floats, y: Floats, dy: Floats, weights: Sequence[Floats]
    ) -> list[NDArray[Any]]:
        dx, gradients = np.zeros(x.shape, x.dtype), [np.zeros_like(weight) for weight in weights]
        backward = user_code.bounds_checked(self.function("backward"))
        with user_code.named(self.label, "backward"):
            for arrays in zip(x, y, dy, dx, strict=True):
                backward(*arrays, *weights, *gradients)
        return [dx, *gradients]
