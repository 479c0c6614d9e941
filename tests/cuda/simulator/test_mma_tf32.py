"""Products in TF32: rounding, and the places of a tensor core's numbers in a tile.

The simulator has no tensor cores: a Python function takes from each thread what the instruction
would, and puts the numbers where NVIDIA's tables say.
"""

from __future__ import annotations

import numpy as np
import pytest
import reference
from running import local, run, single

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import Address, Calls, LayerOperands
from fastcnn.kernels.cuda.conv import im2col
from fastcnn.kernels.cuda.gemm import gemm, tile_selection
from fastcnn.kernels.cuda.gemm.mma_instruction import rounded
from fastcnn.kernels.cuda.gemm.tile import TF32, Tile

RNG = np.random.default_rng(0)
SMALL = Tile(32, 32, 8, 4, 8, TF32)  # one warp
SMALL_VECTORIZED = SMALL._replace(width=4)
each_width = pytest.mark.parametrize("tile", [SMALL, SMALL_VECTORIZED], ids=["ones", "vectorized"])
IMAGES = 2


def numbers(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def weights(problem):
    return numbers(*problem.kernel, problem.channels_per_group, problem.filters)


def to_tf32(array):
    """Return the nearest numbers with 10 bits of mantissa, halves away from zero, in float64."""
    mantissa, exponent = np.frexp(array.astype(float))
    whole = np.trunc(mantissa * 2**11 + np.copysign(0.5, mantissa))
    return np.ldexp(whole / 2**11, exponent)


def assert_sums(received, expected):
    """Products of 11 by 11 bits are exact in float32: only their sums are rounded."""
    assert received.shape == expected.shape
    assert np.abs(received - expected).max() <= 2e-6 * np.abs(expected).max()


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    makers = {"FORWARD": "make_forward", "DX": "make_dx", "DW": "make_dw"}
    for tile in (SMALL, SMALL_VECTORIZED):
        for kind in (gemm.PRODUCT, gemm.TRANSPOSED, gemm.SUM):
            monkeypatch.setitem(gemm.KERNELS, (kind, tile), gemm.make_kernel(kind, tile))
        for table, make in makers.items():
            made = getattr(im2col, make)(tile)
            monkeypatch.setitem(getattr(im2col, table), tile, made)


def use(monkeypatch, tile, k_slices=1):
    for module in (gemm, im2col):
        monkeypatch.setattr(
            module, "best_plan", lambda *_: tile_selection.Plan(tile, k_slices, 0.0)
        )


def test_rounding_goes_to_the_nearest():
    values = numbers(200)
    assert np.array_equal([rounded(v) for v in values], to_tf32(values).astype(np.float32))
    half = np.float32(1 + 2**-11)
    assert rounded(half) == 1 + 2**-10
    assert rounded(-half) == -1 - 2**-10


@pytest.mark.parametrize("tile", tile_selection.TILES[TF32][1:], ids=lambda tile: tile.name)
def test_a_tile_of_each_size(monkeypatch, tile):
    """Every thread's place in a tile, with an edge in each direction."""
    use(monkeypatch, tile)
    rows, columns, inner = tile.rows - 1, tile.columns - tile.width, 3 * tile.width
    a, b = numbers(rows, inner), numbers(inner, columns)
    calls, of_a, of_b, c = Calls(1), local(a.shape), single(b.shape), local((rows, columns))
    gemm.product(calls, of_a, of_b, c, rows, columns, inner)
    found = run(calls, 1, {of_a: a, of_b: b})[c].reshape(rows, columns)
    assert_sums(found, to_tf32(a) @ to_tf32(b))


def test_a_plan_has_the_precision_that_is_asked_for():
    assert tile_selection.best_plan(10_000, 128, 1152, 1, TF32).tile.precision == TF32
    assert tile_selection.best_plan(10_000, 128, 1152).tile.precision == "float32"


# Windows that go beyond the image, more taps than a slice; with groups, and with whole vectors of
# channels, also where a dilated and strided gradient goes in phases.
PROBLEMS = [
    (SMALL, Problem(4, 4, 2, 4, (3, 2), (2, 1), ((1, 1), (1, 0)), groups=2)),
    (SMALL_VECTORIZED, Problem(4, 3, 8, 8, (3, 2), (2, 1), ((1, 1), (1, 0)), groups=2)),
    (SMALL_VECTORIZED, Problem(5, 4, 4, 12, (2, 2), (2, 2), ((2, 1), (0, 1)), (1, 2))),
]


@pytest.mark.parametrize(("tile", "problem"), PROBLEMS, ids=["ones", "vectorized", "dilated"])
def test_convolution_and_its_gradients(monkeypatch, tile, problem):
    use(monkeypatch, tile)
    x = numbers(IMAGES, problem.height, problem.width, problem.channels)
    dy = numbers(IMAGES, problem.out_height, problem.out_width, problem.filters)
    kernel, bias = weights(problem), numbers(problem.filters)
    of_x, of_dy, of_kernel = local(x.shape[1:]), local(dy.shape[1:]), single(kernel.shape)
    of_bias, gradient = single(bias.shape), single(kernel.shape)
    y, dx = local(dy.shape[1:]), local(x.shape[1:])
    calls = Calls(IMAGES, precision=TF32)
    im2col.conv2d_im2col(calls, problem, LayerOperands(of_x, of_kernel, y, of_bias))
    im2col.conv2d_im2col_dx(calls, problem, of_dy, of_kernel, dx)
    im2col.conv2d_im2col_dw(calls, problem, of_x, of_dy, gradient)
    memory = run(calls, IMAGES, {of_x: x, of_dy: dy, of_kernel: kernel, of_bias: bias})
    settings = (problem.strides, problem.padding, problem.dilation, problem.groups)
    x, dy, kernel = (to_tf32(one) for one in (x, dy, kernel))
    expected_dx, expected_dw = reference.conv2d_backward(dy, x, kernel, *settings)
    assert_sums(memory[y].reshape(dy.shape), reference.conv2d(x, kernel, *settings) + bias)
    assert_sums(memory[dx].reshape(x.shape), expected_dx)
    assert_sums(memory[gradient].reshape(kernel.shape), expected_dw)


@each_width
def test_a_dense_layer_and_its_gradients(monkeypatch, tile):
    """More features than a slice, more than a tile, and a batch that ends within a slice."""
    use(monkeypatch, tile)
    images, features, units = 9, 36, 8
    x, kernel, dy = numbers(images, features), numbers(features, units), numbers(images, units)
    of_x, of_dy, of_kernel = local((features,)), local((units,)), single(kernel.shape)
    y, dx, gradient = local((units,)), local((features,)), single(kernel.shape)
    calls = Calls(images, precision=TF32)
    gemm.product(calls, of_x, of_kernel, y, 1, units, features)
    gemm.product(calls, of_dy, of_kernel, dx, 1, features, units, transposed=True)
    gemm.sum_of_products(calls, of_x, of_dy, gradient, features, units, 1)
    memory = run(calls, images, {of_x: x, of_dy: dy, of_kernel: kernel})
    x, dy, kernel = (to_tf32(one) for one in (x, dy, kernel))
    assert_sums(memory[y].reshape(dy.shape), x @ kernel)
    assert_sums(memory[dx].reshape(x.shape), dy @ kernel.T)
    assert_sums(memory[gradient].reshape(kernel.shape), x.T @ dy)


@pytest.mark.parametrize(("inner", "k_slices"), [(1, 1), (9, 3), (41, 1)])
def test_slices_go_through_all_stages(monkeypatch, inner, k_slices):
    """From fewer slices than are ahead to more than there are stages; a K slice without any."""
    use(monkeypatch, SMALL, k_slices)
    a, b = numbers(9, inner), numbers(inner, 5)
    calls, of_a, of_b, c = Calls(9), local((inner,)), single(b.shape), local((5,))
    gemm.product(calls, of_a, of_b, c, 1, 5, inner)
    found = run(calls, 9, {of_a: a, of_b: b})[c].reshape(9, 5)
    assert_sums(found, to_tf32(a) @ to_tf32(b))


def test_vectors_need_whole_rows_that_begin_at_them(monkeypatch):
    """A place in the middle of a vector, an odd number of columns: each number by itself."""
    asked = []

    def plan(*given):
        asked.append(given[-1])
        return tile_selection.Plan(SMALL, 1, 0.0)

    monkeypatch.setattr(gemm, "best_plan", plan)
    calls, a, c = Calls(1, precision=TF32), single((8, 12)), single((8, 8))
    for b, columns in ((single((8, 8)), 8), (Address(single((8, 8)), 4), 8), (single((8, 7)), 7)):
        gemm.product(calls, a, b, c, 8, columns, 8, gemm.Strides(a_row=12))
    gemm.product(calls, a, single((8, 8)), c, 8, 8, 8, gemm.Strides(a_row=10))
    assert asked == [True, False, False, False]
    for vectorized in asked[:2]:
        tile = tile_selection.best_plan(10_000, 128, 1152, 1, TF32, vectorized).tile
        assert tile.width == (4 if vectorized else 1)
