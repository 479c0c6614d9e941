"""The operations of fastcnn in float64 NumPy, written the obvious way.

Images are [N, H, W, C], convolution kernels [KH, KW, C_in / groups, C_out], dense kernels
[in, out]. Beside each operation stands the function that turns the gradient of its output, `dy`,
into the gradients of its inputs. Nothing here is fast; it is meant to be read and believed. The
convolution is that of the library, which is checked against the loops of its definition.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from fastcnn.graph.problem import Problem
from fastcnn.kernels.reference import numpy64

Array = np.ndarray


# What convolution and pooling share: padding, and the pixels that each kernel position meets


def pair(value) -> tuple[int, int]:
    """`3` and `(3, 3)` both mean 3 rows and 3 columns."""
    return (value, value) if isinstance(value, int) else tuple(value)


def margins(shape, kernel, strides, padding, dilation=1) -> list[tuple[int, int]]:
    """[(top, bottom), (left, right)] pixels to put around an image of (rows, columns)."""
    if padding == "valid":
        return [(0, 0), (0, 0)]
    if isinstance(padding, int):
        return [(padding, padding), (padding, padding)]
    if padding != "same":
        return [pair(side) for side in padding]
    sides = []
    for size, k, stride, step in zip(
        shape, pair(kernel), pair(strides), pair(dilation), strict=True
    ):
        outputs = math.ceil(size / stride)
        total = max(0, (outputs - 1) * stride + (k - 1) * step + 1 - size)
        sides.append((total // 2, total - total // 2))  # an odd pixel goes below, or right
    return sides


def pad(x: Array, sides, value: float = 0.0) -> Array:
    return np.pad(x, [(0, 0), *sides, (0, 0)], constant_values=value)


def unpad(x: Array, sides) -> Array:
    (top, bottom), (left, right) = sides
    return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]


def positions(padded: Array, kernel, strides, dilation=1) -> Iterator[tuple[int, int, tuple]]:
    """For each kernel position (i, j): an index such that padded[index] is [N, H_out, W_out, C]."""
    (kh, kw), (sh, sw), (dh, dw) = pair(kernel), pair(strides), pair(dilation)
    rows = (padded.shape[1] - (kh - 1) * dh - 1) // sh + 1
    columns = (padded.shape[2] - (kw - 1) * dw - 1) // sw + 1
    for i in range(kh):
        for j in range(kw):
            top, left = i * dh, j * dw
            yield (
                i,
                j,
                (
                    slice(None),
                    slice(top, top + (rows - 1) * sh + 1, sh),
                    slice(left, left + (columns - 1) * sw + 1, sw),
                ),
            )


# Convolution, as the lab checks strategies by it


def conv2d(x, kernel, strides=1, padding="valid", dilation=1, groups=1) -> Array:
    return numpy64.forward(problem_of(x, kernel, strides, padding, dilation, groups), x, kernel)


def conv2d_backward(dy, x, kernel, strides=1, padding="valid", dilation=1, groups=1):
    """(dx, dkernel)"""
    problem = problem_of(x, kernel, strides, padding, dilation, groups)
    return numpy64.dx(problem, dy, kernel), numpy64.dw(problem, x, dy)


def problem_of(x, kernel, strides, padding, dilation, groups) -> Problem:
    size, filters = kernel.shape[:2], kernel.shape[3]
    (top, bottom), (left, right) = margins(x.shape[1:3], size, strides, padding, dilation)
    border = ((top, bottom), (left, right))
    return Problem(*x.shape[1:], filters, size, pair(strides), border, pair(dilation), groups)


def conv2d_transpose_geometry(shape, kernel, strides, padding, more, dilation=1):
    """((rows, columns), pixels that are cut off) of what a transposed convolution makes.

    `more` is Keras's output_padding, None or a pair.
    """
    sizes, sides = [], []
    explicit = None if isinstance(padding, str) else margins(shape, kernel, strides, padding)
    for axis in range(2):
        stride, reach = pair(strides)[axis], (kernel[axis] - 1) * pair(dilation)[axis] + 1
        whole, extra = (shape[axis] - 1) * stride + reach, more[axis] if more else None
        if explicit:
            size = whole + (extra or 0) - sum(explicit[axis])
        elif extra is not None:
            size = whole + extra - (2 * (reach // 2) if padding == "same" else 0)
        else:
            size = shape[axis] * stride if padding == "same" else max(whole, shape[axis] * stride)
        sizes.append(size)
        if explicit or padding == "valid":
            sides.append(explicit[axis] if explicit else (0, 0))
        else:
            cut = max(whole - size, 0)
            sides.append((cut // 2, cut - cut // 2))
    return tuple(sizes), sides


def depthwise_conv2d(x, kernel, strides=1, padding="valid", dilation=1) -> Array:
    """kernel [KH, KW, C, multiplier]; output channel c * multiplier + m."""
    return conv2d(x, as_grouped(kernel), strides, padding, dilation, groups=x.shape[-1])


def depthwise_conv2d_backward(dy, x, kernel, strides=1, padding="valid", dilation=1):
    """(dx, dkernel)"""
    dx, dkernel = conv2d_backward(
        dy, x, as_grouped(kernel), strides, padding, dilation, groups=x.shape[-1]
    )
    return dx, dkernel.reshape(kernel.shape)


def as_grouped(kernel) -> Array:
    """A depthwise kernel as that of a convolution with one group per input channel."""
    kh, kw, channels, multiplier = kernel.shape
    return kernel.reshape(kh, kw, 1, channels * multiplier)


def local_windows(x, kernel_size, strides, padding) -> Array:
    """[N, OH * OW, KH * KW * C]: the numbers under each window."""
    padded = pad(x, margins(x.shape[1:3], kernel_size, strides, padding))
    windows = np.stack(
        [padded[index] for _, _, index in positions(padded, kernel_size, strides)], 3
    )
    return windows.reshape(len(x), windows.shape[1] * windows.shape[2], -1)


def local_windows_backward(dwindows, x, kernel_size, strides, padding) -> Array:
    sides = margins(x.shape[1:3], kernel_size, strides, padding)
    dx = np.zeros_like(pad(x, sides))
    for number, (_, _, index) in enumerate(positions(dx, kernel_size, strides)):
        part = dwindows.reshape(*dx[index].shape[:3], -1, x.shape[-1])[:, :, :, number]
        dx[index] += part
    return unpad(dx, sides)


# Pooling. `ceil` rounds the number of windows up, `include_pad` counts padding in a mean.


def max_pool(x, pool, strides, padding="valid", ceil=False) -> Array:
    return pool_windows(x, pool, strides, padding, ceil, fill=-np.inf).max(axis=0)


def max_pool_backward(dy, x, pool, strides, padding="valid", ceil=False) -> Array:
    """The first of a window's largest pixels, row by row, takes its whole gradient."""
    winner = pool_windows(x, pool, strides, padding, ceil, fill=-np.inf).argmax(axis=0)
    return spread_over_windows(
        lambda number: np.where(winner == number, dy, 0.0), x, pool, strides, padding, ceil
    )


