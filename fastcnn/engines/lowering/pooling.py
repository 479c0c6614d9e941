"""Pooling ops."""

from __future__ import annotations

from fastcnn.engines.lowering.arguments import has_relu
from fastcnn.engines.lowering.regions import Regions
from fastcnn.program import Op


def max_pool(low: Regions, op: Op) -> None:
    x, y = low.region(op.inputs[0]), low.region(op.outputs[0])
    index = low.region(op.outputs[1]) if len(op.outputs) == 2 else None
    low.kernels.pool.max_forward(low.calls, op.attributes["problem"], x, y, index, has_relu(op))


def max_pool_dx(low: Regions, op: Op) -> None:
    dy, index = low.region(op.inputs[0]), low.region(op.inputs[1])
    y = low.region(op.inputs[2]) if len(op.inputs) == 3 else None
    low.kernels.pool.max_dx(
        low.calls, op.attributes["problem"], dy, index, y, low.region(op.outputs[0])
    )


def average_pool(low: Regions, op: Op) -> None:
    x, y = low.region(op.inputs[0]), low.region(op.outputs[0])
    low.kernels.pool.average_forward(low.calls, op.attributes["problem"], x, y)


def average_pool_dx(low: Regions, op: Op) -> None:
    dy, out = low.region(op.inputs[0]), low.region(op.outputs[0])
    low.kernels.pool.average_dx(low.calls, op.attributes["problem"], dy, out)
