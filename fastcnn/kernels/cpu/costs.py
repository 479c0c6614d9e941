"""What the cost model takes for granted of a CPU: the numbers that no formula gives.

They depend on the width of the vectors, and were fitted to the lab's measurements:

    fastcnn bench conv cifar resnet34 --json times.json
    python tools/fit_cost_model.py times.json
"""

from __future__ import annotations

from typing import NamedTuple

from fastcnn.kernels.cpu.simd.vector_unit import LANES


class CpuCosts(NamedTuple):
    """Cycles of one thread, where no other unit is named."""

    tile: float  # of a register tile besides its multiply-adds: its record, first and last values
    transform_4: float  # of one vector of a tile of 4 x 4 inputs into or out of Winograd's basis
    transform_6: float  # the same of 6 x 6 inputs
    transform_8: float  # the same of 8 x 8 inputs
    meeting: float  # of the threads of a single image, before and after Winograd's products
    bytes_a_cycle: float  # of what lies beyond a core's caches
    im2col: float  # times what is counted: columns also displace what others have in the cache
    addition: float  # of a vector of columns into an image row, in direct convolution's dx
    blas_call: float  # of a call from the engine into Python and through NumPy
    fft_call: float  # of all such calls of an FFT convolution, an image


# The 45 of 8 lanes alone is not of that fit, which gave 12: with 12 LeNet-5's first layer was cut
# into tiles that took 1.2 times as long, on an AMD EPYC. The 500 was fitted to nine 5x5 problems of
# 1 to 32 channels there, and 16 lanes were given as much more than transform_6.
FITTED = {
    16: CpuCosts(70, 90, 110, 420, 6_000, 8, 1.05, 5, 40_000, 300_000),
    8: CpuCosts(45, 45, 130, 500, 6_000, 8, 1.47, 20, 40_000, 300_000),
}
# Narrower vectors have not been measured.
costs = FITTED.get(LANES, FITTED[8])
