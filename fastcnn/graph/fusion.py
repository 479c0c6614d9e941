"""Passes over a forward program: join what belongs together, drop what nothing reads.

Each pass rewrites the program in place, in one sweep over its ops. They run before the backward
ops are derived, so a fused op has one backward rule like any other.
"""

from __future__ import annotations

from dataclasses import replace

from fastcnn.graph.program import GRADIENT, Buffer, Op, Program
from fastcnn.graph.unchanging import unchanging

# Ops that can apply ReLU to what they write at no cost.
TAKES_RELU = ("bias", "local_conv", "conv2d", "matmul", "scale_shift", "add", "max_pool")


def fuse(program: Program) -> None:
    """Run every pass that applies to the program."""
    fold_zero_padding(program)
    fold_batch_norm(program)
    if program.relu_rule == GRADIENT:  # others differ between the two orders
        pool_before_relu(program)
    fuse_residual_add(program)
    fuse_relu(program)


def fold_zero_padding(program: Program) -> None:
    """pad, then convolution: the convolution pads."""
    for op in program.ops:
        if op.kind != "pad" or op.attributes.get("mode", "zeros") != "zeros":
            continue
        user = _only_consumer(program, op.outputs[0])
        if user is None or user.kind != "conv2d":
            continue
        problem = user.attributes["problem"]
        pairs = zip(problem.padding, op.attributes["padding"], strict=True)
        padding = tuple((a[0] + b[0], a[1] + b[1]) for a, b in pairs)
        height, width, _ = op.inputs[0].shape
        user.attributes["problem"] = replace(problem, height=height, width=width, padding=padding)
        program.remove(op)
        program.rewire(user, inputs=op.inputs)


def fold_batch_norm(program: Program) -> None:
    """Convolution or product, then fixed scale and shift: fold both into kernel and bias.

    In training no gradient may have to pass them.
    """
    fixed = unchanging(program) if program.training else None
    for op in program.ops:
        if op.kind != "scale_shift" or (fixed is not None and op.outputs[0] not in fixed):
            continue
        source, scale, shift = op.inputs
        maker, constants = program.producer(source), program.producer(scale)
        if maker is None or maker.kind not in ("conv2d", "matmul"):
            continue
        # What is computed from the images is not fixed.
        if constants is None or constants.inputs or _only_consumer(program, source) is not op:
            continue
        if len(maker.inputs) > 1 or maker.attributes.get("activation"):
            continue
        _take_over(program, maker, op)
        program.rewire(maker, inputs=(*maker.inputs, scale, shift))
        # The folded constants must exist before the op that now reads them.
        program.move(constants, before=maker)


def pool_before_relu(program: Program) -> None:
    """ReLU, then max pooling: pool first, since the largest stays the largest on fewer values."""
    for op in program.ops:
        if not _is_relu(op):
            continue
        pool = _only_consumer(program, op.outputs[0])
        if pool is not None and pool.kind == "max_pool":
            program.remove(op)
            program.rewire(pool, inputs=op.inputs)
            pool.attributes["activation"] = "relu"


def fuse_residual_add(program: Program) -> None:
    """Scale and shift, then add: one op that reads both summands."""
    for op in program.ops:
        if op.kind != "add" or len(op.inputs) != 2 or op.inputs[0] is op.inputs[1]:
            continue
        for mine, other in (op.inputs, op.inputs[::-1]):
            maker = program.producer(mine)
            if maker is None or maker.kind != "scale_shift" or len(maker.inputs) != 3:
                continue
            if maker.attributes.get("activation") or _only_consumer(program, mine) is not op:
                continue
            # It runs where the add ran: by then the other summand is there. That may be what the
            # normalization itself reads.
            program.move(maker, before=op)
            _take_over(program, maker, op)
            program.rewire(maker, inputs=(*maker.inputs, other))
            break


def fuse_relu(program: Program) -> None:
    """An op that can, then ReLU: the op applies it as it writes."""
    for op in program.ops:
        if not _is_relu(op):
            continue
        maker = program.producer(op.inputs[0])
        if maker is None or maker.kind not in TAKES_RELU or maker.attributes.get("activation"):
            continue
        if _only_consumer(program, op.inputs[0]) is op:
            maker.attributes["activation"] = "relu"
            _take_over(program, maker, op)


def drop_unused(program: Program, wanted: set[Buffer]) -> None:
    """Remove ops whose results nobody reads and that update nothing."""
    for op in reversed(program.ops):
        read = any(b in wanted or program.consumers(b) for b in op.outputs)
        if not read and not op.gradient_of and op.kind != "batch_scale_shift":
            program.remove(op)


def _is_relu(op: Op) -> bool:
    return op.kind == "activation" and op.attributes.get("function") == "relu"


def _only_consumer(program: Program, buffer: Buffer) -> Op | None:
    users = program.consumers(buffer)
    return users[0] if len(users) == 1 and not program.is_result(buffer) else None


def _take_over(program: Program, maker: Op, absorbed: Op) -> None:
    """Let `maker` write what `absorbed` wrote, and drop `absorbed`."""
    program.remove(absorbed)
    program.rewire(maker, outputs=absorbed.outputs)
