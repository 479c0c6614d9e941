"""What each forward op asks of the shapes that it reads and makes.

Kernels run on addresses and trust these shapes, and layers of a user's own may add any op. So a
program is verified after its layers are lowered, before anything is made of it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, prod
from typing import NoReturn

from fastcnn.graph.problem import PADDING_MODES, Problem
from fastcnn.graph.program import Buffer, Op, Program
from fastcnn.utils import naming

Shape = tuple[int, ...]


def verify(program: Program) -> None:
    """ValueError, naming op and layer, where the shapes of an op do not fit together, or it reads
    what nothing of this program writes before it."""
    written = {program.input}
    for op in program.ops:
        for buffer in op.inputs:
            if buffer not in written:
                raise ValueError(
                    f"{op.where} reads {buffer!r}, which no op of this program writes before it."
                )
        if op.kind in SHAPES:
            SHAPES[op.kind](op)
        written.update(op.outputs)


def _refuse(op: Op, expected: str) -> NoReturn:
    outputs = ", ".join(str(buffer.shape) for buffer in op.outputs)
    inputs = ", ".join(str(buffer.shape) for buffer in op.inputs) or "nothing"
    raise ValueError(f"{op.where} {expected}. Received {outputs} from {inputs}.")


def _reads(op: Op, least: int, most: int | None = None) -> None:
    """ValueError for too few or too many inputs; None is no limit."""
    count = len(op.inputs)
    if count < least or (most is not None and count > most) or len(op.outputs) != 1:
        inputs = f"{least} or more inputs" if most is None else f"{least} input{'s' * (least > 1)}"
        _refuse(op, f"makes one output from {inputs}")


def _alike(op: Op) -> None:
    _reads(op, 1, 1)
    if op.inputs[0].shape != op.outputs[0].shape:
        _refuse(op, "makes what has the shape of its input")


def _affine(op: Op) -> None:
    _alike(op)
    channels = op.outputs[0].shape[-1]
    for name in ("scale", "offset"):
        if len(op.attributes[name]) != channels:
            _refuse(op, f"needs a {name} for each channel, and has {len(op.attributes[name])}")


def _dropout(op: Op) -> None:
    _alike(op)
    if not 0 <= op.attributes["rate"] < 1:
        _refuse(op, f"needs a rate from 0 to below 1, and has {op.attributes['rate']!r}")
    size = op.outputs[0].size
    decisions = op.attributes.get("decisions", size)
    if decisions < 1 or size % decisions:
        _refuse(op, f"needs decisions for parts of its output alike, and has {decisions!r}")


def _group_norm(op: Op) -> None:
    rows, groups, channels = (op.attributes[name] for name in ("rows", "groups", "channels"))
    alike = len(op.inputs) == 1 and len(op.outputs) == 2
    if not alike or op.inputs[0].shape != op.outputs[0].shape:
        _refuse(op, "makes what has the shape of its one input, and the moments")
    size = op.inputs[0].size
    if min(rows, groups) < 1 or channels % groups or size % (rows * channels):
        _refuse(op, f"cuts {size} numbers into {rows} rows of {channels} channels, {groups} groups")
    if op.outputs[1].size != 2 * rows * groups:
        _refuse(op, f"makes {2 * rows * groups} moments")
    for name, parameter in op.parameters.items():
        if parameter.size != channels:
            _refuse(op, f"needs a {name} of {channels} numbers, and has one of {parameter.shape}")


def _contrast_norm(op: Op) -> None:
    size, sigma = op.attributes["size"], op.attributes["sigma"]
    if size < 1 or size % 2 == 0 or sigma <= 0:
        _refuse(op, f"needs an odd size and a sigma above 0, and has {size!r} and {sigma!r}")
    shapes = [buffer.shape for buffer in op.outputs]
    if len(op.inputs) != 1 or len(shapes) != 4 or shapes[:2] != [op.inputs[0].shape] * 2:
        _refuse(op, "makes two images of the shape of its one input, and two maps")
    height, width, _ = _image(op, op.inputs[0])
    if shapes[2:] != [(height, width)] * 2:
        _refuse(op, f"makes two maps ({height}, {width})")


def _multiply(op: Op) -> None:
    _reads(op, 2, 2)
    x, gate = op.inputs
    each_channel = gate.size == gate.shape[-1] == x.shape[-1]
    if x.shape != op.outputs[0].shape or not (each_channel or gate.shape == x.shape):
        _refuse(op, "multiplies a map by a number for each channel, or by what has its shape")


def _response_norm(op: Op) -> None:
    _alike(op)
    if op.attributes["size"] < 1:
        _refuse(op, f"needs a size of at least 1, and has {op.attributes['size']!r}")


def _add(op: Op) -> None:
    _reads(op, 2)
    if any(buffer.shape != op.outputs[0].shape for buffer in op.inputs):
        _refuse(op, "adds what has one shape")


def _reshape(op: Op) -> None:
    _reads(op, 1, 1)
    if op.inputs[0].size != op.outputs[0].size:
        _refuse(op, "makes as many numbers as it reads")


def _concat(op: Op) -> None:
    _reads(op, 1)
    *pixels, channels = op.outputs[0].shape
    if any([*buffer.shape[:-1]] != pixels for buffer in op.inputs) or channels != sum(
        buffer.shape[-1] for buffer in op.inputs
    ):
        _refuse(op, "puts the channels of its inputs, alike otherwise, side by side")


def _pad(op: Op) -> None:
    _reads(op, 1, 1)
    (top, bottom), (left, right) = op.attributes["padding"]
    height, width, channels = _image(op, op.inputs[0])
    padded = (height + top + bottom, width + left + right, channels)
    if min(top, bottom, left, right) < 0 or op.outputs[0].shape != padded:
        _refuse(op, f"makes {padded} with the padding {op.attributes['padding']}, none below 0")
    mode = op.attributes.get("mode", "zeros")
    naming.entry(op.where, "mode", mode, dict.fromkeys(PADDING_MODES))
    if mode == "reflect" and (max(top, bottom) >= height or max(left, right) >= width):
        _refuse(op, f"reflects fewer pixels than the image has, and not {op.attributes['padding']}")


def _crop(op: Op) -> None:
    _reads(op, 1, 1)
    (top, bottom), (left, right) = op.attributes["padding"]
    height, width, channels = _image(op, op.inputs[0])
    cropped = (height - top - bottom, width - left - right, channels)
    if min(top, bottom, left, right) < 0 or min(cropped) < 1 or op.outputs[0].shape != cropped:
        _refuse(op, f"makes {cropped} without the border {op.attributes['padding']}")


def _bias(op: Op) -> None:
    _alike(op)
    _parameters(op, bias=op.outputs[0].shape[-1])
    if "bias" not in op.parameters:
        _refuse(op, "needs a bias")


def _permute(op: Op) -> None:
    _reads(op, 1, 1)
    shape, order = op.inputs[0].shape, op.attributes["order"]
    if len(shape) > 4 or sorted(order) != list(range(len(shape))):
        _refuse(op, f"needs an order of at most four axes, and has {order!r}")
    if op.outputs[0].shape != tuple(shape[axis] for axis in order):
        _refuse(op, f"makes what has the axes of its input in the order {order}")


def _prelu(op: Op) -> None:
    _alike(op)
    if op.outputs[0].size % op.parameters["alpha"].size:
        _refuse(op, f"needs an alpha for its last axes, not {op.parameters['alpha'].shape}")


def _upsample(op: Op) -> None:
    _reads(op, 1, 1)
    (scale_h, scale_w), (height, width, channels) = op.attributes["size"], _image(op, op.inputs[0])
    enlarged = (height * scale_h, width * scale_w, channels)
    if min(scale_h, scale_w) < 1 or op.outputs[0].shape != enlarged:
        _refuse(op, f"makes {enlarged} with the size {op.attributes['size']}, none below 1")


def _image(op: Op, buffer: Buffer) -> Shape:
    if len(buffer.shape) != 3:
        _refuse(op, "reads images (height, width, channels)")
    return buffer.shape


def _pool(op: Op) -> None:
    _reads(op, 1, 1)
    _check_problem(op, problem_of(op))


def _lp_pool(op: Op) -> None:
    _pool(op)
    if not 1 <= op.attributes["norm"] < inf:
        _refuse(op, f"needs a norm from 1 on, and has {op.attributes['norm']!r}")


def problem_of(op: Op) -> Problem:
    """Return the problem of a convolution or pooling. TypeError where its layer, one of a user's
    own, gave it something else."""
    problem = op.attributes["problem"]
    if not isinstance(problem, Problem):
        raise TypeError(
            f"{op.where} needs a Problem (fastcnn.graph.problem) as its attribute 'problem'. "
            f"Received {problem!r}."
        )
    return problem


def _check_problem(op: Op, problem: Problem) -> None:
    # A pooling over the whole image may leave out the 1 x 1 that remains.
    pixels = problem.out_height * problem.out_width
    size = pixels * problem.filters
    image = (problem.height, problem.width, problem.channels)
    if op.inputs[0].shape != image or op.outputs[0].size != size or pixels < 1:
        _refuse(op, f"makes {size} numbers from {image}, as its problem says")


def _conv2d(op: Op) -> None:
    _reads(op, 1, 1)
    problem = problem_of(op)
    _check_problem(op, problem)
    _parameters(op, kernel=_weights(op, problem), bias=problem.filters)


def _weights(op: Op, problem: Problem) -> int:
    """Return how many numbers a convolution's kernel has."""
    table = op.attributes.get("connections")
    pairs = problem.channels_per_group * problem.filters
    if table is not None:
        row = problem.filters
        if len(table) * row != pairs or any(
            len(line) != row or not {*line} <= {0, 1} for line in table
        ):
            _refuse(op, f"needs connections of {problem.channels} channels and {row} filters")
        pairs = sum(map(sum, table))
    return prod(problem.kernel) * pairs


