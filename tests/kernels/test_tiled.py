"""Large matrices go through the tiles by rows that stay in the cache."""

from __future__ import annotations

import numpy as np
import pytest
from building import assert_close, build, images

from fastcnn import functional
from fastcnn import layers as L
from fastcnn.graph.problem import Problem
from fastcnn.kernels.cpu.conv import direct, direct_kernel_gradient
from fastcnn.kernels.cpu.gemm import tiled
from fastcnn.losses import SparseCategoricalCrossentropy


@pytest.mark.parametrize(
    "layer",
    [
        lambda: L.Conv2D(70, 1, strategy="direct"),  # one long row of pixels
        lambda: L.Conv2D(70, 3, strides=2, padding="same", strategy="direct"),  # rows of an image
        lambda: L.Conv2D(66, 3, groups=2, strategy="direct"),
        lambda: L.Conv2D(70, 3, padding="same", strategy="winograd"),
        lambda: L.Conv2D(70, 3, strategy="im2col"),
    ],
)
def test_rows_by_rows_give_what_all_at_once_give(layer, monkeypatch):
    shape, results = (19, 23, 24), []
    for near in (1, 20_000, 1 << 60):
        monkeypatch.setattr(tiled, "NEAR", near)
        results.append(build(shape, [layer()], seed=2).predict(images(3, shape)))
    for received in results[:2]:
        assert_close(received, results[2], "sum", f"near {near}")


@pytest.mark.parametrize(
    "layer",
    [
        lambda: L.Conv2D(96, 3, strategy="direct"),
        lambda: L.Conv2D(96, 3, dilation_rate=2, strategy="direct"),
        lambda: L.Conv2D(96, 3, groups=2, strategy="direct"),
        lambda: L.Conv2D(96, 3, groups=2, dilation_rate=2, strategy="direct"),
    ],
)
def test_images_by_images_give_the_gradient_of_all_at_once(layer, monkeypatch):
    module = direct_kernel_gradient
    monkeypatch.setattr(module, "_sums_over_batch", lambda problem, pixels, images: pixels == 1)
    shape, results = (6, 6, 96), []
    x, y = images(7, shape), np.arange(7) % 3
    for near in (1, 50_000, 1 << 60):  # one image, two or three, all
        for limit in ("IMAGES_NEAR", "COPIES_NEAR"):
            monkeypatch.setattr(module, limit, near)
        layers = [layer(), L.GlobalAveragePooling2D(), L.Dense(3)]
        model = build(shape, layers, seed=2)
        model.compile("sgd", SparseCategoricalCrossentropy(from_logits=True))
        results.append(model.engine().gradients(x, y, None)[1])
    for received in results[:2]:
        assert_close(received, results[2], "sum", "gradients")


@pytest.mark.parametrize("filters", [32, 40, 9])
@pytest.mark.parametrize("size", [(9, 14), (1, 1)])
def test_a_result_written_past_the_caches_is_the_same(size, filters, monkeypatch):
    problem = Problem(size[0], size[1], 5, filters, (3, 3), padding=((1, 1), (1, 1)))
    rng, results = np.random.default_rng(0), []
    x = rng.standard_normal((3, *size, 5), dtype=np.float32)
    kernel = rng.standard_normal((3, 3, 5, filters), dtype=np.float32)
    for far in (1 << 60, 0):
        monkeypatch.setattr(direct, "FAR", far)
        results.append(functional.conv2d(x, kernel, None, problem))
    np.testing.assert_array_equal(*results)


def test_large_rows_are_cut_and_small_ones_are_not():
    long = tiled.grid_values(10_000, 128, k0=64, a_inner=256, c_inner=512)
    assert 0 < long["inner_near"] * 256 <= tiled.NEAR
    tall = tiled.grid_values(112, 128, rows_outer=112, k0=576, a_inner=256, a_outer=29_184)
    assert 0 < tall["outer_near"] * 112 * 256 <= tiled.NEAR
    one_band = tiled.grid_values(10_000, tiled.LANES, k0=64, a_inner=256)
    assert "inner_near" not in one_band
    wide_b = tiled.grid_values(10_000, 128, k0=1 << 20, a_inner=256)
    assert "inner_near" not in wide_b
