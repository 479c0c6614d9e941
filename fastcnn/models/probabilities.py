"""A model's outputs as the probabilities of classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastcnn.training.loss_checks import PROBABILITIES, ending
from fastcnn.training.model_settings import ModelSettings


def class_probabilities(model: ModelSettings, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the model's outputs as probabilities; a single output is the second class's, and where
    the loss asks a question of each output, so does each probability.

    Args:
        model: The model.
        outputs: What it predicts, one score a class.

    Returns:
        The probabilities.

    Shape:
        outputs [n, scores] -> float32 [n, classes].
    """
    activation = ending(model.layers)
    if outputs.shape[1] == 1:
        second = outputs if activation in PROBABILITIES else _sigmoid(outputs)
        return np.hstack([1 - second, second])
    if activation in PROBABILITIES:
        return outputs
    if model.loss is not None and model.loss.yes_no:
        return _sigmoid(outputs)
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _sigmoid(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * scores)), np.float32)