def average_pool(x, pool, strides, padding="valid", ceil=False, include_pad=False) -> Array:
    """The mean of the pixels of each window that count."""
    total = pool_windows(x, pool, strides, padding, ceil, fill=0.0).sum(axis=0)
    return total / pixels_in_window(x, pool, strides, padding, ceil, include_pad)


def average_pool_backward(
    dy, x, pool, strides, padding="valid", ceil=False, include_pad=False
) -> Array:
    share = dy / pixels_in_window(x, pool, strides, padding, ceil, include_pad)
    return spread_over_windows(lambda number: share, x, pool, strides, padding, ceil)


def lp_pool(x, pool, strides, padding, ceil, norm) -> Array:
    """The norm of the pixels of the image in each window."""
    powers = pool_windows(np.abs(x) ** norm, pool, strides, padding, ceil, fill=0.0)
    return powers.sum(axis=0) ** (1 / norm)


def lp_pool_backward(dy, x, pool, strides, padding, ceil, norm) -> Array:
    y = lp_pool(x, pool, strides, padding, ceil, norm)
    windows = pool_windows(x, pool, strides, padding, ceil, fill=0.0)
    shares = np.abs(windows) / np.where(y == 0, 1.0, y)
    slopes = np.sign(windows) * shares ** (norm - 1)
    return spread_over_windows(lambda number: dy * slopes[number], x, pool, strides, padding, ceil)


