"""The losses: one sample's loss and its gradient.

Every loss kernel takes one row of the network's outputs ``z`` (float32[n]), its label (an
integer) or its target (float32[n]), and writes ``scale`` times the gradient of the loss into
``dz`` (float32[n], not overlapping ``z``). It returns the loss of the row, not scaled.
``option`` is the one number a loss may have besides: label smoothing or the margin.

Plain Python, written for Numba's nopython mode with ``error_model="numpy"``. NaN among the
outputs gives the loss NaN, never a good-looking one.

A row may have a team of threads, which all call the function: each goes through ``every`` element
that is its own, and what they find is put together by ``summed``, ``largest`` and ``first``; what
concerns one element is done by the thread whose element it is (``mine``). Here a row has one
thread; for a team others take the place of these five functions.
"""

import math

import numpy as np
from numba.extending import register_jitable

ZERO = np.float32(0)
HALF = np.float32(0.5)
ONE = np.float32(1)
TWO = np.float32(2)
# Keras's epsilon: probabilities are kept this far from 0 and 1 before the logarithm.
SMALLEST = np.float32(1e-7)
LARGEST = np.float32(1 - 1e-7)


@register_jitable
def every(size):
    """Return which of so many elements are this thread's."""
    return range(size)


@register_jitable
def mine(place):
    """Say whether an element is this thread's."""
    return True


@register_jitable
def summed(own):
    """Return the sum of what each thread found."""
    return own


@register_jitable
def largest(own):
    """Return the largest of what each thread found."""
    return own


@register_jitable
def first(own):
    """Return the first of the places that each thread found, which are below 2^24."""
    return own


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


def softmax(z, out):
    """Write the softmax of the row z into out, which may be z itself."""
    _, total = _exponentials(z, out)
    factor = ONE / total
    for j in every(z.size):
        out[j] *= factor


def softmax_cross_entropy_sparse(z, label, dz, scale, option):
    """Cross-entropy of softmax(z) against an integer label."""
    top, total = _exponentials(z, dz)
    factor = scale / total
    for j in every(z.size):
        dz[j] *= factor
    if mine(label):
        dz[label] -= scale
    return np.float32(math.log(total)) + (top - z[label])


def softmax_cross_entropy_dense(z, target, dz, scale, option):
    """Cross-entropy of softmax(z) against a distribution; option is the label smoothing."""
    top, total = _exponentials(z, dz)
    log_total = np.float32(math.log(total))
    keep = ONE - option
    share = option / np.float32(z.size)
    mass = ZERO
    loss = ZERO
    for j in every(z.size):
        t = target[j] * keep + share
        mass += t
        loss += t * (log_total + (top - z[j]))
    mass, loss = summed(mass), summed(loss)
    for j in every(z.size):
        t = target[j] * keep + share
        dz[j] = scale * (mass * (dz[j] / total) - t)
    return loss


def cross_entropy_sparse(z, label, dz, scale, option):
    """Cross-entropy of the probabilities z, scaled to sum 1 as Keras does, against a label."""
    total = ZERO
    for j in every(z.size):
        total += z[j]
    total = summed(total)
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
    keep = ONE - option
    share = option / np.float32(z.size)
    mass = ZERO
    loss = ZERO
    for j in every(z.size):
        t = target[j] * keep + share
        p = z[j] / total
        if p < SMALLEST or p > LARGEST:
            p = min(max(p, SMALLEST), LARGEST)
            dz[j] = ZERO
        else:
            mass += t
            dz[j] = -t / p
        loss -= t * np.float32(math.log(p))
    mass, loss = summed(mass), summed(loss)
    for j in every(z.size):
        dz[j] = scale * (dz[j] + mass) / total
    return loss


def sigmoid_binary_cross_entropy(z, target, dz, scale, option):
    """Binary cross-entropy of sigmoid(z), the mean over the row; option smooths the labels."""
    n = np.float32(z.size)
    keep = ONE - option
    share = HALF * option
    loss = ZERO
    for j in every(z.size):
        t = target[j] * keep + share
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
    keep = ONE - option
    share = HALF * option
    loss = ZERO
    for j in every(z.size):
        t = target[j] * keep + share
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


def categorical_hinge(z, target, dz, scale, option):
    """max(0, neg - pos + 1) with neg = max((1 - target) * z) and pos = sum(target * z)."""
    pos = ZERO
    neg = (ONE - target[0]) * z[0]
    for j in every(z.size):
        pos += target[j] * z[j]
        other = (ONE - target[j]) * z[j]
        if other > neg:
            neg = other
    pos, neg = summed(pos), largest(neg)
    loss = neg - pos + ONE
    if loss <= ZERO:
        for j in every(z.size):
            dz[j] = ZERO
        return ZERO
    rival = z.size
    for j in every(z.size):
        dz[j] = -scale * target[j]
        if rival == z.size and (ONE - target[j]) * z[j] == neg:
            rival = j
    rival = first(rival)
    # NaN equals no other.
    if rival < z.size and mine(rival):
        dz[rival] += scale * (ONE - target[rival])
    return loss


def multiclass_hinge(z, label, dz, scale, option):
    """Sum over the other classes j of max(0, z[j] - z[label] + option); option is the margin."""
    true = z[label]
    loss = ZERO
    pull = ZERO
    for j in every(z.size):
        slack = z[j] - true + option
        # A NaN is not <= 0, so it reaches the loss.
        if j == label or slack <= ZERO:
            dz[j] = ZERO
        else:
            dz[j] = scale
            loss += slack
            pull += scale
    pull, loss = summed(pull), summed(loss)
    if mine(label):
        dz[label] = -pull
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
        categorical_hinge,
        multiclass_hinge,
    )
}
