"""Reading and writing array elements in the way that costs a GPU least.

`array[start + offset]` in a kernel becomes 64-bit arithmetic with a test for a negative index. Here
the sum is left to the addressing of the load itself: offsets known when compiling cost nothing.
Nothing is checked. The simulator has plain Python in their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastcnn.kernels.cuda.runtime.device import SIMULATED, cuda
from fastcnn.kernels.cuda.runtime.kernel import inline

__all__ = [
    "FLOAT",
    "advanced",
    "fetch",
    "inside",
    "is_aligned",
    "locate",
    "read",
    "read_vector",
    "shared_floats",
    "write",
    "write_vector",
]

# A kernel's numbers, which are NumPy's where it rounds them to 32 or 64 bits.
Index = int | np.signedinteger
VECTOR_BYTES = 16  # of four floats, which begin at a multiple of it

if SIMULATED:
    FLOAT = 1  # what an address grows by from one number to the next

    def locate(array: Any, index: Index) -> Index:
        """Return the address of array[index]."""
        return index

    def advanced(address: Index, numbers: Index) -> Index:
        """Return the address so many numbers further."""
        return address + numbers

    def fetch(array: Any, address: Index, offset: Index, valid: bool) -> Any:
        """Return the number so many numbers behind an address in the array, 0 if not `valid`."""
        return array[address + offset] if valid else array.dtype.type(0)

    def read(array: Any, start: Index, offset: Index) -> Any:
        """Return array[start + offset]."""
        return array[start + offset]

    def read_vector(array: Any, start: Index, offset: Index) -> tuple[Any, ...]:
        """Return four numbers from array[start + offset], a multiple of 16 bytes."""
        at = start + offset
        return array[at], array[at + 1], array[at + 2], array[at + 3]

    def write(array: Any, start: Index, offset: Index, value: Any) -> None:
        """Set array[start + offset]."""
        array[start + offset] = value

    def write_vector(array: Any, start: Index, offset: Index, values: tuple[Any, ...]) -> None:
        """Set four numbers from array[start + offset], a multiple of 16 bytes."""
        for i, value in enumerate(values):
            array[start + offset + i] = value

    @inline
    def shared_floats(size: int) -> Any:
        """Return so many floats of a block's shared memory, which begin at 16 bytes.

        One in a kernel: the simulator tells shared arrays apart by the line that asks for them.
        """
        return cuda.shared.array(size, np.float32)

    def is_aligned(array: Any) -> bool:
        """Say whether the array begins at a multiple of 16 bytes."""
        return True

    def inside(place: Index, size: Index) -> bool:
        """Return 0 <= place < size."""
        return bool(0 <= place < size)

else:
    from llvmlite import ir
    from numba import types

    FLOAT = 4

    _LONG = ir.IntType(64)
    _INT = ir.IntType(32)
    # Written out, because the compiler would keep all addresses of a loop in registers.
    _FETCH = """{
        .reg .pred valid;
        .reg .u64 address;
        setp.ne.u32 valid, $3, 0;
        mad.wide.s32 address, $2, 4, $1;
        mov.f32 $0, 0f00000000;
        @valid ld.global.f32 $0, [address];
    }"""
    _VECTOR = ir.VectorType(ir.FloatType(), 4)
    _LANES = [ir.Constant(_INT, lane) for lane in range(4)]

    def _data(
        context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]
    ) -> ir.Value:
        return context.make_array(signature.args[0])(context, builder, args[0]).data

    def _long(builder: ir.IRBuilder, kind: Any, number: ir.Value) -> ir.Value:
        if number.type.width == _LONG.width:
            return number
        return (builder.sext if kind.signed else builder.zext)(number, _LONG)

    def _pointer(
        context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]
    ) -> ir.Value:
        """Return the address of array[start + offset]."""
        pointer = _data(context, builder, signature, args)
        for kind, number in zip(signature.args[1:3], args[1:3], strict=True):
            pointer = builder.gep(pointer, [_long(builder, kind, number)])
        return pointer

    def _as_vector(builder: ir.IRBuilder, pointer: ir.Value) -> ir.Value:
        return builder.bitcast(pointer, _VECTOR.as_pointer(pointer.type.addrspace))

    @cuda.extending.intrinsic
    def locate(typing, array, index):
        """Return the address of array[index]."""

        def code(context, builder, signature, args):
            pointer = builder.gep(_data(context, builder, signature, args), [args[1]])
            return builder.ptrtoint(pointer, _LONG)

        return types.int64(array, types.int64), code

    @cuda.extending.intrinsic
    def advanced(typing, address, numbers):
        """Return the address so many numbers further.

        Written out, because the compiler would keep the bytes, which take two registers.
        """

        def code(context, builder, signature, args):
            kind = ir.FunctionType(_LONG, [_LONG, _INT])
            step = ir.InlineAsm(kind, "mad.wide.s32 $0, $2, 4, $1;", "=l,l,r", side_effect=True)
            return builder.call(step, args)

        return types.int64(types.int64, types.int32), code

    @cuda.extending.intrinsic
    def fetch(typing, array, address, offset, valid):
        """Return the number so many numbers behind an address in the array, 0 if not `valid`."""

        def code(context, builder, signature, args):
            _, address, offset, valid = args
            signature = ir.FunctionType(ir.FloatType(), [_LONG, _INT, _INT])
            load = ir.InlineAsm(signature, _FETCH, "=f,l,r,r", side_effect=True)
            return builder.call(load, [address, offset, builder.zext(valid, _INT)])

        return types.float32(array, types.int64, types.int32, types.boolean), code

    @cuda.extending.intrinsic
    def read(typing, array, start, offset):
        """Return array[start + offset]."""

        def code(context, builder, signature, args):
            return builder.load(_pointer(context, builder, signature, args))

        return array.dtype(array, start, offset), code

    @cuda.extending.intrinsic
    def read_vector(typing, array, start, offset):
        """Return four numbers from array[start + offset], a multiple of 16 bytes."""

        def code(context, builder, signature, args):
            vector = builder.load(_as_vector(builder, _pointer(context, builder, signature, args)))
            vector.align = VECTOR_BYTES
            numbers = [builder.extract_element(vector, lane) for lane in _LANES]
            return context.make_tuple(builder, signature.return_type, numbers)

        return types.UniTuple(types.float32, 4)(array, start, offset), code

    @cuda.extending.intrinsic
    def write(typing, array, start, offset, value):
        """Set array[start + offset]."""

        def code(context, builder, signature, args):
            builder.store(args[3], _pointer(context, builder, signature, args))
            return context.get_dummy_value()

        return types.void(array, start, offset, array.dtype), code

    @cuda.extending.intrinsic
    def write_vector(typing, array, start, offset, values):
        """Set four numbers from array[start + offset], a multiple of 16 bytes."""

        def code(context, builder, signature, args):
            vector = ir.Constant(_VECTOR, ir.Undefined)
            for index, lane in enumerate(_LANES):
                vector = builder.insert_element(vector, builder.extract_value(args[3], index), lane)
            store = builder.store(
                vector, _as_vector(builder, _pointer(context, builder, signature, args))
            )
            store.align = VECTOR_BYTES
            return context.get_dummy_value()

        return types.void(array, start, offset, types.UniTuple(types.float32, 4)), code

    @cuda.extending.intrinsic
    def shared_floats(typing, size):
        """Return so many floats of a block's shared memory, which begin at 16 bytes.

        The simulator knows no alignment, else this were an argument of cuda.shared.array.
        """
        if not isinstance(size, types.IntegerLiteral):
            return None  # asked again with the number itself
        array, floats = types.Array(types.float32, 1, "C"), types.NumberClass(types.float32)
        whole = array(size, floats, types.literal(VECTOR_BYTES))

        def code(context, builder, signature, args):
            return context.get_function(cuda.shared.array, whole)(builder, [*args, None, None])

        return array(size), code

    @cuda.extending.intrinsic
    def is_aligned(typing, array):
        """Say whether the array begins at a multiple of 16 bytes."""

        def code(context, builder, signature, args):
            address = builder.ptrtoint(_data(context, builder, signature, args), _LONG)
            beyond = builder.and_(address, _LONG(VECTOR_BYTES - 1))
            return builder.icmp_unsigned("==", beyond, _LONG(0))

        return types.boolean(array), code

    @cuda.extending.intrinsic
    def inside(typing, place, size):
        """Return 0 <= place < size."""

        def code(context, builder, signature, args):
            return builder.icmp_unsigned("<", *args)

        return types.boolean(types.int32, types.int32), code
