"""Convolutions and their gradients, by the strategy that each op names."""

from __future__ import annotations

from fastcnn.backends.lowering.arguments import operands_of
from fastcnn.backends.lowering.connections import gradient_to, keep_connected, kernel_of
from fastcnn.backends.lowering.regions import Regions
from fastcnn.graph.program import Op
from fastcnn.kernels.registry import Strategy


def _strategy(low: Regions, op: Op) -> Strategy:
    return low.kernels.conv.STRATEGIES[op.attributes["strategy"]]


def conv2d(low: Regions, op: Op) -> None:
    _strategy(low, op).forward(low.calls, op.attributes["problem"], operands_of(low, op))


def conv2d_dx(low: Regions, op: Op) -> None:
    dy, out = low.region(op.inputs[0]), low.region(op.outputs[0])
    kernel = kernel_of(low, op)
    _strategy(low, op).dx(low.calls, op.attributes["problem"], dy, kernel, out)


def conv2d_dw(low: Regions, op: Op) -> None:
    x, dy = (low.region(buffer) for buffer in op.inputs)
    problem = op.attributes["problem"]
    gradient, bias = low.gradient(op, "kernel"), low.gradient(op, "bias")
    if gradient is not None:
        dense = gradient_to(low, op, gradient)
        _strategy(low, op).dw(low.calls, problem, x, dy, dense)
        keep_connected(low, op, dense, gradient)
    if bias is not None:
        pixels = problem.out_height * problem.out_width
        low.kernels.bias.bias_dw(low.calls, pixels, problem.filters, dy, bias)


def conv2d_sparse_dx(low: Regions, op: Op) -> None:
    dy, index = (low.region(buffer) for buffer in op.inputs)
    problem, pooling = op.attributes["problem"], op.attributes["pooling"]
    gradients, out = low.kernels.conv.sparse_gradients, low.region(op.outputs[0])
    gradients.conv2d_sparse_dx(low.calls, problem, pooling, dy, index, kernel_of(low, op), out)


def conv2d_sparse_dw(low: Regions, op: Op) -> None:
    x, dy, index = (low.region(buffer) for buffer in op.inputs)
    problem, pooling = op.attributes["problem"], op.attributes["pooling"]
    gradient, bias = low.gradient(op, "kernel"), low.gradient(op, "bias")
    if gradient is not None:
        gradients = low.kernels.conv.sparse_gradients
        gradients.conv2d_sparse_dw(low.calls, problem, pooling, x, dy, index, gradient)
    if bias is not None:
        windows = pooling.out_height * pooling.out_width
        low.kernels.bias.bias_dw(low.calls, windows, problem.filters, dy, bias)
