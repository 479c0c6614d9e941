"""gather: against NumPy, for every dtype and shape; refusals in words; the GIL is released."""

from __future__ import annotations

import numpy as np
import pytest
from extensions import load, turns_during

from fastcnn._ext import batch


@pytest.fixture(params=["release", "debug"])
def gather(request):
    return load("batch", request).gather


@pytest.mark.parametrize("shape", [(7, 5, 4, 3), (3, 28, 28, 1), (9,), (1, 1), (4, 0, 2)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_gather_is_numpys_indexing(gather, dtype, shape):
    generator = np.random.default_rng(3)
    x = (generator.random(shape) * 255).astype(dtype)
    x.flags.writeable = False
    indices = generator.integers(0, len(x), 11)
    out = np.full((11, *shape[1:]), np.nan, np.float32)
    assert gather(x, indices, out) is out
    np.testing.assert_array_equal(out, x[indices].astype(np.float32))


def test_gather_of_nothing(gather):
    out = np.empty((0, 2), np.float32)
    assert gather(np.ones((3, 2), np.float32), np.empty(0, np.int64), out) is out
    assert gather(np.ones((0, 2), np.float32), np.empty(0, np.int64), out) is out


X = np.arange(12, dtype=np.float32).reshape(4, 3)
ORDER = np.array([1, 3])
OUT = np.zeros((2, 3), np.float32)

REFUSALS = [
    ((X, np.array([1, 4]), OUT), IndexError, "from 0 to 3 .* Received 4 at position 1"),
    ((X, np.array([-1, 0]), OUT), IndexError, "Received -1 at position 0"),
    ((X[:0], ORDER, OUT), IndexError, "0 images"),
    ((X.astype(np.float64), ORDER, OUT), TypeError, "x must be .*uint8 or float32.*float64"),
    (([1.0], ORDER, OUT), TypeError, "x must be .*Received list"),
    ((X, ORDER.astype(np.int32), OUT), TypeError, "indices must be .*int64.*int32"),
    ((X, ORDER, OUT.astype(np.float64)), TypeError, "out must be .*float32.*float64"),
    ((X[:, ::2], ORDER, np.zeros((2, 2), np.float32)), ValueError, "x must be a C-contiguous"),
    ((X, ORDER, np.zeros((3, 2), np.float32).T), ValueError, "out must be a C-contiguous"),
    ((X.astype(">f4"), ORDER, OUT), ValueError, "native byte order"),
    ((X, ORDER, np.zeros((3, 3), np.float32)), ValueError, r"shape \(2, 3\)\. Received \(3, 3\)"),
    ((X, ORDER, np.zeros((2, 2), np.float32)), ValueError, r"shape \(2, 3\)\. Received \(2, 2\)"),
    (
        (X, ORDER[None], np.zeros((1, 2, 3), np.float32)),
        ValueError,
        r"shape \(any\)\. Received \(1, 2\)",
    ),
    (
        (X[0, 0, ...], ORDER, OUT),
        ValueError,
        r"x must have the shape \(any, \.\.\.\)\. Received \(\)",
    ),
    ((X, ORDER, np.broadcast_to(np.float32(0), (2, 3))), ValueError, "out must be a C-contig"),
]


@pytest.mark.parametrize(("arguments", "error", "words"), REFUSALS)
def test_gather_refuses(gather, arguments, error, words):
    with pytest.raises(error, match=words):
        gather(*arguments)
    assert not OUT.any()


def test_gather_refuses_a_read_only_target(gather):
    out = np.zeros((2, 3), np.float32)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="writeable"):
        gather(X, ORDER, out)


def test_two_threads_run_at_once():
    """While one thread gathers, another one runs: the GIL is not held."""
    x = np.zeros((64, 4096), np.uint8)
    indices = np.arange(8192) % len(x)
    out = np.empty((len(indices), 4096), np.float32)
    out[:] = 0
    # A busy machine may not give the second thread a turn at once; a held GIL never does.
    assert any(turns_during(lambda: batch.gather(x, indices, out)) for _ in range(20))
