"""Winograd's transforms and convolutions on CUDA, against float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import reference
from running import local, run, single

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import BATCH, IMAGE, Calls, LayerOperands
from fastcnn.kernels.cuda.conv import winograd, winograd_kernels
from fastcnn.kernels.cuda.gemm import gemm
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.kernel import Floats, Int, Kernel, elements
from fastcnn.kernels.shared.winograd import FORMS, TAPS, matrices

# Of a result's largest magnitude: a quarter of what the strategies state, the rest being for sums
# a thousand times as long.
ERROR = {4: 1e-5, 2: 2.5e-6}
IMAGES = 2
# Odd sizes that cut the last tiles, sides unlike each other, no padding, and more than the kernel
# reaches.
PROBLEMS = {
    "same": Problem(5, 6, 3, 4, (3, 3), padding=((1, 1), (1, 1))),
    "valid": Problem(7, 6, 2, 3, (3, 3)),
    "uneven": Problem(3, 5, 3, 2, (3, 3), padding=((0, 2), (3, 1))),
}
each_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
each_m = pytest.mark.parametrize("m", [m for m, side in FORMS if side == TAPS])


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def assert_near(received, expected, m):
    error = np.abs(received.reshape(expected.shape) - expected).max()
    assert error <= ERROR[m] * np.abs(expected).max()


def tiles_of(padded, size, m, high, wide):
    """[N, tiles, size, size, C] of images that reach beyond the last tile."""
    cut = [
        padded[:, m * row : m * row + size, m * column : m * column + size]
        for row in range(high)
        for column in range(wide)
    ]
    return np.stack(cut, axis=1)


def counts(problem, m):
    return -(-problem.out_height // m), -(-problem.out_width // m)


@each_m
def test_tiles_of_zeros_give_exactly_zero(m):
    """Whatever stands in other tiles. Beside other numbers a zero is their rounding."""
    problem = Problem(3 * m, m, 2, 3, (3, 3), padding=((1, 1), (1, 1)))
    x = numbers(IMAGES, problem.height, problem.width, problem.channels)
    x[:, m - 1 :] = 0  # beyond the first row of tiles, and the row above it
    source, kernel, y = local(x.shape[1:]), single((3, 3, 2, 3)), local((3 * m, m, 3))
    calls = Calls(IMAGES)
    winograd.conv2d_winograd(calls, problem, LayerOperands(source, kernel, y), m)
    received = run(calls, IMAGES, {source: x, kernel: numbers(3, 3, 2, 3, seed=1)})[y]
    received = received.reshape(IMAGES, 3 * m, m, 3)
    assert received[:, : m - 1].all() and not received[:, m:].any()


@each_m
@each_problem
def test_tiles_are_transformed_with_zeros_around_the_image(problem, m):
    _, _, b_t = matrices(m)
    high, wide = counts(problem, m)
    x = numbers(IMAGES, problem.height, problem.width, problem.channels)
    around = [(0, 0), *((before, after + m) for before, after in problem.padding), (0, 0)]
    tiles = tiles_of(np.pad(x.astype(float), around), m + 2, m, high, wide)
    expected = np.einsum("ip,ntpqc,jq->ntijc", b_t, tiles, b_t)
    source, v = local(x.shape[1:]), local(expected.shape[1:])
    calls = Calls(IMAGES)
    values = {"tiles_h": high, "tiles_w": wide, "channels": problem.channels}
    values.update(height=problem.height, width=problem.width)
    values.update(top=problem.padding[0][0], left=problem.padding[1][0])
    calls.emit(winograd_kernels.winograd_inputs[m], IMAGE, "v", {"x": source, "v": v}, **values)
    assert_near(run(calls, IMAGES, {source: x})[v], expected, m)


@each_m
def test_tiles_of_the_output_gradient(m):
    a_t, _, _ = matrices(m)
    dy = numbers(IMAGES, 5, 7, 3)
    high, wide = -(-5 // m), -(-7 // m)
    tiles = tiles_of(np.pad(dy.astype(float), [(0, 0), (0, m), (0, m), (0, 0)]), m, m, high, wide)
    expected = np.einsum("pi,ntpqc,qj->ntijc", a_t, tiles, a_t)
    source, w = local(dy.shape[1:]), local(expected.shape[1:])
    calls = Calls(IMAGES)
    values = {"tiles_h": high, "tiles_w": wide, "height": 5, "width": 7, "channels": 3}
    kernel = winograd_kernels.winograd_transposed_outputs[m]
    calls.emit(kernel, IMAGE, "v", {"x": source, "v": w}, **values)
    assert_near(run(calls, IMAGES, {source: dy})[w], expected, m)


@each_m
@pytest.mark.parametrize("finished", [False, True])
def test_products_become_pixels_within_the_image(m, finished):
    a_t, _, _ = matrices(m)
    high, wide, filters = -(-5 // m), -(-7 // m), 3
    products = numbers(IMAGES, high, wide, m + 2, m + 2, filters)
    offset = numbers(filters, seed=1)
    whole = np.einsum("ip,nhwpqf,jq->nhiwjf", a_t, products.astype(float), a_t)
    expected = whole.reshape(IMAGES, high * m, wide * m, filters)[:, :5, :7]
    if finished:
        expected = np.maximum(expected + offset, 0)
    source, y, bias = local(products.shape[1:]), local((5, 7, filters)), single((filters,))
    calls = Calls(IMAGES)
    values = {"tiles_h": high, "tiles_w": wide, "out_height": 5, "out_width": 7}
    values.update(filters=filters, rectified=finished)
    places = {"products": source, "y": y, "offset": bias if finished else None}
    calls.emit(winograd_kernels.winograd_outputs[m], IMAGE, "y", places, **values)
    assert_near(run(calls, IMAGES, {source: products, bias: offset})[y], expected, m)


@each_m
@pytest.mark.parametrize("flipped", [False, True])
def test_kernels_are_scaled_and_transformed(m, flipped):
    _, g, _ = matrices(m)
    kernel, scale = numbers(3, 3, 2, 5), None if flipped else numbers(5, seed=1)
    exact = kernel[::-1, ::-1] if flipped else kernel * scale
    expected = np.einsum("ip,pqcf,jq->ijcf", g, exact.astype(float), g)
    source, u, factors = single(kernel.shape), single(expected.shape), single((5,))
    calls = Calls(IMAGES)
    places = {"kernel": source, "u": u, "scale": None if flipped else factors}
    values = {"inner": 2, "outputs": 5, "flipped": flipped}
    calls.emit(winograd_kernels.winograd_kernel[m], BATCH, "u", places, **values)
    given = {source: kernel} if flipped else {source: kernel, factors: scale}
    assert_near(run(calls, IMAGES, given)[u], expected, m)


@each_m
def test_the_gradient_of_the_transformed_kernel_becomes_the_kernels(m):
    _, g, _ = matrices(m)
    d = numbers(m + 2, m + 2, 2, 5)
    expected = np.einsum("pi,pqcf,qj->ijcf", g, d.astype(float), g)
    source, gradient = single(d.shape), single(expected.shape)
    calls = Calls(IMAGES)
    places = {"d": source, "gradient": gradient}
    kernel = winograd_kernels.winograd_gradient[m]
    calls.emit(kernel, BATCH, "gradient", places, channels=2, filters=5)
    assert_near(run(calls, IMAGES, {source: d})[gradient], expected, m)


def plain(
    count: Int,
    a: Floats,
    b: Floats,
    c: Floats,
    rows: Int,
    columns: Int,
    inner: Int,
    groups: Int,
    a_row: Int,
    a_step: Int,
    b_row: Int,
    b_step: Int,
    c_row: Int,
    a_group: Int,
    b_group: Int,
    c_group: Int,
    summed: Int,
):
    """C[g][r, o] = sum of A[g][r, k] * B[g][k, o], a thread for each."""
    rows, inner = (rows, inner * count) if summed else (rows * count, inner)
    for i in range(cuda.grid(1), groups * rows * columns, cuda.gridsize(1)):
        g, r, o = i // columns // rows, i // columns % rows, i % columns
        total = np.float32(0)
        for k in range(inner):
            left = a[g * a_group + r * a_row + k * a_step]
            total += left * b[g * b_group + k * b_row + o * b_step]
        c[g * c_group + r * c_row + o] = total


class PlainProducts:
    """Stands in for `gemm`, whose tiles take the simulator too long to compute 36 times over."""

    Strides = gemm.Strides
    kernel = Kernel(plain, elements("groups", "rows", "columns"), fastmath=False)

    def product(self, calls, a, b, c, rows, columns, inner, strides, transposed):
        steps = {"b_row": 1, "b_step": inner} if transposed else {"b_row": columns, "b_step": 1}
        self._emit(calls, a, b, c, rows, columns, inner, strides, {**steps, "a_step": 1})

    def sum_of_products(self, calls, a, b, c, rows, columns, inner, strides):
        steps = {"a_row": 1, "a_step": strides.a_row, "b_step": 1, "c_row": columns, "summed": 1}
        self._emit(calls, a, b, c, rows, columns, inner, strides, steps)

    def _emit(self, calls, a, b, c, rows, columns, inner, strides, steps):
        given = {name: number for name, number in strides._asdict().items() if number is not None}
        sizes = {"rows": rows, "columns": columns, "inner": inner, **given, **steps}
        calls.emit(self.kernel, IMAGE, "c", {"a": a, "b": b, "c": c}, **sizes)


@pytest.fixture
def plain_products(monkeypatch):
    monkeypatch.setattr(winograd, "gemm", PlainProducts())


class Arrays:
    """A problem's x, kernel and dy, and what float64 makes of them."""

    def __init__(self, problem):
        self.problem = problem
        self.x = numbers(IMAGES, problem.height, problem.width, problem.channels)
        self.kernel = numbers(3, 3, problem.channels, problem.filters, seed=1)
        self.dy = numbers(IMAGES, problem.out_height, problem.out_width, problem.filters, seed=2)
        self.shape = {"padding": problem.padding}

    def forward(self, kernel):
        return reference.conv2d(self.x.astype(float), kernel.astype(float), **self.shape)

    def gradients(self):
        exact = (array.astype(float) for array in (self.dy, self.x, self.kernel))
        return reference.conv2d_backward(*exact, **self.shape)


