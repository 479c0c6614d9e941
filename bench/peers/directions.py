"""One direction of one convolution by itself: forward, dx (of the input) or dw (of the kernel)."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from fastcnn import Sequential
from fastcnn.engines.executable import Executable
from fastcnn.engines.lowering import Lowering
from fastcnn.layers import Conv2D
from fastcnn.program import Program

DIRECTIONS = ("forward", "dx", "dw")


def make(direction: str, layer: Conv2D, shape: tuple[int, ...], batch: int) -> Callable[[], None]:
    """A function that computes one direction of a convolution layer on `batch` images once."""
    model = Sequential([layer], input_shape=shape)
    generator = np.random.default_rng(0)
    images = generator.random((batch, *shape), dtype=np.float32)
    gradients = generator.random((batch, *model.output_shape), dtype=np.float32)
    (forward,) = model.program().ops
    options = {"parameters": forward.parameters, "problem": forward.attributes["problem"]}
    x, dy = (images, gradients) if direction != "dx" else (gradients, images)
    program = Program(x.shape[1:], training=True)
    outside = {program.input: "x"}
    if direction == "dw":
        target = program.buffer(dy.shape[1:])
        outside[target] = "target"
        program.append("conv2d_dw", (program.input, target), (), gradient_of=("kernel",), **options)
    else:
        kind = "conv2d" if direction == "forward" else "conv2d_dx"
        program.output = program.add(kind, [program.input], dy.shape[1:], **options)
    executable = Executable(Lowering(program, outside, {program.output}), batch)
    executable.give(
        x=x, target=dy, values=model.state.values, gradients=np.zeros_like(model.state.values)
    )
    versions = itertools.count()
    # A new version a step: packing the kernel is part of the work.
    return lambda: executable.run(batch, next(versions))
