"""Direct convolution: the register tile on the image's own rows, no column matrix.

With channels last, the KW * C numbers that one output pixel needs from one image row lie side by
side, and the next pixel's begin stride * C further on. So a row of output pixels is a matrix
product whose A is the image itself, read through strides (`gemm/tiled.py`): rows are pixels,
columns are filters, and the inner dimension runs over kernel rows and then KW * C neighbours. The
gradient of the kernel is the same product with pixels as the inner dimension
(`direct_kernel_gradient.py`), the gradient of the input is a convolution of the padded output
gradient with the flipped kernel.

Few filters would leave most of a vector empty. Then P neighbouring pixels are computed as one: a
convolution with P * filters columns, stride P, and a kernel widened by (P - 1) * stride columns of
zeros, packed once a step. For LeNet-5's first layer (6 filters, P = 2) that takes 15 vector
multiply-adds a pixel in place of 25.

Shapes: x [H, W, C], kernel [KH, KW, C / groups, F], y [OH, OW, F] of each image; every stride,
padding, dilation and group. Operations: OH * OW * KH * KW * F * C / groups multiply-adds an image
and direction. Workspace: the padded image of each thread, the packed kernel, partial sums of dw.

References:
    E. Georganas et al., Anatomy of High-Performance Deep Learning Convolutions on SIMD
    Architectures, 2018 (the idea of a tile that walks the image itself).
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import GLOBAL, IMAGE, LOCAL, Calls, LayerOperands, Region
from fastcnn.kernels.cpu.conv import depthwise, direct_input_gradient, direct_kernel_gradient
from fastcnn.kernels.cpu.conv.direct_kernel_gradient import WORTH_PANELS
from fastcnn.kernels.cpu.conv.im2col_columns import columns_of
from fastcnn.kernels.cpu.gemm.packing import packed_kernel, padded_source, repeated, wide_taps
from fastcnn.kernels.cpu.gemm.tiled import grid_cycles, grid_values, tiles
from fastcnn.kernels.cpu.simd.vector_unit import LANES, VECTOR_BYTES

FAR = 64 << 20  # bytes of which no cache has much


def pixels_at_once(problem: Problem) -> int:
    """Return P, the neighbouring pixels computed as one; it divides the output's width."""
    if problem.groups > 1 or problem.dilation[1] > 1:
        return 1
    candidates = [p for p in range(1, 9) if problem.out_width % p == 0]
    return min(candidates, key=lambda p: (forward_cycles(problem, p), p))


def forward_cycles(problem: Problem, pixels: int) -> float:
    """Estimate the cycles of one image, forward, with `pixels` computed as one."""
    taps_w = wide_taps(problem, pixels)
    steps = problem.kernel[0] * taps_w * problem.channels_per_group
    rows, columns = problem.out_width // pixels, pixels * problem.filters_per_group
    return problem.groups * grid_cycles(problem.out_height, rows, columns, steps)


def cycles(direction: str, problem: Problem, images: int) -> float:
    """Estimate the cycles of one image on one thread."""
    if problem.depthwise:
        return problem.multiply_adds / LANES
    if direction == "dw":
        return direct_kernel_gradient.dw_cycles(problem, pixels_at_once(problem), images)
    if direction == "forward":
        return forward_cycles(problem, pixels_at_once(problem))
    rows, backward = direct_input_gradient.dx_cycles(problem), transposed(problem)
    if backward is None:
        return rows
    return min(rows, forward_cycles(backward, pixels_at_once(backward)))


def convolve(
    calls: Calls,
    problem: Problem,
    source: Region,
    packed: Region,
    bias: Region | None,
    y: Region,
    pixels: int,
    relu: bool = False,
) -> None:
    """Emit y = source * packed (+ bias): `source` is padded, `packed` is from `packed_kernel`."""
    channels, filters = problem.channels, problem.filters
    inner, outputs = problem.channels_per_group, problem.filters_per_group
    row = 4 * problem.padded_width * channels
    wide_w = wide_taps(problem, pixels)
    steps = problem.kernel[0] * wide_w * inner
    vectors = ceil(pixels * outputs / LANES)
    columns = pixels * outputs
    grid = {
        "rows_outer": problem.out_height,
        "a_outer": problem.strides[0] * row,
        "c_outer": 4 * problem.out_width * filters,
        "a_inner": 4 * pixels * problem.strides[1] * channels,
        "c_inner": 4 * pixels * filters,
        "groups": problem.groups,
        "a_group": 4 * inner,
        "b_group": vectors * steps * VECTOR_BYTES,
        "c_group": 4 * outputs,
        "b_vector": steps * VECTOR_BYTES,
        "stream": _past_caches(calls, y, columns),
        **_taps(problem, row, wide_w, inner),
    }
    rows = problem.out_width // pixels
    if problem.kernel == (1, 1) and problem.strides == (1, 1):
        # Pixels follow each other without a gap: one long row, whole tiles.
        rows, grid["rows_outer"] = rows * problem.out_height, 1
    bias_place = bias if pixels == 1 or bias is None else repeated(calls, bias, outputs, pixels)
    calls.emit(
        tiles,
        IMAGE,
        "c",
        {"a": source, "b": packed, "bias": bias_place, "c": y},
        **grid_values(rows, columns, relu=relu, **grid),
    )


