"""The kernel's gradient of Winograd convolution: outputs and kernel are exchanged.

    V[e] [tiles, C] = B^T d B,  W[e] [tiles, F] = A dy A^T    of every image
    D[e] [C, F]     = V[e]^T @ W[e]                           of a block of images, of each thread
    dw              = G^T D G                                 added to the sums of a chunk

D is larger than dw by s^2 / KH^2, so that it goes back from the basis while a core has it near, and
sums of chunks are as large as dw. Where D is large and images are few, V and W of the whole batch
are multiplied at once instead.
"""

from __future__ import annotations

from math import ceil

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import (
    BATCH,
    BLOCK,
    GLOBAL,
    IMAGE,
    LOCAL,
    MOST_IN_BLOCK,
    Calls,
    Region,
    images_in_block,
    odd_lines,
)
from fastcnn.kernels.cpu import costs as cpu
from fastcnn.kernels.cpu.chunk_sums import empty_kernel_gradient, fold_kernel_gradient
from fastcnn.kernels.cpu.conv import winograd_kernels as kernels
from fastcnn.kernels.cpu.conv.winograd_tiling import (
    NEAR,
    PARTS,
    ROWS,
    Tiling,
    multiply_elements,
    transform_cycles,
)
from fastcnn.kernels.cpu.gemm.packing import padded_source
from fastcnn.kernels.cpu.gemm.tiled import grid_cycles, grid_values
from fastcnn.kernels.cpu.layout import fill_zero
from fastcnn.kernels.cpu.simd.vector_unit import LANES

FURTHER = 5  # times the size of D that a block's V and W may have
LARGEST = 16 << 20  # bytes of D that each thread may have


def dw(
    calls: Calls, problem: Problem, tiling: Tiling, x: Region, dy: Region, gradient: Region
) -> None:
    """Emit the gradient of the kernel."""
    channels, filters = problem.channels, problem.filters
    v_tile, v_step, v_bytes = tiling.steps(tiling.count, channels)
    w_tile, w_step, w_bytes = tiling.steps(tiling.count, filters)
    d_step = odd_lines(4 * channels * filters)
    v, w = Region(v_bytes, label="V"), Region(w_bytes, label="W")
    d_bytes = tiling.elements * d_step
    over_batch = _sums_over_batch(tiling, channels, filters, calls.images)
    together = _multiplied_together(tiling, channels, filters)
    scope = BATCH if over_batch else BLOCK if together > 1 else IMAGE
    d = Region(d_bytes, GLOBAL if over_batch else LOCAL, per_image=False, label="D")
    if scope == IMAGE:
        calls.emit(fill_zero, BLOCK, "y", {"y": d}, size=d_bytes // 4)
    for kernel, image, area, elements, tile, step in (
        (kernels.INPUTS, x, tiling.source, v, v_tile, v_step),
        (kernels.OUTPUT_GRADIENTS, dy, tiling.target, w, w_tile, w_step),
    ):
        source = padded_source(calls, area, image)
        values = {**tiling.geometry(area), "v_tile": tile, "v_step": step}
        calls.emit(kernel[tiling.form], IMAGE, "v", {"x": source, "v": elements}, **values)
    grid = grid_values(
        channels,
        filters,
        groups=tiling.elements,
        a_group=v_step,
        b_group=w_step,
        c_group=d_step,
        a_inner=4,
        c_inner=4 * filters,
        k1=1,
        a_k1=v.stride,
        b_k1=w.stride,
        k0=tiling.count,
        a_k0=v_tile,
        b_k0=w_tile,
        accumulate=scope == IMAGE,
    )
    multiply_elements(calls, scope, {"a": v, "b": w, "c": d}, grid, "k1_is_images")
    sums = gradient if over_batch else empty_kernel_gradient(calls, problem)
    calls.emit(
        kernels.GRADIENTS[tiling.form],
        BATCH if over_batch else BLOCK,
        ("gradient",),
        {"d": d, "gradient": sums},
        parts=min(PARTS, channels) if over_batch else 1,
        added=not over_batch,
        channels=channels,
        filters=filters,
        d_step=d_step,
    )
    if not over_batch:
        fold_kernel_gradient(calls, problem, sums, gradient)


def _bytes(tiling: Tiling, channels: int, filters: int) -> tuple[int, int]:
    """Return those of D, and of V and W of an image."""
    element = 4 * tiling.elements
    return element * channels * filters, element * tiling.count * (channels + filters)


def _sums_over_batch(tiling: Tiling, channels: int, filters: int, images: int) -> bool:
    """Say whether one product over the batch moves less memory than one of each block of images,
    or whether D is too large for each thread to have its own.

    Memory may make blocks smaller than is taken for granted here (backends/cpu/executable.py).
    """
    d_bytes, v_and_w = _bytes(tiling, channels, filters)
    blocks = ceil(images / images_in_block(images))
    return d_bytes > LARGEST or (d_bytes > NEAR and blocks * d_bytes > 2 * images * v_and_w)


def _multiplied_together(tiling: Tiling, channels: int, filters: int) -> int:
    """Return the images whose V and W are multiplied in one product for dw.

    A block of them reads and writes D once and has longer sums, which pays where the block's V and
    W, further away than an image's, are not many times as large as D.
    """
    few_tiles = tiling.count < ROWS // 2
    d_bytes, v_and_w = _bytes(tiling, channels, filters)
    pays = few_tiles or MOST_IN_BLOCK * v_and_w <= FURTHER * d_bytes
    return MOST_IN_BLOCK if pays else 1


def dw_cycles(tiling: Tiling, channels: int, filters: int, images: int) -> float:
    """Estimate the cycles of one image on one thread, but for the transforms of its tiles."""
    # Images that are multiplied together lengthen the sums, not their number.
    together = min(images, _multiplied_together(tiling, channels, filters))
    product = grid_cycles(1, channels, filters, tiling.count * together) / together
    # D is larger than the kernel, and comes from further away.
    d_bytes, v_and_w = _bytes(tiling, channels, filters)
    over_batch = _sums_over_batch(tiling, channels, filters, images)
    back = transform_cycles(tiling) * channels * ceil(filters / LANES)
    sums = d_bytes / cpu.costs.bytes_a_cycle + back
    sums /= images if over_batch else images_in_block(images)
    # V and W of an image are written and read as wholes.
    traffic = 2 * v_and_w / cpu.costs.bytes_a_cycle if v_and_w > NEAR else 0
    return tiling.elements * product + sums + traffic
