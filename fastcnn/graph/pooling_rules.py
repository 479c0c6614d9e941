"""The backward rules of pooling; `autodiff` says what a rule is."""

from __future__ import annotations

from fastcnn.graph.moving_rules import Paths, Rule
from fastcnn.graph.program import GRADIENT, Buffer, Op, Program
from fastcnn.graph.relu_rules import through_relu


def _max_pool(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    x, y = op.inputs[0], op.outputs[0]
    index = program.buffer(y.shape, dtype="int32")
    program.rewire(op, outputs=(y, index))
    rectified = bool(op.attributes.get("activation"))
    if rectified and program.relu_rule != GRADIENT:
        dy, rectified = through_relu(program, op, dy), False
    reads = [dy, index, y] if rectified else [dy, index]
    return [(x, program.add("max_pool_dx", reads, x.shape, problem=op.attributes["problem"]))]


def _average_pool(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    x = op.inputs[0]
    return [(x, program.add("average_pool_dx", [dy], x.shape, **op.attributes))]


def _lp_pool(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    x, y = op.inputs[0], op.outputs[0]
    return [(x, program.add("lp_pool_dx", [x, y, dy], x.shape, **op.attributes))]


POOLING_RULES: dict[str, Rule] = {
    "average_pool": _average_pool,
    "lp_pool": _lp_pool,
    "max_pool": _max_pool,
}
