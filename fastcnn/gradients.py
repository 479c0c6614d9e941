"""The backward ops of a program, derived op by op: one rule a kind.

A rule gets the op and the gradient of its output, appends backward ops, and returns the gradient
of each input that needs one. Backward kinds are named after the forward ones: `conv2d_dx` is the
gradient of the input, `conv2d_dw` that of the parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fastcnn.program import Buffer, Op, Program

if TYPE_CHECKING:
    from fastcnn.losses import Loss

Rule = Callable[[Program, Op, Buffer, set[Buffer]], dict[Buffer, Buffer]]


def append_loss(program: Program, loss: Loss) -> dict[str, Buffer]:
    """Append the loss op; returns its buffers by role.

    Roles: target, weight (each image's factor), gradient (of the loss's input), loss, rank. A final
    softmax that the loss fuses with is skipped: the loss reads what went into it.
    """
    scores = program.output
    maker = program.producer(scores)
    kernel = loss.kernel
    if maker is not None and loss.fuses and loss.fused_kernel and _ends_in(maker, loss.fuses):
        scores, kernel = maker.inputs[0], loss.fused_kernel
    sparse = loss.target == "sparse"
    roles = {
        "target": program.buffer(
            () if sparse else scores.shape, dtype="int32" if sparse else "float32"
        ),
        "weight": program.buffer(()),
        "gradient": program.buffer(scores.shape),
        "loss": program.buffer(()),
        "rank": program.buffer((), dtype="int32"),
    }
    program.layer = "loss"
    program.append(
        "loss",
        (scores, roles["target"], roles["weight"]),
        (roles["gradient"], roles["loss"], roles["rank"]),
        kernel=kernel,
        option=loss.option,
        classes=loss.has_classes,
    )
    return {"scores": scores, **roles}


def _ends_in(op: Op, function: str) -> bool:
    return op.kind == function or op.attributes.get("function") == function


def append_backward(program: Program, scores: Buffer, gradient: Buffer) -> None:
    """Append the backward ops of everything that a trainable parameter depends on."""
    forward = list(program.ops)
    needed = _needing_gradients(program)
    pending: dict[Buffer, list[Buffer]] = {scores: [gradient]}
    for op in reversed(forward):
        arrived = [g for buffer in op.outputs for g in pending.pop(buffer, [])]
        if op.kind not in RULES or not arrived or not (needed & {*op.inputs, *op.outputs}):
            continue
        program.layer = op.layer
        dy = arrived[0] if len(arrived) == 1 else program.add("add", arrived, arrived[0].shape)
        for source, made in RULES[op.kind](program, op, dy, needed).items():
            if source in needed:
                pending.setdefault(source, []).append(made)


def _needing_gradients(program: Program) -> set[Buffer]:
    needed: set[Buffer] = set()
    for op in program.ops:
        own = any(parameter.trainable for parameter in op.parameters.values())
        if own or needed.intersection(op.inputs):
            needed.update(op.outputs)
    return needed


def _through_relu(program: Program, op: Op, dy: Buffer) -> Buffer:
    if op.attributes.get("activation") != "relu":
        return dy
    return program.add(
        "activation_dx", [op.outputs[0], dy], dy.shape, function="relu", constant=0.0
    )


def _weighted(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> dict[Buffer, Buffer]:
    """Convolutions and the matrix product: gradients of input, kernel and bias."""
    dy = _through_relu(program, op, dy)
    x = op.inputs[0]
    wanted = [name for name, parameter in op.parameters.items() if parameter.trainable]
    if wanted:
        program.append(
            f"{op.kind}_dw",
            [_again(program, x), dy],
            [],
            op.parameters,
            gradient_of=wanted,
            **_geometry(op),
        )
    if x not in needed:
        return {}
    dx = program.buffer(x.shape)
    kernel = {"kernel": op.parameters["kernel"]}
    program.append(f"{op.kind}_dx", [dy], [dx], kernel, **_geometry(op))
    return {x: dx}


def _again(program: Program, x: Buffer) -> Buffer:
    """Return x, computed once more where that is cheaper than to keep it.

    A normalized activation that only a convolution reads is one multiply-add a number away from
    what batch normalization has to keep anyway; kept itself, it would go to memory and back.
    """
    maker = program.producer(x)
    if maker is None or not _normalizes(program, maker) or len(program.consumers(x)) > 1:
        return x
    if len(maker.inputs) > 3:
        return x
    return program.add("scale_shift", maker.inputs, x.shape, **maker.attributes)


def _normalizes(program: Program, op: Op) -> bool:
    """Say whether an op applies the statistics of the batch."""
    if op.kind != "scale_shift":
        return False
    constants = program.producer(op.inputs[1])
    return constants is not None and constants.kind == "batch_scale_shift"


def _geometry(op: Op) -> dict:
    """What a backward op takes over: the convolution's problem and the wished strategies."""
    return {name: op.attributes[name] for name in ("problem", "strategy") if name in op.attributes}


