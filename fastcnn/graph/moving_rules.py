"""The backward rules of ops that move numbers or repeat them; `autodiff` says what a rule is."""

from __future__ import annotations

from collections.abc import Callable

from fastcnn.graph.program import Buffer, Op, Program

Paths = list[tuple[Buffer, Buffer]]  # (an input, a gradient of it)
Rule = Callable[[Program, Op, Buffer, set[Buffer]], Paths]


def _reshape(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    return [(op.inputs[0], program.add("reshape", [dy], op.inputs[0].shape))]


def _copy(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    return [(op.inputs[0], dy)]


def _pad(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    return [(op.inputs[0], program.add("pad_dx", [dy], op.inputs[0].shape, **op.attributes))]


def _crop(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    return [(op.inputs[0], program.add("pad", [dy], op.inputs[0].shape, **op.attributes))]


def _permute(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    order = op.attributes["order"]
    back = tuple(order.index(axis) for axis in range(len(order)))
    return [(op.inputs[0], program.add("permute", [dy], op.inputs[0].shape, order=back))]


def _upsample(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    return [(op.inputs[0], program.add("upsample_dx", [dy], op.inputs[0].shape, **op.attributes))]


def _concat(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    paths = []
    first = 0
    for x in op.inputs:
        paths.append((x, program.add("concat_dx", [dy], x.shape, first=first)))
        first += x.shape[-1]
    return paths


MOVING_RULES: dict[str, Rule] = {
    "concat": _concat,
    "copy": _copy,
    "crop": _crop,
    "pad": _pad,
    "permute": _permute,
    "reshape": _reshape,
    "upsample": _upsample,
}
