"""Convolutions whose gradients come from max pooling: kept sparse where that is cheaper.

The gradient that max pooling passes on has one number of each window that is not zero. It is never
written where all that would read it are gradients of a convolution that take the pooling's own.
"""

from __future__ import annotations

from math import inf

from fastcnn.graph.problem import Problem
from fastcnn.graph.program import Buffer, Op, Program
from fastcnn.kernels.cpu.conv import STRATEGIES, sparse_gradients
from fastcnn.kernels.cpu.simd.vector_unit import LANES

SPARSE = "sparse"
"""The name of this way to compute dx or dw, beside those of the strategies."""
ASKED_FOR = "asked for"
KINDS = {"conv2d_dx": "conv2d_sparse_dx", "conv2d_dw": "conv2d_sparse_dw"}
# The direction that an op computes.
DIRECTION_OF = {"conv2d_sparse_dx": "dx", "conv2d_sparse_dw": "dw"}


def declines(direction: str, problem: Problem) -> str | None:
    """Return why a direction of a problem cannot be sparse whatever follows it, or None."""
    if direction == "forward":
        return "only gradients that come from max pooling are sparse"
    return sparse_gradients.declines(problem)


def keep_sparse(program: Program, images: int) -> None:
    """Let gradients of convolutions take a max pooling's own gradient, where that is cheaper.

    Strategies have to be named before. What a layer asks for by name stays or is done, whatever it
    costs.
    """
    for op in program.ops:
        if op.kind != "max_pool_dx" or program.is_result(op.outputs[0]):
            continue
        readers = program.consumers(op.outputs[0])
        cheaper = _cheaper(op, readers, images)
        if not cheaper:
            continue
        dy = _rectified(program, op)
        for reader in cheaper:
            _replace(program, reader, op, dy)
        if len(cheaper) == len(readers):
            program.remove(op)


def _cheaper(pool: Op, readers: tuple[Op, ...], images: int) -> list[Op]:
    """Return the readers of a pooling's gradient that are to read what it is made of instead."""
    dense = {reader: _dense_cycles(reader, images) for reader in readers}
    sparse = {op: _sparse_cycles(op, pool) for op in readers if _takes(op, pool)}
    cheaper = [op for op in sparse if sparse[op] < dense[op]]
    if len(sparse) == len(readers):
        problem = pool.attributes["problem"]
        writing = 4 * problem.height * problem.width * problem.channels / LANES
        mixed = sum(min(sparse[op], dense[op]) for op in sparse) + writing
        if sum(sparse.values()) <= mixed:
            return list(sparse)
    return cheaper


def _takes(op: Op, pool: Op) -> bool:
    """Say whether an op is a gradient that may be had from the pooling's."""
    if op.kind not in KINDS or op.inputs[-1] is not pool.outputs[0]:
        return False
    # Where x is that gradient too, it has to be written.
    if len(set(op.inputs)) < len(op.inputs) or op.attributes.get("connections"):
        return False
    asked = op.attributes["chosen"] == ASKED_FOR and op.attributes["strategy"] != SPARSE
    problem, pooling = op.attributes["problem"], pool.attributes["problem"]
    return not (asked or pooling.padded or sparse_gradients.declines(problem))


def _dense_cycles(op: Op, images: int) -> float:
    if op.kind not in KINDS:
        return 0.0
    if op.attributes["strategy"] == SPARSE:
        return inf
    strategy = STRATEGIES[op.attributes["strategy"]]
    return strategy.cost(_direction(op), op.attributes["problem"], images)


def _sparse_cycles(op: Op, pool: Op) -> float:
    problem, pooling = op.attributes["problem"], pool.attributes["problem"]
    return sparse_gradients.cycles(_direction(op), problem, pooling)


def _direction(op: Op) -> str:
    return DIRECTION_OF[KINDS[op.kind]]


def _rectified(program: Program, pool: Op) -> Buffer:
    """Return the pooling's own gradient, before the ReLU that goes with it."""
    dy, _, *y = pool.inputs
    if not y:
        return dy
    program.layer = pool.layer
    before = program.buffer(dy.shape)
    op = program.append("activation_dx", [*y, dy], [before], function="relu", constant=0.0)
    program.move(op, before=pool)
    return before


def _replace(program: Program, reader: Op, pool: Op, dy: Buffer) -> None:
    """Let another op stand where a reader of the pooling's gradient stood."""
    following = program.ops[program.ops.index(reader) + 1 :]
    program.remove(reader)
    program.layer = reader.layer
    sparse = program.append(
        KINDS[reader.kind],
        [*reader.inputs[:-1], dy, pool.inputs[1]],
        reader.outputs,
        dict(reader.parameters),
        gradient_of=reader.gradient_of,
        problem=reader.attributes["problem"],
        pooling=pool.attributes["problem"],
        strategy=SPARSE,
        chosen=ASKED_FOR if reader.attributes["strategy"] == SPARSE else "estimated",
    )
    if following:
        program.move(sparse, before=following[0])