def pool_margins(shape, pool, strides, padding, ceil) -> list[tuple[int, int]]:
    """[(top, bottom), (left, right)] with the pixels that a last, incomplete window needs."""
    sides = margins(shape, pool, strides, padding)
    if not ceil:
        return sides
    reached = []
    for size, k, stride, (before, after) in zip(
        shape, pair(pool), pair(strides), sides, strict=True
    ):
        starts = [0]  # of windows, in the padded image
        while starts[-1] + k < before + size + after and starts[-1] + stride < before + size:
            starts.append(starts[-1] + stride)
        reached.append((before, max(after, starts[-1] + k - before - size)))
    return reached


def pool_windows(x, pool, strides, padding, ceil, fill) -> Array:
    """[PH * PW, N, H_out, W_out, C]"""
    padded = pad(x, pool_margins(x.shape[1:3], pool, strides, padding, ceil), fill)
    return np.stack([padded[index] for _, _, index in positions(padded, pool, strides)])


def pixels_in_window(x, pool, strides, padding, ceil, include_pad) -> Array:
    nominal = margins(x.shape[1:3], pool, strides, padding)
    reached = pool_margins(x.shape[1:3], pool, strides, padding, ceil)
    counts = pad(np.ones_like(x), nominal, 1.0 if include_pad else 0.0)
    further = [(0, r[1] - n[1]) for n, r in zip(nominal, reached, strict=True)]
    return pool_windows(pad(counts, further), pool, strides, "valid", False, fill=0.0).sum(axis=0)


def spread_over_windows(gradient_at, x, pool, strides, padding, ceil) -> Array:
    """Add gradient_at(number) to the pixels met by each kernel position."""
    sides = pool_margins(x.shape[1:3], pool, strides, padding, ceil)
    dx = np.zeros_like(pad(x, sides))
    for number, (_, _, index) in enumerate(positions(dx, pool, strides)):
        dx[index] += gradient_at(number)
    return unpad(dx, sides)


def global_max_pool(x) -> Array:
    return x.max(axis=(1, 2))


def global_max_pool_backward(dy, x) -> Array:
    n, h, w, c = x.shape
    winner = x.reshape(n, h * w, c).argmax(axis=1)
    number = np.arange(h * w)[None, :, None]
    return np.where(number == winner[:, None, :], dy[:, None, :], 0.0).reshape(x.shape)


def global_average_pool(x) -> Array:
    return x.mean(axis=(1, 2))


def global_average_pool_backward(dy, x) -> Array:
    return np.broadcast_to(dy[:, None, None, :] / (x.shape[1] * x.shape[2]), x.shape)


# Batch normalization, over all axes but the last


def batch_norm(x, gamma, beta, mean, variance, epsilon) -> Array:
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


def batch_statistics(x) -> tuple[Array, Array]:
    """(mean, biased variance) of each channel."""
    axes = tuple(range(x.ndim - 1))
    return x.mean(axis=axes), x.var(axis=axes)


def batch_norm_backward(dy, x, gamma, epsilon):
    """(dx, dgamma, dbeta) where mean and variance are the batch's own."""
    axes = tuple(range(x.ndim - 1))
    mean, variance = batch_statistics(x)
    unit = (x - mean) / np.sqrt(variance + epsilon)
    dgamma, dbeta = (dy * unit).sum(axis=axes), dy.sum(axis=axes)
    count = x.size // x.shape[-1]
    dx = gamma / np.sqrt(variance + epsilon) * (dy - dbeta / count - unit * dgamma / count)
    return dx, dgamma, dbeta


def moving_average(moving, batch, momentum) -> Array:
    return moving * momentum + batch * (1.0 - momentum)


