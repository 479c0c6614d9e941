"""One direction of one convolution by itself: forward, dx (of the input) or dw (of the kernel)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
    x = generator.random((batch, *shape), dtype=np.float32)
    dy = generator.random((batch, *model.output_shape), dtype=np.float32)
    program, arrays = _program(direction, model, x, dy)
    arrays |= {"values": model.state.values, "gradients": np.zeros_like(model.state.values)}
    outside = {buffer: name for name, buffer in zip(("x", "target"), program.buffers, strict=False)}
    kept = set() if direction == "dw" else {program.output}
    executable = Executable(Lowering(program, outside, kept), batch)
    return lambda: executable.run(batch, arrays)


def _program(
    direction: str, model: Sequential, x: np.ndarray, dy: np.ndarray
) -> tuple[Program, dict[str, Any]]:
    """The op of a direction; its inputs are the program's first buffers."""
    (forward,) = model.program().ops
    names = {"problem": forward.attributes["problem"]}
    parameters = {"kernel": model.parameters[0]}
    if direction == "forward":
        program = Program(x.shape[1:], training=True)
        program.output = program.add("conv2d", [program.input], dy.shape[1:], parameters, **names)
        return program, {"x": x}
    if direction == "dx":
        program = Program(dy.shape[1:], training=True)
        program.output = program.add("conv2d_dx", [program.input], x.shape[1:], parameters, **names)
        return program, {"x": dy}
    program = Program(x.shape[1:], training=True)
    gradient = program.buffer(dy.shape[1:])
    inputs = (program.input, gradient)
    program.append("conv2d_dw", inputs, (), parameters, gradient_of=("kernel",), **names)
    return program, {"x": x, "target": dy}
