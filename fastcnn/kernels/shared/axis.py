"""A convolution one axis at a time: where each output reads, which taps it meets, where it goes."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, gcd

from fastcnn.graph.problem import Problem


@dataclass(frozen=True)
class Axis:
    """A convolution along one axis, and where in a larger one it reads, weighs and writes.

    Output i sums tap t of input i * stride + t * dilation - pad; inputs outside 0 .. size - 1 are
    zero. Input i lies at in_first + i * in_step, tap t is the kernel's first_tap + t * tap_step,
    output i is written to first + i * step.
    """

    size: int
    out_size: int
    taps: int
    stride: int
    dilation: int
    pad: int
    in_first: int = 0
    in_step: int = 1
    first_tap: int = 0
    tap_step: int = 1
    first: int = 0
    step: int = 1

    @property
    def reach(self) -> int:
        """Inputs from the first that an output meets to its last."""
        return (self.taps - 1) * self.dilation + 1


def axis_of(problem: Problem, axis: int) -> Axis:
    """Return the convolution itself along rows (0) or columns (1)."""
    return Axis(
        (problem.height, problem.width)[axis],
        (problem.out_height, problem.out_width)[axis],
        problem.kernel[axis],
        problem.strides[axis],
        problem.dilation[axis],
        problem.padding[axis][0],
    )


def forward_axis(problem: Problem, axis: int) -> Axis:
    """Return the same without the inputs that no tap meets."""
    whole = axis_of(problem, axis)
    size, out_size, pad, stride = whole.size, whole.out_size, whole.pad, whole.stride
    if whole.taps > 1 or stride == 1:
        return whole
    # A single tap meets every stride-th input: the others do not exist.
    before = ceil(pad / stride)
    in_first = before * stride - pad
    if in_first >= size:
        return Axis(0, out_size, 1, 1, 1, before)
    met = ceil((size - in_first) / stride)
    return Axis(met, out_size, 1, 1, 1, before, in_first=in_first, in_step=stride)


def backward_axes(problem: Problem, axis: int) -> list[Axis]:
    """Return the input's gradient along one axis, as convolutions of the output's with stride 1.

    Input pixel i gets tap t of output (i + pad - t * dilation) / stride where that is whole: for
    pixels a stride apart these are the same taps, every stride / gcd(stride, dilation)-th. An axis
    without taps stands for pixels that no output reached: their gradient is 0.
    """
    forward = axis_of(problem, axis)
    size, stride, dilation = forward.size, forward.stride, forward.dilation
    tap_step = stride // gcd(stride, dilation)
    axes = []
    for first in range(min(stride, size)):
        start = first + forward.pad
        met = [t for t in range(forward.taps) if (start - t * dilation) % stride == 0]
        last = met[-1] if met else 0
        axes.append(
            Axis(
                size=forward.out_size,
                out_size=ceil((size - first) / stride),
                taps=len(met),
                stride=1,
                dilation=max(1, tap_step * dilation // stride) if len(met) > 1 else 1,
                pad=-((start - last * dilation) // stride),
                first_tap=last,
                tap_step=-tap_step,
                first=first,
                step=stride,
            )
        )
    return axes


def geometry(rows: Axis, columns: Axis) -> dict[str, int]:
    """Return the sizes of both axes as kernels take them."""
    return {
        "height": rows.size,
        "width": columns.size,
        "out_height": rows.out_size,
        "out_width": columns.out_size,
        "taps_h": rows.taps,
        "taps_w": columns.taps,
        "stride_h": rows.stride,
        "stride_w": columns.stride,
        "dilation_h": rows.dilation,
        "dilation_w": columns.dilation,
        "top": rows.pad,
        "left": columns.pad,
    }


def image_strides(
    rows: Axis, columns: Axis, width: int, pixels: int, channels: int
) -> dict[str, int]:
    """Return where the axes read in images [pixels / width, width, channels], in floats."""
    return {
        "x_first": (rows.in_first * width + columns.in_first) * channels,
        "x_image": pixels * channels,
        "x_row": rows.in_step * width * channels,
        "x_pixel": columns.in_step * channels,
    }
