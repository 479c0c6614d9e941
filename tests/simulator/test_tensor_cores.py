"""Products in TF32: rounding, and the places of a tensor core's numbers in a tile.

The simulator has no tensor cores: a Python function takes from each thread what the instruction
would, and puts the numbers where NVIDIA's tables say.
"""

from __future__ import annotations

import numpy as np
import pytest
import reference
from running import local, run, single

from fastcnn.kernels.call import Calls
from fastcnn.kernels.cuda import conv_im2col, gemm, plans
from fastcnn.kernels.cuda.tensor_cores import rounded
from fastcnn.kernels.cuda.tile import TF32, Tile
from fastcnn.problem import Problem

RNG = np.random.default_rng(0)
SMALL = Tile(32, 32, 8, 4, 8, TF32)  # one warp
IMAGES = 2


def numbers(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def to_tf32(array):
    """Return the nearest numbers with 10 bits of mantissa, in float64."""
    mantissa, exponent = np.frexp(array.astype(float))
    return np.ldexp(np.rint(mantissa * 2**11) / 2**11, exponent)


def assert_sums(received, expected):
    """Products of 11 by 11 bits are exact in float32: only their sums are rounded."""
    assert received.shape == expected.shape
    assert np.abs(received - expected).max() <= 2e-6 * np.abs(expected).max()


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    for kind in (gemm.PRODUCT, gemm.TURNED, gemm.SUM):
        monkeypatch.setitem(gemm.KERNELS, (kind, SMALL), gemm.make_kernel(kind, SMALL))
    makers = {"FORWARD": "make_forward", "DX": "make_dx", "DW": "make_dw"}
    for table, make in makers.items():
        made = getattr(conv_im2col, make)(SMALL)
        monkeypatch.setitem(getattr(conv_im2col, table), SMALL, made)


def use(monkeypatch, tile, splits=1):
    for module in (gemm, conv_im2col):
        monkeypatch.setattr(module, "best_plan", lambda *_: plans.Plan(tile, splits, 0.0))


def test_rounding_goes_to_the_nearest():
    values = numbers(200)
    assert np.array_equal([rounded(v) for v in values], to_tf32(values).astype(np.float32))
    half = np.float32(1 + 2**-11)
    assert rounded(half) == 1 + 2**-10
    assert rounded(-half) == -1 - 2**-10


@pytest.mark.parametrize("tile", plans.TILES[TF32][1:], ids=lambda tile: tile.name)
def test_a_tile_of_each_size(monkeypatch, tile):
    """Every thread's place in a tile, with an edge in each direction."""
    use(monkeypatch, tile)
    rows, columns, inner = tile.rows - 1, tile.columns - 3, 3
    a, b = numbers(rows, inner), numbers(inner, columns)
    calls, of_a, of_b, c = Calls(1), local(a.shape), single(b.shape), local((rows, columns))
    gemm.product(calls, of_a, of_b, c, rows, columns, inner)
    found = run(calls, 1, {of_a: a, of_b: b})[c].reshape(rows, columns)
    assert_sums(found, to_tf32(a) @ to_tf32(b))


def test_a_plan_has_the_precision_that_is_asked_for():
    assert plans.best_plan(10_000, 128, 1152, 1, TF32).tile.precision == TF32
    assert plans.best_plan(10_000, 128, 1152).tile.precision == "float32"


def test_convolution_and_its_gradients(monkeypatch):
    use(monkeypatch, SMALL)
    problem = Problem(4, 4, 2, 4, (3, 2), (2, 1), ((1, 1), (1, 0)), groups=2)
    x = numbers(IMAGES, problem.height, problem.width, problem.channels)
    dy = numbers(IMAGES, problem.out_height, problem.out_width, problem.filters)
    kernel, bias = numbers(3, 2, problem.channels_per_group, problem.filters), numbers(4)
    of_x, of_dy, of_kernel = local(x.shape[1:]), local(dy.shape[1:]), single(kernel.shape)
    of_bias, gradient = single(bias.shape), single(kernel.shape)
    y, dx = local(dy.shape[1:]), local(x.shape[1:])
    calls = Calls(IMAGES, precision=TF32)
    conv_im2col.conv2d_im2col(calls, problem, of_x, of_kernel, of_bias, y)
    conv_im2col.conv2d_im2col_dx(calls, problem, of_dy, of_kernel, dx)
    conv_im2col.conv2d_im2col_dw(calls, problem, of_x, of_dy, gradient)
    memory = run(calls, IMAGES, {of_x: x, of_dy: dy, of_kernel: kernel, of_bias: bias})
    settings = (problem.strides, problem.padding, problem.dilation, problem.groups)
    x, dy, kernel = (to_tf32(one) for one in (x, dy, kernel))
    expected_dx, expected_dw = reference.conv2d_backward(dy, x, kernel, *settings)
    assert_sums(memory[y].reshape(dy.shape), reference.conv2d(x, kernel, *settings) + bias)
    assert_sums(memory[dx].reshape(x.shape), expected_dx)
    assert_sums(memory[gradient].reshape(kernel.shape), expected_dw)


def test_a_dense_layers_gradient(monkeypatch):
    use(monkeypatch, SMALL)
    x, dy = numbers(9, 34), numbers(9, 5)
    calls, of_x, of_dy, gradient = (
        Calls(9, precision=TF32),
        local((34,)),
        local((5,)),
        single((34, 5)),
    )
    gemm.sum_of_products(calls, of_x, of_dy, gradient, 34, 5, 1)
    found = run(calls, 9, {of_x: x, of_dy: dy})[gradient].reshape(34, 5)
    assert_sums(found, to_tf32(x).T @ to_tf32(dy))
