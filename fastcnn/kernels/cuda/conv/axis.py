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


def forward_axis(problem: Problem, axis: int) -> Axis:
    """Return the convolution itself along rows (0) or columns (1)."""
    size = (problem.height, problem.width)[axis]
    out_size = (problem.out_height, problem.out_width)[axis]
    taps, stride = problem.kernel[axis], problem.strides[axis]
    pad = problem.padding[axis][0]
    if taps > 1 or stride == 1:
        return Axis(size, out_size, taps, stride, problem.dilation[axis], pad)
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
    size = (problem.height, problem.width)[axis]
    out_size = (problem.out_height, problem.out_width)[axis]
    stride, dilation = problem.strides[axis], problem.dilation[axis]
    tap_step = stride // gcd(stride, dilation)
    axes = []
    for first in range(min(stride, size)):
        start = first + problem.padding[axis][0]
        met = [t for t in range(problem.kernel[axis]) if (start - t * dilation) % stride == 0]
        last = met[-1] if met else 0
        axes.append(
            Axis(
                size=out_size,
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
