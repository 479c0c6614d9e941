"""The hinges: losses that are zero once the right answer leads by a margin.

Written like the other losses in ``kernels/shared/losses.py``. An element that is NaN never counts
as beyond its margin, so that it reaches the loss. With the margin 0, the perceptron's, a tie counts
as a mistake: training begins from weights of zero, too.
"""

import numpy as np

from fastcnn.kernels.lazy_numba import register_jitable
from fastcnn.kernels.shared.row import ONE, TWO, ZERO, every, first, largest, mine, summed


@register_jitable
def _satisfied(slack, margin):
    """Say whether a score leads by its margin; slack is what it lacks."""
    return slack < ZERO or (slack == ZERO and margin > ZERO)


def hinge(z, target, dz, scale, option):
    """Mean over the row of max(0, option - target * z), targets being -1 or 1."""
    n = np.float32(z.size)
    loss = ZERO
    for j in every(z.size):
        slack = option - target[j] * z[j]
        if _satisfied(slack, option):
            dz[j] = ZERO
        else:
            dz[j] = -scale * target[j] / n
            loss += slack
    return summed(loss) / n


def squared_hinge(z, target, dz, scale, option):
    """Mean over the row of max(0, 1 - target * z)^2, targets being -1 or 1."""
    n = np.float32(z.size)
    loss = ZERO
    for j in every(z.size):
        slack = ONE - target[j] * z[j]
        if slack <= ZERO:
            dz[j] = ZERO
        else:
            dz[j] = -TWO * scale * slack * target[j] / n
            loss += slack * slack
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
        if j == label or _satisfied(slack, option):
            dz[j] = ZERO
        else:
            dz[j] = scale
            loss += slack
            pull += scale
    pull, loss = summed(pull), summed(loss)
    if mine(label):
        dz[label] = -pull
    return loss