def _past_caches(calls: Calls, y: Region, columns: int) -> bool:
    """Say whether y is for others than the program, and so large that they find little of it in a
    cache: its lines need not be read before they are written."""
    whole = columns % LANES == 0
    return whole and y.kind not in (LOCAL, GLOBAL) and calls.images * y.bytes > FAR


def _taps(problem: Problem, row: int, wide_w: int, inner: int) -> dict[str, int]:
    """The inner dimension's three loops over the padded image."""
    dilation_h, dilation_w = problem.dilation
    contiguous = problem.groups == 1 and dilation_w == 1
    loops = (
        (1, 0, problem.kernel[0], dilation_h * row, wide_w * inner, 4)
        if contiguous
        else (
            problem.kernel[0],
            dilation_h * row,
            wide_w,
            4 * dilation_w * problem.channels,
            inner,
            4,
        )
    )
    k2, a_k2, k1, a_k1, k0, a_k0 = loops
    return {
        "k2": k2,
        "a_k2": a_k2,
        "b_k2": k1 * k0 * VECTOR_BYTES,
        "k1": k1,
        "a_k1": a_k1,
        "b_k1": k0 * VECTOR_BYTES,
        "k0": k0,
        "a_k0": a_k0,
        "b_k0": VECTOR_BYTES,
    }


def conv2d_direct(calls: Calls, problem: Problem, operands: LayerOperands) -> None:
    """Emit y = x * kernel + bias; `scale` multiplies each filter of the kernel first."""
    if problem.depthwise:
        depthwise.forward(calls, problem, operands)
        return
    pixels = pixels_at_once(problem)
    packed = packed_kernel(calls, problem, operands.kernel, pixels, scale=operands.scale)
    source = padded_source(calls, problem, operands.x)
    convolve(calls, problem, source, packed, operands.bias, operands.y, pixels, operands.relu)


def transposed(problem: Problem) -> Problem | None:
    """Return dx as a convolution of the output gradient; None where strides or padding forbid."""
    if problem.strides != (1, 1):
        return None
    backward = problem.transposed
    return None if min(map(min, backward.padding)) < 0 else backward


def conv2d_direct_dx(
    calls: Calls, problem: Problem, dy: Region, kernel: Region, out: Region
) -> None:
    """Emit the gradient of the input by the cheaper way: padded and flipped, or row by row."""
    if problem.depthwise:
        depthwise.dx(calls, problem, dy, kernel, out)
        return
    backward = transposed(problem)
    pixels = pixels_at_once(backward) if backward else 1
    if backward is None or direct_input_gradient.dx_cycles(problem) < forward_cycles(
        backward, pixels
    ):
        direct_input_gradient.dx(calls, problem, dy, kernel, out)
        return
    packed = packed_kernel(calls, backward, kernel, pixels, flipped=True)
    source = padded_source(calls, backward, dy)
    convolve(calls, backward, source, packed, None, out, pixels)


def conv2d_direct_dw(
    calls: Calls, problem: Problem, x: Region, dy: Region, gradient: Region
) -> None:
    """Emit the gradient of the kernel."""
    if problem.depthwise:
        depthwise.dw(calls, problem, x, dy, gradient)
        return
    if _skips_pixels(problem):
        # The pixels that it looks at are copied together: all are pages apart in a wide image.
        x, problem = columns_of(calls, problem, x).region, _without_skips(problem)
    pixels = pixels_at_once(problem)
    direct_kernel_gradient.dw(calls, problem, pixels, x, dy, gradient)


def _skips_pixels(problem: Problem) -> bool:
    """Say whether a 1x1 convolution with strides would be a product worth copies of its panels."""
    strided = problem.strides != (1, 1) == problem.kernel
    return strided and problem.groups == 1 and problem.channels >= WORTH_PANELS


def _without_skips(problem: Problem) -> Problem:
    """Return the convolution of the pixels alone that a 1x1 convolution looks at."""
    return replace(
        problem,
        height=problem.out_height,
        width=problem.out_width,
        strides=(1, 1),
        padding=((0, 0), (0, 0)),
    )
