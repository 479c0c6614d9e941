"""Batch normalization on CUDA against float64: moments, their merging, the gradient."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from building import assert_close
from launching import launch, unset
from running import local, run, single

from fastcnn.kernels.call import BATCH, Calls
from fastcnn.kernels.cuda.nn import normalization as kernels
from fastcnn.kernels.shared import normalization as shared

EPSILON, MOMENTUM = 1e-3, 0.75
# (pixels, channels) of an image: channels that fill part of a tile, more than one tile, four by
# four and not; pixels in one part of a chunk and in two of several strips.
SHAPES = [(6, 3), (50, 5), (9, 36), (513, 16)]
each_shape = pytest.mark.parametrize("pixels, channels", SHAPES)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def wide(*arrays):
    return [np.asarray(array, np.float64) for array in arrays]


def statistics(x, gamma=None, beta=None):
    """What a batch's moments make of it: a dictionary of arrays of C."""
    images, pixels, channels = x.shape
    calls = Calls(images)
    region = local((pixels, channels))
    partial = shared.moments(kernels, calls, region, pixels, channels)
    moments = single((2 * channels,))
    names = ("scale", "shift", "moving_mean", "moving_variance")
    made = {name: single((channels,)) for name in names}
    given = {region: x, made["moving_mean"]: np.full(channels, 2, np.float32)}
    given[made["moving_variance"]] = np.full(channels, 3, np.float32)
    weights = {"gamma": gamma, "beta": beta}
    found = {name: single((channels,)) for name, array in weights.items() if array is not None}
    given |= {region: weights[name] for name, region in found.items()}
    calls.emit(
        kernels.batch_scale_shift,
        BATCH,
        ("moments", *names),
        {"partial": partial, "moments": moments, **made, **found},
        pixels=pixels,
        channels=channels,
        epsilon=EPSILON,
        momentum=MOMENTUM,
    )
    memory = run(calls, images, given)
    mean, variance = memory[moments].reshape(2, channels)
    return {"mean": mean, "variance": variance} | {name: memory[made[name]] for name in names}


@each_shape
def test_moments_scale_and_shift(pixels, channels):
    x = numbers(2, pixels, channels) * np.float32(3) + np.arange(channels, dtype=np.float32)
    gamma, beta = numbers(2, channels, seed=1)
    found = statistics(x, gamma, beta)
    mean, variance = reference.batch_statistics(*wide(x))
    assert_close(found["mean"], mean, "sum", "mean")
    assert_close(found["variance"], variance, "sum", "variance")
    scale = gamma / np.sqrt(variance + EPSILON)
    assert_close(found["scale"], scale, "sum", "scale")
    assert_close(found["shift"], beta - mean * scale, "sum", "shift")
    moved = reference.moving_average(2.0, mean, MOMENTUM)
    assert_close(found["moving_mean"], moved, "sum", "moving mean")
    moved = reference.moving_average(3.0, variance, MOMENTUM)
    assert_close(found["moving_variance"], moved, "sum", "moving variance")


def test_a_mean_large_against_the_deviation():
    x = 1000 + numbers(2, 300, 4)
    found = statistics(x)
    _, variance = reference.batch_statistics(*wide(x))
    # The rounding of float32 at 1000 is 6e-5 of the deviation.
    np.testing.assert_allclose(found["variance"], variance, rtol=1e-5)
    np.testing.assert_allclose(found["scale"], 1 / np.sqrt(variance + EPSILON), rtol=1e-5)