# Activations: name -> (f(x), derivative at x where y = f(x))

ERF = np.vectorize(math.erf, otypes=[np.float64])


def sigmoid(x) -> Array:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def leaky_relu(slope):
    return lambda x: np.where(x > 0, x, slope * x), lambda x, y: np.where(y > 0, 1.0, slope)


def elu(alpha):
    return (
        lambda x: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0))),
        lambda x, y: np.where(x > 0, 1.0, y + alpha),
    )


def gelu(x) -> Array:
    return 0.5 * x * (1.0 + ERF(x / math.sqrt(2.0)))


def gelu_derivative(x, y) -> Array:
    density = np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    return 0.5 * (1.0 + ERF(x / math.sqrt(2.0))) + x * density


def gelu_tanh_inner(x) -> tuple[Array, Array]:
    """(u, its derivative) where gelu is approximated by x * (1 + tanh(u)) / 2."""
    root = math.sqrt(2.0 / math.pi)
    return root * (x + 0.044715 * x**3), root * (1.0 + 3.0 * 0.044715 * x**2)


def gelu_tanh(x) -> Array:
    return x * sigmoid(2.0 * gelu_tanh_inner(x)[0])


def gelu_tanh_derivative(x, y) -> Array:
    u, du = gelu_tanh_inner(x)
    s = sigmoid(2.0 * u)
    return s + x * s * (1.0 - s) * 2.0 * du


SELU_SCALE, SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848


def selu(x) -> Array:
    return SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0.0)))


def selu_derivative(x, y) -> Array:
    return np.where(x > 0, SELU_SCALE, y + SELU_SCALE * SELU_ALPHA)


def softplus(x) -> Array:
    return np.logaddexp(x, 0.0)


def swish_derivative(x, y) -> Array:
    s = sigmoid(x)
    return s + x * s * (1.0 - s)


def relu6(x) -> Array:
    return np.clip(x, 0.0, 6.0)


def clipped_relu(slope, limit, threshold):
    """(value, derivative) of Keras's ReLU with all its arguments."""

    def value(x):
        return np.where(x > threshold, np.minimum(x, limit), slope * np.minimum(x - threshold, 0))

    def derivative(x, y):
        return np.where(x > threshold, np.where(x < limit, 1.0, 0.0), slope * (x < threshold))

    return value, derivative


def hard_sigmoid(x) -> Array:
    return relu6(x + 3.0) / 6.0


def hard_swish_derivative(x, y) -> Array:
    return np.where(x <= -3, 0.0, np.where(x >= 3, 1.0, (2.0 * x + 3.0) / 6.0))


def mish(x) -> Array:
    return x * np.tanh(softplus(x))


def mish_derivative(x, y) -> Array:
    t = np.tanh(softplus(x))
    return t + x * (1.0 - t * t) * sigmoid(x)


ACTIVATIONS = {
    "linear": (lambda x: x, lambda x, y: np.ones_like(x)),
    "relu": leaky_relu(0.0),
    "leaky_relu": leaky_relu(0.2),  # Keras's slope for the name; its layer has 0.3
    "elu": elu(1.0),
    "relu6": (relu6, lambda x, y: np.where((y > 0) & (y < 6), 1.0, 0.0)),
    "selu": (selu, selu_derivative),
    "gelu": (gelu, gelu_derivative),
    "gelu_tanh": (gelu_tanh, gelu_tanh_derivative),
    "softplus": (softplus, lambda x, y: sigmoid(x)),
    "swish": (lambda x: x * sigmoid(x), swish_derivative),
    "hard_sigmoid": (hard_sigmoid, lambda x, y: np.where((y > 0) & (y < 1), 1 / 6, 0.0)),
    "hard_swish": (lambda x: x * hard_sigmoid(x), hard_swish_derivative),
    "mish": (mish, mish_derivative),
    "sigmoid": (sigmoid, lambda x, y: y * (1.0 - y)),
    "tanh": (np.tanh, lambda x, y: 1.0 - y * y),
}
ACTIVATIONS |= {"silu": ACTIVATIONS["swish"], "hard_silu": ACTIVATIONS["hard_swish"]}
# What kernels compute, and their constant where they take one; a layer alone asks for the last.
CONSTANTS = {
    "leaky_relu": {"constant": 0.2},
    "elu": {"constant": 1.0},
    "clipped_relu": {"slope": 0.25, "limit": 0.75, "threshold": 0.5},
}
KERNELS = {
    **ACTIVATIONS,
    "clipped_relu": clipped_relu(**CONSTANTS["clipped_relu"]),
}


