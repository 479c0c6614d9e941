"""A problem's sizes by the names that kernels give them."""

from __future__ import annotations

from fastcnn.graph.problem import Problem


def image_sizes(problem: Problem) -> dict[str, int]:
    """Return the sizes of the image and of the result, and how windows step through the image."""
    return {
        "height": problem.height,
        "width": problem.width,
        "channels": problem.channels,
        "out_height": problem.out_height,
        "out_width": problem.out_width,
        "stride_h": problem.strides[0],
        "stride_w": problem.strides[1],
        "top": problem.padding[0][0],
        "left": problem.padding[1][0],
    }


def window_sizes(problem: Problem) -> dict[str, int]:
    """Return those of a convolution, with its groups and the taps of a window."""
    return {
        **image_sizes(problem),
        "groups": problem.groups,
        "taps_h": problem.kernel[0],
        "taps_w": problem.kernel[1],
        "dilation_h": problem.dilation[0],
        "dilation_w": problem.dilation[1],
    }
