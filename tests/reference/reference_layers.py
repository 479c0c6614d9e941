"""Each layer of fastcnn as a function in float64: (run, layer, x) -> (y, backward).

`run` (reference_model.Run) knows the parameters' values; backward(dy) returns dx and gives the
gradients of the layer's own parameters to `run`.
"""

from __future__ import annotations

import math

import numpy as np
import reference as ref


def activate(run, x, name, table=ref.ACTIVATIONS):
    if name == "softmax":
        y = ref.softmax(x)
        return y, lambda dy: ref.softmax_backward(dy, run.disturbed(y))
    function, derivative = table[name or "linear"]
    y = run.followed(function(x))
    # A derivative may be computed from the output as it was stored: 1 - y^2 of a saturated tanh
    # keeps few digits of it.
    return y, lambda dy: dy * derivative(x, run.disturbed(y))


def by_channel(values):
    return values.sum(axis=tuple(range(values.ndim - 1)))


def biased_and_activated(run, layer, x):
    """What ends every convolution and dense layer."""
    bias = run.value(layer, "bias")
    y, inner = activate(run, x if bias is None else x + bias, layer.get_config()["activation"])

    def backward(dy):
        dy = inner(dy)
        run.add(layer, "bias", by_channel(dy), by_channel(np.abs(dy)))
        return dy

    return y, backward


def window_arguments(config):
    return config["strides"], config["padding"], config.get("dilation_rate", 1)


def add_kernel(run, layer, name, function_backward, dy, x, *arguments):
    """Add a convolution's gradient of a kernel and return that of its input."""
    kernel = run.value(layer, name)
    dx, dkernel = function_backward(dy, x, kernel, *arguments)
    _, summed = function_backward(np.abs(dy), np.abs(x), kernel, *arguments)
    run.add(layer, name, dkernel, summed)
    return dx


def padded_by_mode(function):
    """A convolution's layer function, whose layer may pad by other than zeros."""

    def layer_function(run, layer, x):
        config = layer.get_config()
        mode, shape = config["padding_mode"], x.shape[1:3]
        if mode == "zeros":
            return function(run, layer, x, window_arguments(config))
        window = config["kernel_size"], config["strides"], config["padding"]
        sides = ref.margins(shape, *window, config["dilation_rate"])
        # One-hot rows: which pixel of the image stands at each place along an axis.
        rows, columns = (
            np.eye(size)[np.pad(np.arange(size), side, mode)]
            for size, side in zip(shape, sides, strict=True)
        )
        padded = np.einsum("ph,nhwc,qw->npqc", rows, x, columns)
        arguments = config["strides"], "valid", config["dilation_rate"]
        y, step = function(run, layer, padded, arguments)
        return y, lambda dy: np.einsum("ph,npqc,qw->nhwc", rows, step(dy), columns)

    return layer_function


@padded_by_mode
def conv2d(run, layer, x, arguments):
    config, kernel = layer.get_config(), run.value(layer, "kernel")
    arguments = (*arguments, config["groups"])
    table = config["connections"]
    if table is not None:
        table = np.array(table, bool)
        connected, kernel = kernel, np.zeros((*kernel.shape[:2], *table.shape))
        kernel[:, :, table] = connected
    y, end = biased_and_activated(run, layer, ref.conv2d(x, kernel, *arguments))

    def backward(dy):
        dy = end(dy)
        dx, dkernel = ref.conv2d_backward(dy, x, kernel, *arguments)
        _, summed = ref.conv2d_backward(np.abs(dy), np.abs(x), kernel, *arguments)
        if table is not None:
            dkernel, summed = dkernel[:, :, table], summed[:, :, table]
        run.add(layer, "kernel", dkernel, summed)
        return dx

    return y, backward


def conv2d_transpose(run, layer, x):
    config, kernel = layer.get_config(), run.value(layer, "kernel")
    strides, padding, dilation = window_arguments(config)
    size, cut = ref.conv2d_transpose_geometry(
        x.shape[1:3], kernel.shape[:2], strides, padding, config["output_padding"], dilation
    )
    arguments = strides, cut, dilation, config["groups"]
    image = np.zeros((len(x), *size, config["filters"]))
    y, end = biased_and_activated(run, layer, ref.conv2d_backward(x, image, kernel, *arguments)[0])

    def backward(dy):
        dy = end(dy)
        run.add(
            *(layer, "kernel", ref.conv2d_backward(x, dy, kernel, *arguments)[1]),
            ref.conv2d_backward(np.abs(x), np.abs(dy), kernel, *arguments)[1],
        )
        return ref.conv2d(dy, kernel, *arguments)

    return y, backward


