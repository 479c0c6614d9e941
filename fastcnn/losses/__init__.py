"""The losses, by Keras's names. What they compute is in kernels/shared/losses.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from fastcnn.losses.compiled import CompiledLoss
from fastcnn.losses.custom import CustomLoss
from fastcnn.losses.loss import Loss
from fastcnn.utils import arguments, naming
from fastcnn.utils.docstrings import described_by

__all__ = [
    "LOSSES",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CompiledLoss",
    "CustomLoss",
    "Hinge",
    "Huber",
    "KLDivergence",
    "Loss",
    "LossLike",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "MulticlassHinge",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "get",
]


class _Entropy(Loss):
    """An entropy: of logits, or of probabilities, fused with the activation before it.

    Smoothed targets are (1 - label_smoothing) * y + label_smoothing / classes, also those of MixUp;
    of a yes/no output (1 - label_smoothing) * y + label_smoothing / 2. Class and sample weights
    multiply what they give.

    Args:
        from_logits: Whether the outputs are logits; if not, they are probabilities.
        label_smoothing: From 0 to 1: how far the targets are moved to the uniform distribution.
        name: What it is called; None makes a name from the class.

    Raises:
        TypeError: An argument is of a wrong type or unknown.
        ValueError: A number is out of its range.

    References:
        Szegedy et al., 2016: Rethinking the Inception architecture for computer vision.
    """

    def __init__(
        self, from_logits: bool = False, label_smoothing: float = 0.0, name: str | None = None
    ) -> None:
        super().__init__(name)
        self.from_logits = arguments.flag(self, "from_logits", from_logits)
        self.option = arguments.float32(self, "label_smoothing", label_smoothing, least=0, most=1)
        if self.from_logits and self.fused_kernel:
            self.kernel, self.fuses, self.fused_kernel = self.fused_kernel, None, None

    @property
    def label_smoothing(self) -> float:
        return self.option

    def get_config(self) -> dict[str, object]:
        return {
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
            "name": self.name,
        }


@described_by(_Entropy.__doc__)
class CategoricalCrossentropy(_Entropy):
    """Cross-entropy against distributions over classes (one-hot rows, say)."""

    kernel = "cross_entropy_dense"
    fuses = "softmax"
    fused_kernel = "softmax_cross_entropy_dense"
    target_range = (0.0, 1.0)
    has_classes = True


@described_by(_Entropy.__doc__)
class SparseCategoricalCrossentropy(_Entropy):
    """Cross-entropy against integer labels, smoothed as their one-hot rows would be."""

    kernel = "cross_entropy_sparse"
    target = "sparse"
    fuses = "softmax"
    fused_kernel = "softmax_cross_entropy_sparse"
    has_classes = True


@described_by(_Entropy.__doc__)
class BinaryCrossentropy(_Entropy):
    """Cross-entropy of independent yes/no outputs against targets in [0, 1], their mean."""

    kernel = "binary_cross_entropy"
    fuses = "sigmoid"
    fused_kernel = "sigmoid_binary_cross_entropy"
    target_range = (0.0, 1.0)
    yes_no = True


class _Unsmoothed(_Entropy):
    """An entropy that takes the targets as they are.

    Args:
        from_logits: Whether the outputs are logits; if not, they are probabilities.
        name: What it is called; None makes a name from the class.

    Raises:
        TypeError: An argument is of a wrong type or unknown.
    """

    def __init__(self, from_logits: bool = False, name: str | None = None) -> None:
        super().__init__(from_logits, 0.0, name)

    def get_config(self) -> dict[str, object]:
        return {"from_logits": self.from_logits, "name": self.name}


@described_by(_Unsmoothed.__doc__)
class KLDivergence(_Unsmoothed):
    """Kullback-Leibler divergence of the outputs from distributions over classes.

    The sum of y * log(y / output), both kept from 1e-7 to 1 as Keras does.

    References:
        Kullback and Leibler, 1951: On information and sufficiency.
    """

    kernel = "kl_divergence"
    fuses = "softmax"
    fused_kernel = "softmax_kl_divergence"
    target_range = (0.0, 1.0)
    has_classes = True


@described_by(Loss.__doc__)
class MeanSquaredError(Loss):
    """Mean over the outputs of the squared difference to the targets."""

    kernel = "mean_squared_error"


@described_by(Loss.__doc__)
class MeanAbsoluteError(Loss):
    """Mean over the outputs of the absolute difference to the targets."""

    kernel = "mean_absolute_error"


class Huber(Loss):
    """Squared for small differences to the target, linear for large ones.

    Mean over the outputs of d^2 / 2 for a difference d of at most `delta`, and of
    delta * (abs(d) - delta / 2) for a larger one.

    Args:
        delta: The difference, above 0, where the loss turns from squared to linear.
        name: What it is called; None makes a name from the class.

    Raises:
        TypeError: An argument is of a wrong type or unknown.
        ValueError: A number is out of its range.

    References:
        Huber, 1964: Robust estimation of a location parameter.
    """

    kernel = "huber"

    def __init__(self, delta: float = 1.0, name: str | None = None) -> None:
        super().__init__(name)
        self.option = arguments.float32(self, "delta", delta, above=0)

    @property
    def delta(self) -> float:
        return self.option

    def get_config(self) -> dict[str, object]:
        return {"delta": self.delta, "name": self.name}


class _WithMargin(Loss):
    """A hinge with a margin.

    Args:
        margin: The lead below which there is a loss, at least 0.
        name: What it is called; None makes a name from the class.

    Raises:
        TypeError: An argument is of a wrong type or unknown.
        ValueError: A number is out of its range.
    """

    def __init__(self, margin: float = 1.0, name: str | None = None) -> None:
        super().__init__(name)
        self.option = arguments.float32(self, "margin", margin, least=0)

    @property
    def margin(self) -> float:
        return self.option

    def get_config(self) -> dict[str, object]:
        return {"margin": self.margin, "name": self.name}


class _YesNoHinge(Loss):
    """A hinge of independent yes/no outputs. Targets are -1 or 1, or 0 or 1."""

    target_range = (-1.0, 1.0)
    yes_no = True

    @property
    def threshold(self) -> float:
        return 0.0


@described_by(_WithMargin.__doc__)
class Hinge(_WithMargin, _YesNoHinge):
    """Mean over the outputs of max(0, margin - y * output), for targets y of -1 or 1.

    0 stands for -1.

    Args:
        margin: From which y * output on there is no loss, at least 0; 0 is the perceptron's, for
            which a tie is a mistake.
    """

    kernel = "hinge"


@described_by(Loss.__doc__)
class SquaredHinge(_YesNoHinge):
    """Mean over the outputs of max(0, 1 - y * output)^2, for targets y of -1 or 1 (0 is -1)."""

    kernel = "squared_hinge"


@described_by(Loss.__doc__)
class CategoricalHinge(Loss):
    """max(0, neg - pos + 1) with neg = max((1 - y) * output) and pos = sum(y * output)."""

    kernel = "categorical_hinge"
    has_classes = True


@described_by(_WithMargin.__doc__)
class MulticlassHinge(_WithMargin):
    """Weston and Watkins's hinge, the multi-class SVM's, against integer labels.

    The sum over the other classes j of max(0, output[j] - output[label] + margin).

    Args:
        margin: By how much the right class must lead before there is no loss, at least 0; 0 is the
            perceptron's, for which a tie is a mistake.

    References:
        Weston and Watkins, 1999: Support vector machines for multi-class pattern recognition.
    """

    kernel = "multiclass_hinge"
    target = "sparse"
    has_classes = True


LOSSES: dict[str, type[Loss]] = {
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "binary_crossentropy": BinaryCrossentropy,
    "bce": BinaryCrossentropy,
    "kl_divergence": KLDivergence,
    "kld": KLDivergence,
    "kullback_leibler_divergence": KLDivergence,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "mae": MeanAbsoluteError,
    "huber": Huber,
    "huber_loss": Huber,
    "hinge": Hinge,
    "squared_hinge": SquaredHinge,
    "categorical_hinge": CategoricalHinge,
    "multiclass_hinge": MulticlassHinge,
}

LossLike: TypeAlias = "str | Loss | type[Loss] | Mapping[str, object]"
"""What stands for a loss: see `get`."""


@described_by(naming.resolve.__doc__)
def get(identifier: object) -> Loss:
    """Return the loss that a name such as "mse", a class or a configuration stands for."""
    if callable(identifier) and not isinstance(identifier, type | Loss):
        raise TypeError(
            f"Expected a loss. Received the function {identifier!r}, whose gradient is not known: "
            "derive a class with value and gradient from fastcnn.losses.CustomLoss or CompiledLoss."
        )
    return naming.resolve("loss", identifier, Loss, LOSSES)
