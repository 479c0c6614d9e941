"""Strips of an image: so many pixels that they stay near while all their channels go by.

Kernels of channels take a vector of them through all pixels. Where a vector is half a cache line,
as on AVX2, or there are more channels than that, the next one meets the same lines again.
"""

from __future__ import annotations

from fastcnn.kernels.cpu.runtime.function import kernel_function

NEAR = 8192  # bytes of an array that stay in the first cache beside those of two others
LEAST = 16  # pixels, for which a vector's coefficients are loaded once


@kernel_function
def pixels_near(channels):
    """Return the pixels of a strip."""
    return max(LEAST, NEAR // (4 * channels))
