"""The losses of fastcnn in float64 NumPy: for each, its value per sample and its gradient.

`z` is the model's output [N, ...], `y` the labels int[N] or targets [N, ...]; a loss over several
positions is their mean, as in Keras. The gradient of the clip at 1e-7 is zero outside its range.
"""

from __future__ import annotations

import numpy as np
from reference import Array, sigmoid, softmax

TINY = 1e-7  # Keras's epsilon: probabilities are kept in [TINY, 1 - TINY]


def loss_and_gradient(loss, z: Array, y: Array) -> tuple[Array, Array]:
    """(loss per sample [N], its gradient [N, ...]) of a fastcnn loss object at the outputs `z`."""
    flat = z.reshape(len(z), -1)
    if loss.target == "sparse":
        target = np.eye(flat.shape[1])[y]
    else:
        target = np.asarray(y, np.float64).reshape(flat.shape)
    config = loss.get_config()
    value, gradient = LOSSES[type(loss).__name__](flat, target, config)
    return value, gradient.reshape(z.shape)


def cross_entropy(z, target, config):
    smoothing = config.get("label_smoothing", 0.0)
    target = target * (1.0 - smoothing) + smoothing / z.shape[1]
    if config.get("from_logits"):
        log_p = z - z.max(axis=1, keepdims=True)
        log_p = log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))
        value = -(target * log_p).sum(axis=1)
        return value, softmax(z) * target.sum(axis=1, keepdims=True) - target
    total = z.sum(axis=1, keepdims=True)
    p = z / total
    clipped = np.clip(p, TINY, 1.0 - TINY)
    dp = np.where(clipped == p, -target / clipped, 0.0)
    dz = (dp - (dp * p).sum(axis=1, keepdims=True)) / total
    return -(target * np.log(clipped)).sum(axis=1), dz


def binary_cross_entropy(z, target, config):
    smoothing = config.get("label_smoothing", 0.0)
    target = target * (1.0 - smoothing) + smoothing / 2.0
    columns = z.shape[1]
    if config.get("from_logits"):
        value = np.maximum(z, 0.0) - z * target + np.log1p(np.exp(-np.abs(z)))
        return value.mean(axis=1), (sigmoid(z) - target) / columns
    p = np.clip(z, TINY, 1.0 - TINY)
    value = -(target * np.log(p) + (1.0 - target) * np.log(1.0 - p))
    dz = np.where(p == z, (p - target) / (p * (1.0 - p)), 0.0)
    return value.mean(axis=1), dz / columns


def mean_squared_error(z, target, config):
    return ((z - target) ** 2).mean(axis=1), 2.0 * (z - target) / z.shape[1]


def categorical_hinge(z, target, config):
    """max(0, 1 + the best wrong score - the true score)"""
    rows = np.arange(len(z))
    wrong = ((1.0 - target) * z).argmax(axis=1)
    rival = ((1.0 - target) * z)[rows, wrong]
    value = np.maximum(0.0, rival - (target * z).sum(axis=1) + 1.0)
    dz = -target.copy()
    dz[rows, wrong] += (1.0 - target)[rows, wrong]
    return value, np.where(value[:, None] > 0.0, dz, 0.0)


def multiclass_hinge(z, target, config):
    """The sum over the wrong classes of max(0, their score - the true score + margin)."""
    margin = config.get("margin", 1.0)
    excess = z - (target * z).sum(axis=1, keepdims=True) + margin
    excess = np.where(target > 0.0, 0.0, np.maximum(0.0, excess))
    dz = (excess > 0.0).astype(np.float64)
    return excess.sum(axis=1), dz - target * dz.sum(axis=1, keepdims=True)


LOSSES = {
    "SparseCategoricalCrossentropy": cross_entropy,
    "CategoricalCrossentropy": cross_entropy,
    "BinaryCrossentropy": binary_cross_entropy,
    "MeanSquaredError": mean_squared_error,
    "CategoricalHinge": categorical_hinge,
    "MulticlassHinge": multiclass_hinge,
}