def test_more_chunks_than_images():
    # 5 images in 4 chunks: two in each of the first two, one in the third, none in the last.
    x = numbers(5, 7, 3)
    sizes = {"pixels": 7, "channels": 3}
    partial = launch(kernels.batch_moments, 5, 4, x=x, partial=unset(4, 7), **sizes)["partial"]
    np.testing.assert_array_equal(partial[:, 0], [14, 14, 7, 0])
    np.testing.assert_array_equal(partial[3], 0)
    mean, variance = reference.batch_statistics(*wide(x[2:4]))
    np.testing.assert_allclose(partial[1], [14, *mean, *(14 * variance)], rtol=1e-5)
    made = {name: unset(3) for name in ("scale", "shift", "moving_mean", "moving_variance")}
    moments = launch(
        kernels.batch_scale_shift, 5, 4, partial=partial, moments=unset(2, 3), **made, **sizes
    )["moments"]
    assert_close(moments, np.stack(reference.batch_statistics(*wide(x))), "sum", "moments")


@pytest.mark.filterwarnings("ignore:.*invalid value")  # inf - inf, in the simulator's NumPy
def test_moving_statistics_stay_where_a_batch_is_not_finite():
    x = numbers(2, 6, 3)
    x[1, 2, 1] = np.inf
    found = statistics(x)
    assert found["moving_mean"][1] == 2 and found["moving_variance"][1] == 3
    assert found["moving_mean"][0] != 2


@pytest.mark.parametrize("affine", [False, True])
def test_scale_and_shift_from_moving_statistics(affine):
    mean, gamma, beta = numbers(3, 5)
    variance = np.abs(numbers(5, seed=1))
    weights = {"gamma": gamma, "beta": beta} if affine else {}
    found = launch(
        kernels.moving_scale_shift,
        moving_mean=mean,
        moving_variance=variance,
        scale=unset(5),
        shift=unset(5),
        channels=5,
        epsilon=EPSILON,
        **weights,
    )
    scale = (gamma if affine else 1) / np.sqrt(variance.astype(np.float64) + np.float32(EPSILON))
    np.testing.assert_allclose(found["scale"], scale, rtol=1e-6)
    expected = (beta if affine else 0) - mean * scale
    np.testing.assert_allclose(found["shift"], expected, rtol=1e-6, atol=1e-6)


@each_shape
@pytest.mark.parametrize("gated", [False, True])
def test_gradient(pixels, channels, gated):
    images = 2
    x, dy = numbers(2, images, pixels, channels)
    gamma, beta = numbers(2, channels, seed=1)
    calls = Calls(images)
    sizes = {"pixels": pixels, "channels": channels}
    first, slope, dx = (local((pixels, channels)) for _ in range(3))
    moments, weights = single((2 * channels,)), single((channels,))
    gate = {"scale": single((channels,)), "shift": single((channels,))} if gated else {}
    partial = shared.sums(kernels, calls, first, slope, moments, pixels, channels, **gate)
    coefficients = single((3 * channels,))
    gradients = {f"{name}_gradient": single((channels,)) for name in ("gamma", "beta")}
    places = {"partial": partial, "moments": moments, "gamma": weights, **gradients}
    places["coefficients"] = coefficients
    written = ("coefficients", *gradients)
    calls.emit(kernels.batch_norm_dw, BATCH, written, places, epsilon=EPSILON, **sizes)
    places = {"x": first, "dy": slope, "coefficients": coefficients, "dx": dx, **gate}
    calls.emit(kernels.batch_norm_dx, BATCH, "dx", places, **sizes)

    mean, variance = reference.batch_statistics(*wide(x))
    scale = gamma / np.sqrt(variance + EPSILON)
    shift = beta - mean * scale
    given = {first: x, slope: dy, moments: np.concatenate([mean, variance]).astype(np.float32)}
    given[weights] = gamma
    if gated:
        given |= {gate["scale"]: scale.astype(np.float32), gate["shift"]: shift.astype(np.float32)}
    memory = run(calls, images, given)
    passed = np.where(x * scale + shift > 0, dy, 0) if gated else dy
    expected = reference.batch_norm_backward(*wide(passed, x, gamma), EPSILON)
    received = [memory[dx].reshape(x.shape), *(memory[one] for one in gradients.values())]
    for one, array, name in zip(received, expected, ("dx", "gamma", "beta"), strict=True):
        assert_close(one, array, "statistics", name)
