"""The kernels of both devices: the same nouns, the same names, the same parameters."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest
from numba.core.dispatcher import Dispatcher

import fastcnn.kernels.cpu
import fastcnn.kernels.cuda
from fastcnn.kernels.cpu.runtime.function import _KernelFunction
from fastcnn.kernels.cpu.runtime.kernel import HEADER
from fastcnn.kernels.cpu.runtime.kernel import Kernel as CpuKernel
from fastcnn.kernels.cuda.runtime.kernel import HEADER as CUDA_HEADER
from fastcnn.kernels.cuda.runtime.kernel import Kernel as CudaKernel


def modules(package: ModuleType) -> list[str]:
    """The modules below a package by their paths within it."""
    prefix = f"{package.__name__}."
    found = pkgutil.walk_packages(package.__path__, prefix)
    return [module.name.removeprefix(prefix) for module in found]


# Files of the CPU's that are about a CPU alone.
CPU_ONLY = {
    "runtime.prefetch": "fetches cache lines ahead of a thread; a GPU's threads wait in turn",
    "chunk_sums": "sums of each chunk of images; `split_k` has them on a GPU",
    "gemm.blas": "calls the host's BLAS",
    "runtime.compile_cache": "where object code is kept; a GPU's is in `cubin_cache`",
    "runtime.njit_cache": "keeps machine code in the place of Numba's cache",
    "runtime.intrinsic": "LLVM's instructions",
    "runtime.compilers": "Numba's compiler, cut down; a GPU's is Numba's own",
    "simd.vector_type": "LLVM vectors",
    "conv.im2col_columns": "copies windows into a matrix; a GPU's tiles read them from the image",
    "conv.fft": "transforms by the host's FFT",
    "conv.im2col_blas": "multiplies by the host's BLAS",
    "conv.direct_input_gradient": "avoids zeros in a register tile that walks rows",
    "conv.depthwise_kernels": "the CPU's way to keep a row of pixels in registers",
    "simd.depthwise_tile": "the CPU's way to keep a row of pixels in registers",
    "conv.fft2d": "calls the host's FFT",
    "gemm.tiled": "cuts a grid into the tiles of `simd`; a GPU's is another, of the same nouns",
    "runtime.host_kernel": "calls into Python from the executor",
    "runtime.kernel": "what a kernel is; both devices have `kernel` and `all_kernels`",
    "simd.pointers": "memory by its address; a GPU's kernels take arrays",
    "runtime.blas_threads": "calls the host's BLAS",
    "gemm.packing": "lays kernels out for vectors",
    "gemm.tile_code": "a function for each size of the CPU's tiles",
    "runtime.function": "functions of kernels without wrappers; on a GPU `inline` makes them",
    "runtime.code": "kernels, tiles and the executor are compiled alike; a GPU has kernels alone",
    "gemm.panels": "lays large matrices out for vectors",
    "simd.register_tile": "LLVM vectors",
    "simd.memory": "LLVM vectors",
    "simd.vector_unit": "LLVM vectors",
    "runtime.kernel_timer": "counts a CPU's cycles",
    "simd.vector": "LLVM vectors",
    "simd.pairwise_sum": "sums what chunks found; `split_k` does on a GPU",
    "simd.winograd_transform": "emits the transforms as LLVM vectors; a GPU's are plain Python",
    "conv.sparse_gradients": "sparse; a GPU's threads would wait for each other",
    "conv.sparse_kernels": "its kernels",
    "gemm.sparse_product": "its tiles",
    "simd.sparse_tile": "LLVM vectors",
    "simd.strips": "what stays in a CPU's first cache",
    "simd.emission": "LLVM vectors",
    "conv.direct_kernel_gradient": "copies for the CPU's tiles",
    "conv.gradient_copies": "copies for the CPU's tiles",
    "gemm.panel_copies": "copies for the CPU's tiles",
    "conv.winograd_kernel_gradient": "sums of blocks of images in a core's cache",
    "conv.winograd_tiling": "tiles and basis elements between cache lines",
    "conv.winograd_kernels": "bands of tiles in a core's cache; a GPU's are a kernel for each size",
}
# Names of the CPU's files that are about a CPU alone.
NAMES_OF_CPU_ONLY = {
    "nn.activation.as_float": "fractions travel as bits in the CPU's records",
    "nn.curves.erf": "CUDA has its own",
    "conv.direct.convolve": "emits a grid of the CPU's tiles",
    "conv.direct.forward_cycles": "counts a CPU's cycles",
    "conv.direct.pixels_at_once": "fills a CPU's vectors with neighbouring pixels",
    "conv.direct.transposed": "a GPU's kernels turn the kernel as they read it",
    "conv.winograd.preparation": "a GPU's estimate counts the kernel's transform in every call",
    "nn.pooling.window_of": "a GPU's threads cut a window along each axis by itself",
    "layout.fold_gradient": "sums what chunks found; `split_k` does on a GPU",
    "layout.pack_kernel": "lays kernels out for vectors",
    "layout.pack_tap": "lays kernels out for vectors",
}
# Kernels that take other arguments, most since one launch does what the CPU does in many calls.
OTHER_ARGUMENTS = {
    "nn.optimizer_step.accumulate_gradient": "a launch does all parts, which lie in a table",
    "nn.optimizer_step.mean_gradient": "a launch does all parts, which lie in a table",
    "nn.optimizer_step.average_values": "a launch does all parts, which lie in a table",
    "conv.reference.reference_dw": "the CPU's call functions on plain arrays",
    "conv.reference.reference_dx": "the CPU's call functions on plain arrays",
    "conv.reference.reference_forward": "the CPU's call functions on plain arrays",
    "nn.normalization.batch_norm_dw": "a GPU's parts of a sum lie side by side",
    "nn.normalization.batch_scale_shift": "a GPU's parts of a sum lie side by side",
    "runtime.compile.load": "takes code of all kinds, a GPU's kernels alone",
    "nn.optimizer_step.check_gradients": "one launch for all parameters",
    "nn.optimizer_step.finish_gradient": "one launch for all parameters",
}


def own(name: str) -> dict[str, object]:
    """What a file of the CPU's has of its own: functions and kernels without an underscore."""
    module = importlib.import_module(f"fastcnn.kernels.cpu.{name}")
    found = {key: value for key, value in vars(module).items() if not key.startswith("_")}
    return {key: value for key, value in found.items() if made_in(value) == module.__name__}


