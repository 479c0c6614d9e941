"""A loss of the user's own, as functions of arrays that the host calls."""

from __future__ import annotations

from typing import Any, ClassVar

from numpy.typing import NDArray

from fastcnn.losses.loss import Loss
from fastcnn.utils import user_code


class CustomLoss(Loss):
    """A loss of your own: derive a class that has `value` and `gradient`, in NumPy.

    Both are called on the host with a whole batch. `value(self, y_true, y_pred)` returns a number
    for each example, `gradient(self, y_true, y_pred)` the derivatives of these with respect to
    `y_pred`, of its shape; weights of examples and the mean over the batch are fastcnn's to take.
    Arrays that are passed cannot be written to. The constructor's arguments, each kept under its
    own name, are what is saved of the loss. `fastcnn.check_gradients` tells whether gradient fits
    value.

    `y_true` has the shape of the outputs; with the class attribute `target = "sparse"` it holds
    labels, int32 [N]. Say `has_classes = True` where the outputs are scores of classes, of which
    one is true, and `yes_no = True` where each answers a question of its own: it is what
    'accuracy' counts.

    Args:
        name: What it is called; None makes a name from the class.

    Raises:
        TypeError: The class lacks a method.

    Shape:
        y_true, y_pred [N, ...]; value [N], gradient [N, ...].
    """

    kernel = "custom"
    settings: ClassVar[tuple[str, ...]] = ("name",)

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        if "settings" not in vars(cls) and "__init__" in vars(cls):
            cls.settings = user_code.arguments_of(cls)

    def _check_constructed(self) -> None:
        super()._check_constructed()
        label = type(self).__name__
        user_code.check_kept(label, self, self.settings)
        if self.target not in ("dense", "sparse"):
            raise ValueError(f"{label}: target must be 'dense' or 'sparse'. It is {self.target!r}.")

    @user_code.needed("which returns the loss of each example")
    def value(self, y_true: NDArray[Any], y_pred: NDArray[Any]) -> Any:
        """Return the loss of each example; a derived class defines it.

        Args:
            y_true: The targets.
            y_pred: The outputs.

        Shape:
            y_true, y_pred [N, ...] -> [N].
        """

    @user_code.needed("which returns the gradient of each example's loss with respect to y_pred")
    def gradient(self, y_true: NDArray[Any], y_pred: NDArray[Any]) -> Any:
        """Return the derivatives of each example's loss; a derived class defines it.

        Args:
            y_true: The targets.
            y_pred: The outputs.

        Shape:
            y_true, y_pred [N, ...] -> that of y_pred.
        """

    def plan_key(self) -> tuple[object, ...]:
        return (self, *super().plan_key())

    def get_config(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.settings}

    @property
    def label(self) -> str:
        """The loss as errors name it."""
        return f"{type(self).__name__} '{self.name}'"

    def results(
        self, y_true: NDArray[Any], y_pred: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return what `value` and `gradient` return, each of the right shape.

        Args:
            y_true: The targets.
            y_pred: The outputs.
        """
        with user_code.named(self.label, "value"):
            value: object = self.value(y_true, y_pred)
        with user_code.named(self.label, "gradient"):
            gradient: object = self.gradient(y_true, y_pred)
        return (
            user_code.returned(self.label, "value", value, (len(y_pred),)),
            user_code.returned(self.label, "gradient", gradient, y_pred.shape),
        )
