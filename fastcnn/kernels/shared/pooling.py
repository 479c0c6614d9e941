"""The sizes of a pooling, as the kernels of every device take them."""

from __future__ import annotations

from fastcnn.graph.problem import Problem


def geometry(problem: Problem, relu: bool = False) -> dict[str, int]:
    """Return a pooling's sizes; `relu` says whether ReLU goes with it."""
    whole = problem.out_height * problem.strides[0] == problem.height
    whole = whole and problem.out_width * problem.strides[1] == problem.width
    return {
        "height": problem.height,
        "width": problem.width,
        "channels": problem.channels,
        "out_height": problem.out_height,
        "out_width": problem.out_width,
        "window_h": problem.kernel[0],
        "window_w": problem.kernel[1],
        "stride_h": problem.strides[0],
        "stride_w": problem.strides[1],
        "top": problem.padding[0][0],
        "left": problem.padding[1][0],
        "relu": relu,
        # Windows that tile the image write each of its pixels exactly once.
        "four": problem.kernel == (2, 2) and not problem.padded,
        "covers": whole and problem.kernel == problem.strides and not problem.padded,
    }
