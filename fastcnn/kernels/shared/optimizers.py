"""The optimizers' updates, and what is done to a gradient before them.

An update takes a slice of the weights ``w`` and of the gradients ``g`` (float32[n]), the same
slice of the optimizer's slots ``s`` (float32[slots, n], weights side by side) and the numbers of
``Optimizer.hyper`` (float32[8]; [0] is the learning rate, [1] the weight decay). It changes ``w``
and ``s`` in place. No element depends on another one, so slices may be cut anywhere: a thread of a
CPU takes many elements, one of a GPU takes one.

Plain Python, written for Numba's nopython mode with ``error_model="numpy"``, in loops that LLVM
turns into vector instructions.
"""

import math

import numpy as np

ZERO = np.float32(0)


def sgd(w, g, s, hyper):
    """Gradient descent without momentum: hyper = rate, decay. No slots."""
    rate = hyper[0]
    decay = hyper[1]
    for i in range(w.size):
        w[i] = w[i] - w[i] * decay * rate - g[i] * rate


def sgd_momentum(w, g, s, hyper):
    """Gradient descent: hyper = rate, decay, momentum. Slot: momentum."""
    rate, decay, momentum = hyper[0], hyper[1], hyper[2]
    for i in range(w.size):
        m = s[0, i] * momentum - g[i] * rate
        s[0, i] = m
        w[i] = w[i] - w[i] * decay * rate + m


def sgd_nesterov(w, g, s, hyper):
    """Gradient descent with Nesterov's momentum: hyper and slot as for sgd_momentum."""
    rate, decay, momentum = hyper[0], hyper[1], hyper[2]
    for i in range(w.size):
        step = g[i] * rate
        m = s[0, i] * momentum - step
        s[0, i] = m
        w[i] = w[i] - w[i] * decay * rate + (m * momentum - step)


def adam(w, g, s, hyper):
    """Adam and AdamW: hyper = rate, decay, rate with the bias corrections, 1 - beta_1,
    1 - beta_2, epsilon. Slots: momentum, velocity."""
    rate, decay, corrected = hyper[0], hyper[1], hyper[2]
    new_1, new_2, epsilon = hyper[3], hyper[4], hyper[5]
    for i in range(w.size):
        m = s[0, i] + (g[i] - s[0, i]) * new_1
        v = s[1, i] + (g[i] * g[i] - s[1, i]) * new_2
        s[0, i] = m
        s[1, i] = v
        step = m * corrected / (np.float32(math.sqrt(v)) + epsilon)
        w[i] = w[i] - w[i] * decay * rate - step


def rmsprop(w, g, s, hyper):
    """RMSprop: hyper = rate, decay, rho, 1 - rho, epsilon. Slot: velocity."""
    rate, decay, rho, new, epsilon = hyper[0], hyper[1], hyper[2], hyper[3], hyper[4]
    for i in range(w.size):
        v = rho * s[0, i] + new * (g[i] * g[i])
        s[0, i] = v
        step = rate * g[i] / np.float32(math.sqrt(v + epsilon))
        w[i] = w[i] - w[i] * decay * rate - step


def rmsprop_momentum(w, g, s, hyper):
    """RMSprop with momentum: hyper as for rmsprop, then the momentum. Slots: velocity, momentum."""
    rate, decay, rho, new, epsilon = hyper[0], hyper[1], hyper[2], hyper[3], hyper[4]
    momentum = hyper[5]
    for i in range(w.size):
        v = rho * s[0, i] + new * (g[i] * g[i])
        m = momentum * s[1, i] + rate * g[i] / np.float32(math.sqrt(v + epsilon))
        s[0, i] = v
        s[1, i] = m
        w[i] = w[i] - w[i] * decay * rate - m


def rmsprop_centered(w, g, s, hyper):
    """RMSprop over the gradient's variance: hyper as for rmsprop. Slots: velocity,
    average_gradient."""
    rate, decay, rho, new, epsilon = hyper[0], hyper[1], hyper[2], hyper[3], hyper[4]
    for i in range(w.size):
        v = rho * s[0, i] + new * (g[i] * g[i])
        a = rho * s[1, i] + new * g[i]
        s[0, i] = v
        s[1, i] = a
        # The variance is never negative; its rounding error may be.
        step = rate * g[i] / np.float32(math.sqrt(max(v - a * a, ZERO) + epsilon))
        w[i] = w[i] - w[i] * decay * rate - step


def rmsprop_centered_momentum(w, g, s, hyper):
    """Centered RMSprop with momentum: hyper as for rmsprop_momentum. Slots: velocity, momentum,
    average_gradient."""
    rate, decay, rho, new, epsilon = hyper[0], hyper[1], hyper[2], hyper[3], hyper[4]
    momentum = hyper[5]
    # Two loops: with five arrays LLVM gives up proving that they do not overlap.
    for i in range(w.size):
        s[0, i] = rho * s[0, i] + new * (g[i] * g[i])
        s[2, i] = rho * s[2, i] + new * g[i]
    for i in range(w.size):
        variance = max(s[0, i] - s[2, i] * s[2, i], ZERO)
        m = momentum * s[1, i] + rate * g[i] / np.float32(math.sqrt(variance + epsilon))
        s[1, i] = m
        w[i] = w[i] - w[i] * decay * rate - m


def adagrad(w, g, s, hyper):
    """Adagrad: hyper = rate, decay, epsilon. Slot: accumulator."""
    rate, decay, epsilon = hyper[0], hyper[1], hyper[2]
    for i in range(w.size):
        total = s[0, i] + g[i] * g[i]
        s[0, i] = total
        w[i] = w[i] - w[i] * decay * rate - rate * g[i] / np.float32(math.sqrt(total + epsilon))


def accumulate(total, g, batches):
    """Add the gradients of a batch to those of the `batches` before it."""
    if batches == 0:  # what lies there is of an earlier group
        for i in range(g.size):
            total[i] = g[i]
    else:
        for i in range(g.size):
            total[i] += g[i]


def mean(g, total, batches):
    """Set g to the mean of the gradients of so many batches."""
    share = np.float32(1.0) / np.float32(batches)
    for i in range(g.size):
        g[i] = total[i] * share


def average(w, a, momentum, anew, overwrites):
    """Move the average a by the weights w: a = momentum * a + (1 - momentum) * w, or w where it
    begins anew. Where it overwrites, the weights become the average."""
    new = np.float32(1.0) if anew else np.float32(1.0) - momentum
    for i in range(w.size):
        a[i] = a[i] * (np.float32(1.0) - new) + w[i] * new
    if overwrites:
        for i in range(w.size):
            w[i] = a[i]


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

SLOT_COUNTS = {
    "sgd": 0,
    "sgd_momentum": 1,
    "sgd_nesterov": 1,
    "adam": 2,
    "rmsprop": 1,
    "rmsprop_momentum": 2,
    "rmsprop_centered": 2,
    "rmsprop_centered_momentum": 3,
    "adagrad": 1,
}
"""The slots that each kernel reads and writes."""
