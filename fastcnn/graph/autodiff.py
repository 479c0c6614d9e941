"""The backward ops of a program, derived op by op: one rule a kind.

A rule gets the op and the gradient of its output, appends backward ops, and returns pairs of an
input and a gradient of it, one for each way that leads through the op: an input that it reads
twice has two. `append_backward` alone adds up what arrives at a buffer. Backward kinds are named
after the forward ones: `conv2d_dx` is the gradient of the input, `conv2d_dw` that of the
parameters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from fastcnn.graph.custom_rules import CUSTOM_RULES
from fastcnn.graph.moving_rules import MOVING_RULES, Paths, Rule
from fastcnn.graph.pooling_rules import POOLING_RULES
from fastcnn.graph.program import GRADIENT, Buffer, Op, Program
from fastcnn.graph.relu_rules import is_rectified, rectified, through_relu

# Activations whose slope needs their input; of every other one it follows from the output.
FROM_INPUT = ("gelu", "gelu_tanh", "hard_swish", "mish", "softplus", "swish")


def append_backward(program: Program, gradients: Iterable[tuple[Buffer, Buffer]]) -> None:
    """Append the backward ops of everything that a trainable parameter depends on.

    `gradients` are pairs of a buffer that a loss reads and its gradient. Raises ValueError where a
    gradient arrives at an op that cannot pass it on, or where a second op trains a parameter.
    """
    _append(program, gradients, None)


def append_gradient(
    program: Program, gradients: Iterable[tuple[Buffer, Buffer]], source: Buffer
) -> Buffer:
    """Append the backward ops of everything that depends on `source`; return its gradient.

    Arguments and errors are those of `append_backward`. Raises ValueError also where nothing
    arrives at `source`.
    """
    arriving = _append(program, gradients, source)
    if source not in arriving:
        raise ValueError(
            "Expected a gradient of what depends on the images or the layer that it is taken with "
            "respect to. Received one of what stands before that layer or beside it."
        )
    return _summed(program, arriving[source])


def _append(
    program: Program, gradients: Iterable[tuple[Buffer, Buffer]], source: Buffer | None
) -> dict[Buffer, list[Buffer]]:
    """Append backward ops; return the gradients that arrived at buffers which no op passed on."""
    forward = program.ops
    needed = _needing_gradients(program, source)
    arriving: dict[Buffer, list[Buffer]] = {}
    for scores, gradient in gradients:
        arriving.setdefault(scores, []).append(gradient)
    for op in reversed(forward):
        if source is not None and source in op.outputs:
            continue
        arrived = [gradient for buffer in op.outputs for gradient in arriving.pop(buffer, [])]
        if not arrived or needed.isdisjoint((*op.inputs, *op.outputs)):
            continue
        _check_passable(program, op)
        program.layer = op.layer
        dy = _summed(program, arrived)
        paths = [path for path in RULES[op.kind](program, op, dy, needed) if path[0] in needed]
        for x, gradient in paths:
            arriving.setdefault(x, []).append(gradient)
        _check_nothing_lost(program, op, needed, paths)
    return arriving


def _summed(program: Program, arrived: list[Buffer]) -> Buffer:
    return arrived[0] if len(arrived) == 1 else program.add("add", arrived, arrived[0].shape)


def _check_passable(program: Program, op: Op) -> None:
    """Raise ValueError where no gradient passes an op."""
    if op.kind not in RULES:
        if not program.training:
            raise ValueError(
                f"{op.where} has no backward rule, so no gradient passes it. Use ops that have "
                f"one: {', '.join(RULES)}."
            )
        raise ValueError(
            f"{op.where} has no backward rule, so nothing up to there can be trained. Freeze "
            f"those layers (trainable=False), or use ops that have one: {', '.join(RULES)}."
        )
    if program.relu_rule != GRADIENT and op.kind == "affine_sample":
        raise ValueError(
            f"{op.where} moves the image by what it sees in it, so the rule "
            f"'{program.relu_rule}' of ReLU has no picture to give before it. Take the rule "
            f"'{GRADIENT}', or the gradient with respect to that layer or one behind it."
        )


def _check_nothing_lost(program: Program, op: Op, needed: set[Buffer], paths: Paths) -> None:
    """Raise ValueError where a rule has left out what needs a gradient."""
    ways = Counter(source for source, _ in paths)
    for source in op.inputs:
        maker = program.producer(source)
        if maker is None or source not in needed or TAKEN_ALONG.get(maker.kind) == op.kind:
            continue
        ways[source] -= 1
        if ways[source] < 0:
            raise ValueError(
                f"{op.where} passes no gradient on to the op {maker.kind} of layer "
                f"'{maker.layer}', which depends on trainable weights. Freeze those layers "
                "(trainable=False)."
            )
    for parameter in op.parameters.values():
        if program.trains(parameter) and program.trainer(parameter) is None:
            raise ValueError(
                f"{op.where} has no gradient for its parameter '{parameter.path}'. Freeze the "
                "layer (trainable=False)."
            )


def _needing_gradients(program: Program, source: Buffer | None) -> set[Buffer]:
    needed = set() if source is None else {source}
    for op in program.ops:
        own = any(program.trains(parameter) for parameter in op.parameters.values())
        if own or needed.intersection(op.inputs):
            needed.update(op.outputs)
    return needed


def _weighted(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    """Convolutions and the matrix product: gradients of input, kernel and bias."""
    dy = through_relu(program, op, dy)
    x = op.inputs[0]
    wanted = [name for name, parameter in op.parameters.items() if program.trains(parameter)]
    if len(op.inputs) > 1:  # a normalization with fixed statistics, folded into the kernel
        dy = program.add("scale_dx", [dy, op.inputs[1]], dy.shape)
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
        return []
    dx = program.buffer(x.shape)
    kernel = {"kernel": op.parameters["kernel"]}
    program.append(f"{op.kind}_dx", [dy], [dx], kernel, **_geometry(op))
    return [(x, dx)]


def _transposed(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    """The input's gradient as a layer of its own: its gradients are the convolution's others."""
    x, kernel = op.inputs[0], {"kernel": op.parameters["kernel"]}
    if program.trains(op.parameters["kernel"]):
        program.append(
            "conv2d_dw",
            [dy, _again(program, x)],
            [],
            kernel,
            gradient_of=["kernel"],
            **_geometry(op),
        )
    if x not in needed:
        return []
    return [(x, program.add("conv2d", [dy], x.shape, kernel, **_geometry(op)))]


def _bias(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    dy = through_relu(program, op, dy)
    if program.trains(op.parameters["bias"]):
        program.append("bias_dw", [dy], [], op.parameters, gradient_of=["bias"])
    return [(op.inputs[0], dy)]


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
    """What a backward op takes over: the convolution's problem, the wished strategies, and which
    channels its filters see.
    """
    names = ("problem", "strategy", "connections")
    return {name: op.attributes[name] for name in names if name in op.attributes}


def _affine_sample(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    x, theta = op.inputs
    paths = []
    if x in needed:
        paths.append((x, program.add("affine_sample_dx", [theta, dy], x.shape)))
    if theta in needed:
        inputs = [x, theta, dy]
        paths.append((theta, program.add("affine_sample_dtheta", inputs, theta.shape)))
    return paths


def _activation(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    if is_rectified(op):
        return [(op.inputs[0], rectified(program, op.outputs[0], dy, **op.attributes))]
    from_input = op.attributes.get("function") in FROM_INPUT
    saved = op.inputs[0] if from_input else op.outputs[0]
    dx = program.add("activation_dx", [saved, dy], dy.shape, **op.attributes)
    return [(op.inputs[0], dx)]


def _softmax(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    return [(op.inputs[0], program.add("softmax_dx", [op.outputs[0], dy], dy.shape))]


def _scale_shift(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    x, scale, shift = op.inputs[:3]
    constants = program.producer(scale)
    summand = op.inputs[3:]
    if constants is None or not _normalizes(program, op):
        dy = through_relu(program, op, dy)
        paths = [(x, program.add("scale_dx", [dy, scale], x.shape))]
        return [*paths, *((other, dy) for other in summand)]
    # Without a residual, what ReLU let through follows from x: no masked copy of dy is made.
    gate = [scale, shift] if op.attributes.get("activation") and not summand else []
    if not gate:
        dy = through_relu(program, op, dy)
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
    return [(x, dx), *((other, dy) for other in summand)]


def _dropout(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    return [(op.inputs[0], program.add("dropout", [dy], dy.shape, **op.attributes))]


def _multiply(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    x, gate = op.inputs
    paths = []
    if x in needed:
        paths.append((x, program.add("multiply", [dy, gate], x.shape)))
    if gate in needed:
        kind = "multiply" if gate.size == x.size else "product_sums"
        paths.append((gate, program.add(kind, [x, dy], gate.shape)))
    return paths


def _group_norm(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    x, moments = op.inputs[0], op.outputs[1]
    wanted = [name for name, parameter in op.parameters.items() if program.trains(parameter)]
    reads, settings = [x, dy, moments], op.attributes
    if wanted:
        program.append("group_norm_dw", reads, [], op.parameters, gradient_of=wanted, **settings)
    if x not in needed:
        return []
    gamma = {name: op.parameters[name] for name in op.parameters if name == "gamma"}
    return [(x, program.add("group_norm_dx", reads, x.shape, gamma, **settings))]


def _contrast_norm(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    x, reads = op.inputs[0], [dy, *op.outputs[1:]]
    return [(x, program.add("contrast_norm_dx", reads, x.shape, **op.attributes))]


def _response_norm(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    x = op.inputs[0]
    return [(x, program.add("response_norm_dx", [x, dy], x.shape, **op.attributes))]


def _prelu(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    x = op.inputs[0]
    if program.trains(op.parameters["alpha"]):
        terms = program.add("prelu_terms", [x, dy], x.shape)
        program.append("bias_dw", [terms], [], op.parameters, gradient_of=["alpha"])
    if x not in needed:
        return []
    return [(x, program.add("prelu_dx", [x, dy], x.shape, op.parameters))]


def _add(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    dy = through_relu(program, op, dy)
    return [(x, dy) for x in op.inputs]


def _affine(program: Program, op: Op, dy: Buffer, needed: set[Buffer]) -> Paths:
    attributes = {**op.attributes, "offset": [0.0] * len(op.attributes["offset"])}
    return [(op.inputs[0], program.add("affine", [dy], dy.shape, **attributes))]


RULES: dict[str, Rule] = {
    **CUSTOM_RULES,
    **MOVING_RULES,
    **POOLING_RULES,
    "activation": _activation,
    "add": _add,
    "affine": _affine,
    "affine_sample": _affine_sample,
    "bias": _bias,
    "contrast_norm": _contrast_norm,
    "conv2d": _weighted,
    "conv2d_dx": _transposed,
    "dropout": _dropout,
    "group_norm": _group_norm,
    "local_conv": _weighted,
    "matmul": _weighted,
    "multiply": _multiply,
    "prelu": _prelu,
    "response_norm": _response_norm,
    "scale_shift": _scale_shift,
    "softmax": _softmax,
}

# Ops whose gradient is not passed to them: the rule of the op that reads them takes it along.
TAKEN_ALONG = {"batch_moments": "scale_shift", "batch_scale_shift": "scale_shift"}