def made_in(value: object) -> str | None:
    """Where a function or a kernel was written."""
    if isinstance(value, CpuKernel | _KernelFunction):
        value = value._body
    written = inspect.isfunction(value) or isinstance(value, Dispatcher)
    return value.__module__ if written else None


SHARED = sorted(name for name in set(modules(fastcnn.kernels.cpu)) - set(CPU_ONLY) if own(name))


def test_the_lists_are_of_what_there_is():
    assert set(CPU_ONLY) <= set(modules(fastcnn.kernels.cpu))
    names = {f"{name}.{key}" for name in SHARED for key in own(name)}
    assert {*NAMES_OF_CPU_ONLY, *OTHER_ARGUMENTS} <= names


@pytest.mark.parametrize("name", SHARED)
def test_twins(name):
    there = vars(importlib.import_module(f"fastcnn.kernels.cuda.{name}"))
    for key, here in own(name).items():
        full = f"{name}.{key}"
        if full in NAMES_OF_CPU_ONLY:
            continue
        assert key in there, f"kernels/cuda/{name}.py lacks {key}"
        if full not in OTHER_ARGUMENTS:
            assert parameters(there[key]) == parameters(here), full


@pytest.mark.parametrize("table", ("FORWARD", "BACKWARD"))
def test_activations_are_twins(table):
    """Most are made in a loop, and have no name in their file."""
    cpu, cuda = (
        vars(importlib.import_module(f"fastcnn.kernels.{device}.nn.activation_functions"))[table]
        for device in ("cpu", "cuda")
    )
    assert set(cpu) == set(cuda)
    for name, here in cpu.items():
        assert cuda[name].name == here.name
        assert parameters(cuda[name]) == parameters(here), name


def parameters(one: object) -> list[str]:
    if isinstance(one, CpuKernel):
        return [field for field in one.fields if field not in HEADER]
    if isinstance(one, CudaKernel):
        return [field for field in one.arguments if field not in CUDA_HEADER]
    return [*inspect.signature(getattr(one, "py_func", one)).parameters]
