"""How a gradient passes ReLU, by the rule that its program has for it."""

from __future__ import annotations

from typing import Any

from fastcnn.graph.program import DECONVNET, GRADIENT, Buffer, Op, Program

RECTIFIERS = ("relu", "relu6", "clipped_relu")


def is_rectified(op: Op) -> bool:
    """Say whether an op applies ReLU, by itself or to what it writes."""
    by_itself = op.attributes.get("function") in RECTIFIERS and not op.attributes.get("slope")
    return by_itself or op.attributes.get("activation") == "relu"


def through_relu(program: Program, op: Op, dy: Buffer) -> Buffer:
    """Return the gradient before the ReLU that an op applies to what it writes, if it does."""
    if op.attributes.get("activation") != "relu":
        return dy
    return rectified(program, op.outputs[0], dy, function="relu", constant=0.0)


def rectified(program: Program, y: Buffer, dy: Buffer, **attributes: Any) -> Buffer:
    """Return the gradient of a ReLU's input by the rule that the program has for it."""
    if program.relu_rule != GRADIENT:
        dy = program.add("activation", [dy], dy.shape, function="relu", constant=0.0)
    if program.relu_rule == DECONVNET:
        return dy
    return program.add("activation_dx", [y, dy], dy.shape, **attributes)
