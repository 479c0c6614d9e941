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


def mean_absolute_error(z, target, config):
    return np.abs(z - target).mean(axis=1), np.sign(z - target) / z.shape[1]


def huber(z, target, config):
    d, delta = z - target, config["delta"]
    small = np.abs(d) <= delta
    value = np.where(small, 0.5 * d * d, delta * (np.abs(d) - 0.5 * delta))
    return value.mean(axis=1), np.where(small, d, delta * np.sign(d)) / z.shape[1]


def kl_divergence(z, target, config):
    target = np.clip(target, TINY, 1.0)
    if config["from_logits"]:
        entropy = -(target * np.log(target)).sum(axis=1)
        value, dz = cross_entropy(z, target, {"from_logits": True})
        return value - entropy, dz
    p = np.clip(z, TINY, 1.0)
    dz = np.where(p == z, -target / p, 0.0)
    return (target * np.log(target / p)).sum(axis=1), dz


def hinge(z, target, config):
    """Targets are -1 or 1, or 0 or 1."""
    sign, margin = signs(target), config["margin"]
    excess = np.maximum(0.0, margin - sign * z)
    return excess.mean(axis=1), np.where(excess > 0.0, -sign, 0.0) / z.shape[1]


def squared_hinge(z, target, config):
    sign = signs(target)
    excess = np.maximum(0.0, 1.0 - sign * z)
    return (excess**2).mean(axis=1), -2.0 * excess * sign / z.shape[1]


def signs(target):
    return np.where(target > 0.0, 1.0, -1.0)


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
    "MeanAbsoluteError": mean_absolute_error,
    "Huber": huber,
    "KLDivergence": kl_divergence,
    "Hinge": hinge,
    "SquaredHinge": squared_hinge,
    "CategoricalHinge": categorical_hinge,
    "MulticlassHinge": multiclass_hinge,
}
