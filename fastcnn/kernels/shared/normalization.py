"""Batch normalization's sums over a batch, the same calls on every device.

`kernels` is a device's nn/normalization.py: `empty_partial` is the memory of its partial sums, and
SUMMED how often a call adds to them.
"""

from __future__ import annotations

from types import ModuleType

from fastcnn.kernels.call import Calls, Region


def moments(kernels: ModuleType, calls: Calls, x: Region, pixels: int, channels: int) -> Region:
    """Emit what `batch_scale_shift` merges: each chunk's moments of x; return where they are."""
    partial = kernels.empty_partial(calls, pixels, channels, 1 + 2 * channels)
    places, sizes = {"x": x, "partial": partial}, {"pixels": pixels, "channels": channels}
    calls.emit(kernels.batch_moments, kernels.SUMMED, "partial", places, **sizes)
    return partial


def sums(
    kernels: ModuleType,
    calls: Calls,
    x: Region,
    dy: Region,
    moments: Region,
    pixels: int,
    channels: int,
    scale: Region | None = None,
    shift: Region | None = None,
) -> Region:
    """Emit what `batch_norm_dw` merges: each chunk's sums; return where they are.

    `scale` and `shift` are given where ReLU followed: dy counts only where it let x through.
    """
    partial = kernels.empty_partial(calls, pixels, channels, 2 * channels)
    places = {
        "x": x,
        "dy": dy,
        "moments": moments,
        "partial": partial,
        "scale": scale,
        "shift": shift,
    }
    sizes = {"pixels": pixels, "channels": channels}
    calls.emit(kernels.batch_norm_sums, kernels.SUMMED, "partial", places, **sizes)
    return partial
