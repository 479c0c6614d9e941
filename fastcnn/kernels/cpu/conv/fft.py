"""Convolution by Fourier transforms: a product for each frequency in place of a sum over taps.

The transform of a convolution is the product of the transforms. So each channel of the image and
each channel's kernel are transformed once, at every frequency a small complex matrix product sums
over the channels, and each filter's result is transformed back. More taps cost nothing, which pays
for large kernels, the more so the larger the batch that shares the kernel's transform.

Shapes: the padded image of PH x PW is rounded up to SH x SW, even products of 2, 3, 5 and 7. Real
numbers need U = SH * (SW / 2 + 1) frequencies, about half of them all. With the transforms X[U, N,
C] of x, W[U, C, F] of the kernel and D[U, N, F] of dy:

    y  = back(X[u] @ conj(W[u]))     its first OH x OW pixels
    dx = back(D[u] @ W[u]^T)         without the margins
    dw = back(X[u]^T @ conj(D[u]))   its first KH x KW pixels; the product sums over the batch

Transforms take sums to go round in a circle; none does, since SH >= PH and SW >= PW.

Rounding spreads over a whole image, where it would make exact zeros numbers that pass a ReLU. So
what is smaller than 2^-20 of a channel's largest result becomes 0, well within the stated error.

Operations: 2.5 * SH * SW * log2(SH * SW) for each of the N * (C + F) + C * F transforms, and
8 * U * N * C * F for the products. Workspace: 8 * U * (N * C + N * F + C * F) bytes for the three
transforms, besides what NumPy takes for one call. At inference W stays as long as the weights do.

The transforms are numpy.fft (pocketfft), the products numpy.matmul (BLAS).

References:
    M. Mathieu, M. Henaff and Y. LeCun, Fast Training of Convolutional Networks through FFTs, 2013.
"""

from __future__ import annotations

from math import ceil, inf

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import BATCH, GLOBAL, IMAGE, LOCAL, Calls, LayerOperands, Region
from fastcnn.kernels.cpu import costs as cpu
from fastcnn.kernels.cpu.conv.fft2d import (
    fourier_back,
    fourier_transform,
    good_size,
    transform_cycles,
)
from fastcnn.kernels.cpu.gemm.blas import blas_product
from fastcnn.kernels.cpu.gemm.packing import padded_source

COMPLEX = 8  # bytes of a complex64
LARGEST = 1 << 30  # bytes: of the kernel's transform at most; of all that "auto" would choose
PARTS = 16  # of the products, for any number of threads
PAIRS = 256  # of channel and filter that one part of the kernel's transform takes


def declines(direction: str, problem: Problem) -> str | None:
    """Return why a problem cannot be done: strides, dilation, groups or memory."""
    if problem.strides != (1, 1):
        return f"a product of transforms has strides of 1, not {problem.strides}"
    if problem.dilation != (1, 1):
        return f"a product of transforms has a dilation of 1, not {problem.dilation}"
    if problem.groups != 1:
        return f"a product of transforms has one group, not {problem.groups}"
    size = COMPLEX * _frequencies(problem) * problem.channels * problem.filters
    if size > LARGEST:
        return f"the kernel's transform would take {size >> 20} MiB, more than {LARGEST >> 20}"
    return None


def preparation(direction: str, problem: Problem) -> float:
    """Estimate the cycles of the kernel's transform, or of its gradient's."""
    pairs = problem.channels * problem.filters
    return pairs * (transform_cycles(*_sizes(problem)) + _frequencies(problem) * COMPLEX / 4)


def cycles(direction: str, problem: Problem, images: int) -> float:
    """Estimate the cycles of one image on one thread, but for the kernel's transform; infinite
    where memory would be the matter."""
    pairs = problem.channels * problem.filters
    spectra = pairs + images * (problem.channels + problem.filters)
    if COMPLEX * _frequencies(problem) * spectra > LARGEST:
        return inf
    each = transform_cycles(*_sizes(problem))
    # BLAS does some 14 operations a cycle on these small matrices; what there is once a batch, the
    # kernel's transform or its gradient's, is read, as it is written, at four bytes a cycle.
    products = _frequencies(problem) * pairs * (8 / 14 + COMPLEX / 4 / images)
    transforms = each * (problem.channels + problem.filters)
    return transforms + products + cpu.costs.fft_call


def _sizes(problem: Problem) -> tuple[int, int]:
    """Return SH and SW."""
    return good_size(problem.padded_height), good_size(problem.padded_width)