def _conv2d_dx(op: Op) -> None:
    _reads(op, 1, 1)
    problem = problem_of(op)
    dy = (problem.out_height, problem.out_width, problem.filters)
    dx = (problem.height, problem.width, problem.channels)
    if op.inputs[0].shape != dy or op.outputs[0].shape != dx or min(dy) < 1:
        _refuse(op, f"makes {dx} from {dy}, as its problem says")
    _parameters(op, kernel=_weights(op, problem))


def _affine_sample(op: Op) -> None:
    _reads(op, 2, 2)
    image, theta = op.inputs
    channels = _image(op, image)[2]
    if theta.shape != (6,) or len(op.outputs[0].shape) != 3 or op.outputs[0].shape[2] != channels:
        _refuse(op, "makes images from others of as many channels and (6,)")


def _local_conv(op: Op) -> None:
    _reads(op, 1, 1)
    problem = problem_of(op)
    _check_problem(op, problem)
    pixels, window = op.outputs[0].size // problem.filters, prod(problem.kernel) * problem.channels
    if problem.groups != 1 or problem.dilation != (1, 1):
        _refuse(op, "has neither groups nor dilation")
    _parameters(op, kernel=pixels * window * problem.filters, bias=pixels * problem.filters)


def _matmul(op: Op) -> None:
    _reads(op, 1, 1)
    x, y = op.inputs[0], op.outputs[0]
    _parameters(op, kernel=x.size * y.size, bias=y.size)
    if len(x.shape) != 1 or len(y.shape) != 1:
        _refuse(op, "makes (features,) from (features,)")


