"""Matrix products and sums of products on the GPU's tiles, in the simulator, against float64."""

from __future__ import annotations

import numpy as np
import pytest
from building import assert_close
from running import local, run, single

from fastcnn.kernels.call import Calls, Region
from fastcnn.kernels.cuda.gemm import gemm, tile_selection
from fastcnn.kernels.cuda.gemm.tile import Tile

RNG = np.random.default_rng(0)
SMALL = Tile(32, 32, 8, 8, 4)  # a single warp, so that small matrices already are several tiles


def numbers(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def use(monkeypatch, tile, k_slices=1):
    """Compute every product in tiles of one size."""
    for kind in (gemm.PRODUCT, gemm.TRANSPOSED, gemm.SUM):
        if (kind, tile) not in gemm.KERNELS:
            monkeypatch.setitem(gemm.KERNELS, (kind, tile), gemm.make_kernel(kind, tile))
    monkeypatch.setattr(gemm, "best_plan", lambda *_: tile_selection.Plan(tile, k_slices, 0.0))


@pytest.mark.parametrize("tile", tile_selection.TILES["float32"], ids=lambda tile: tile.name)
def test_a_tile_of_each_size(monkeypatch, tile):
    """One tile and a slice more than two, with an edge in each direction."""
    use(monkeypatch, tile)
    rows, columns, inner = 31, 30, tile.depth + 1
    a, b = numbers(rows, inner), numbers(inner, columns)
    calls, of_a, of_b, c = Calls(1), local(a.shape), single(b.shape), local((rows, columns))
    gemm.product(calls, of_a, of_b, c, rows, columns, inner)
    found = run(calls, 1, {of_a: a, of_b: b})[c].reshape(rows, columns)
    assert_close(found, a.astype(float) @ b, "sum", tile.name)


@pytest.mark.parametrize(
    ("k_slices", "transposed", "groups"), [(1, False, 2), (1, True, 1), (3, True, 2)]
)
def test_product(monkeypatch, k_slices, transposed, groups):
    """Groups beside each other in the rows; more images would fit than are there."""
    use(monkeypatch, SMALL, k_slices)
    images, rows, columns, inner = 2, 17, 10, 19
    x, kernel = numbers(images, rows, groups, inner), numbers(inner, groups, columns)
    bias, scale = numbers(groups * columns), numbers(groups * columns)
    lying = np.ascontiguousarray(np.moveaxis(kernel, 0, 2)) if transposed else kernel
    of_x, y = local(x.shape[1:]), local((rows, groups, columns))
    of_kernel, of_bias, of_scale = (single(one.shape) for one in (kernel, bias, scale))
    calls = Calls(3)
    gemm.product(
        calls,
        of_x,
        of_kernel,
        y,
        rows,
        columns,
        inner,
        gemm.Strides(
            groups,
            a_row=groups * inner,
            b_row=inner if transposed else groups * columns,
            c_row=groups * columns,
            a_group=inner,
            b_group=columns * inner if transposed else columns,
            c_group=columns,
        ),
        transposed=transposed,
        bias=of_bias,
        scale=of_scale,
        relu=True,
    )
    given = {of_x: x, of_kernel: lying, of_bias: bias, of_scale: scale}
    found = run(calls, images, given)[y].reshape(images, rows, groups, columns)
    expected = np.einsum("nrgk,kgo->nrgo", x.astype(float), kernel)
    expected = expected * scale.reshape(groups, columns) + bias.reshape(groups, columns)
    assert_close(found, np.maximum(expected, 0.0), "sum", "c")


@pytest.mark.parametrize(("k_slices", "groups"), [(1, 2), (3, 1)])
def test_sum_of_products(monkeypatch, k_slices, groups):
    use(monkeypatch, SMALL, k_slices)
    images, rows, columns, inner = 3, 33, 10, 9
    x, dy = numbers(images, inner, groups, rows), numbers(images, inner, groups, columns)
    of_x, of_dy, gradient = local(x.shape[1:]), local(dy.shape[1:]), single((groups, rows, columns))
    calls = Calls(images)
    gemm.sum_of_products(
        calls,
        of_x,
        of_dy,
        gradient,
        rows,
        columns,
        inner,
        gemm.Strides(
            groups,
            a_row=groups * rows,
            b_row=groups * columns,
            a_group=rows,
            b_group=columns,
            c_group=rows * columns,
        ),
    )
    found = run(calls, images, {of_x: x, of_dy: dy})[gradient].reshape(groups, rows, columns)
    assert_close(found, np.einsum("nkgi,nkgo->gio", x.astype(float), dy), "sum", "c")


def test_a_plan_fills_the_card():
    """Few tiles are split, many are not; few rows or columns take tiles of their shape."""
    large = tile_selection.best_plan(100_000, 256, 1152)
    assert (large.tile, large.k_slices) == (tile_selection.TILES["float32"][0], 1)
    dense = tile_selection.best_plan(32, 4096, 4096)
    assert dense.tile.rows == 32
    assert dense.tile.blocks(32, 4096) * dense.k_slices >= 128
    assert tile_selection.best_plan(100_000, 24, 1152).tile.columns == 32
    assert tile_selection.best_plan(1152, 128, 100_000).k_slices > 1


@pytest.mark.parametrize(("rows", "inner"), [(1 << 20, 4), (1, 1 << 25)], ids=["rows", "step"])
def test_what_goes_beyond_32_bits_is_refused(rows, inner):
    """More rows in all than a kernel counts, and rows too far apart for a tile's offsets."""
    calls = Calls(1 << 11)
    calls.label = "wide"
    a, b, c = (Region(4 * 4) for _ in range(3))
    with pytest.raises(ValueError, match=r"wide: in a batch of 2048 images .* smaller batches"):
        gemm.product(calls, a, b, c, rows, 4, inner)
    assert not calls.emitted