def softmax(x) -> Array:
    """Over the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_backward(dy, y) -> Array:
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


def random_bits(counter, key):
    """32 random bits for each counter and key: the mixer of Wellons (2018)."""
    z = (np.asarray(counter, np.uint64) * 0x9E3779B9 + key) % 2**32
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor) % 2**32
    return z ^ (z >> np.uint64(16))


def dropout_mask(random, stream, shape, rate, decisions=None) -> Array:
    """Which elements a dropout keeps, for (seed, step), its number in the net, images [N, ...].

    Elements `decisions` apart share their fate.
    """
    key = random_bits(stream, random_bits(*random))
    images = random_bits(np.arange(shape[0]), key)
    size = int(np.prod(shape[1:]))
    bits = random_bits(np.arange(size)[None, :] % (decisions or size), images[:, None])
    return (bits >= round(rate * 2**32)).reshape(shape)


# Resampling


def affine_places(theta, image, output) -> tuple[Array, Array]:
    """(rows, columns) [N, OH, OW] of the image that each pixel of the output shows."""
    (height, width), (out_height, out_width) = image, output
    v = (2 * np.arange(out_height) + 1) / out_height - 1
    u = (2 * np.arange(out_width) + 1) / out_width - 1
    grid = np.stack([*np.meshgrid(u, v), np.ones(output)])
    x, y = np.einsum("nkl,lij->knij", theta.reshape(-1, 2, 3), grid)
    return ((y + 1) * height - 1) / 2, ((x + 1) * width - 1) / 2


def corners(x, rows, columns):
    """For each of the four pixels around a place: its weight, the derivatives of that by row and
    column, the indices of its image, row and column, and which places have it."""
    height, width = x.shape[1:3]
    images = np.arange(len(x))[:, None, None]
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    for m in (top, top + 1):
        for n in (left, left + 1):
            by_row, by_column = 1 - np.abs(rows - m), 1 - np.abs(columns - n)
            inside = (m >= 0) & (m < height) & (n >= 0) & (n < width)
            slopes = np.where(m == top, -1, 1) * by_column, np.where(n == left, -1, 1) * by_row
            at = images, np.clip(m, 0, height - 1), np.clip(n, 0, width - 1)
            yield inside * by_row * by_column, [inside * slope for slope in slopes], at


def affine_sample(x, theta, output) -> Array:
    rows, columns = affine_places(theta, x.shape[1:3], output)
    return sum(weight[..., None] * x[at] for weight, _, at in corners(x, rows, columns))


def affine_sample_backward(dy, x, theta):
    """(dx, dtheta)"""
    output, (height, width) = dy.shape[1:3], x.shape[1:3]
    rows, columns = affine_places(theta, (height, width), output)
    dx, by_row, by_column = np.zeros_like(x), 0.0, 0.0
    for weight, (row_slope, column_slope), at in corners(x, rows, columns):
        np.add.at(dx, at, weight[..., None] * dy)
        shown = (dy * x[at]).sum(axis=-1)
        by_row, by_column = by_row + row_slope * shown, by_column + column_slope * shown
    v = (2 * np.arange(output[0]) + 1) / output[0] - 1
    u = (2 * np.arange(output[1]) + 1) / output[1] - 1
    grid = np.stack([*np.meshgrid(u, v), np.ones(output)])
    sides = np.stack([by_column * width / 2, by_row * height / 2], axis=1)
    return dx, np.einsum("nkij,lij->nkl", sides, grid).reshape(len(x), 6)
