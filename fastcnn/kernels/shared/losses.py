"""The losses: one sample's loss and its gradient.

Every loss kernel takes one row of the network's outputs ``z`` (float32[n]), its label (an
integer) or its target (float32[n]), and writes ``scale`` times the gradient of the loss into
``dz`` (float32[n], not overlapping ``z``). It returns the loss of the row, not scaled.
``option`` is the one number a loss may have besides: label smoothing, a margin or Huber's delta.

Plain Python, written for Numba's nopython mode with ``error_model="numpy"``. NaN among the
outputs gives the loss NaN, never a good-looking one.

``kernels/shared/row.py`` says how they are written for one thread or a team of threads.
"""

import math

import numpy as np

from fastcnn.kernels.lazy_numba import register_jitable
from fastcnn.kernels.shared.hinge import categorical_hinge, hinge, multiclass_hinge, squared_hinge
from fastcnn.kernels.shared.row import ONE, TWO, ZERO, every, largest, mine, summed

HALF = np.float32(0.5)
# Keras's epsilon: probabilities are kept this far from 0 and 1 before the logarithm.
SMALLEST = np.float32(1e-7)
LARGEST = np.float32(1 - 1e-7)


@register_jitable
def _exponentials(z, out):
    """Write exp(z - max(z)) into out; return the maximum and the sum."""
    top = z[0]
    for j in every(z.size):
        if z[j] > top:
            top = z[j]
    top = largest(top)
    total = ZERO
    for j in every(z.size):
        e = np.float32(math.exp(z[j] - top))
        out[j] = e
        total += e
    return top, summed(total)


@register_jitable(error_model="numpy")  # which divides without a look at what by
def _smoothed(probability, option, classes):
    """Return the probability of one of so many classes, moved by the share `option` towards that
    which all would have alike."""
    return probability * (ONE - option) + option / classes


@register_jitable(error_model="numpy")
def _clipped_entropy(p, t, dz, j):
    """Return -t * log(p), p kept from SMALLEST to LARGEST, and t where it has a slope, which goes
    into dz[j]."""
    if p < SMALLEST or p > LARGEST:
        dz[j] = ZERO
        return -(t * np.float32(math.log(min(max(p, SMALLEST), LARGEST)))), ZERO
    dz[j] = -t / p
    return -(t * np.float32(math.log(p))), t


def softmax(z, out):
    """Write the softmax of the row z into out, which may be z itself."""
    _, total = _exponentials(z, out)
    factor = ONE / total
    for j in every(z.size):
        out[j] *= factor


def softmax_cross_entropy_sparse(z, label, dz, scale, option):
    """Cross-entropy of softmax(z) against an integer label; option is the label smoothing."""
    top, total = _exponentials(z, dz)
    factor = scale / total
    for j in every(z.size):
        dz[j] *= factor
    if mine(label):
        dz[label] -= scale
    loss = np.float32(math.log(total)) + (top - z[label])
    if option > ZERO:
        share = option / np.float32(z.size)
        lead = ZERO
        for j in every(z.size):
            dz[j] -= scale * share
            lead += z[label] - z[j]
        if mine(label):
            dz[label] += scale * option
        loss += share * summed(lead)
    return loss


def softmax_cross_entropy_dense(z, target, dz, scale, option):
    """Cross-entropy of softmax(z) against a distribution; option is the label smoothing."""
    top, total = _exponentials(z, dz)
    log_total = np.float32(math.log(total))
    classes = np.float32(z.size)
    mass = ZERO
    loss = ZERO
    for j in every(z.size):
        t = _smoothed(target[j], option, classes)
        mass += t
        loss += t * (log_total + (top - z[j]))
    mass, loss = summed(mass), summed(loss)
    for j in every(z.size):
        t = _smoothed(target[j], option, classes)
        dz[j] = scale * (mass * (dz[j] / total) - t)
    return loss


def cross_entropy_sparse(z, label, dz, scale, option):
    """Cross-entropy of the probabilities z, scaled to sum 1 as Keras does, against a label;
    option is the label smoothing."""
    total = ZERO
    for j in every(z.size):
        total += z[j]
    total = summed(total)
    if option > ZERO:
        classes = np.float32(z.size)
        mass = ZERO
        loss = ZERO
        for j in every(z.size):
            t = _smoothed(ONE if j == label else ZERO, option, classes)
            term, sloped = _clipped_entropy(z[j] / total, t, dz, j)
            loss += term
            mass += sloped
        mass, loss = summed(mass), summed(loss)
        for j in every(z.size):
            dz[j] = scale * (dz[j] + mass) / total
        return loss
    p = z[label] / total
    if p < SMALLEST or p > LARGEST:
        for j in every(z.size):
            dz[j] = ZERO
        return -np.float32(math.log(min(max(p, SMALLEST), LARGEST)))
    for j in every(z.size):
        dz[j] = scale / total
    if mine(label):
        dz[label] -= scale / z[label]
    return -np.float32(math.log(p))


