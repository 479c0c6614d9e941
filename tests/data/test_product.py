"""Products that round the same everywhere: against sums in NumPy, term by term, to the last bit."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from extensions import load, turns_during

from fastcnn import data
from fastcnn._ext.product import product
from fastcnn.data.augment import color, small_matrices

SIZES = [(1, 1, 1), (7, 5, 3), (6, 16, 16), (13, 130, 17), (97, 31, 300), (2, 300, 260), (5, 0, 4)]


@pytest.fixture(params=["release", "debug"])
def compiled(request):
    return load("product", request)


def numbers(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("count,depth,columns", SIZES)
def test_each_number_is_summed_in_order(compiled, count, depth, columns):
    left, right = numbers((count, depth)), numbers((depth, columns), 1)
    expected = np.zeros((count, columns), np.float32)
    for k in range(depth):
        expected += left[:, k, np.newaxis] * right[k]
    received = compiled.product(left, right)
    assert received.dtype == np.float32
    np.testing.assert_array_equal(received, expected)


def test_other_threads_may_run():
    left, right = numbers((300, 2000)), numbers((2000, 2000))
    assert turns_during(lambda: product(left, right)) > 2


@pytest.mark.parametrize(
    "left,right,error,words",
    [
        (numbers((2, 3)), numbers((4, 2)), ValueError, r"right must have the shape \(3, any\)"),
        (np.zeros((2, 3)), numbers((3, 2)), TypeError, "left must be an array of float32"),
        (numbers((3, 2)).T, numbers((3, 2)), ValueError, "left must be a C-contiguous"),
        (numbers(3), numbers((3, 2)), ValueError, "left must have the shape"),
    ],
)
def test_what_does_not_fit_is_refused(left, right, error, words):
    with pytest.raises(error, match=words):
        product(left, right)


WHITENED = """
import numpy as np
from fastcnn import data
generator = np.random.default_rng(6)
x = (generator.normal(size=(300, 48)) @ generator.normal(size=(48, 48)) + 10).astype(np.float32)
x = x.reshape(-1, 4, 4, 3)
zca = data.ZCAWhitening(epsilon=1e-6).fit(x)
whole = zca.apply(x.copy())
for size in (1, 7, 64, 100):
    parts = [zca.apply(x[k : k + size].copy()) for k in range(0, 300, size)]
    assert np.array_equal(np.concatenate(parts), whole), size
"""


@pytest.mark.parametrize("kernels", ["Haswell", "Zen", "Prescott"])
def test_whitening_does_not_depend_on_blas_and_the_batch(kernels):
    """Whichever kernels OpenBLAS, which finds the matrix, takes for the processor."""
    given = {**os.environ, "OPENBLAS_CORETYPE": kernels}
    subprocess.run([sys.executable, "-c", WHITENED], env=given, check=True, timeout=60)


def test_small_matrices():
    left, right = (np.random.default_rng(s).normal(size=(9, 3, 3)) for s in range(2))
    received = small_matrices.product(left, right)
    np.testing.assert_allclose(received, left @ right, rtol=0, atol=1e-14)
    for k in range(9):
        np.testing.assert_array_equal(
            small_matrices.product(left[k : k + 1], right[k])[0], received[k]
        )
    np.testing.assert_allclose(color.RGB @ color.YIQ, np.eye(3), rtol=0, atol=1e-15)


COLOURS = [
    *[data.RandomHue(0.5), data.RandomSaturation(0.5), data.RandomContrast(0.5)],
    *[data.RandomBrightness(0.2), data.RandomRotation(0.2), data.RandomZoom(0.2)],
]


@pytest.mark.parametrize("features", ["", "X86_V4 AVX512_ICL AVX512_SPR"])
def test_augmentation_does_not_depend_on_the_batch(features):
    """Nor on the vectors that NumPy takes; features that NumPy does not know cost a warning."""
    names = ", ".join(f"data.{one!r}" for one in COLOURS)
    script = f"""
import numpy as np
from fastcnn import data
x = np.random.default_rng(0).integers(0, 256, (40, 9, 7, 3), np.uint8)
augment = data.Augment([{names}])
whole = augment.apply(x, np.arange(40), 3)
for size in (1, 3, 16):
    parts = [augment.apply(x, np.arange(40)[k : k + size], 3) for k in range(0, 40, size)]
    assert np.array_equal(np.concatenate(parts), whole), size
"""
    given = {**os.environ, "NPY_DISABLE_CPU_FEATURES": features}
    subprocess.run([sys.executable, "-c", script], env=given, check=True, timeout=60)
