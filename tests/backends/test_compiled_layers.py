"""Compiled kernels of layers and of a training step, executed on NumPy arrays, against float64.

Approximations of functions are as wrong here as they may be on a GPU.
"""

from __future__ import annotations

import numpy as np
import pytest
import reference
from building import assert_close
from ptx_machine.launching import launch, local, run, single
from reference_losses import loss_and_gradient

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import BATCH, IMAGE, Calls, LayerOperands
from fastcnn.kernels.cuda import layout
from fastcnn.kernels.cuda.data.gather import gather_images
from fastcnn.kernels.cuda.nn import (
    activation,
    affine_sampling,
    bias,
    locally_connected,
    normalization,
    optimizer_step,
    pooling,
)
from fastcnn.kernels.cuda.nn import losses as loss_kernels
from fastcnn.kernels.cuda.nn.activation_functions import FORWARD
from fastcnn.kernels.shared import normalization as shared
from fastcnn.kernels.shared import pooling as emitters
from fastcnn.kernels.shared.optimizers import UPDATE_KERNELS
from fastcnn.losses import SparseCategoricalCrossentropy
from fastcnn.optimizers import Adam

TURING, HOPPER = (7, 5), (9, 0)
IMAGES = 2


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def unset(*shape):
    return np.full(shape, np.nan, np.float32)


def test_pooling():
    problem = Problem(5, 6, 3, 3, (3, 2), (2, 1), ((1, 1), (0, 1)))
    inputs, outputs = (5, 6, 3), (problem.out_height, problem.out_width, 3)
    x, dy = np.round(numbers(IMAGES, *inputs)), np.round(4 * numbers(IMAGES, *outputs, seed=1))
    calls, first, slope = Calls(IMAGES), local(inputs), local(outputs)
    y, index, dx = local(outputs), local(outputs), local(inputs)
    average, average_dx = local(outputs), local(inputs)
    emitters.max_forward(pooling, calls, problem, first, y, index, False)
    emitters.max_dx(pooling, calls, problem, slope, index, None, dx)
    emitters.average_forward(pooling, calls, problem, problem.padding, first, average)
    emitters.average_dx(pooling, calls, problem, problem.padding, slope, average_dx)
    memory = run(calls, IMAGES, {first: x, slope: dy}, TURING)
    window = problem.kernel, problem.strides, problem.padding
    for region, expected in (
        (y, reference.max_pool(x, *window)),
        (dx, reference.max_pool_backward(dy, x, *window)),
        (average, reference.average_pool(x.astype(float), *window, include_pad=True)),
        (
            average_dx,
            reference.average_pool_backward(dy.astype(float), x, *window, include_pad=True),
        ),
    ):
        assert_close(memory[region].reshape(expected.shape), expected, "sum", "pooled")


def test_kernels_that_differ_from_pixel_to_pixel():
    problem = Problem(5, 4, 3, 6, (3, 2), (2, 1), ((1, 1), (0, 1)))
    window, pixels = 18, problem.out_height * problem.out_width
    x, dy = numbers(IMAGES, 5, 4, 3), numbers(IMAGES, pixels, 6, seed=1)
    kernel, bias_values = numbers(pixels, window, 6, seed=2), numbers(pixels, 6, seed=3)
    first, slope = local((5, 4, 3)), local((pixels, 6))
    weights, summand = single(kernel.shape), single(bias_values.shape)
    y, dx, dw = local((pixels, 6)), local((5, 4, 3)), single(kernel.shape)
    calls = Calls(IMAGES)
    operands = LayerOperands(first, weights, y, bias=summand)
    locally_connected.forward(calls, problem, operands)
    locally_connected.dx(calls, problem, slope, weights, dx)
    locally_connected.dw(calls, problem, first, slope, dw)
    inputs = {first: x, slope: dy, weights: kernel, summand: bias_values}
    memory = run(calls, IMAGES, inputs, TURING)
    geometry = problem.kernel, problem.strides, problem.padding
    windows = reference.local_windows(x.astype(float), *geometry)
    dwindows = np.einsum("npf,pkf->npk", dy.astype(float), kernel)
    for region, expected in (
        (y, np.einsum("npk,pkf->npf", windows, kernel) + bias_values),
        (dx, reference.local_windows_backward(dwindows, x.astype(float), *geometry)),
        (dw, np.einsum("npk,npf->pkf", windows, dy)),
    ):
        assert_close(memory[region].reshape(expected.shape), expected, "sum", "unshared")


