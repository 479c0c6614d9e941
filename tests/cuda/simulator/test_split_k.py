"""Sums of K slices in the simulator: their order, and what is done to a sum at the end."""

from __future__ import annotations

import numpy as np
import pytest
from running import local, run, single

from fastcnn.kernels.call import Calls
from fastcnn.kernels.cuda.gemm import split_k

RNG = np.random.default_rng(0)


def folded(partial, images=1, **settings):
    k_slices, size = partial.shape
    each = settings.pop("each_image", 0)
    calls, of_partial = Calls(images), single(partial.shape)
    c = local((each,)) if each else single((size,))
    given = {of_partial: partial}
    for name in ("scale", "bias"):
        if name in settings:
            array, settings[name] = settings[name], single(settings[name].shape)
            given[settings[name]] = array
    split_k.fold(calls, of_partial, c, k_slices, 0 if each else size, each, size, **settings)
    return run(calls, images, given)[c]


@pytest.mark.parametrize(("k_slices", "each"), [(20, 3), (8, 1), (3, 2), (1, 1)])
def test_k_slices_are_added_in_order(k_slices, each):
    """Numbers whose sum in float32 depends on the order; where 20 K slices have 8 parts, the last
    is empty; 3 K slices have 2 parts."""
    partial = RNG.standard_normal((k_slices, 75)).astype(np.float32)
    partial *= 10 ** RNG.integers(0, 7, partial.shape).astype(np.float32)
    expected = np.zeros(75, np.float32)
    for first in range(0, k_slices, each):
        total = np.zeros(75, np.float32)
        for row in partial[first : first + each]:
            total += row
        expected += total
    assert np.array_equal(folded(partial), expected)


def test_a_sum_has_the_scale_and_bias_of_its_column_and_relu():
    """Fewer images than would fit between the K slices."""
    columns, rows, images = 5, 3, 2
    partial = RNG.integers(-8, 8, (4, 3 * rows * columns)).astype(np.float32)
    scale, bias = (RNG.integers(-3, 4, columns).astype(np.float32) for _ in range(2))
    settings = {"columns": columns, "scale": scale, "bias": bias, "relu": True}
    found = folded(partial, images, each_image=rows * columns, **settings)
    sums = partial.sum(axis=0)[: images * rows * columns].reshape(-1, columns)
    assert np.array_equal(found.reshape(-1, columns), np.maximum(sums * scale + bias, 0))
