"""Kernels of convolutions whose filters do not see all channels: kept without what is not there."""

from __future__ import annotations

from math import prod

from fastcnn.backends.lowering.regions import Regions
from fastcnn.graph.program import Op
from fastcnn.kernels.call import BATCH, GLOBAL, DeviceKernel, Region


def kernel_of(low: Regions, op: Op) -> Region:
    """Return the kernel of a convolution or a product, with zeros for what is not connected."""
    kernel = low.parameter(op.parameters["kernel"])
    if op.attributes.get("connections") is None:
        return kernel
    dense = _dense(op)
    _emit(low, op, low.kernels.layout.spread_kernel, "dense", kernel, dense)
    return dense


def gradient_to(low: Regions, op: Op, gradient: Region) -> Region:
    """Return where a convolution's strategy is to write the kernel's gradient."""
    return gradient if op.attributes.get("connections") is None else _dense(op)


def keep_connected(low: Regions, op: Op, dense: Region, gradient: Region) -> None:
    """Emit the gradient of what is connected, where its strategy wrote one for all pairs."""
    if dense is not gradient:
        _emit(low, op, low.kernels.layout.gather_kernel, "kernel", gradient, dense)


def _dense(op: Op) -> Region:
    problem = op.attributes["problem"]
    size = prod(problem.kernel) * problem.channels * problem.filters
    return Region(4 * size, GLOBAL, per_image=False, label="connected kernel")


def _emit(
    low: Regions, op: Op, move: DeviceKernel, writes: str, kernel: Region, dense: Region
) -> None:
    """Emit a call that moves numbers between a kernel and that for all pairs."""
    numbers, count = [], 0
    for row in op.attributes["connections"]:
        for connected in row:
            count += connected
            numbers.append(float(count if connected else 0))
    places = {"kernel": kernel, "numbers": low.constant(numbers), "dense": dense}
    taps = prod(op.attributes["problem"].kernel)
    sizes = {"taps": taps, "pairs": len(numbers), "connected": count}
    low.emit(move, BATCH, writes, places, **sizes)
