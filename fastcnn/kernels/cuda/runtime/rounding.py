"""Numbers rounded and cut as the host does: a compiler would round most products with a sum."""

from __future__ import annotations

from typing import Any

from fastcnn.kernels.cuda.runtime.device import SIMULATED, cuda
from fastcnn.kernels.cuda.runtime.kernel import inline

__all__ = ["cut", "product", "product_of_doubles"]

if SIMULATED:

    def product(a: Any, b: Any) -> Any:
        """Return a * b, both float32."""
        return a * b

    def product_of_doubles(a: Any, b: Any) -> Any:
        """Return a * b, both float64."""
        return a * b

else:
    product = cuda.libdevice.fmul_rn
    product_of_doubles = cuda.libdevice.dmul_rn


@inline
def cut(number, low, high):
    """Return the number between two limits; a NaN stays one."""
    number = low if low > number else number
    return high if high < number else number
