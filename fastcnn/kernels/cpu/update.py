"""The optimizers' updates, and what is done to a gradient before them.

An update takes a slice of the weights ``w`` and of the gradients ``g`` (float32[n]), the same
slice of the optimizer's slots ``s`` (float32[slots, n], weights side by side) and the numbers of
``Optimizer.hyper`` (float32[8]; [0] is the learning rate, [1] the weight decay). It changes ``w``
and ``s`` in place. No element depends on another one, so slices may be cut anywhere.

Plain Python, written for Numba's nopython mode with ``error_model="numpy"``, in loops that LLVM
turns into vector instructions.
"""

import math

import numpy as np
from numba.extending import register_jitable

ZERO = np.float32(0)


@register_jitable
def _row(s, k):
    """One slot. The check tells LLVM the stride of a slice s[:, a:b], which it does not know."""
    if s.strides[1] != 4:
        raise ValueError("The slots must be float32 with the weights side by side.")
    return s[k]


def sgd(w, g, s, hyper):
    """Gradient descent without momentum: hyper = rate, decay. No slots."""
    rate = hyper[0]
    decay = hyper[1]
    for i in range(w.size):
        w[i] = w[i] - w[i] * decay * rate - g[i] * rate


def sgd_momentum(w, g, s, hyper):
    """Gradient descent: hyper = rate, decay, momentum. Slot: momentum."""
    rate = hyper[0]
    decay = hyper[1]
    momentum = hyper[2]
    m = _row(s, 0)
    for i in range(w.size):
        m[i] = m[i] * momentum - g[i] * rate
        w[i] = w[i] - w[i] * decay * rate + m[i]


def sgd_nesterov(w, g, s, hyper):
    """Gradient descent with Nesterov's momentum: hyper and slot as for sgd_momentum."""
    rate = hyper[0]
    decay = hyper[1]
    momentum = hyper[2]
    m = _row(s, 0)
    for i in range(w.size):
        step = g[i] * rate
        m[i] = m[i] * momentum - step
        w[i] = w[i] - w[i] * decay * rate + (m[i] * momentum - step)


def adam(w, g, s, hyper):
    """Adam and AdamW: hyper = rate, decay, rate with the bias corrections, 1 - beta_1,
    1 - beta_2, epsilon. Slots: momentum, velocity."""
    rate = hyper[0]
    decay = hyper[1]
    corrected = hyper[2]
    new_1 = hyper[3]
    new_2 = hyper[4]
    epsilon = hyper[5]
    m = _row(s, 0)
    v = _row(s, 1)
    for i in range(w.size):
        m[i] += (g[i] - m[i]) * new_1
        v[i] += (g[i] * g[i] - v[i]) * new_2
        step = m[i] * corrected / (np.float32(math.sqrt(v[i])) + epsilon)
        w[i] = w[i] - w[i] * decay * rate - step


def rmsprop(w, g, s, hyper):
    """RMSprop: hyper = rate, decay, rho, 1 - rho, epsilon. Slot: velocity."""
    rate = hyper[0]
    decay = hyper[1]
    rho = hyper[2]
    new = hyper[3]
    epsilon = hyper[4]
    v = _row(s, 0)
    for i in range(w.size):
        v[i] = rho * v[i] + new * (g[i] * g[i])
        step = rate * g[i] / np.float32(math.sqrt(v[i] + epsilon))
        w[i] = w[i] - w[i] * decay * rate - step


def rmsprop_momentum(w, g, s, hyper):
    """RMSprop with momentum: hyper as for rmsprop, then the momentum. Slots: velocity, momentum."""
    rate = hyper[0]
    decay = hyper[1]
    rho = hyper[2]
    new = hyper[3]
    epsilon = hyper[4]
    momentum = hyper[5]
    v = _row(s, 0)
    m = _row(s, 1)
    for i in range(w.size):
        v[i] = rho * v[i] + new * (g[i] * g[i])
        m[i] = momentum * m[i] + rate * g[i] / np.float32(math.sqrt(v[i] + epsilon))
        w[i] = w[i] - w[i] * decay * rate - m[i]


def rmsprop_centered(w, g, s, hyper):
    """RMSprop over the gradient's variance: hyper as for rmsprop. Slots: velocity,
    average_gradient."""
    rate = hyper[0]
    decay = hyper[1]
    rho = hyper[2]
    new = hyper[3]
    epsilon = hyper[4]
    v = _row(s, 0)
    a = _row(s, 1)
    for i in range(w.size):
        v[i] = rho * v[i] + new * (g[i] * g[i])
        a[i] = rho * a[i] + new * g[i]
        # The variance is never negative; its rounding error may be.
        variance = max(v[i] - a[i] * a[i], ZERO)
        step = rate * g[i] / np.float32(math.sqrt(variance + epsilon))
        w[i] = w[i] - w[i] * decay * rate - step


def rmsprop_centered_momentum(w, g, s, hyper):
    """Centered RMSprop with momentum: hyper as for rmsprop_momentum. Slots: velocity, momentum,
    average_gradient."""
    rate = hyper[0]
    decay = hyper[1]
    rho = hyper[2]
    new = hyper[3]
    epsilon = hyper[4]
    momentum = hyper[5]
    v = _row(s, 0)
    m = _row(s, 1)
    a = _row(s, 2)
    # Two loops: with five arrays LLVM gives up proving that they do not overlap.
    for i in range(w.size):
        v[i] = rho * v[i] + new * (g[i] * g[i])
        a[i] = rho * a[i] + new * g[i]
    for i in range(w.size):
        variance = max(v[i] - a[i] * a[i], ZERO)
        m[i] = momentum * m[i] + rate * g[i] / np.float32(math.sqrt(variance + epsilon))
        w[i] = w[i] - w[i] * decay * rate - m[i]


def adagrad(w, g, s, hyper):
    """Adagrad: hyper = rate, decay, epsilon. Slot: accumulator."""
    rate = hyper[0]
    decay = hyper[1]
    epsilon = hyper[2]
    total = _row(s, 0)
    for i in range(w.size):
        total[i] += g[i] * g[i]
        step = rate * g[i] / np.float32(math.sqrt(total[i] + epsilon))
        w[i] = w[i] - w[i] * decay * rate - step


def clip_value(g, limit):
    """Keep every gradient between -limit and limit. NaN stays."""
    for i in range(g.size):
        x = g[i]
        x = limit if x > limit else x
        g[i] = -limit if x < -limit else x


def scale(g, factor):
    """Multiply the gradients by factor."""
    for i in range(g.size):
        g[i] *= factor


def add_penalty(w, g, l1, l2):
    """Add the gradient of l1 * sum(|w|) + l2 * sum(w^2) to g."""
    slope = l2 + l2
    for i in range(w.size):
        x = w[i]
        sign = np.float32(x > ZERO) - np.float32(x < ZERO)
        g[i] += slope * x + l1 * sign


def penalty(w, l1, l2):
    """l1 * sum(|w|) + l2 * sum(w^2), in float64."""
    sizes = 0.0
    squares = 0.0
    for i in range(w.size):
        x = np.float64(w[i])
        sizes += abs(x)
        squares += x * x
    return np.float64(l1) * sizes + np.float64(l2) * squares


UPDATE_KERNELS = {
    kernel.__name__: kernel
    for kernel in (
        sgd,
        sgd_momentum,
        sgd_nesterov,
        adam,
        rmsprop,
        rmsprop_momentum,
        rmsprop_centered,
        rmsprop_centered_momentum,
        adagrad,
    )
}