def cross_entropy_dense(z, target, dz, scale, option):
    """Cross-entropy of the probabilities z, scaled to sum 1 as Keras does, against a
    distribution; option is the label smoothing."""
    total = ZERO
    for j in every(z.size):
        total += z[j]
    total = summed(total)
    classes = np.float32(z.size)
    mass = ZERO
    loss = ZERO
    for j in every(z.size):
        t = _smoothed(target[j], option, classes)
        term, sloped = _clipped_entropy(z[j] / total, t, dz, j)
        loss += term
        mass += sloped
    mass, loss = summed(mass), summed(loss)
    for j in every(z.size):
        dz[j] = scale * (dz[j] + mass) / total
    return loss


def sigmoid_binary_cross_entropy(z, target, dz, scale, option):
    """Binary cross-entropy of sigmoid(z), the mean over the row; option smooths the labels."""
    n = np.float32(z.size)
    loss = ZERO
    for j in every(z.size):
        t = _smoothed(target[j], option, TWO)
        e = np.float32(math.exp(-abs(z[j])))
        p = ONE / (ONE + e)
        if z[j] < ZERO:
            p = e / (ONE + e)
        loss += max(z[j], ZERO) - z[j] * t + np.float32(math.log1p(e))
        dz[j] = scale * (p - t) / n
    return summed(loss) / n


def binary_cross_entropy(z, target, dz, scale, option):
    """Binary cross-entropy of the probabilities z, the mean over the row; option smooths."""
    n = np.float32(z.size)
    loss = ZERO
    for j in every(z.size):
        t = _smoothed(target[j], option, TWO)
        p = z[j]
        if p < SMALLEST or p > LARGEST:
            p = min(max(p, SMALLEST), LARGEST)
            dz[j] = ZERO
        else:
            dz[j] = scale * (p - t) / (p * (ONE - p)) / n
        loss -= t * np.float32(math.log(p)) + (ONE - t) * np.float32(math.log(ONE - p))
    return summed(loss) / n


def mean_squared_error(z, target, dz, scale, option):
    """Mean over the row of (z - target)^2."""
    n = np.float32(z.size)
    factor = TWO * scale / n
    loss = ZERO
    for j in every(z.size):
        d = z[j] - target[j]
        loss += d * d
        dz[j] = factor * d
    return summed(loss) / n


def mean_absolute_error(z, target, dz, scale, option):
    """Mean over the row of |z - target|; its slope is 0 where they are equal."""
    n = np.float32(z.size)
    slope = scale / n
    loss = ZERO
    for j in every(z.size):
        d = z[j] - target[j]
        loss += abs(d)
        if d > ZERO:
            dz[j] = slope
        elif d < ZERO:
            dz[j] = -slope
        else:
            dz[j] = ZERO
    return summed(loss) / n


def huber(z, target, dz, scale, option):
    """Mean over the row of d^2 / 2 where |d| = |z - target| is at most option, beyond it of
    option * (|d| - option / 2)."""
    n = np.float32(z.size)
    loss = ZERO
    for j in every(z.size):
        d = z[j] - target[j]
        inner = d
        if d > option:
            inner = option
        elif d < -option:
            inner = -option
        loss += inner * (d - HALF * inner)
        dz[j] = scale * inner / n
    return summed(loss) / n


def kl_divergence(z, target, dz, scale, option):
    """Sum over the row of t * log(t / p), both kept from 1e-7 to 1 as Keras does."""
    loss = ZERO
    for j in every(z.size):
        t = min(max(target[j], SMALLEST), ONE)
        p = z[j]
        if p < SMALLEST or p > ONE:
            p = min(max(p, SMALLEST), ONE)
            dz[j] = ZERO
        else:
            dz[j] = -scale * t / p
        loss += t * (np.float32(math.log(t)) - np.float32(math.log(p)))
    return summed(loss)


def softmax_kl_divergence(z, target, dz, scale, option):
    """Sum over the row of t * log(t / softmax(z)), t kept from 1e-7 to 1 as Keras does."""
    top, total = _exponentials(z, dz)
    log_total = np.float32(math.log(total))
    mass = ZERO
    loss = ZERO
    for j in every(z.size):
        t = min(max(target[j], SMALLEST), ONE)
        mass += t
        loss += t * (np.float32(math.log(t)) + log_total + (top - z[j]))
    mass, loss = summed(mass), summed(loss)
    for j in every(z.size):
        t = min(max(target[j], SMALLEST), ONE)
        dz[j] = scale * (mass * (dz[j] / total) - t)
    return loss


LOSS_KERNELS = {
    kernel.__name__: kernel
    for kernel in (
        softmax_cross_entropy_sparse,
        softmax_cross_entropy_dense,
        cross_entropy_sparse,
        cross_entropy_dense,
        sigmoid_binary_cross_entropy,
        binary_cross_entropy,
        mean_squared_error,
        mean_absolute_error,
        huber,
        kl_divergence,
        softmax_kl_divergence,
        hinge,
        squared_hinge,
        categorical_hinge,
        multiclass_hinge,
    )
}

LABEL_KERNELS = frozenset(
    kernel.__name__
    for kernel in (softmax_cross_entropy_sparse, cross_entropy_sparse, multiclass_hinge)
)
"""The kernels that take a label; the others take a target for every output."""
