"""Convolutions whose kernels differ from pixel to pixel, and their gradients."""

from __future__ import annotations

from fastcnn.backends.lowering.arguments import operands_of
from fastcnn.backends.lowering.regions import Regions
from fastcnn.graph.program import Op


def local_conv(low: Regions, op: Op) -> None:
    kernels, problem = low.kernels.locally_connected, op.attributes["problem"]
    kernels.forward(low.calls, problem, operands_of(low, op))


def local_conv_dx(low: Regions, op: Op) -> None:
    kernel, dy = low.parameter(op.parameters["kernel"]), low.region(op.inputs[0])
    kernels, problem = low.kernels.locally_connected, op.attributes["problem"]
    kernels.dx(low.calls, problem, dy, kernel, low.region(op.outputs[0]))


def local_conv_dw(low: Regions, op: Op) -> None:
    x, dy = (low.region(buffer) for buffer in op.inputs)
    kernel, bias = low.gradient(op, "kernel"), low.gradient(op, "bias")
    if kernel is not None:
        low.kernels.locally_connected.dw(low.calls, op.attributes["problem"], x, dy, kernel)
    if bias is not None:  # of a dense layer of as many units
        low.kernels.dense.bias_dw(low.calls, dy, bias, op.inputs[1].size)
