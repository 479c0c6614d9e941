"""A user's own Numba functions of one image, as kernels in the table of calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, cast

import numpy as np
from llvmlite import ir

from fastcnn.kernels.call import BATCH, IMAGE, Calls, HostArray
from fastcnn.kernels.compile_lock import compile_lock
from fastcnn.kernels.cpu.chunk_sums import empty_sums
from fastcnn.kernels.cpu.layout import fold_gradient
from fastcnn.kernels.cpu.runtime.intrinsic import intrinsic
from fastcnn.kernels.cpu.runtime.kernel import HEADER, Kernel, compilers, record
from fastcnn.kernels.cpu.simd.pointers import address_of, emit_array
from fastcnn.kernels.cpu.simd.vector_unit import INT64
from fastcnn.kernels.lazy_numba import cgutils, numba, types

Kind = tuple[int, str, str]  # dimensions, the type of numbers, and READ, WRITTEN or ADDED to
READ, WRITTEN, ADDED = "read", "written", "added"


class UserKernel(Kernel):
    """A kernel that calls a user's function. No file keeps its code: what the function calls may
    change without a trace in it."""

    def load(self) -> bool:
        self.compile()
        return True

    def compile(self) -> None:
        with compile_lock:
            if not self.loaded:
                self._function = compilers.raising_kernel(self._body, self.dtype)
                self.address = self._function.address or 0
                self._loaded = True


def user_function(
    calls: Calls,
    label: str,
    function: Any,
    arrays: Mapping[str, HostArray],
    on_host: Callable[[dict[str, np.ndarray]], None],
) -> None:
    """Emit the calls of a Numba function, image by image.

    Args:
        calls: Where the calls go.
        label: Whose function it is, for errors.
        function: It takes the arrays in their order.
        arrays: Those that are not there for each image and `written` are sums over the images.
        on_host: Another way to the same, which is not used.

    Raises:
        TypeError: Numba cannot compile it for them.
    """
    places = {name: array.region for name, array in arrays.items()}
    sums = [name for name, array in arrays.items() if array.written and not places[name].per_image]
    partial = {name: empty_sums(calls, int(np.prod(arrays[name].shape)), name) for name in sums}
    kinds = tuple(
        (
            len(array.shape),
            array.dtype,
            ADDED if name in sums else WRITTEN if array.written else READ,
        )
        for name, array in arrays.items()
    )
    kernel = _kernel(function, kinds)
    try:
        kernel.load()
    except Exception as error:  # NumbaError, and whatever its look at names raises
        shown = ", ".join(
            f"{name}[{', '.join(':' * kind[0])}]" for name, kind in zip(arrays, kinds, strict=True)
        )
        raise TypeError(
            f"{label}: Numba cannot compile {function.__name__}({shown}), float32 arrays: {error}"
        ) from error
    sizes = {
        f"size{number}_{axis}": size
        for number, array in enumerate(arrays.values())
        for axis, size in enumerate(array.shape)
    }
    named = {f"array{n}": {**places, **partial}[name] for n, name in enumerate(arrays)}
    writes = tuple(f"array{n}" for n, array in enumerate(arrays.values()) if array.written)
    calls.emit(kernel, IMAGE, writes, named, **sizes)
    for name in sums:
        calls.emit(
            fold_gradient,
            BATCH,
            "gradient",
            {"partial": partial[name], "gradient": places[name]},
            taps_h=1,
            taps_w=1,
            wide_w=1,
            inner=1,
            pixels=1,
            shift=0,
            outputs=int(np.prod(arrays[name].shape)),
            several=1,
        )


@lru_cache(256)
def _kernel(function: Any, kinds: tuple[Kind, ...]) -> UserKernel:
    """Return the kernel that calls a function with arrays of these kinds."""
    arrays, address = _arrays_of(kinds), cast(Callable[..., int], address_of)

    def user_function(pointer: Any) -> None:
        function(*arrays(address(pointer)))

    fields = []
    for number, (dimensions, *_) in enumerate(kinds):
        fields += [f"array{number}", *(f"size{number}_{axis}" for axis in range(dimensions))]
    return UserKernel(user_function, record(*fields), fastmath=False)


def _arrays_of(kinds: tuple[Kind, ...]) -> Callable:
    """Return what makes a tuple of arrays of a record, in which each is its address and shape;
    written ones are filled with 0."""
    types_of = [
        types.Array(numba.from_dtype(np.dtype(dtype)), dimensions, "C", readonly=use == READ)
        for dimensions, dtype, use in kinds
    ]

    @intrinsic
    def arrays(typing, address):
        result = types.Tuple(types_of)

        def emit(context, builder, signature, arguments):
            words = builder.inttoptr(arguments[0], INT64.as_pointer())
            at, values = len(HEADER), []
            for kind, (dimensions, _, use) in zip(types_of, kinds, strict=True):
                start, *shape = (
                    builder.load(builder.gep(words, [INT64(at + word)]))
                    for word in range(1 + dimensions)
                )
                at += 1 + dimensions
                if use == WRITTEN:
                    size = INT64(4)
                    for length in shape:
                        size = builder.mul(size, length)
                    pointer = builder.inttoptr(start, ir.IntType(8).as_pointer())
                    cgutils.memset(builder, pointer, size, 0)
                values.append(emit_array(context, builder, kind, start, shape))
            return context.make_tuple(builder, result, values)

        return result(types.int64), emit

    return arrays
