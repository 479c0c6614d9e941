"""Sums over the images of a batch: each chunk of images has its own, added pairwise at the end."""

from __future__ import annotations

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import BATCH, CHUNK, PARTIAL, Calls, Region
from fastcnn.kernels.cpu.gemm.packing import wide_taps
from fastcnn.kernels.cpu.layout import fill_zero, fold_gradient


def empty_sums(calls: Calls, floats: int, label: str) -> Region:
    """Return sums that each chunk has of its own, zero before its first image."""
    sums = Region(4 * floats, PARTIAL, label=label)
    calls.emit(fill_zero, CHUNK, "y", {"y": sums}, size=floats)
    return sums


def empty_kernel_gradient(calls: Calls, problem: Problem, pixels: int = 1) -> Region:
    """Return each chunk's gradient of the kernel, zeroed.

    It is [KH, wide KW, C / groups, P, F], widened where `pixels`, P, are computed as one.
    """
    taps = problem.kernel[0] * wide_taps(problem, pixels)
    size = taps * problem.channels_per_group * pixels * problem.filters
    return empty_sums(calls, size, "partial dw")


def fold_kernel_gradient(
    calls: Calls, problem: Problem, partial: Region, gradient: Region, pixels: int = 1
) -> None:
    """Emit gradient[KH, KW, C / groups, F], the sum over the chunks."""
    taps_h, taps_w = problem.kernel
    rows = taps_h * taps_w * problem.channels_per_group
    calls.emit(
        fold_gradient,
        BATCH,
        "gradient",
        {"partial": partial, "gradient": gradient},
        parts=max(1, min(rows, rows * problem.filters // 4096)),
        several=1,
        taps_h=taps_h,
        taps_w=taps_w,
        wide_w=wide_taps(problem, pixels),
        inner=problem.channels_per_group,
        outputs=problem.filters,
        pixels=pixels,
        shift=problem.strides[1],
    )