@padded_by_mode
def depthwise_conv2d(run, layer, x, arguments):
    kernel = run.value(layer, "kernel")
    y, end = biased_and_activated(run, layer, ref.depthwise_conv2d(x, kernel, *arguments))

    def backward(dy):
        return add_kernel(
            run, layer, "kernel", ref.depthwise_conv2d_backward, end(dy), x, *arguments
        )

    return y, backward


@padded_by_mode
def separable_conv2d(run, layer, x, arguments):
    depthwise = run.value(layer, "depthwise_kernel")
    pointwise = run.value(layer, "pointwise_kernel")
    middle = ref.depthwise_conv2d(x, depthwise, *arguments)
    y, end = biased_and_activated(run, layer, ref.conv2d(middle, pointwise))

    def backward(dy):
        dy = add_kernel(run, layer, "pointwise_kernel", ref.conv2d_backward, end(dy), middle)
        depthwise_backward = ref.depthwise_conv2d_backward
        return add_kernel(run, layer, "depthwise_kernel", depthwise_backward, dy, x, *arguments)

    return y, backward


def locally_connected_2d(run, layer, x):
    config, kernel = layer.get_config(), run.value(layer, "kernel")
    arguments = config["kernel_size"], config["strides"], config["padding"]
    windows = ref.local_windows(x, *arguments)
    shape = (len(x), *layer.output_shape)
    bias = run.value(layer, "bias")
    y = np.einsum("npk,pkf->npf", windows, kernel).reshape(shape)
    y, inner = activate(run, y if bias is None else y + bias, config["activation"])

    def backward(dy):
        dy = inner(dy)
        run.add(layer, "bias", dy.sum(axis=0), np.abs(dy).sum(axis=0))
        dy = dy.reshape(len(x), len(kernel), -1)
        summed = np.einsum("npk,npf->pkf", np.abs(windows), np.abs(dy))
        run.add(layer, "kernel", np.einsum("npk,npf->pkf", windows, dy), summed)
        dwindows = np.einsum("npf,pkf->npk", dy, kernel)
        return ref.local_windows_backward(dwindows, x, *arguments)

    return y, backward


def dense(run, layer, x):
    kernel = run.value(layer, "kernel")
    y, end = biased_and_activated(run, layer, x @ kernel)

    def backward(dy):
        dy = end(dy)
        flat_x, flat_dy = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
        run.add(layer, "kernel", flat_x.T @ flat_dy, np.abs(flat_x).T @ np.abs(flat_dy))
        return dy @ kernel.T

    return y, backward


def pooling(function, function_backward):
    def layer_function(run, layer, x):
        config = layer.get_config()
        arguments = [config[name] for name in ("pool_size", "strides", "padding", "ceil_mode")]
        arguments += [config[name] for name in ("count_include_pad", "norm") if name in config]
        return function(x, *arguments), lambda dy: function_backward(dy, x, *arguments)

    return layer_function


def global_pooling(function, function_backward):
    def layer_function(run, layer, x):
        if not layer.get_config().get("keepdims"):
            return function(x), lambda dy: function_backward(dy, x)
        return function(x)[:, None, None], lambda dy: function_backward(dy[:, 0, 0], x)

    return layer_function


def flatten(run, layer, x):
    return x.reshape(len(x), -1), lambda dy: dy.reshape(x.shape)


def reshape(run, layer, x):
    y = x.reshape(len(x), *layer.get_config()["target_shape"])
    return y, lambda dy: dy.reshape(x.shape)


def cropping(run, layer, x):
    sides = ref.margins(x.shape[1:3], 1, 1, layer.get_config()["cropping"])
    return ref.unpad(x, sides), lambda dy: ref.pad(dy, sides)


def permute(run, layer, x):
    order = (0, *layer.get_config()["dims"])
    return x.transpose(order), lambda dy: dy.transpose(np.argsort(order))