def _frequencies(problem: Problem) -> int:
    height, width = _sizes(problem)
    return height * (width // 2 + 1)


def conv2d_fft(calls: Calls, problem: Problem, operands: LayerOperands) -> None:
    """Emit y = x * kernel + bias; `scale` multiplies each filter of the kernel."""
    channels, filters = problem.channels, problem.filters
    weights = _of_kernel(calls, problem, operands.kernel, conjugate=1)
    images = _of_image(calls, problem, operands.x)
    results = _empty(problem, filters)
    _image_products(
        *(calls, problem, images, weights, results),
        *(channels, filters),
        b_inner=COMPLEX * filters,
        b_column=COMPLEX,
    )
    bias, scale = operands.bias, operands.scale
    places = {"spectrum": results, "image": operands.y, "bias": bias, "scale": scale}
    geometry = _geometry(problem, problem.out_height, problem.out_width, filters)
    calls.emit(fourier_back, IMAGE, "image", places, **geometry, relu=operands.relu)


def conv2d_fft_dx(calls: Calls, problem: Problem, dy: Region, kernel: Region, out: Region) -> None:
    """Emit the gradient of the input."""
    channels, filters = problem.channels, problem.filters
    weights = _of_kernel(calls, problem, kernel, conjugate=0)
    gradients = _of_gradient(calls, problem, dy, conjugate=0)
    results = _empty(problem, channels)
    _image_products(
        *(calls, problem, gradients, weights, results),
        *(filters, channels),
        b_inner=COMPLEX,
        b_column=COMPLEX * filters,
    )
    (top, _), (left, _) = problem.padding
    geometry = _geometry(problem, problem.height, problem.width, channels)
    places = {"spectrum": results, "image": out}
    calls.emit(fourier_back, IMAGE, "image", places, **geometry, top=top, left=left)


def conv2d_fft_dw(calls: Calls, problem: Problem, x: Region, dy: Region, gradient: Region) -> None:
    """Emit the gradient of the kernel."""
    channels, filters = problem.channels, problem.filters
    images = _of_image(calls, problem, x)
    gradients = _of_gradient(calls, problem, dy, conjugate=1)
    results = _empty(problem, channels * filters, GLOBAL)
    _products(
        *(calls, problem, images, gradients, results),
        inner_is_images=1,
        a_outer=COMPLEX * channels,
        rows=channels,
        a_row=COMPLEX,
        a_inner=images.stride,
        b_outer=COMPLEX * filters,
        b_inner=gradients.stride,
        columns=filters,
        b_column=COMPLEX,
        c_outer=COMPLEX * channels * filters,
        c_row=COMPLEX * filters,
    )
    geometry = _geometry(problem, *problem.kernel, channels * filters)
    places = {"spectrum": results, "image": gradient}
    calls.emit(fourier_back, BATCH, "image", places, _kernel_parts(problem), **geometry)


def _of_image(calls: Calls, problem: Problem, x: Region) -> Region:
    """Return X[U, C] of each padded image."""
    padded, spectra = padded_source(calls, problem, x), _empty(problem, problem.channels)
    sizes = problem.padded_height, problem.padded_width, problem.channels
    places = {"image": padded, "spectrum": spectra}
    calls.emit(fourier_transform, IMAGE, "spectrum", places, **_geometry(problem, *sizes))
    return spectra


def _of_gradient(calls: Calls, problem: Problem, dy: Region, conjugate: int) -> Region:
    """Return D[U, F] of each image's gradient, or its conjugate."""
    spectra = _empty(problem, problem.filters)
    geometry = _geometry(problem, problem.out_height, problem.out_width, problem.filters)
    places = {"image": dy, "spectrum": spectra}
    calls.emit(fourier_transform, IMAGE, "spectrum", places, **geometry, conjugate=conjugate)
    return spectra


def _of_kernel(calls: Calls, problem: Problem, kernel: Region, conjugate: int) -> Region:
    """Return W[U, C * F], or its conjugate: seen as an image, the kernel has C * F channels."""
    pairs = problem.channels * problem.filters
    spectrum = _empty(problem, pairs, GLOBAL)
    geometry = _geometry(problem, *problem.kernel, pairs)
    calls.emit(
        fourier_transform,
        BATCH,
        "spectrum",
        {"image": kernel, "spectrum": spectrum},
        parts=_kernel_parts(problem),
        **geometry,
        conjugate=conjugate,
    )
    return spectrum


def _kernel_parts(problem: Problem) -> int:
    return min(64, ceil(problem.channels * problem.filters / PAIRS))


def _empty(problem: Problem, channels: int, kind: str = LOCAL) -> Region:
    return Region(COMPLEX * _frequencies(problem) * channels, kind, label="spectrum")


def _geometry(problem: Problem, height: int, width: int, channels: int) -> dict[str, int]:
    size_h, size_w = _sizes(problem)
    sizes = {"height": height, "width": width, "channels": channels}
    return {**sizes, "size_h": size_h, "size_w": size_w}


def _image_products(
    calls: Calls,
    problem: Problem,
    images: Region,
    weights: Region,
    results: Region,
    inner: int,
    columns: int,
    **strides: int,
) -> None:
    """Emit results[u, N, columns] = images[u, N, inner] @ weights[u], whose strides are passed."""
    _products(
        calls,
        problem,
        images,
        weights,
        results,
        rows_are_images=1,
        a_outer=COMPLEX * inner,
        a_row=images.stride,
        inner=inner,
        a_inner=COMPLEX,
        b_outer=COMPLEX * problem.channels * problem.filters,
        columns=columns,
        c_outer=COMPLEX * columns,
        c_row=results.stride,
        **strides,
    )


def _products(
    calls: Calls, problem: Problem, a: Region, b: Region, c: Region, **strides: int
) -> None:
    """Emit c[u] = a[u] @ b[u] for every frequency u."""
    frequencies = _frequencies(problem)
    calls.emit(
        blas_product,
        BATCH,
        "c",
        {"a": a, "b": b, "c": c},
        parts=min(PARTS, frequencies),
        complex=1,
        outer=frequencies,
        **strides,
    )