def _parameters(op: Op, **sizes: int) -> None:
    """ValueError where a parameter has not as many numbers as the kernels read."""
    for name, size in sizes.items():
        parameter = op.parameters[name] if name == "kernel" else op.parameters.get(name)
        if parameter is not None and parameter.size != size:
            _refuse(op, f"needs a {name} of {size} numbers, and has one of {parameter.shape}")


def _scale_shift(op: Op) -> None:
    _reads(op, 3, 3)
    x, *constants = op.inputs
    if x.shape != op.outputs[0].shape or any(
        constant.shape != x.shape[-1:] for constant in constants
    ):
        _refuse(op, "needs a scale and a shift for each channel")


SHAPES: dict[str, Callable[[Op], None]] = {
    "activation": _alike,
    "add": _add,
    "affine": _affine,
    "affine_sample": _affine_sample,
    "average_pool": _pool,
    "bias": _bias,
    "concat": _concat,
    "contrast_norm": _contrast_norm,
    "conv2d": _conv2d,
    "conv2d_dx": _conv2d_dx,
    "copy": _alike,
    "crop": _crop,
    "dropout": _dropout,
    "group_norm": _group_norm,
    "local_conv": _local_conv,
    "lp_pool": _lp_pool,
    "matmul": _matmul,
    "matmul_dx": _matmul,
    "max_pool": _pool,
    "multiply": _multiply,
    "pad": _pad,
    "permute": _permute,
    "prelu": _prelu,
    "reshape": _reshape,
    "response_norm": _response_norm,
    "scale_shift": _scale_shift,
    "softmax": _alike,
    "upsample": _upsample,
}
"""By kind of op. Backward ops, and those that fusion joins, are made of verified ones."""
