"""A rectifier whose slope below zero is learned, and its gradients."""

import numpy as np

from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import quotient
from fastcnn.kernels.cuda.runtime.kernel import Floats, Int, elements, kernel
from fastcnn.kernels.cuda.runtime.memory_access import read, write

ZERO = np.float32(0)


@kernel(elements("rows", "columns"))
def prelu(count: Int, x: Floats, alpha: Floats, y: Floats, rows: Int, columns: Int):
    """y[r, c] = x[r, c] above 0, alpha[c] * x[r, c] below, of each image."""
    i = cuda.grid(1)
    while i < count * rows * columns:
        value = read(x, i, 0)
        slope = alpha[i - quotient(i, columns) * columns]
        write(y, i, 0, slope * value if value <= ZERO else value)
        i += cuda.gridsize(1)


@kernel(elements("rows", "columns"))
def prelu_dx(count: Int, x: Floats, dy: Floats, alpha: Floats, dx: Floats, rows: Int, columns: Int):
    """dx[r, c] = dy[r, c] where x > 0, else alpha[c] * dy[r, c], of each image."""
    i = cuda.grid(1)
    while i < count * rows * columns:
        above = read(dy, i, 0)
        slope = alpha[i - quotient(i, columns) * columns]
        write(dx, i, 0, slope * above if read(x, i, 0) <= ZERO else above)
        i += cuda.gridsize(1)


@kernel(elements("size"))
def prelu_terms(count: Int, x: Floats, dy: Floats, terms: Floats, size: Int):
    """terms = dy * min(x, 0): what the gradient of alpha sums."""
    i = cuda.grid(1)
    while i < count * size:
        value = read(x, i, 0)
        write(terms, i, 0, read(dy, i, 0) * value if value <= ZERO else ZERO)
        i += cuda.gridsize(1)
