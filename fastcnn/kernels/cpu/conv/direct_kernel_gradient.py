"""The kernel's gradient of direct convolution: sums over pixels by the register tile.

Rows are taps, columns are filters, and the inner dimension is the pixels: of an image, or of the
whole batch where the sums would be larger than the images. Numbers of one channel lie far apart
then, those of neighbouring pixels, and many channels push each other out of the cache. So wide
images and gradients are copied first, in the order in which the tiles read them: panel by panel for
1x1 kernels (`gemm/panels.py`), as a whole for others (`gradient_copies.py`).
"""

from __future__ import annotations

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import BATCH, IMAGE, Address, Calls, Region
from fastcnn.kernels.cpu.chunk_sums import empty_kernel_gradient, fold_kernel_gradient
from fastcnn.kernels.cpu.conv.gradient_copies import copy_cycles, planes_of, vectors_of
from fastcnn.kernels.cpu.gemm.packing import padded_source, wide_taps
from fastcnn.kernels.cpu.gemm.panels import multiply
from fastcnn.kernels.cpu.gemm.tiled import SPLIT_INNER, grid_cycles, grid_values, tiles
from fastcnn.kernels.cpu.simd.vector_unit import VECTOR_BYTES

CHUNKS = 16  # of images in a large batch, backends/cpu/executable.py
WORTH_PANELS = 56  # channels from which copies of dy's panels pay: four heights of a tile
WORTH_COPIES = 20  # channels and filters from which copies of whole images pay
NEAR = 256 << 10  # bytes of pixels that are taken to stay near while every tile reads them
IMAGES_NEAR = 1 << 20  # the same of whole images, of which a part of a batch-wide sum reads a piece
COPIES_NEAR = 384 << 10  # the same of copies


def dw_cycles(problem: Problem, pixels: int, images: int) -> float:
    """Estimate the cycles of one image, with `pixels` computed as one."""
    together = images if _sums_over_batch(problem, pixels, images) else 1
    if _copied(problem, pixels):
        taps_h, taps_w = problem.kernel
        steps = together * problem.out_height * problem.out_width
        product = grid_cycles(taps_w, problem.channels, problem.filters, steps) / together
        return taps_h * product + copy_cycles(problem)
    taps_w = wide_taps(problem, pixels)
    rows, columns = taps_w * problem.channels_per_group, pixels * problem.filters_per_group
    steps = together * problem.out_height * problem.out_width // pixels
    return problem.groups * grid_cycles(problem.kernel[0], rows, columns, steps) / together


def dw(
    calls: Calls, problem: Problem, pixels: int, x: Region, dy: Region, gradient: Region
) -> None:
    """Emit the gradient of the kernel, with `pixels` computed as one.

    Each chunk of images has sums of its own, which are added in order at the end. Where those
    would be larger than the images, the sums run over the whole batch at once.
    """
    emit_sums = _sum_copies if _copied(problem, pixels) else _sum_pixels
    if _sums_over_batch(problem, pixels, calls.images):
        emit_sums(calls, problem, pixels, x, dy, gradient, over_batch=True)
        return
    partial = empty_kernel_gradient(calls, problem, pixels)
    emit_sums(calls, problem, pixels, x, dy, partial)
    fold_kernel_gradient(calls, problem, partial, gradient, pixels)


def _sums_over_batch(problem: Problem, pixels: int, images: int) -> bool:
    """Say whether one sum over the batch moves less memory than sums of each chunk of images."""
    rows = problem.kernel[0] * wide_taps(problem, pixels) * problem.channels_per_group
    sums = min(CHUNKS, images) * rows * pixels * problem.filters
    inputs = problem.height * problem.width * problem.channels
    outputs = problem.out_height * problem.out_width * problem.filters
    return pixels == 1 and sums > 2 * images * (inputs + outputs)


def _by_panels(problem: Problem, pixels: int, x: Region, dy: Region) -> bool:
    """Say whether x^T dy is a product of two matrices that is worth copies of dy's panels.

    Neighbouring rows of a panel lie side by side, where the pixels of a wide dy are pages apart.
    """
    every_pixel = (
        problem.kernel == problem.strides == (1, 1)
        and not problem.padded
        and (x.stride, dy.stride) == (x.bytes, dy.bytes)
    )
    return every_pixel and problem.groups == pixels == 1 and problem.channels >= WORTH_PANELS


def _sum_by_panels(
    calls: Calls, problem: Problem, source: Region, dy: Region, sums: Region, over_batch: bool
) -> None:
    """Emit sums[C, F] (+)= source^T dy over the pixels of an image, or of all images."""
    channels, filters = problem.channels, problem.filters
    strides = {"a_inner": 4, "a_k0": 4 * channels, "c_inner": 4 * filters}
    grid = grid_values(channels, filters, k0=problem.out_height * problem.out_width, **strides)
    places = {"a": source, "matrix": dy, "c": sums}
    scope, how = (BATCH, {"inner_is_images": 1}) if over_batch else (IMAGE, {"added": 1})
    multiply(calls, scope, places, grid, s_i=filters, s_o=1, **how)


