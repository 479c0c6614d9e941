"""The average of several outputs of a model, in the numbers that its loss reads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastcnn.training.loss_checks import PROBABILITIES, ending
from fastcnn.training.model_settings import ModelSettings

Doubles = NDArray[np.float64]


class OutputAverage:
    """The average of outputs as they are: of probabilities, of a regression's values."""

    def __init__(self) -> None:
        self._count = 0
        self._sums: list[Doubles] = []

    def add(self, outputs: NDArray[np.float32]) -> None:
        """Take in one more; [n, ...], the same shape each time."""
        terms = self._terms(outputs.astype(np.float64))
        if self._count:
            terms = [self._sum(*pair) for pair in zip(self._sums, terms, strict=True)]
        self._sums = terms
        self._count += 1

    def outputs(self) -> NDArray[np.float32]:
        """Return the average of what was added."""
        return self._mean().astype(np.float32)

    def _terms(self, outputs: Doubles) -> list[Doubles]:
        return [outputs]

    def _sum(self, a: Doubles, b: Doubles) -> Doubles:
        return a + b

    def _mean(self) -> Doubles:
        return self._sums[0] / self._count


class ClassLogitsAverage(OutputAverage):
    """The logits whose softmax is the average of the softmaxes: they are added as logarithms, of
    which none is infinite."""

    def _terms(self, outputs: Doubles) -> list[Doubles]:
        return [outputs - np.logaddexp.reduce(outputs, axis=-1, keepdims=True)]

    def _sum(self, a: Doubles, b: Doubles) -> Doubles:
        return np.logaddexp(a, b)

    def _mean(self) -> Doubles:
        return self._sums[0] - np.log(self._count)


class LabelLogitsAverage(ClassLogitsAverage):
    """The logits whose sigmoid is the average of the sigmoids, by the logarithms of yes and no."""

    def _terms(self, outputs: Doubles) -> list[Doubles]:
        return [-np.logaddexp(0, -outputs), -np.logaddexp(0, outputs)]

    def _mean(self) -> Doubles:
        yes, no = self._sums
        return yes - no


def of_model(model: ModelSettings) -> OutputAverage:
    """Return an average for a model's outputs, by its loss and by the activation that it ends in.

    Args:
        model: The model; of one without a loss, outputs are averaged as they are.
    """
    loss = model.loss
    if loss is None or not loss.from_logits or ending(model.layers) in PROBABILITIES:
        return OutputAverage()
    return LabelLogitsAverage() if loss.yes_no else ClassLogitsAverage()
