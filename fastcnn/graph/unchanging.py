"""What stays the same for an image as long as a model trains: all that frozen layers make of it."""

from __future__ import annotations

from fastcnn.graph.program import Buffer, Op, Program

OF_THE_BATCH = ("batch_moments", "batch_scale_shift", "custom")
"""Ops that look at other images of the batch; a user's own code may, and may be random."""


def unchanging(program: Program) -> set[Buffer]:
    """Return the buffers that depend on nothing trained, nothing random and no other image.

    Args:
        program: The ops, before or after they were fused.

    Returns:
        The program's input, and what is computed of it in that way.
    """
    buffers = {program.input}
    for op in program.ops:
        if buffers.issuperset(op.inputs) and not _changes(op):
            buffers.update(op.outputs)
    return buffers


def _changes(op: Op) -> bool:
    random = "stream" in op.attributes
    trained = any(parameter.trainable for parameter in op.parameters.values())
    return random or trained or op.kind in OF_THE_BATCH
