"""Which of a program's buffers come from outside, and which are read after it."""

from __future__ import annotations

import numpy as np

from fastcnn.graph.inspection import Inspection
from fastcnn.graph.losses import results_of
from fastcnn.graph.program import Buffer, Program


def check_shape(x: np.ndarray, shape: tuple[int, ...]) -> None:
    """Raise ValueError where images x do not have the shape that a program was planned for."""
    if x.shape[1:] != shape:
        raise ValueError(f"Expected images of shape {shape}. Received {x.shape[1:]}.")


def kept_by(
    inspection: Inspection | None, program: Program, roles: dict[str, Buffer]
) -> set[Buffer]:
    """Return the buffers that are read after a run of a program."""
    if inspection is not None:
        return {roles[role] for role in inspection.roles()}
    return results_of(program, roles) if "scores" in roles else {roles["output"]}


def outside_of(x: Buffer, roles: dict[str, Buffer]) -> dict[Buffer, str]:
    """Return the names of the arrays that come from outside, by the buffers that stand for them."""
    named = {roles[name]: name for name in ("target", "weight") if name in roles}
    return {x: "x", **named}