@each_m
@each_problem
@pytest.mark.parametrize("finished", [False, True])
def test_forward(m, problem, finished, plain_products):
    """Plain, and with what inference folds in: a factor for each filter, a bias and ReLU."""
    arrays = Arrays(problem)
    factors, offset = (numbers(problem.filters, seed=seed) for seed in (3, 4))
    x, y = local(arrays.x.shape[1:]), local(arrays.dy.shape[1:])
    kernel = single(arrays.kernel.shape)
    given = {x: arrays.x, kernel: arrays.kernel}
    scale = bias = None
    expected = arrays.forward(arrays.kernel)
    if finished:
        scale, bias = single(factors.shape), single(offset.shape)
        given |= {scale: factors, bias: offset}
        expected = np.maximum(arrays.forward(arrays.kernel * factors) + offset, 0)
    calls = Calls(IMAGES)
    winograd.conv2d_winograd(
        calls, problem, LayerOperands(x, kernel, y, bias, scale, finished), m=m
    )
    assert_near(run(calls, IMAGES, given)[y], expected, m)


@each_m
@each_problem
def test_gradients(m, problem, plain_products):
    arrays = Arrays(problem)
    x, dx, dy = (local(one.shape[1:]) for one in (arrays.x, arrays.x, arrays.dy))
    kernel, dw = single(arrays.kernel.shape), single(arrays.kernel.shape)
    calls = Calls(IMAGES)
    winograd.conv2d_winograd_dx(calls, problem, dy, kernel, dx, m=m)
    winograd.conv2d_winograd_dw(calls, problem, x, dy, dw, m=m)
    memory = run(calls, IMAGES, {x: arrays.x, dy: arrays.dy, kernel: arrays.kernel})
    expected_dx, expected_dw = arrays.gradients()
    assert_near(memory[dx], expected_dx, m)
    assert_near(memory[dw], expected_dw, m)