def test_resampling_under_an_affine_map():
    """Turned, moved and made larger, so that some of what it shows lies outside."""
    image, output = (5, 4, 3), (6, 7, 3)
    x, dy = numbers(IMAGES, *image), numbers(IMAGES, *output, seed=1)
    theta = np.tile(np.float32([0.9, -0.4, 0.2, 0.5, 1.1, -0.1]), (IMAGES, 1))
    theta[1:, :2] *= -1
    regions = [local(image), local((6,)), local(output)]
    y, dx, dtheta = local(output), local(image), local((6,))
    sizes = dict(zip(("height", "width", "channels"), image, strict=True))
    sizes |= {"out_height": output[0], "out_width": output[1]}
    calls = Calls(IMAGES)
    for kernel, names, written in (
        (affine_sampling.affine_sample, ("x", "theta"), {"y": y}),
        (affine_sampling.affine_sample_dx, ("theta", "dy"), {"dx": dx}),
        (affine_sampling.affine_sample_dtheta, ("x", "theta", "dy"), {"dtheta": dtheta}),
    ):
        read = dict(zip(("x", "theta", "dy"), regions, strict=True))
        places = {name: read[name] for name in names} | written
        calls.emit(kernel, IMAGE, tuple(written), places, **sizes)
    memory = run(calls, IMAGES, dict(zip(regions, (x, theta, dy), strict=True)), TURING)
    x, dy, theta = (array.astype(float) for array in (x, dy, theta))
    gradients = reference.affine_sample_backward(dy, x, theta)
    expected = reference.affine_sample(x, theta, output[:2]), *gradients
    for region, array in zip((y, dx, dtheta), expected, strict=True):
        assert_close(memory[region].reshape(array.shape), array, "chain", "resampled")


@pytest.mark.parametrize(("pixels", "channels"), [(6, 3), (50, 16)])
def test_batch_normalization(pixels, channels):
    x, dy = numbers(2, IMAGES, pixels, channels)
    gamma, beta = numbers(2, channels, seed=1)
    calls, (of_x, of_dy, dx) = Calls(IMAGES), (local((pixels, channels)) for _ in range(3))
    wide = [single((channels,)) for _ in range(8)]
    of_gamma, of_beta, scale, shift, mean, variance, gamma_dw, beta_dw = wide
    moments, coefficients = single((2 * channels,)), single((3 * channels,))
    sizes = {"pixels": pixels, "channels": channels}
    partial = shared.moments(normalization, calls, of_x, pixels, channels)
    places = {"partial": partial, "moments": moments}
    places |= {"gamma": of_gamma, "beta": of_beta, "scale": scale, "shift": shift}
    places |= {"moving_mean": mean, "moving_variance": variance}
    steps = {"epsilon": 1e-3, "momentum": 0.75}
    calls.emit(normalization.batch_scale_shift, BATCH, "moments", places, **steps, **sizes)
    partial = shared.sums(normalization, calls, of_x, of_dy, moments, pixels, channels)
    places = {"partial": partial, "moments": moments, "gamma": of_gamma}
    places |= {"gamma_gradient": gamma_dw, "beta_gradient": beta_dw, "coefficients": coefficients}
    calls.emit(normalization.batch_norm_dw, BATCH, "coefficients", places, epsilon=1e-3, **sizes)
    places = {"x": of_x, "dy": of_dy, "coefficients": coefficients, "dx": dx}
    calls.emit(normalization.batch_norm_dx, BATCH, "dx", places, **sizes)
    given = {of_x: x, of_dy: dy, of_gamma: gamma, of_beta: beta}
    given |= {mean: np.full(channels, 2, np.float32), variance: np.full(channels, 3, np.float32)}
    memory = run(calls, IMAGES, given, HOPPER)
    x, dy = x.astype(float), dy.astype(float)
    of_batch = np.stack(reference.batch_statistics(x))
    assert_close(memory[moments].reshape(2, -1), of_batch, "sum", "moments")
    assert_close(memory[mean], reference.moving_average(2.0, of_batch[0], 0.75), "sum", "mean")
    expected = reference.batch_norm_backward(dy, x, gamma.astype(float), 1e-3)
    for region, wanted in zip((dx, gamma_dw, beta_dw), expected, strict=True):
        assert_close(memory[region].reshape(wanted.shape), wanted, "statistics", "gradient")


@pytest.mark.parametrize("skipped", [0, 4])
@pytest.mark.parametrize("channels", [8, 5])
def test_scale_and_shift(channels, skipped):
    """In vectors of four floats, where these are whole and the arrays begin with one."""
    (x, residual), (scale, offset) = numbers(2, 3, 7, channels), numbers(2, channels, seed=1)
    given = {"x": x, "residual": residual, "scale": scale, "offset": offset, "y": unset(*x.shape)}
    settings = {"pixels": 7, "channels": channels, "relu": 1}
    found = launch(activation.affine, 3, skipped=skipped, **given, **settings)["y"]
    expected = x.astype(float) * scale + offset + residual
    assert_close(found, np.maximum(expected, 0), "sum", "y")


@pytest.mark.parametrize("columns", [7, 130])
def test_softmax(columns):
    """A thread for each row, and a block."""
    x = numbers(5, columns) * np.float32(4)
    found = launch(activation.softmax, 5, x=x, y=unset(5, columns), rows=1, columns=columns)
    assert_close(found["y"], reference.softmax(x.astype(float)), "curve", "y")


@pytest.mark.parametrize("name", sorted(FORWARD))
def test_activation(name):
    x = numbers(3, 11)
    constants = reference.CONSTANTS.get(name, {})
    y = launch(FORWARD[name], 3, x=x, y=unset(3, 11), size=11, **constants)["y"]
    assert_close(y, reference.KERNELS[name][0](x.astype(float)), "curve", name)


