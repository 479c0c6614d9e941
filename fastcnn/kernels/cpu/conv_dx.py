"""The gradient of a convolution's input: which of the two ways costs less."""

from __future__ import annotations

from fastcnn.kernels.cpu import conv_direct, conv_im2col
from fastcnn.kernels.cpu.call import Calls, Region
from fastcnn.problem import Problem


def input_gradient(calls: Calls, problem: Problem, dy: Region, kernel: Region, out: Region) -> None:
    """Emit the gradient of the input by the cheaper way: padded and flipped, or row by row."""
    backward = conv_direct.transposed(problem)
    if backward is not None:
        direct = conv_direct.forward_cycles(backward, conv_direct.pixels_at_once(backward))
        if direct <= conv_im2col.dx_cycles(problem):
            conv_direct.dx(calls, backward, dy, kernel, out)
            return
    conv_im2col.dx(calls, problem, dy, kernel, out)
