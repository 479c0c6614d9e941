"""The losses of a program: the model's at its end, and that of each auxiliary output."""

from __future__ import annotations

from fastcnn.graph.program import Auxiliary, Buffer, Op, Program
from fastcnn.losses import CustomLoss, Loss

RESULTS = ("scores", "loss", "rank")
"""Roles that are read after a run."""


def append_losses(program: Program, loss: Loss) -> dict[str, Buffer]:
    """Append the ops of all losses; returns their buffers by role.

    Roles: target, weight (each image's factor), gradient (of the loss's input), scores (that
    input), loss, rank; of each auxiliary output the last four, under `Auxiliary.role`, its gradient
    times its loss weight; and finite, which has each image's losses added up, and is finite where
    all of them are. A final softmax that the loss fuses with is skipped: the loss reads what went
    into it.
    """
    program.layer = "loss"
    shape, sparse = program.output.shape, loss.target == "sparse"
    target = program.buffer(() if sparse else shape, dtype="int32" if sparse else "float32")
    read = {"target": target, "weight": program.buffer(())}
    roles = {**read, **_append_loss(program, loss, program.output, **read)}
    each = [roles["loss"]]
    for side in program.auxiliaries:
        program.layer = side.layer
        own = _append_loss(program, loss, side.output, **read)
        own["gradient"] = _scaled(program, own["gradient"], side)
        roles |= {side.role(name): buffer for name, buffer in own.items()}
        each.append(own["loss"])
    roles["finite"] = program.add("add", each, ()) if len(each) > 1 else roles["loss"]
    return roles


def scores_of(program: Program) -> Buffer:
    """Return the outputs before a final softmax or sigmoid."""
    maker = program.producer(program.output)
    if maker is not None and any(_ends_in(maker, function) for function in ("softmax", "sigmoid")):
        return maker.inputs[0]
    return program.output


def gradients_of(program: Program, roles: dict[str, Buffer]) -> list[tuple[Buffer, Buffer]]:
    """Return what each loss reads, with its gradient."""
    pairs = [("scores", "gradient")]
    pairs += [(side.role("scores"), side.role("gradient")) for side in program.auxiliaries]
    return [(roles[scores], roles[gradient]) for scores, gradient in pairs]


def results_of(program: Program, roles: dict[str, Buffer]) -> set[Buffer]:
    """Return the buffers of the losses that are read after a run."""
    names = [*RESULTS, *(side.role(name) for side in program.auxiliaries for name in RESULTS)]
    return {roles[name] for name in names}


def _append_loss(
    program: Program, loss: Loss, output: Buffer, target: Buffer, weight: Buffer
) -> dict[str, Buffer]:
    scores, kernel = output, loss.kernel
    maker = program.producer(output)
    if maker is not None and loss.fuses and loss.fused_kernel and _ends_in(maker, loss.fuses):
        scores, kernel = program.readable(maker.inputs[0]), loss.fused_kernel
    results = {
        "gradient": program.buffer(scores.shape),
        "loss": program.buffer(()),
        "rank": program.buffer((), dtype="int32"),
    }
    read, written = (scores, target, weight), results.values()
    classes = loss.has_classes
    if isinstance(loss, CustomLoss):
        program.append("custom_loss", read, written, code=loss, classes=classes)
        return {"scores": scores, **results}
    program.append(
        "loss",
        read,
        written,
        loss=type(loss).__name__,
        kernel=kernel,
        option=loss.option,
        classes=classes,
    )
    return {"scores": scores, **results}


def _ends_in(op: Op, function: str) -> bool:
    return op.kind == function or op.attributes.get("function") == function


def _scaled(program: Program, gradient: Buffer, side: Auxiliary) -> Buffer:
    """Return a gradient times the weight of its loss."""
    channels = gradient.shape[-1]
    scale, offset = [side.loss_weight] * channels, [0.0] * channels
    return program.add("affine", [gradient], gradient.shape, scale=scale, offset=offset)
