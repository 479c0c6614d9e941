"""Element-wise CUDA kernels against float64; dropout draws the CPU's own bits."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import reference
from building import assert_close, images
from launching import launch, one_block, unset

from fastcnn.graph.autodiff import FROM_INPUT
from fastcnn.kernels.cpu.nn import activation as cpu
from fastcnn.kernels.cuda.nn import activation as kernels
from fastcnn.kernels.cuda.nn.activation_functions import BACKWARD, FORWARD

# Far from zero too, where a naive formula overflows or cancels.


@numba.njit
def random_bits(counter, key):
    """The CPU's, which only compiled code can call."""
    return cpu.random_bits(counter, key)


EXTREMES = np.array([-100, -20, -3, -1e-3, -0.0, 0.0, 1e-3, 3, 20, 100], np.float32)


@pytest.fixture(autouse=True)
def _few_blocks(monkeypatch):
    one_block(monkeypatch)


def wide(*arrays):
    return [np.asarray(array, np.float64) for array in arrays]


@pytest.mark.parametrize("name", FORWARD)
def test_activation_and_its_gradient(name):
    x = np.stack([EXTREMES, images(1, (10,))[0], images(1, (10,), seed=3)[0]])
    dy = images(3, (10,), seed=2)
    size, constants = {"size": 10}, reference.CONSTANTS.get(name, {})
    forward, derivative = reference.KERNELS[name]
    settings = size | constants
    y = launch(FORWARD[name], 3, x=x, y=unset(3, 10), **settings)["y"]
    expected = forward(*wide(x))
    # 1 + erf cancels below zero, on the CPU too; so does x + 3 above -3.
    atol = {"gelu": 1e-7, "hard_sigmoid": 1e-7, "hard_swish": 3e-7}.get(name, 1e-30)
    np.testing.assert_allclose(y, expected, rtol=2e-6, atol=atol)
    saved = x if name in FROM_INPUT else y
    settings = size | {key: constants[key] for key in constants if key in BACKWARD[name].fields}
    dx = launch(BACKWARD[name], 3, saved=saved, dy=dy, dx=unset(3, 10), **settings)["dx"]
    assert_close(dx, dy * derivative(*wide(x, expected)), "curve", name)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "relu6", "clipped_relu"])
def test_rectifiers_let_nan_pass_and_stop_what_is_below(name):
    constants = dict.fromkeys(reference.CONSTANTS.get(name, ()), 0.0)
    if "limit" in constants:
        constants["limit"] = np.inf
    x = np.array([np.nan, 1, -np.inf if name != "leaky_relu" else -1], np.float32)
    np.testing.assert_array_equal(
        launch(FORWARD[name], x=x, y=unset(3), size=3, **constants)["y"], [np.nan, 1, 0]
    )
    dy = np.array([2, 3, np.inf], np.float32)
    if name not in reference.CONSTANTS:
        dx = launch(BACKWARD[name], saved=x, dy=dy, dx=unset(3), size=3)["dx"]
        np.testing.assert_array_equal(dx, [2, 3, 0])


@pytest.mark.parametrize("columns", [1, 10, 32, 150])
def test_softmax_and_its_gradient(columns):
    x = images(2, (2, columns)) * np.float32(4)
    dy = images(2, (2, columns), seed=2)
    sizes = {"rows": 2, "columns": columns}
    y = launch(kernels.softmax, 2, x=x, y=unset(*x.shape), **sizes)["y"]
    expected = reference.softmax(*wide(x))
    assert_close(y, expected, "curve", "softmax")
    dx = launch(kernels.softmax_dx, 2, y=y, dy=dy, dx=unset(*x.shape), **sizes)["dx"]
    assert_close(dx, reference.softmax_backward(*wide(dy, expected)), "curve", "softmax dx", 1.0)


@pytest.mark.parametrize("relu", [0, 1])
@pytest.mark.parametrize("size", [3, 4, 7, 300])
def test_add(size, relu):
    a, b = images(2, (size,)), images(2, (size,), seed=2)
    y = launch(kernels.add, 2, a=a, b=b, y=unset(2, size), size=size, relu=relu)["y"]
    np.testing.assert_array_equal(y, np.maximum(a + b, 0) if relu else a + b)


@pytest.mark.parametrize("adds", [False, True])
@pytest.mark.parametrize("channels", [1, 3, 8, 20])
def test_affine(channels, adds):
    x, residual = images(2, (70, channels)), images(2, (70, channels), seed=2)
    scale, offset = images(2, (channels,), seed=3)
    given = {"residual": residual} if adds else {}
    sizes = {"pixels": 70, "channels": channels, "relu": adds}
    y = launch(
        kernels.affine, 2, x=x, scale=scale, offset=offset, y=unset(*x.shape), **given, **sizes
    )["y"]
    expected = np.multiply(*wide(x, scale)) + offset
    assert_close(y, np.maximum(expected + residual, 0) if adds else expected, "sum", "affine")


@pytest.mark.parametrize("decisions", [50, 10, 1])
def test_dropout_draws_the_bits_of_the_cpu(decisions):
    images_, size, stream, threshold = 3 if decisions > 1 else 30, 50, 7, 2**32 - 2**30
    x = images(images_, (size,))
    random = np.array([-(2**40) - 5, 11, 4], np.int64)
    y = launch(
        kernels.dropout,
        images_,
        x=x,
        y=unset(images_, size),
        random=random,
        size=size,
        decisions=decisions,
        stream=stream,
        threshold=threshold,
        scale=4.0,
    )["y"]
    key = random_bits(stream, random_bits(random[0], random[1]))
    bits = np.array(
        [
            [random_bits(i % decisions, random_bits(4 + image, key)) for i in range(size)]
            for image in range(images_)
        ]
    )
    kept = bits >= threshold
    assert 0.1 < kept.mean() < 0.4
    np.testing.assert_array_equal(y, np.where(kept, x * np.float32(4), 0))


def test_random_bits_are_those_of_the_cpu():
    made = kernels.random_bits.fn  # the simulator takes a call within a kernel alone
    for counter, key in [(0, 0), (1, 2), (2**32 - 1, 2**32 - 1), (123456789, 987654321)]:
        assert made(counter, key) == random_bits(counter, key)
