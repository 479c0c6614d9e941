"""Winograd convolution: tiles of the image are transformed, multiplied, and transformed back.

A 3x3 convolution at stride 1 computes each m x m tile of outputs from (m + 2) x (m + 2) inputs. In
another basis (`kernels/shared/winograd.py`) these inputs and the kernel multiply element by
element, (m + 2)^2 products in place of 9 m^2: a quarter for m = 4, 4/9 for m = 2. Summed over the
channels, the products of one basis element over all tiles of the batch are one matrix product, so a
convolution becomes four launches:

    U[e] [C, F]                         of the kernel, U = G g G^T
    V[tile][e][C] = B^T d B             of every tile d
    M[tile][e] = V[tile][e] @ U[e]      (m + 2)^2 products [tiles, C] @ [C, F]
    y             = A^T M A             m x m pixels of every tile

The gradient of the input is the same with the flipped kernel and U[e] transposed, so its kernel
transform is the same too. That of the kernel exchanges the parts: D[e] [C, F] = sum over the tiles
of V[tile][e]^T @ W[tile][e] with W = A dy A^T, then dw = G^T D G.

Shapes: x [H, W, C], kernel [3, 3, C, F], y [OH, OW, F] of each image, any padding.

Operations: (m + 2)^2 / (9 m^2) of the direct multiply-adds. Workspace: U; V and M, each
(m + 2)^2 / m^2 times as large as x and y; for dw V, W and D. The transforms are bound by memory,
so the more channels and filters, the better. The error is that of sums of unlike sizes, for
numbers of both signs about 1e-6 (m = 2) and 5e-6 (m = 4) of the largest result, in float32. A
result that is exactly 0 stays so where its whole tile of inputs is 0; beside other numbers it is
their rounding, and may pass a ReLU.

References:
    A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural Networks, 2015.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import BATCH, GLOBAL, IMAGE, Calls, LayerOperands, Region
from fastcnn.kernels.cuda.conv import winograd_kernels as kernels
from fastcnn.kernels.cuda.gemm import gemm
from fastcnn.kernels.cuda.runtime.cost_model import kernel_time
from fastcnn.kernels.cuda.runtime.kernel import Kernel
from fastcnn.kernels.shared import winograd
from fastcnn.kernels.shared.winograd import TAPS


def declines(direction: str, problem: Problem, m: int = 4) -> str | None:
    """Return why a problem cannot be done, or None."""
    return winograd.declines(problem)


class _Tiling:
    """An image cut into tiles of m x m outputs."""

    def __init__(self, problem: Problem, m: int):
        self.elements = (m + TAPS - 1) ** 2
        self.high, self.wide = ceil(problem.out_height / m), ceil(problem.out_width / m)
        self.count = self.high * self.wide

    def elements_of(self, channels: int, label: str) -> Region:
        """Return room for all tiles of an image, transformed: [tiles][e][channels]."""
        return Region(4 * self.count * self.elements * channels, label=label)

    @property
    def grid(self) -> dict[str, int]:
        return {"tiles_h": self.high, "tiles_w": self.wide}


def conv2d_winograd(
    calls: Calls, problem: Problem, operands: LayerOperands, m: int = 4, flipped: bool = False
) -> None:
    """Emit y = x * kernel + bias; with `flipped`, `problem` is that of dx: both axes of the kernel
    run backwards, and channels and filters change places."""
    tiling = _Tiling(problem, m)
    channels, filters, elements = problem.channels, problem.filters, tiling.elements
    u = Region(4 * elements * channels * filters, GLOBAL, label="U")
    v, products = tiling.elements_of(channels, "V"), tiling.elements_of(filters, "M")
    calls.emit(
        kernels.winograd_kernel[m],
        BATCH,
        "u",
        {"kernel": operands.kernel, "u": u, "scale": operands.scale},
        inner=filters if flipped else channels,
        outputs=channels if flipped else filters,
        flipped=flipped,
    )
    _transform_inputs(calls, kernels.winograd_inputs[m], tiling, problem, operands.x, v)
    gemm.product(
        calls,
        v,
        u,
        products,
        tiling.count,
        filters,
        channels,
        gemm.Strides(
            groups=elements,
            a_row=elements * channels,
            c_row=elements * filters,
            a_group=channels,
            b_group=channels * filters,
            c_group=filters,
        ),
        transposed=flipped,
    )
    calls.emit(
        kernels.winograd_outputs[m],
        IMAGE,
        "y",
        {"products": products, "y": operands.y, "offset": operands.bias},
        **tiling.grid,
        out_height=problem.out_height,
        out_width=problem.out_width,
        filters=filters,
        rectified=operands.relu,
    )


def _transform_inputs(
    calls: Calls, kernel: Kernel, tiling: _Tiling, problem: Problem, x: Region, v: Region
) -> None:
    calls.emit(
        kernel,
        IMAGE,
        "v",
        {"x": x, "v": v},
        **tiling.grid,
        height=problem.height,
        width=problem.width,
        top=problem.padding[0][0],
        left=problem.padding[1][0],
        channels=problem.channels,
    )


def conv2d_winograd_dx(
    calls: Calls, problem: Problem, dy: Region, kernel: Region, out: Region, m: int = 4
) -> None:
    """Emit the gradient of the input: a convolution of dy with the flipped kernel."""
    conv2d_winograd(calls, problem.transposed, LayerOperands(dy, kernel, out), m, flipped=True)


def conv2d_winograd_dw(
    calls: Calls, problem: Problem, x: Region, dy: Region, gradient: Region, m: int = 4
) -> None:
    """Emit the gradient of the kernel by F(m x m, 3 x 3) with outputs and kernel exchanged."""
    tiling = _Tiling(problem, m)
    channels, filters, elements = problem.channels, problem.filters, tiling.elements
    v, w = tiling.elements_of(channels, "V"), tiling.elements_of(filters, "W")
    d = Region(4 * elements * channels * filters, GLOBAL, label="D")
    _transform_inputs(calls, kernels.winograd_inputs[m], tiling, problem, x, v)
    # The tiles of dy are its m x m pixels, from its corner on.
    target = replace(problem.transposed, padding=((0, 0), (0, 0)))
    _transform_inputs(calls, kernels.winograd_transposed_outputs[m], tiling, target, dy, w)
    gemm.sum_of_products(
        calls,
        v,
        w,
        d,
        channels,
        filters,
        tiling.count,
        gemm.Strides(
            groups=elements,
            a_row=elements * channels,
            b_row=elements * filters,
            a_group=channels,
            b_group=filters,
            c_group=channels * filters,
        ),
    )
    calls.emit(
        kernels.winograd_gradient[m],
        BATCH,
        "gradient",
        {"d": d, "gradient": gradient},
        channels=channels,
        filters=filters,
    )


# What a thread of a transform costs, of a tile and of a kernel, in multiply-adds that would take as
# many instructions.
TILE_WORK = {2: 350, 4: 700}
KERNEL_WORK = {2: 300, 4: 500}


def preparation(direction: str, problem: Problem, m: int = 4) -> float:
    """Estimate the nanoseconds of the kernel's transform, or of its gradient's."""
    channels, filters = problem.channels, problem.filters
    plain, elements = TAPS * TAPS * channels * filters, _Tiling(problem, m).elements
    return _transform_time(channels, filters, KERNEL_WORK[m], plain, elements)


def cycles(direction: str, problem: Problem, images: int, m: int = 4) -> float:
    """Estimate the nanoseconds of one image of so many, but for the kernel's transform."""
    problem = problem.transposed if direction == "dx" else problem
    tiling = _Tiling(problem, m)
    channels, filters, elements = problem.channels, problem.filters, tiling.elements
    tiles = images * tiling.count
    source = images * problem.height * problem.width
    target = images * problem.out_height * problem.out_width
    total = _transform_time(tiles, channels, TILE_WORK[m], source * channels, elements)
    total += _transform_time(tiles, filters, TILE_WORK[m], target * filters, elements)
    if direction == "dw":
        total += gemm.sum_time(channels, filters, tiles, groups=elements)
    else:
        total += gemm.product_time(tiles, filters, channels, groups=elements)
    return total / images


def _transform_time(rows: int, columns: int, work: int, plain: int, elements: int) -> float:
    """Estimate a transform between `plain` numbers and so many elements of rows x columns."""
    threads = rows * columns
    blocks = ceil(threads / kernels.THREADS)
    return kernel_time(work * threads, 4 * (plain + elements * threads), blocks, 1.0)