def _copied(problem: Problem, pixels: int) -> bool:
    """Say whether copies of the image and of dy pay, which every tap and filter reads."""
    wide = min(problem.channels, problem.filters) >= WORTH_COPIES
    return pixels == problem.groups == 1 and problem.kernel != (1, 1) and wide


def _sum_copies(
    calls: Calls,
    problem: Problem,
    pixels: int,
    x: Region,
    dy: Region,
    sums: Region,
    over_batch: bool = False,
) -> None:
    """Emit sums[KH, KW, C, F] (+)= x^T dy, of copies in the order of the tiles."""
    channels, filters = problem.channels, problem.filters
    (taps_h, taps_w), (dilation_h, dilation_w) = problem.kernel, problem.dilation
    planes, plane, row = planes_of(calls, problem, x)
    vectors = vectors_of(calls, problem, dy)
    step = 4 * filters
    line = channels * row + problem.out_width * step
    loops = {
        "k1": problem.out_height,
        "a_k1": problem.strides[0] * row,
        "b_k1": problem.out_width * VECTOR_BYTES,
        "k1_pass": max(1, NEAR // line),
        "k0": problem.out_width,
        "a_k0": 4 * problem.strides[1],
        "b_k0": VECTOR_BYTES,
        "b_vector": problem.out_height * problem.out_width * VECTOR_BYTES,
        "rows_outer": taps_w,
        "a_outer": 4 * dilation_w,
        "c_outer": channels * step,
        "a_inner": plane,
        "c_inner": step,
        "accumulate": 1,
    }
    scope, parts = IMAGE, 1
    if over_batch:
        scope, parts = BATCH, max(1, min(16, channels // 14))
        loops |= _over_images(planes, vectors, COPIES_NEAR)
    values = grid_values(channels, filters, **loops)
    for tap_h in range(taps_h):
        places = {
            "a": Address(planes, tap_h * dilation_h * row),
            "b": Address(vectors),
            "c": Address(sums, tap_h * taps_w * channels * step),
        }
        calls.emit(tiles, scope, "c", places, parts=parts, **values)


def _over_images(a: Region, b: Region, near: int) -> dict[str, int]:
    """Return the loops of a sum over the batch, of which images of so many bytes go through all
    tiles before the next ones."""
    return {
        "k2_is_images": 1,
        "a_k2": a.stride,
        "b_k2": b.stride,
        "k2_pass": max(1, near // (a.stride + b.stride)),
        "k1_pass": 0,
        "accumulate": 0,
        "split": SPLIT_INNER,
    }


def _sum_pixels(
    calls: Calls,
    problem: Problem,
    pixels: int,
    x: Region,
    dy: Region,
    sums: Region,
    over_batch: bool = False,
) -> None:
    """Emit sums[KH, wide KW, C / groups, P * F] (+)= source^T dy, over pixels; groups lie side by
    side."""
    source = padded_source(calls, problem, x)
    if _by_panels(problem, pixels, source, dy):
        _sum_by_panels(calls, problem, source, dy, sums, over_batch)
        return
    taps_h, taps_w = problem.kernel[0], wide_taps(problem, pixels)
    inner, outputs = problem.channels_per_group, problem.filters_per_group
    channels, filters = problem.channels, problem.filters
    row = 4 * problem.padded_width * channels
    step = 4 * pixels * filters  # bytes of one row of the sums
    a_k1, b_k1 = problem.strides[0] * row, 4 * problem.out_width * filters
    loops = {
        "k1": problem.out_height,
        "a_k1": a_k1,
        "b_k1": b_k1,
        "k1_pass": max(1, NEAR // (a_k1 + b_k1)),
        "k0": problem.out_width // pixels,
        "a_k0": 4 * pixels * problem.strides[1] * channels,
        "b_k0": 4 * pixels * filters,
        "groups": problem.groups,
        "a_group": 4 * inner,
        "b_group": 4 * outputs,
        "c_group": 4 * outputs,
        "a_inner": 4,
        "c_inner": step,
        "accumulate": 1,
    }
    scope, parts = IMAGE, 1
    if over_batch:
        scope, parts = BATCH, max(1, min(16, taps_w * inner // 14))
        loops |= _over_images(source, dy, IMAGES_NEAR)
    if problem.groups == 1 and problem.dilation[1] == 1:
        rows = taps_w * inner
        loops |= {"rows_outer": taps_h, "a_outer": problem.dilation[0] * row}
        values = grid_values(rows, pixels * outputs, c_outer=rows * step, **loops)
        calls.emit(tiles, scope, "c", {"a": source, "b": dy, "c": sums}, parts=parts, **values)
        return
    loops |= {"rows_outer": taps_w, "a_outer": 4 * problem.dilation[1] * channels}
    for tap_h in range(taps_h):
        places = {
            "a": Address(source, tap_h * problem.dilation[0] * row),
            "b": Address(dy),
            "c": Address(sums, tap_h * taps_w * inner * step),
        }
        values = grid_values(inner, pixels * outputs, c_outer=inner * step, **loops)
        calls.emit(tiles, scope, "c", places, parts=parts, **values)
