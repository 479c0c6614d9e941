"""The backward rule of a layer of the user's own, which computes all its gradients at once."""

from __future__ import annotations

from fastcnn.graph.moving_rules import Paths, Rule
from fastcnn.graph.program import Buffer, Op, Program


def _custom(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    x, y = op.inputs[0], op.outputs[0]
    dx = program.buffer(x.shape)
    wanted = [name for name, parameter in op.parameters.items() if program.trains(parameter)]
    program.append(
        "custom_backward",
        [x, y, dy],
        [dx],
        op.parameters,
        gradient_of=wanted,
        **op.attributes,
    )
    return [(x, dx)] if x in needed else []


CUSTOM_RULES: dict[str, Rule] = {"custom": _custom}
