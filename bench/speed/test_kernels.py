"""Each direction of convolutions by itself, and NumPy's matrix product as the ceiling.

python -m pytest bench/speed/test_kernels.py --benchmark-sort=name
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "peers"))

import directions

from fastcnn.layers import Conv2D

BATCH = 32
# name: input shape, filters, the layer's other options
CONVOLUTIONS = {
    "3x3, 64 to 64, 28x28": ((28, 28, 64), 64, {"kernel_size": 3, "padding": "same"}),
    "5x5, 6 to 16, 14x14": ((14, 14, 6), 16, {"kernel_size": 5}),
    "5x5, 1 to 6, 28x28": ((28, 28, 1), 6, {"kernel_size": 5, "padding": "same"}),
    "3x3 strides 2, 32 to 64, 16x16": (
        (16, 16, 32),
        64,
        {"kernel_size": 3, "strides": 2, "padding": 1},
    ),
    "1x1, 64 to 64, 28x28": ((28, 28, 64), 64, {"kernel_size": 1}),
    "3x3 in 4 groups, 64 to 64, 28x28": (
        (28, 28, 64),
        64,
        {"kernel_size": 3, "padding": "same", "groups": 4},
    ),
}


@pytest.mark.parametrize("direction", directions.DIRECTIONS)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(benchmark, name, direction):
    shape, filters, options = CONVOLUTIONS[name]
    layer = Conv2D(filters, use_bias=False, **options)
    step = directions.make(direction, layer, shape, BATCH)
    benchmark(step)
    flops = 2 * BATCH * layer.multiply_adds()
    benchmark.extra_info["GFLOP/s"] = round(flops / benchmark.stats["median"] / 1e9)


def test_sgemm(benchmark):
    a, b = np.random.default_rng(0).random((2, 2048, 2048), dtype=np.float32)
    benchmark(np.matmul, a, b)
    benchmark.extra_info["GFLOP/s"] = round(2 * 2048**3 / benchmark.stats["median"] / 1e9)