def enlarging(size, scale, interpolation):
    """The matrix [scale * size, size] that enlarges an axis."""
    centers = np.clip((np.arange(scale * size) + 0.5) / scale - 0.5, 0, size - 1)
    if interpolation == "nearest":
        return np.eye(size)[np.arange(scale * size) // scale]
    return np.maximum(0.0, 1.0 - np.abs(centers[:, None] - np.arange(size)))


def upsampling(run, layer, x):
    config = layer.get_config()
    rows, columns = (
        enlarging(x.shape[1 + axis], config["size"][axis], config["interpolation"])
        for axis in range(2)
    )
    y = np.einsum("ih,jw,nhwc->nijc", rows, columns, x)
    return y, lambda dy: np.einsum("ih,jw,nijc->nhwc", rows, columns, dy)


def prelu(run, layer, x):
    alpha = run.value(layer, "alpha")
    shared = tuple(axis for axis in range(x.ndim) if axis == 0 or alpha.shape[axis - 1] == 1)

    def backward(dy):
        terms = np.where(x > 0, 0.0, dy * x)
        sums = (values.sum(axis=shared).reshape(alpha.shape) for values in (terms, np.abs(terms)))
        run.add(layer, "alpha", *sums)
        return np.where(x > 0, dy, alpha * dy)

    return np.where(x > 0, x, alpha * x), backward


def zero_padding(run, layer, x):
    sides = ref.margins(x.shape[1:3], 1, 1, layer.get_config()["padding"])
    return ref.pad(x, sides), lambda dy: ref.unpad(dy, sides)


def unchanged(run, layer, x):
    return x, lambda dy: dy


def dropout(run, layer, x, decisions=None):
    rate = layer.get_config()["rate"]
    if not run.drops or rate == 0:
        return unchanged(run, layer, x)
    factor = ref.dropout_mask(run.random, run.streams, x.shape, rate, decisions) / (1 - rate)
    run.streams += 1
    return x * factor, lambda dy: dy * factor


def spatial_dropout(run, layer, x):
    return dropout(run, layer, x, x.shape[-1])


def stochastic_depth(run, layer, x):
    return dropout(run, layer, x, 1) if layer.trainable else unchanged(run, layer, x)


def rescaling(run, layer, x):
    scale, offset = (np.asarray(layer.get_config()[name], float) for name in ("scale", "offset"))
    return x * scale + offset, lambda dy: dy * scale


def normalization(run, layer, x):
    mean, variance = (np.asarray(layer.get_config()[name], float) for name in ("mean", "variance"))
    return (x - mean) / np.sqrt(variance), lambda dy: dy / np.sqrt(variance)


def batch_normalization(run, layer, x):
    config = layer.get_config()
    epsilon, momentum = config["epsilon"], config["momentum"]
    gamma, beta = run.value(layer, "gamma"), run.value(layer, "beta")
    gamma = np.ones(x.shape[-1]) if gamma is None else gamma
    beta = np.zeros(x.shape[-1]) if beta is None else beta
    moving = run.value(layer, "moving_mean"), run.value(layer, "moving_variance")
    of_batch = run.training and layer.trainable  # a frozen one keeps to its statistics, as Keras's
    mean, variance = ref.batch_statistics(x) if of_batch else moving
    if of_batch:
        for name, old, new in zip(
            ("moving_mean", "moving_variance"), moving, (mean, variance), strict=True
        ):
            path = run.paths[id(layer), name]
            run.moving[path] = ref.moving_average(old, new, momentum)

    def backward(dy):
        unit = ref.batch_norm(x, 1.0, 0.0, mean, variance, epsilon)
        if of_batch:
            dx, dgamma, dbeta = ref.batch_norm_backward(dy, x, gamma, epsilon)
        else:
            dgamma, dbeta = by_channel(dy * unit), by_channel(dy)
            dx = dy * gamma / np.sqrt(variance + epsilon)
        run.add(layer, "gamma", dgamma, by_channel(np.abs(dy * unit)))
        run.add(layer, "beta", dbeta, by_channel(np.abs(dy)))
        return dx

    return ref.batch_norm(x, gamma, beta, mean, variance, epsilon), backward


def image_normalization(run, layer, x):
    """Group and layer normalization: each part of `parts`, [N, rows, pixels, groups, width]."""
    config = layer.get_config()
    if "groups" in config:
        groups = x.shape[-1] if config["groups"] < 0 else config["groups"]
        parts = x.reshape(len(x), 1, -1, groups, x.shape[-1] // groups)
    else:
        count = len(np.atleast_1d(config["axis"]))
        parts = x.reshape(len(x), -1, 1, 1, int(np.prod(x.shape[-count:])))
    mean = parts.mean(axis=(2, 4), keepdims=True)
    deviation = np.sqrt(parts.var(axis=(2, 4), keepdims=True) + config["epsilon"])
    unit = (parts - mean) / deviation
    gamma, beta = run.value(layer, "gamma"), run.value(layer, "beta")
    gamma = np.ones(parts.shape[3:]) if gamma is None else gamma.reshape(parts.shape[3:])
    beta = 0.0 if beta is None else beta.reshape(parts.shape[3:])

    def backward(dy):
        dy = dy.reshape(parts.shape)
        shape = layer.parameters[0].shape if layer.parameters else ()
        for name, terms in (("gamma", dy * unit), ("beta", dy)):
            sums = (values.sum(axis=(0, 1, 2)) for values in (terms, np.abs(terms)))
            run.add(layer, name, *(total.reshape(shape or total.shape) for total in sums))
        slope = gamma * dy
        slope = slope - slope.mean(axis=(2, 4), keepdims=True)
        slope = slope - unit * (gamma * dy * unit).mean(axis=(2, 4), keepdims=True)
        return (slope / deviation).reshape(x.shape)

    return (unit * gamma + beta).reshape(x.shape), backward


def blur_of(length, size, sigma):
    """The matrix [length, length] of the means by a Gaussian window, as far as it is inside."""
    distance = np.arange(length) - np.arange(length)[:, None]
    weights = np.where(abs(distance) <= size // 2, np.exp(-(distance**2) / (2 * sigma**2)), 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


def local_contrast_normalization(run, layer, x):
    config, channels = layer.get_config(), x.shape[-1]
    size, sigma = config["size"], config["sigma"] or config["size"] / 4
    down, along = (blur_of(length, size, sigma) for length in x.shape[1:3])

    def mean(values):  # [N, H, W, C] -> [N, H, W, 1]
        return (down @ values.mean(axis=-1) @ along.T)[..., None]

    def mean_backward(dmean):
        return (down.T @ dmean[..., 0] @ along)[..., None] / channels

    centered = x - mean(x)
    squares = run.disturbed(mean(centered**2))
    root = np.sqrt(np.maximum(squares, 0.0))
    average = root.mean(axis=(1, 2), keepdims=True)
    least = np.maximum(average, config["epsilon"])
    divisor = np.maximum(root, least)

    def backward(dy):
        ddivisor = -(dy * centered).sum(axis=-1, keepdims=True) / divisor**2
        own = np.where(root >= least, ddivisor, 0.0)
        shared = np.where(average >= config["epsilon"], ddivisor - own, 0.0)
        droot = own + shared.mean(axis=(1, 2), keepdims=True)
        dsquares = np.where(root > 0, droot / np.where(root > 0, 2 * root, 1.0), 0.0)
        dcentered = dy / divisor + 2 * centered * mean_backward(dsquares)
        return dcentered - mean_backward(dcentered.sum(axis=-1, keepdims=True))

    return centered / divisor, backward


def local_response_normalization(run, layer, x):
    config, channels = layer.get_config(), x.shape[-1]
    size, beta = config["size"], config["beta"]
    distance = np.arange(channels) - np.arange(channels)[:, None]  # of channel [j] from [c]
    window = ((-(size // 2) <= distance) & (distance <= (size - 1) // 2)).astype(float)
    share = config["alpha"] / size
    scale = config["k"] + share * (x * x) @ window.T

    def backward(dy):
        terms = (dy * x * scale ** (-beta - 1)) @ window
        return dy * scale**-beta - 2 * share * beta * x * terms

    return x * scale**-beta, backward


def activation(run, layer, x):
    return activate(run, x, layer.get_config()["activation"])


def relu(run, layer, x):
    config = layer.get_config()
    limit = math.inf if config["max_value"] is None else config["max_value"]
    functions = ref.clipped_relu(config["negative_slope"], limit, config["threshold"])
    return activate(run, x, "own", {"own": functions})


def leaky_relu(run, layer, x):
    functions = ref.leaky_relu(layer.get_config()["negative_slope"])
    return activate(run, x, "own", {"own": functions})


def elu(run, layer, x):
    return activate(run, x, "own", {"own": ref.elu(layer.get_config()["alpha"])})


def thresholded_relu(run, layer, x):
    theta = layer.get_config()["theta"]
    passed = x > theta
    return np.where(passed, x, 0.0), lambda dy: np.where(passed, dy, 0.0)


def softmax(run, layer, x):
    return activate(run, x, "softmax")


def residual(run, layer, x):
    body, body_backward = run.layers(layer.chains[0], x)
    shortcut, shortcut_backward = run.layers(layer.chains[1] if layer.has_shortcut else (), x)
    return body + shortcut, lambda dy: body_backward(dy) + shortcut_backward(dy)


def scale(run, layer, x):
    gate, gate_backward = run.layers(layer.chains[0], x)
    spread = gate if gate.shape == x.shape else gate.reshape(len(x), *[1] * (x.ndim - 2), -1)

    def backward(dy):
        slopes = dy * x
        if gate.shape != x.shape:
            slopes = slopes.sum(axis=tuple(range(1, x.ndim - 1))).reshape(gate.shape)
        return dy * spread + gate_backward(slopes)

    return x * spread, backward


def auxiliary_classifier(run, layer, x):
    """What goes on is x; `run` knows the loss of what the layers inside make of it."""
    if not run.training:
        return unchanged(run, layer, x)
    outputs, backward = run.layers(layer.chains[0], x)
    run.auxiliaries.append((layer, outputs))
    return x, lambda dy: dy + backward(run.auxiliary_gradients[layer.path])


def concat(run, layer, x):
    parts, backwards = zip(*[run.layers(chain, x) for chain in layer.chains], strict=True)
    ends = np.cumsum([part.shape[-1] for part in parts])[:-1]

    def backward(dy):
        slices = np.split(dy, ends, axis=-1)
        return sum(step(dpart) for step, dpart in zip(backwards, slices, strict=True))

    return np.concatenate(parts, axis=-1), backward


def identity_shortcut(run, layer, x):
    config = layer.get_config()
    rows, columns = config["strides"]
    before, channels = config["zeros_before"], x.shape[-1]
    more = (before, config["filters"] - channels - before)
    y = np.pad(x[:, ::rows, ::columns], [(0, 0)] * 3 + [more])

    def backward(dy):
        dx = np.zeros_like(x)
        dx[:, ::rows, ::columns] = dy[..., before : before + channels]
        return dx

    return y, backward


def spatial_transformer(run, layer, x):
    theta, localization_backward = run.layers(layer.chains[0], x)

    def backward(dy):
        dx, dtheta = ref.affine_sample_backward(dy, x, theta)
        return dx + localization_backward(dtheta)

    return ref.affine_sample(x, theta, layer.output_shape[:2]), backward


LAYERS = {
    "Conv2D": conv2d,
    "Conv2DTranspose": conv2d_transpose,
    "Cropping2D": cropping,
    "PReLU": prelu,
    "Permute": permute,
    "Reshape": reshape,
    "UpSampling2D": upsampling,
    "SpatialDropout2D": spatial_dropout,
    "StochasticDepth": stochastic_depth,
    "ThresholdedReLU": thresholded_relu,
    "DepthwiseConv2D": depthwise_conv2d,
    "SeparableConv2D": separable_conv2d,
    "LocallyConnected2D": locally_connected_2d,
    "Dense": dense,
    "MaxPooling2D": pooling(ref.max_pool, ref.max_pool_backward),
    "AveragePooling2D": pooling(ref.average_pool, ref.average_pool_backward),
    "LpPooling2D": pooling(ref.lp_pool, ref.lp_pool_backward),
    "GlobalMaxPooling2D": global_pooling(ref.global_max_pool, ref.global_max_pool_backward),
    "GlobalAveragePooling2D": global_pooling(
        ref.global_average_pool, ref.global_average_pool_backward
    ),
    "Flatten": flatten,
    "ZeroPadding2D": zero_padding,
    "Dropout": dropout,
    "BatchNormalization": batch_normalization,
    "GroupNormalization": image_normalization,
    "LayerNormalization": image_normalization,
    "LocalContrastNormalization": local_contrast_normalization,
    "LocalResponseNormalization": local_response_normalization,
    "Rescaling": rescaling,
    "Normalization": normalization,
    "Activation": activation,
    "ReLU": relu,
    "LeakyReLU": leaky_relu,
    "ELU": elu,
    "Softmax": softmax,
    "Residual": residual,
    "AuxiliaryClassifier": auxiliary_classifier,
    "Scale": scale,
    "SqueezeExcite": scale,
    "IdentityShortcut": identity_shortcut,
    "SpatialTransformer": spatial_transformer,
    "Concat": concat,
}
