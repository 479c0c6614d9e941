"""Convolutions and their gradients."""

from __future__ import annotations

from fastcnn.engines.lowering.arguments import folded, has_relu
from fastcnn.engines.lowering.regions import Regions
from fastcnn.kernels.cpu import conv_depthwise, conv_direct, conv_dx
from fastcnn.kernels.cpu.call import Region
from fastcnn.program import Op


def conv2d(low: Regions, op: Op) -> None:
    x, y = low.region(op.inputs[0]), low.region(op.outputs[0])
    kernel = low.parameter(op.parameters["kernel"])
    bias, scale = folded(low, op)
    conv_direct.forward(
        low.calls, op.attributes["problem"], x, kernel, bias, y, has_relu(op), scale
    )


def conv2d_dx(low: Regions, op: Op) -> None:
    problem = op.attributes["problem"]
    dy, out = low.region(op.inputs[0]), low.region(op.outputs[0])
    kernel = low.parameter(op.parameters["kernel"])
    conv_dx.input_gradient(low.calls, problem, dy, kernel, out)


def _bias_dw(low: Regions, op: Op, dy: Region) -> None:
    gradient = low.gradient(op, "bias")
    if gradient is not None:
        problem = op.attributes["problem"]
        pixels = problem.out_height * problem.out_width
        conv_direct.bias_dw(low.calls, pixels, problem.filters, dy, gradient)


def conv2d_dw(low: Regions, op: Op) -> None:
    x, dy = (low.region(buffer) for buffer in op.inputs)
    gradient = low.gradient(op, "kernel")
    if gradient is not None:
        conv_direct.dw(low.calls, op.attributes["problem"], x, dy, gradient)
    _bias_dw(low, op, dy)


def _one_filter_each(op: Op) -> bool:
    """Say whether the depthwise kernels fit; more filters a channel are a grouped convolution."""
    problem = op.attributes["problem"]
    return problem.filters == problem.channels


def depthwise(low: Regions, op: Op) -> None:
    if not _one_filter_each(op):
        conv2d(low, op)
        return
    x, y = low.region(op.inputs[0]), low.region(op.outputs[0])
    kernel = low.parameter(op.parameters["kernel"])
    bias, scale = folded(low, op)
    problem = op.attributes["problem"]
    conv_depthwise.forward(low.calls, problem, x, kernel, bias, y, has_relu(op), scale)


def depthwise_dx(low: Regions, op: Op) -> None:
    if not _one_filter_each(op):
        conv2d_dx(low, op)
        return
    dy, out = low.region(op.inputs[0]), low.region(op.outputs[0])
    kernel = low.parameter(op.parameters["kernel"])
    conv_depthwise.dx(low.calls, op.attributes["problem"], dy, kernel, out)


def depthwise_dw(low: Regions, op: Op) -> None:
    if not _one_filter_each(op):
        conv2d_dw(low, op)
        return
    x, dy = (low.region(buffer) for buffer in op.inputs)
    gradient = low.gradient(op, "kernel")
    if gradient is not None:
        conv_depthwise.dw(low.calls, op.attributes["problem"], x, dy, gradient)
    _bias_dw(low, op, dy)
