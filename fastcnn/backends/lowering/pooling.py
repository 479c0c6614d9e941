"""Pooling ops."""

from __future__ import annotations

from fastcnn.backends.lowering.arguments import has_relu
from fastcnn.backends.lowering.regions import Regions
from fastcnn.graph.problem import Padding, Problem
from fastcnn.graph.program import Op
from fastcnn.kernels.shared import pooling


def max_pool(low: Regions, op: Op) -> None:
    x, y = low.region(op.inputs[0]), low.region(op.outputs[0])
    index = low.region(op.outputs[1]) if len(op.outputs) == 2 else None
    pooling.max_forward(
        low.kernels.pooling, low.calls, op.attributes["problem"], x, y, index, has_relu(op)
    )


def max_pool_dx(low: Regions, op: Op) -> None:
    dy, index = low.region(op.inputs[0]), low.region(op.inputs[1])
    y = low.region(op.inputs[2]) if len(op.inputs) == 3 else None
    problem, dx = op.attributes["problem"], low.region(op.outputs[0])
    pooling.max_dx(low.kernels.pooling, low.calls, problem, dy, index, y, dx)


def average_pool(low: Regions, op: Op) -> None:
    x, y = low.region(op.inputs[0]), low.region(op.outputs[0])
    pooling.average_forward(low.kernels.pooling, low.calls, *_averaged(op), x, y)


def average_pool_dx(low: Regions, op: Op) -> None:
    dy, out = low.region(op.inputs[0]), low.region(op.outputs[0])
    pooling.average_dx(low.kernels.pooling, low.calls, *_averaged(op), dy, out)


def lp_pool(low: Regions, op: Op) -> None:
    x, y = low.region(op.inputs[0]), low.region(op.outputs[0])
    problem, norm = op.attributes["problem"], op.attributes["norm"]
    pooling.lp_forward(low.kernels.norm_pooling, low.calls, problem, norm, x, y)


def lp_pool_dx(low: Regions, op: Op) -> None:
    x, y, dy = (low.region(buffer) for buffer in op.inputs)
    problem, norm = op.attributes["problem"], op.attributes["norm"]
    dx = low.region(op.outputs[0])
    pooling.lp_dx(low.kernels.norm_pooling, low.calls, problem, norm, x, y, dy, dx)


def _averaged(op: Op) -> tuple[Problem, Padding]:
    """Return the problem and the padding whose pixels count in a mean."""
    return op.attributes["problem"], op.attributes.get("counted", ((0, 0), (0, 0)))
