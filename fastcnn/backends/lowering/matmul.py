"""Matrix products and their gradients."""

from __future__ import annotations

from fastcnn.backends.lowering.arguments import operands_of
from fastcnn.backends.lowering.regions import Regions
from fastcnn.graph.program import Op
from fastcnn.kernels.call import Region


def matmul(low: Regions, op: Op) -> None:
    training, (_, sizes) = low.program.training, _kernel(low, op)
    low.kernels.dense.forward(low.calls, operands_of(low, op), sizes, training)


def matmul_dx(low: Regions, op: Op) -> None:
    dy, out = low.region(op.inputs[0]), low.region(op.outputs[0])
    kernel, sizes = _kernel(low, op)
    low.kernels.dense.dx(low.calls, dy, kernel, out, sizes)


def matmul_dw(low: Regions, op: Op) -> None:
    x, dy = (low.region(buffer) for buffer in op.inputs)
    kernel, bias = low.gradient(op, "kernel"), low.gradient(op, "bias")
    _, sizes = _kernel(low, op)
    if kernel is not None:
        low.kernels.dense.dw(low.calls, x, dy, kernel, sizes)
    if bias is not None:
        low.kernels.dense.bias_dw(low.calls, dy, bias, sizes[1])


def _kernel(low: Regions, op: Op) -> tuple[Region, tuple[int, int]]:
    """Return the kernel's region and its sizes (features, units)."""
    kernel = op.parameters["kernel"]
    features, units = kernel.shape
    return low.parameter(kernel), (features, units)
