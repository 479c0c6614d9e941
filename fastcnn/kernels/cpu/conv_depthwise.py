"""Depthwise convolution: each channel by itself, one kernel a channel.

Nine multiply-adds a number read leave nothing to tile: a vector of channels is summed over the taps
that lie inside the image, so no padded copy is needed. It is bound by memory.
"""

from __future__ import annotations

from numba import carray, njit

from fastcnn.kernels.cpu.call import BATCH, CHUNK, IMAGE, PARTIAL, Calls, Region
from fastcnn.kernels.cpu.kernel import kernel, record
from fastcnn.kernels.cpu.layout import fill_zero, fold_gradient
from fastcnn.kernels.cpu.memory import floats
from fastcnn.kernels.cpu.simd import LANES
from fastcnn.kernels.cpu.vector import add, fma, load, splat, store, where_larger
from fastcnn.problem import Problem

DEPTHWISE = record(
    *("x", "kernel", "bias", "scale", "y"),
    *("height", "width", "channels", "out_height", "out_width", "taps_h", "taps_w"),
    *("stride_h", "stride_w", "dilation_h", "dilation_w", "top", "left", "relu"),
)


@njit
def _taps(size, taps, dilation, start):
    """Return the first tap inside an axis and the end, for a window that starts at `start`."""
    first = 0 if start >= 0 else (-start + dilation - 1) // dilation
    return first, max(first, min(taps, (size - start + dilation - 1) // dilation))


@kernel(DEPTHWISE)
def depthwise_forward(pointer):
    """y[OH, OW, C] = bias[C] + sum over taps of x * kernel[KH, KW, C] (* scale[C])."""
    op = carray(pointer, 1)[0]
    pixel_step = 4 * op.channels
    floor = splat(0.0)
    for c in range(0, op.channels, LANES):
        lanes = min(LANES, op.channels - c)
        bias = load(op.bias + 4 * c, lanes) if op.bias else splat(0.0)
        scale = load(op.scale + 4 * c, lanes) if op.scale else splat(1.0)
        for out_row in range(op.out_height):
            row = out_row * op.stride_h - op.top
            first_h, end_h = _taps(op.height, op.taps_h, op.dilation_h, row)
            to = op.y + 4 * (out_row * op.out_width * op.channels + c)
            for out_column in range(op.out_width):
                column = out_column * op.stride_w - op.left
                first_w, end_w = _taps(op.width, op.taps_w, op.dilation_w, column)
                total = splat(0.0)
                for tap_h in range(first_h, end_h):
                    line = (row + tap_h * op.dilation_h) * op.width + column
                    at = op.x + pixel_step * (line + first_w * op.dilation_w) + 4 * c
                    weight = op.kernel + pixel_step * (tap_h * op.taps_w + first_w) + 4 * c
                    for _ in range(first_w, end_w):
                        total = fma(load(at, lanes), load(weight, lanes), total)
                        at += pixel_step * op.dilation_w
                        weight += pixel_step
                total = fma(total, scale, bias)
                if op.relu:
                    total = where_larger(total, floor, total, floor)
                store(total, to, lanes)
                to += pixel_step


@kernel(DEPTHWISE)
def depthwise_dx(pointer):
    """x[H, W, C] = the gradient of the input, from y[OH, OW, C] holding that of the output."""
    op = carray(pointer, 1)[0]
    pixel_step = 4 * op.channels
    floats(op.x, op.height * op.width * op.channels)[:] = 0
    for c in range(0, op.channels, LANES):
        lanes = min(LANES, op.channels - c)
        for out_row in range(op.out_height):
            row = out_row * op.stride_h - op.top
            first_h, end_h = _taps(op.height, op.taps_h, op.dilation_h, row)
            for out_column in range(op.out_width):
                column = out_column * op.stride_w - op.left
                first_w, end_w = _taps(op.width, op.taps_w, op.dilation_w, column)
                dy = load(op.y + pixel_step * (out_row * op.out_width + out_column) + 4 * c, lanes)
                for tap_h in range(first_h, end_h):
                    line = (row + tap_h * op.dilation_h) * op.width + column
                    at = op.x + pixel_step * (line + first_w * op.dilation_w) + 4 * c
                    weight = op.kernel + pixel_step * (tap_h * op.taps_w + first_w) + 4 * c
                    for _ in range(first_w, end_w):
                        store(fma(dy, load(weight, lanes), load(at, lanes)), at, lanes)
                        at += pixel_step * op.dilation_w
                        weight += pixel_step


@njit
def _outputs(size, out_size, stride, start):
    """Return the first output position whose tap at `start` lies inside an axis, and the end."""
    first = 0 if start >= 0 else (-start + stride - 1) // stride
    return first, max(first, min(out_size, (size - start + stride - 1) // stride))


@kernel(DEPTHWISE)
def depthwise_dw(pointer):
    """kernel[KH, KW, C] += the kernel's gradient, from x and y = the gradient of the output."""
    op = carray(pointer, 1)[0]
    pixel_step = 4 * op.channels
    for c in range(0, op.channels, LANES):
        lanes = min(LANES, op.channels - c)
        for tap_h in range(op.taps_h):
            start_h = tap_h * op.dilation_h - op.top
            first_h, end_h = _outputs(op.height, op.out_height, op.stride_h, start_h)
            for tap_w in range(op.taps_w):
                start_w = tap_w * op.dilation_w - op.left
                first_w, end_w = _outputs(op.width, op.out_width, op.stride_w, start_w)
                total = splat(0.0)
                for out_row in range(first_h, end_h):
                    line = (out_row * op.stride_h + start_h) * op.width + start_w
                    at = op.x + pixel_step * (line + first_w * op.stride_w) + 4 * c
                    dy = op.y + pixel_step * (out_row * op.out_width + first_w) + 4 * c
                    for _ in range(first_w, end_w):
                        total = fma(load(at, lanes), load(dy, lanes), total)
                        at += pixel_step * op.stride_w
                        dy += pixel_step
                to = op.kernel + pixel_step * (tap_h * op.taps_w + tap_w) + 4 * c
                store(add(total, load(to, lanes)), to, lanes)


def _geometry(problem: Problem) -> dict[str, int]:
    return {
        "height": problem.height,
        "width": problem.width,
        "channels": problem.channels,
        "out_height": problem.out_height,
        "out_width": problem.out_width,
        "taps_h": problem.kernel[0],
        "taps_w": problem.kernel[1],
        "stride_h": problem.strides[0],
        "stride_w": problem.strides[1],
        "dilation_h": problem.dilation[0],
        "dilation_w": problem.dilation[1],
        "top": problem.padding[0][0],
        "left": problem.padding[1][0],
    }


def forward(
    calls: Calls,
    problem: Problem,
    x: Region,
    weights: Region,
    bias: Region | None,
    y: Region,
    relu: bool = False,
    scale: Region | None = None,
) -> None:
    """Emit y = x * kernel + bias, channel by channel."""
    places = {"x": x, "kernel": weights, "bias": bias, "scale": scale, "y": y}
    calls.emit(depthwise_forward, IMAGE, "y", places, **_geometry(problem), relu=relu)


def dx(calls: Calls, problem: Problem, dy: Region, weights: Region, out: Region) -> None:
    """Emit the gradient of the input."""
    places = {"x": out, "kernel": weights, "y": dy}
    calls.emit(depthwise_dx, IMAGE, "x", places, **_geometry(problem))


def dw(calls: Calls, problem: Problem, x: Region, dy: Region, gradient: Region) -> None:
    """Emit the gradient of the kernel."""
    taps, channels = problem.kernel[0] * problem.kernel[1], problem.channels
    partial = Region(4 * taps * channels, PARTIAL, label="partial dw")
    calls.emit(fill_zero, CHUNK, "y", {"y": partial}, size=taps * channels)
    places = {"x": x, "kernel": partial, "y": dy}
    calls.emit(depthwise_dw, IMAGE, "kernel", places, **_geometry(problem))
    calls.emit(
        fold_gradient,
        BATCH,
        "gradient",
        {"partial": partial, "gradient": gradient},
        taps_h=1,
        taps_w=taps,
        wide_w=taps,
        inner=1,
        outputs=channels,
        pixels=1,
        shift=0,
    )
