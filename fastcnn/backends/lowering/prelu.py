"""A rectifier whose slope below zero is learned."""

from __future__ import annotations

from fastcnn.backends.lowering.regions import Regions
from fastcnn.graph.program import Op
from fastcnn.kernels.call import IMAGE


def _rows(op: Op) -> dict[str, int]:
    columns = op.parameters["alpha"].size
    return {"rows": op.outputs[0].size // columns, "columns": columns}


def prelu(low: Regions, op: Op) -> None:
    alpha = low.parameter(op.parameters["alpha"])
    places = {"x": low.region(op.inputs[0]), "alpha": alpha, "y": low.region(op.outputs[0])}
    low.emit(low.kernels.prelu.prelu, IMAGE, "y", places, **_rows(op))


def prelu_dx(low: Regions, op: Op) -> None:
    x, dy = (low.region(buffer) for buffer in op.inputs)
    alpha, dx = low.parameter(op.parameters["alpha"]), low.region(op.outputs[0])
    places = {"x": x, "dy": dy, "alpha": alpha, "dx": dx}
    low.emit(low.kernels.prelu.prelu_dx, IMAGE, "dx", places, **_rows(op))


def prelu_terms(low: Regions, op: Op) -> None:
    x, dy = (low.region(buffer) for buffer in op.inputs)
    places = {"x": x, "dy": dy, "terms": low.region(op.outputs[0])}
    low.emit(low.kernels.prelu.prelu_terms, IMAGE, "terms", places, size=op.outputs[0].size)