def test_numbers_that_are_only_moved():
    x = numbers(IMAGES, 3, 5, 4)
    sides = {"top": 1, "bottom": 2, "left": 8, "right": 4}
    y = launch(layout.pad_image, 2, x=x, y=unset(2, 6, 8, 4), height=3, row=20, **sides)["y"]
    assert np.array_equal(y, np.pad(x, [(0, 0), (1, 2), (2, 1), (0, 0)]))
    pictures = np.random.default_rng(0).integers(0, 256, (5, 13)).astype(np.uint8)
    chosen = np.array([4, 0, 4], np.int32)
    given = {"images": pictures, "indices": chosen, "x": unset(3, 13)}
    found = launch(gather_images["uint8"], 3, **given, size=13)["x"]
    assert np.array_equal(found, pictures[chosen])


def test_loss():
    rows, classes, loss = 35, 6, SparseCategoricalCrossentropy(from_logits=True)
    z, weight = 2 * numbers(rows, classes), np.abs(numbers(rows, seed=1))
    labels = np.random.default_rng(2).integers(0, classes, rows).astype(np.int32)
    arrays = {"scores": z, "target": labels, "weight": weight, "gradient": unset(rows, classes)}
    arrays |= {"loss": unset(rows), "rank": np.full(rows, -1, np.int32)}
    settings = {"size": classes, "option": loss.option, "classes": 1}
    found = launch(loss_kernels.LOSSES[loss.kernel], rows, capability=TURING, **arrays, **settings)
    value, gradient = loss_and_gradient(loss, z.astype(float), labels)
    assert_close(found["loss"], value, "curve", "loss")
    assert_close(found["gradient"], gradient * weight[:, None], "curve", "gradient")


def test_gradient_of_a_bias():
    """Sums over pixels and images, in parts that are added in order."""
    dy = numbers(IMAGES, 700, 5)
    calls, of_dy, gradient = Calls(IMAGES), local((700, 5)), single((5,))
    bias.bias_dw(calls, 700, 5, of_dy, gradient)
    found = run(calls, IMAGES, {of_dy: dy}, TURING)[gradient]
    assert_close(found, dy.astype(float).sum(axis=(0, 1)), "sum", "gradient")


def test_the_end_of_a_step():
    """The gradient's squares, clipping, and Adam's update of two parameters with a gap between."""
    parameters = [(3, optimizer_step.PART + 6), (optimizer_step.PART + 20, 5)]
    (first, _), (second, rest) = parameters
    parts = [
        (0, first, optimizer_step.PART),
        (0, first + optimizer_step.PART, 6),
        (1, second, rest),
    ]
    parts, spans = np.array(parts, np.int64), np.array([(0, 2), (2, 1)], np.int64)
    length = second + rest + 2
    values, gradient = numbers(2, length)
    optimizer, slots = Adam(), 1 / (1.2 + np.abs(numbers(2, length, seed=2)))
    settings = {"parts": parts, "part_count": len(parts)}
    finished = launch(
        optimizer_step.finish_gradient,
        values=values,
        gradient=gradient,
        sums=np.full((3, 2), np.nan),
        penalties=np.array([(0, 0), (0.5, 0.25)], np.float32),
        **settings,
    )
    checked = launch(
        optimizer_step.check_gradients,
        3,
        sums=finished["sums"],
        spans=spans,
        control=np.array([1], np.int64),
        loss=np.array([1, 2, 3], np.float32),
        factors=unset(3),
        totals=np.full(2, np.nan),
        parameters=2,
        clip_all=2.5,
        capability=TURING,
    )
    rows = [optimizer.hyper_at(rate, 3) for rate in (0.001, 0.0004)]
    updated = launch(
        optimizer_step.UPDATES[optimizer.kernel],
        values=values,
        gradient=finished["gradient"],
        slots=slots,
        hyper=np.concatenate(rows),
        groups=np.array([1, 0], np.int64),
        factors=checked["factors"],
        parameters=2,
        **settings,
    )
    exact, slopes, memory = (one.astype(float) for one in (values, gradient, slots))
    ranges = [slice(start, start + many) for start, many in parameters]
    weights = exact[ranges[1]]
    slopes[ranges[1]] += 0.5 * np.sign(weights) + 2 * 0.25 * weights
    penalty = 0.5 * np.abs(weights).sum() + 0.25 * np.sum(weights**2)
    squares = sum(np.sum(slopes[one] ** 2) for one in ranges)
    np.testing.assert_allclose(checked["totals"], [squares, penalty], rtol=1e-6)
    for one, row in zip(ranges, rows[::-1], strict=True):
        slopes[one] *= min(1, 2.5 / np.sqrt(squares))
        UPDATE_KERNELS[optimizer.kernel](exact[one], slopes[one], memory[:, one], row.astype(float))
    assert_close(updated["values"], exact, "sum", "values")
    assert_close(updated["slots"], memory, "sum", "slots")
