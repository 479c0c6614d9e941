"""Compiled convolutions and matrix products, executed on NumPy arrays, against float64.

What the simulator cannot see: inline PTX, vector accesses and their alignment, tensor cores and
copies that arrive late, index arithmetic, barriers in compiled code. One or two kernels of each
kind stand for the rest: compiling takes most of the time.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import reference
from building import assert_close
from ptx_machine.launching import Device, local, run, single

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import Calls, LayerOperands
from fastcnn.kernels.cuda.conv import direct, im2col, winograd
from fastcnn.kernels.cuda.gemm import gemm, tile_selection

TURING, AMPERE, HOPPER = (7, 5), (8, 0), (9, 0)
TILES = {tile.name: tile for tile in tile_selection.ALL_TILES}
IMAGES = 2


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def unset(*shape):
    return np.full(shape, np.nan, np.float32)


def to_tf32(array):
    """Return the nearest numbers with 10 bits of mantissa, in float64."""
    mantissa, exponent = np.frexp(array.astype(float))
    return np.ldexp(np.rint(mantissa * 2**11) / 2**11, exponent)


def use(monkeypatch, name, k_slices=1):
    """Compute every product in tiles of one size, with so many K slices; return the precision."""
    for module in (gemm, im2col):
        monkeypatch.setattr(
            module, "best_plan", lambda *_: tile_selection.Plan(TILES[name], k_slices, 0.0)
        )
    return TILES[name].precision


def exact(arrays, precision):
    return [to_tf32(one) if precision == "tf32" else one.astype(float) for one in arrays]


# Kernels by their tiles, each compiled once; then sizes that end within tiles and slices, with
# whole vectors of columns and not, in one go and in K slices of which some are empty.
PRODUCTS = {
    "64x64": (TURING, False),
    "16x32": (HOPPER, True),
    "tf32_64x64_vectorized": (AMPERE, False),
    "tf32_64x64": (HOPPER, True),
}
SIZES = [((67, 68, 36), 2), ((66, 64, 84), 1), ((1, 8, 4), 3), ((17, 33, 19), 1), ((64, 65, 51), 2)]


@pytest.mark.parametrize(("sizes", "k_slices"), SIZES)
@pytest.mark.parametrize("name", PRODUCTS)
def test_product(monkeypatch, name, sizes, k_slices):
    """Two groups side by side, with a bias, a factor for each column, and ReLU."""
    (capability, transposed), (rows, columns, inner) = PRODUCTS[name], sizes
    precision = use(monkeypatch, name, k_slices)
    if name.endswith("vectorized"):
        columns, inner = columns // 4 * 4, inner // 4 * 4
    a, b = numbers(1, rows, 2, inner), numbers(2, inner, columns, seed=1)
    bias, scale = numbers(2, 2 * columns, seed=2)
    lying = np.ascontiguousarray(b.swapaxes(1, 2)) if transposed else b
    of_a, of_b, c = local((rows, 2, inner)), single(b.shape), local((rows, 2, columns))
    of_bias, of_scale = single(bias.shape), single(scale.shape)
    calls = Calls(1, precision=precision)
    strides = gemm.Strides(
        2, 2 * inner, None, 2 * columns, a_group=inner, b_group=inner * columns, c_group=columns
    )
    finish = {"transposed": transposed, "bias": of_bias, "scale": of_scale, "relu": True}
    gemm.product(calls, of_a, of_b, c, rows, columns, inner, strides, **finish)
    given = {of_a: a, of_b: lying, of_bias: bias, of_scale: scale}
    found = run(calls, 1, given, capability)[c].reshape(rows, 2, columns)
    a, b = exact((a[0], b), precision)
    expected = np.einsum("rgk,gko->rgo", a, b) * scale.reshape(2, -1) + bias.reshape(2, -1)
    assert_close(found, np.maximum(expected, 0), "sum", "c")


@pytest.mark.parametrize(("sizes", "k_slices"), [((36, 32, 9), 3), ((132, 36, 21), 1)])
@pytest.mark.parametrize(
    ("name", "capability"), [("16x32", HOPPER), ("tf32_128x32_vectorized", AMPERE)]
)
def test_sum_of_products(monkeypatch, name, capability, sizes, k_slices):
    precision = use(monkeypatch, name, k_slices)
    rows, columns, inner = sizes
    x, dy = numbers(IMAGES, inner, rows), numbers(IMAGES, inner, columns, seed=1)
    of_x, of_dy, gradient = local(x.shape[1:]), local(dy.shape[1:]), single((rows, columns))
    calls = Calls(IMAGES, precision=precision)
    gemm.sum_of_products(calls, of_x, of_dy, gradient, rows, columns, inner)
    found = run(calls, IMAGES, {of_x: x, of_dy: dy}, capability)[gradient]
    expected = np.einsum("nki,nko->io", *exact((x, dy), precision))
    assert_close(found.reshape(rows, columns), expected, "sum", "c")


def test_groups_4_gib_apart():
    """Each group's matrices are arrays of their own, which the machine puts that far apart: an
    index of 32 bits would lead to none of them, or to another."""
    far, rows, columns, inner = 2**30, 5, 6, 7
    device, groups = Device(TURING), 4
    a, b = numbers(groups, rows, inner), numbers(groups, inner, columns, seed=1)
    c = unset(groups, rows, columns)
    arrays = {}
    for name, array in (("a", a), ("b", b), ("c", c)):
        addresses = [device.put(one, f"{name}{group}") for group, one in enumerate(array)]
        arrays[name] = addresses[0], (groups * far,)
    values = {"count": 1, "rows": rows, "columns": columns, "inner": inner, "groups": groups}
    values |= {"a_group": far, "a_row": inner, "b_group": far, "b_row": columns}
    values |= {"c_group": far, "c_row": columns, "k_slices": 1}
    device.launch(gemm.KERNELS[gemm.PRODUCT, TILES["64x64"]], values, arrays)
    assert_close(c, a.astype(float) @ b, "sum", "c")


class Convolution:
    """A problem's random operands, and what a strategy's three directions make of them."""

    def __init__(self, problem: Problem, capability, precision="float32"):
        self.problem, self.capability, self.precision = problem, capability, precision
        self.x = numbers(IMAGES, problem.height, problem.width, problem.channels)
        self.kernel = numbers(*problem.kernel, problem.channels_per_group, problem.filters, seed=1)
        self.dy = numbers(IMAGES, problem.out_height, problem.out_width, problem.filters, seed=2)
        self.bias, self.scale = numbers(2, problem.filters, seed=3)

    def received(self, forward, dx, dw, skipped, **settings):
        """y with scale, bias and ReLU, dx and dw, of arrays that lie so many bytes further."""
        x, dy, y, out = (local(one.shape[1:]) for one in (self.x, self.dy, self.dy, self.x))
        kernel, gradient = single(self.kernel.shape), single(self.kernel.shape)
        bias, scale = single(self.bias.shape), single(self.scale.shape)
        calls = Calls(IMAGES, precision=self.precision)
        operands = LayerOperands(x, kernel, y, bias, scale, relu=True)
        forward(calls, self.problem, operands, **settings)
        dx(calls, self.problem, dy, kernel, out, **settings)
        dw(calls, self.problem, x, dy, gradient, **settings)
        given = {x: self.x, dy: self.dy, kernel: self.kernel, bias: self.bias, scale: self.scale}
        memory = run(calls, IMAGES, given, self.capability, skipped)
        return memory[y], memory[out], memory[gradient]

    def expected(self):
        problem = self.problem
        settings = (problem.strides, problem.padding, problem.dilation, problem.groups)
        x, kernel, dy = exact((self.x, self.kernel, self.dy), self.precision)
        y = reference.conv2d(x, kernel, *settings) * self.scale + self.bias
        return np.maximum(y, 0), *reference.conv2d_backward(dy, x, kernel, *settings)

    def check(self, *emitters, skipped=0, **settings):
        found = self.received(*emitters, skipped, **settings)
        for one, wanted, name in zip(found, self.expected(), ("y", "dx", "dw"), strict=True):
            assert_close(one.reshape(wanted.shape), wanted, "sum", name)


DIRECT = direct.conv2d_direct, direct.conv2d_direct_dx, direct.conv2d_direct_dw
IM2COL = im2col.conv2d_im2col, im2col.conv2d_im2col_dx, im2col.conv2d_im2col_dw
WINOGRAD = (
    winograd.conv2d_winograd,
    winograd.conv2d_winograd_dx,
    winograd.conv2d_winograd_dw,
)


DIRECTLY = {
    "3x3": (Problem(4, 5, 3, 5, (3, 3), padding=((1, 1), (1, 1))), TURING),
    "whole vectors": (Problem(4, 5, 8, 12, (3, 3), padding=((1, 1), (1, 1))), TURING),
    "everything": (Problem(5, 4, 4, 6, (3, 2), (2, 1), ((2, 0), (1, 3)), (1, 2), 2), HOPPER),
    "depthwise": (Problem(4, 9, 17, 17, (3, 3), (1, 1), ((1, 1), (1, 1)), groups=17), HOPPER),
    "depthwise everything": (
        Problem(6, 8, 9, 9, (3, 2), (2, 1), ((1, 2), (2, 0)), (2, 3), groups=9),
        TURING,
    ),
}


@pytest.mark.parametrize("skipped", [0, 4])
@pytest.mark.parametrize(("problem", "capability"), DIRECTLY.values(), ids=DIRECTLY)
def test_direct_convolution(problem, capability, skipped):
    """Of arrays that begin with a vector of four floats, and within one."""
    Convolution(problem, capability).check(*DIRECT, skipped=skipped)


# In vectors channels and filters of a group are whole vectors; elsewhere they need not be.
WINDOWS = {
    "groups": Problem(4, 4, 8, 16, (3, 2), (2, 1), ((1, 1), (1, 0)), groups=2),
    "dilated": Problem(5, 4, 4, 12, (2, 2), (2, 2), ((2, 1), (0, 1)), (1, 2)),
    "beyond a slice": Problem(3, 3, 12, 4, (3, 3), padding=((1, 1), (1, 1))),
    "odd": Problem(6, 7, 3, 5, (3, 2), (2, 1), ((1, 1), (0, 1)), (1, 2)),
    "strides over taps": Problem(7, 8, 2, 3, (2, 1), (3, 2)),
}
KERNELS = {"16x32": TURING, "tf32_64x64_vectorized": AMPERE}


@pytest.mark.parametrize("problem", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("tile", KERNELS)
def test_im2col(monkeypatch, tile, problem):
    if tile.endswith("vectorized") and problem.filters % 4:
        problem = replace(problem, channels=4, filters=8)
    precision = use(monkeypatch, tile, k_slices=2)
    Convolution(problem, KERNELS[tile], precision).check(*IM2COL)


def test_winograd(monkeypatch):
    use(monkeypatch, "16x32")
    problem = Problem(5, 6, 3, 4, (3, 3), padding=((1, 1), (1, 1)))
    Convolution(problem, HOPPER).check(*WINOGRAD, m=2)
