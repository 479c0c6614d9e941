"""A loss of the user's own, as functions of one example that Numba compiles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.losses.custom import CustomLoss
from fastcnn.utils import user_code

Floats = NDArray[np.floating[Any]]
Target = Floats | int
METHODS = ("value", "gradient")


class CompiledLoss(CustomLoss):
    """A loss of your own: derive a class whose `value` and `gradient` are Numba functions.

    Each works on one example: `value(y_true, y_pred)` returns its loss, a number, and
    `gradient(y_true, y_pred, dy_pred)` writes the derivatives into an array that is 0 before. On
    the CPU they become part of the network's own code, which threads run without Python; on a GPU
    they are called on the host. With `target = "sparse"`, `y_true` is a label, an integer. All else
    is as in `CustomLoss`. Numbers are constants of the functions, not settings of the loss.

    Numba does not check indices: one outside of its array reads or overwrites other memory.
    `fastcnn.check_gradients` runs the functions with such checks.

    Args:
        name: What it is called; None makes a name from the class.

    Raises:
        TypeError: The class lacks a method, one is no Numba function or takes other arguments; or,
            when it first runs, Numba cannot compile it.

    Shape:
        y_pred, dy_pred that of one output, float32; y_true that, or () with labels.
    """

    def _check_constructed(self) -> None:
        super()._check_constructed()
        user_code.check_compiled(self.label, type(self), METHODS, "CustomLoss")

    @staticmethod
    @user_code.needed("a Numba function that returns the loss of one example")
    def value(y_true: Target, y_pred: Floats) -> float:
        """Return the loss of one example; a derived class defines it.

        Args:
            y_true: The target, or the label.
            y_pred: The output.
        """
        raise NotImplementedError

    @staticmethod
    @user_code.needed("a Numba function that writes the derivatives of one example's loss")
    def gradient(  # type: ignore[override]
        y_true: Target, y_pred: Floats, dy_pred: Floats
    ) -> None:
        """Write the derivatives of one example's loss; a derived class defines it.

        Args:
            y_true: The target, or the label.
            y_pred: The output.
            dy_pred: The derivatives with respect to y_pred, 0 before.
        """

    def function(self, name: str) -> Any:
        """Return the Numba function of a method; None where it is none.

        Args:
            name: "value" or "gradient".
        """
        return user_code.compiled(type(self), name)

    def results(
        self, y_true: NDArray[Any], y_pred: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        values, slopes = np.zeros(len(y_pred), y_pred.dtype), np.zeros_like(y_pred)
        value, gradient = (user_code.bounds_checked(self.function(name)) for name in METHODS)
        for number, (target, scores) in enumerate(zip(y_true, y_pred, strict=True)):
            with user_code.named(self.label, "value"):
                values[number] = value(target, scores)
            with user_code.named(self.label, "gradient"):
                gradient(target, scores, slopes[number])
        return values, slopes