def _max_pool(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> dict[Buffer, Buffer]:
    x, y = op.inputs[0], op.outputs[0]
    index = program.buffer(y.shape, dtype="int32")
    op.outputs = (y, index)
    reads = [dy, index, y] if op.attributes.get("activation") else [dy, index]
    return {x: program.add("max_pool_dx", reads, x.shape, problem=op.attributes["problem"])}


def _average_pool(
    program: Program, op: Op, dy: Buffer, needed: set[Buffer]
) -> dict[Buffer, Buffer]:
    x = op.inputs[0]
    return {x: program.add("average_pool_dx", [dy], x.shape, problem=op.attributes["problem"])}


def _activation(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> dict[Buffer, Buffer]:
    # GELU's slope needs its input; every other one follows from the output.
    saved = op.inputs[0] if op.attributes["function"] == "gelu" else op.outputs[0]
    dx = program.add("activation_dx", [saved, dy], dy.shape, **op.attributes)
    return {op.inputs[0]: dx}


def _softmax(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> dict[Buffer, Buffer]:
    return {op.inputs[0]: program.add("softmax_dx", [op.outputs[0], dy], dy.shape)}


def _scale_shift(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> dict[Buffer, Buffer]:
    x, scale, shift = op.inputs[:3]
    constants = program.producer(scale)
    residual = len(op.inputs) == 4
    if constants is None or not _normalizes(program, op):
        dy = _through_relu(program, op, dy)
        made = {op.inputs[3]: dy} if residual else {}
        return {x: program.add("scale_dx", [dy, scale], x.shape), **made}
    # Without a residual, what ReLU let through follows from x: no masked copy of dy is made.
    gate = [scale, shift] if op.attributes.get("activation") and not residual else []
    if not gate:
        dy = _through_relu(program, op, dy)
    moments = constants.inputs[0]
    sums = program.buffer(moments.shape, per_image=False)
    program.append("batch_norm_sums", [x, dy, moments, *gate], [sums], **constants.attributes)
    coefficients = program.buffer((3, x.shape[-1]), per_image=False)
    program.append(
        "batch_norm_dw",
        [sums, moments],
        [coefficients],
        constants.parameters,
        gradient_of=[n for n in ("gamma", "beta") if n in constants.parameters],
        **constants.attributes,
    )
    dx = program.add("batch_norm_dx", [x, dy, coefficients, *gate], x.shape)
    return {x: dx, op.inputs[3]: dy} if residual else {x: dx}


def _dropout(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> dict[Buffer, Buffer]:
    return {op.inputs[0]: program.add("dropout", [dy], dy.shape, **op.attributes)}


def _reshape(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> dict[Buffer, Buffer]:
    return {op.inputs[0]: program.add("reshape", [dy], op.inputs[0].shape)}


def _copy(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> dict[Buffer, Buffer]:
    return {op.inputs[0]: dy}


def _pad(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> dict[Buffer, Buffer]:
    return {op.inputs[0]: program.add("pad_dx", [dy], op.inputs[0].shape, **op.attributes)}


def _add(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> dict[Buffer, Buffer]:
    dy = _through_relu(program, op, dy)
    if len(set(op.inputs)) == 1:
        return {op.inputs[0]: program.add("add", [dy] * len(op.inputs), dy.shape)}
    return dict.fromkeys(op.inputs, dy)


def _concat(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> dict[Buffer, Buffer]:
    made: dict[Buffer, Buffer] = {}
    first = 0
    for x in op.inputs:
        piece = program.add("concat_dx", [dy], x.shape, first=first)
        made[x] = program.add("add", [made[x], piece], x.shape) if x in made else piece
        first += x.shape[-1]
    return made


def _affine(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> dict[Buffer, Buffer]:
    attributes = {**op.attributes, "offset": [0.0] * len(op.attributes["offset"])}
    return {op.inputs[0]: program.add("affine", [dy], dy.shape, **attributes)}


RULES: dict[str, Rule] = {
    "activation": _activation,
    "add": _add,
    "affine": _affine,
    "average_pool": _average_pool,
    "concat": _concat,
    "conv2d": _weighted,
    "copy": _copy,
    "dropout": _dropout,
    "matmul": _weighted,
    "max_pool": _max_pool,
    "pad": _pad,
    "reshape": _reshape,
    "scale_shift": _scale_shift,
    "softmax": _softmax,
}