def test_forward_on_the_tiles_of_matrix_products():
    problem = Problem(4, 5, 3, 4, (3, 3))
    arrays = Arrays(problem)
    x, y, kernel = local(arrays.x.shape[1:]), local(arrays.dy.shape[1:]), single((3, 3, 3, 4))
    calls = Calls(IMAGES)
    winograd.conv2d_winograd(calls, problem, LayerOperands(x, kernel, y), m=2)
    memory = run(calls, IMAGES, {x: arrays.x, kernel: arrays.kernel})
    assert_near(memory[y], arrays.forward(arrays.kernel), 2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kernel": (5, 5)}, "it takes 3x3 kernels only, not 5x5"),
        ({"strides": (2, 1)}, "it takes strides and dilation of 1 only"),
        ({"dilation": (1, 2)}, "it takes strides and dilation of 1 only"),
        ({"channels": 4, "groups": 2}, "it takes one group of channels only"),
    ],
)
def test_what_it_declines(change, reason):
    problem = PROBLEMS["same"]
    for direction in ("forward", "dx", "dw"):
        assert winograd.declines(direction, problem) is None
        assert winograd.declines(direction, replace(problem, **change)) == reason


@pytest.mark.parametrize("direction", ["forward", "dx", "dw"])
def test_larger_tiles_pay_where_there_is_much_to_multiply(direction):
    large = Problem(56, 56, 256, 256, (3, 3), padding=((1, 1), (1, 1)))
    times = [winograd.cycles(direction, large, 64, m=m) for m in (4, 2)]
    assert times[0] < times[1]
