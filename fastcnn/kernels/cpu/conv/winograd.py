"""Winograd convolution: tiles of the image are transformed, multiplied, and transformed back.

A convolution with a KH x KH kernel at stride 1 computes each m x m tile of outputs from s x s
inputs, s = m + KH - 1. In another basis (`kernels/shared/winograd.py`) these inputs and the kernel
multiply element by element, s^2 products in place of KH^2 m^2: for 3x3 kernels a quarter with m = 4
and 4/9 with m = 2, for 5x5 kernels 4/25 and 9/25. Summed over the channels, the products of one
basis element over all tiles are one matrix product, so a convolution becomes

    V[e] [tiles, C] = B^T d B           of every tile d, for each basis element e
    M[e] [tiles, F] = V[e] @ U[e]       s^2 products on the register tiles, U = G g G^T
    y               = A^T M A           m x m pixels of every tile

The gradient of the input is the same with the flipped kernel. That of the kernel exchanges the
parts: D[e] [C, F] = V[e]^T @ W[e] with W = A dy A^T, then dw = G^T D G.

Shapes: x [H, W, C], kernel [KH, KH, C, F], y [OH, OW, F] of each image, any padding.

Operations: s^2 / (KH m)^2 of the direct multiply-adds, and for the transforms of 3x3 kernels with
m = 4 10.5 a number of x and 7.5 a number of y, so it pays from about 16 channels. Workspace: U; V
and M, of a band of tiles for small kernels, of the whole batch for large ones; for dw V and W of a
block of images and D of each thread, or all of the whole batch. At inference U stays as long as the
weights do. The error is that of sums of unlike sizes, for numbers of both signs about 1e-6 (m = 2)
and 5e-6 (m = 4; 5x5 kernels with 256 channels 1.5e-5) of the largest result. A result that is
exactly 0 stays so where its whole tile of inputs is 0; beside other numbers it is their rounding,
and may pass a ReLU.

References:
    A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural Networks, 2015.
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import (
    BATCH,
    BLOCK,
    GLOBAL,
    IMAGE,
    Address,
    Calls,
    LayerOperands,
    Region,
    odd_lines,
)
from fastcnn.kernels.cpu import costs as cpu
from fastcnn.kernels.cpu.conv import winograd_kernels as kernels
from fastcnn.kernels.cpu.conv.direct import transposed
from fastcnn.kernels.cpu.conv.winograd_kernel_gradient import dw, dw_cycles
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
from fastcnn.kernels.cpu.simd.vector_unit import LANES, VECTOR_BYTES
from fastcnn.kernels.shared import winograd

FAR = 4 << 20  # bytes of U above which it is better read once for the whole batch
MANY = 150  # tiles of an image that are worth reading a large U for
SPARES = 8  # bands of a single image's rows at most, backends/cpu/row_bands.py


def declines(direction: str, problem: Problem, m: int = 4) -> str | None:
    """Return why a problem cannot be done, or None."""
    sides = [taps for outputs, taps in winograd.FORMS if outputs == m]
    reason = winograd.declines(problem, sides)
    if reason is None and direction == "dx" and transposed(problem) is None:
        reason = f"its gradient of the input takes padding of at most {problem.kernel[0] - 1}"
    return reason


def _backward(problem: Problem) -> Problem:
    """Return dx as a convolution of the output gradient, where `declines` allows it."""
    backward = transposed(problem)
    if backward is None:
        raise ValueError(f"Winograd for {problem}: {declines('dx', problem)}.")
    return backward


def _transformed_kernel(
    calls: Calls,
    problem: Problem,
    tiling: Tiling,
    kernel: Region,
    scale: Region | None,
    flipped: bool,
) -> tuple[Region, int]:
    """Return U[e][vector][C][LANES] and the bytes between its basis elements.

    `kernel` is [KH, KH, C, F]. With `flipped`, `problem` is that of dx: both axes of the kernel run
    backwards and channels and filters change places.
    """
    inner, outputs = problem.channels, problem.filters
    vectors = ceil(outputs / LANES)
    step = odd_lines(vectors * inner * VECTOR_BYTES)
    parts = min(PARTS, vectors * ceil(inner / LANES))
    taps = tiling.taps**2
    u = Region(tiling.elements * step, GLOBAL, label="U")
    block = Region(parts * kernels.block_bytes(*tiling.form), GLOBAL, label="block")
    tap = inner * outputs
    if flipped:
        strides = {"s_tap": -tap, "s_i": 1, "s_o": inner}
        source = Address(kernel, 4 * (taps - 1) * tap)
    else:
        strides = {"s_tap": tap, "s_i": outputs, "s_o": 1}
        source = Address(kernel)
    calls.emit(
        kernels.KERNELS[tiling.form],
        BATCH,
        ("u", "block"),
        {"kernel": source, "u": u, "block": block, "scale": scale},
        parts=parts,
        inner=inner,
        outputs=outputs,
        u_step=step,
        large=u.bytes > FAR,
        **strides,
    )
    return u, step


def conv2d_winograd(
    calls: Calls, problem: Problem, operands: LayerOperands, m: int = 4, flipped: bool = False
) -> None:
    """Emit y = x * kernel + bias; with `flipped`, `problem` is that of dx: both axes of the kernel
    run backwards, and channels and filters change places."""
    tiling = Tiling(problem, m)
    form, channels, filters = tiling.form, problem.channels, problem.filters
    u, u_step = _transformed_kernel(
        calls, problem, tiling, operands.kernel, operands.scale, flipped
    )
    source = padded_source(calls, tiling.source, operands.x)
    plan = _plan(tiling, channels, filters, calls.images)
    rows = plan.tiles
    v_tile, v_step, v_bytes = tiling.steps(rows, channels)
    products_tile, products_step, products_bytes = tiling.steps(rows, filters)
    v, products = Region(v_bytes, label="V"), Region(products_bytes, label="M")
    spare = Region(SPARES * tiling.m**2 * VECTOR_BYTES, label="spare")
    grid = grid_values(
        rows,
        filters,
        groups=tiling.elements,
        a_group=v_step,
        b_group=u_step,
        c_group=products_step,
        a_inner=v_tile,
        c_inner=products_tile,
        b_vector=channels * VECTOR_BYTES,
        k0=channels,
        a_k0=4,
        b_k0=VECTOR_BYTES,
    )
    before = {**tiling.geometry(tiling.source), "v_tile": v_tile, "v_step": v_step}
    after = {
        "tiles_h": tiling.high,
        "tiles_w": tiling.wide,
        "out_height": problem.out_height,
        "out_width": problem.out_width,
        "filters": filters,
        "y_pixel": 4 * filters,
        "products_tile": products_tile,
        "products_step": products_step,
        "rectified": operands.relu,
    }
    outputs = {"products": products, "y": operands.y, "spare": spare, "offset": operands.bias}
    if plan.scope is None:
        calls.emit(
            kernels.BANDS[form],
            IMAGE,
            ("v", "products", "y", "spare"),
            {"x": source, "v": v, "b": u, "tiles": Region(0, "tiles"), **outputs},
            **{**grid, **before, **after},
            band=plan.band,
        )
        return
    calls.emit(kernels.INPUTS[form], IMAGE, "v", {"x": source, "v": v}, **before)
    values = {**grid, "a_outer": v.stride, "c_outer": products.stride}
    multiply_elements(calls, plan.scope, {"a": v, "b": u, "c": products}, values, "outer_is_images")
    calls.emit(kernels.OUTPUTS[form], IMAGE, ("y", "spare"), outputs, **after)


class _Plan(NamedTuple):
    """How the products run: in bands within one call (scope None), or in a call of a scope."""

    scope: str | None
    tiles: int  # in V and M at once
    band: int = 0


def _plan(tiling: Tiling, channels: int, filters: int, images: int) -> _Plan:
    u_bytes = 4 * tiling.elements * channels * filters
    tile_bytes = 4 * tiling.elements * (channels + filters)
    if images == 1:
        return _Plan(IMAGE, tiling.count)
    if u_bytes > FAR and tiling.count < MANY:
        return _Plan(BATCH, tiling.count)
    if tiling.count < ROWS // 2:
        return _Plan(BLOCK, tiling.count)
    budget = NEAR if u_bytes <= NEAR else 2 * NEAR
    band = max(1, min(tiling.high, budget // (tile_bytes * tiling.wide)))
    band = ceil(tiling.high / ceil(tiling.high / band))
    return _Plan(None, band * tiling.wide, band)


def conv2d_winograd_dx(
    calls: Calls, problem: Problem, dy: Region, kernel: Region, out: Region, m: int = 4
) -> None:
    """Emit the gradient of the input: a convolution of dy with the flipped kernel."""
    conv2d_winograd(calls, _backward(problem), LayerOperands(dy, kernel, out), m, flipped=True)


def conv2d_winograd_dw(
    calls: Calls, problem: Problem, x: Region, dy: Region, gradient: Region, m: int = 4
) -> None:
    """Emit the gradient of the kernel: outputs and kernel are exchanged."""
    dw(calls, problem, Tiling(problem, m), x, dy, gradient)


def preparation(direction: str, problem: Problem, m: int = 4) -> float:
    """Estimate the cycles of the kernel's transform."""
    if direction == "dw":
        return 0.0  # `dw_cycles` has its gradient's, which there may be of each block of images
    problem = _backward(problem) if direction == "dx" else problem
    vectors = problem.channels * ceil(problem.filters / LANES)
    return transform_cycles(Tiling(problem, m)) * vectors


def cycles(direction: str, problem: Problem, images: int, m: int = 4) -> float:
    """Estimate the cycles of one image on one thread, but for the kernel's transform."""
    problem = _backward(problem) if direction == "dx" else problem
    tiling = Tiling(problem, m)
    channels, filters = problem.channels, problem.filters
    transforms = tiling.count * (ceil(channels / LANES) + ceil(filters / LANES))
    if direction == "dw":
        rest = dw_cycles(tiling, channels, filters, images)
    else:
        product = grid_cycles(1, max(tiling.count, ROWS), filters, channels)
        product *= tiling.count / max(tiling.count, ROWS)
        # U is larger than the kernel, and comes from further away.
        traffic = 4 * tiling.elements * channels * filters / cpu.costs.bytes_a_cycle / images
        rest = tiling.elements * product + traffic
    meetings = cpu.costs.meeting if images == 1 else 0
    return transform_cycles(tiling) * transforms + rest + meetings
