"""What a warp's tensor cores do with numbers in TF32: 8 bits of exponent, 10 of mantissa.

They multiply float32 numbers of which the last 13 bits are left out, and add the products up in
float32. The instructions are written out as PTX; the simulator has a
Python function for each, in which the threads of a block meet.

NVIDIA, PTX ISA, "Matrix Fragments for mma.m16n8k8"; compute capability 8.0 and above.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastcnn.kernels.cuda.runtime.device import SIMULATED, cuda
from fastcnn.kernels.cuda.runtime.kernel import inline

__all__ = ["multiply_add", "rounded"]

LANES = 32
LEFT_OUT = 13  # bits of a float32 number's mantissa

if SIMULATED:

    def rounded(value: Any) -> Any:
        """Return a float32 number rounded to TF32: to the nearest, halves away from zero."""
        bits = int(np.float32(value).view(np.uint32))
        bits = (bits + (1 << (LEFT_OUT - 1))) >> LEFT_OUT << LEFT_OUT
        return np.uint32(bits).view(np.float32)

    _HELD: dict[int, Any] = {}  # what each thread of the block gave

    @inline
    def multiply_add(a: Any, b: Any, sums: Any) -> Any:
        """Return sums + A[16, 8] @ B[8, 8]: what a thread holds of the three."""
        thread = cuda.threadIdx.x
        _HELD[thread] = a, b
        cuda.syncthreads()
        warp, lane = thread // LANES * LANES, thread % LANES
        totals = []
        for i in range(4):
            row, column = lane // 4, warp + 4 * (2 * (lane % 4) + i % 2)
            total = sums[i]
            for k in range(4):
                (_, of_b), (of_a, _) = _HELD[column + k], _HELD[warp + 4 * row + k]
                total += of_a[i // 2] * of_b[0] + of_a[i // 2 + 2] * of_b[1]
            totals.append(total)
        cuda.syncthreads()
        return tuple(totals)

else:
    from llvmlite import ir
    from numba import types

    _BITS, _FLOAT = ir.IntType(32), ir.FloatType()
    _MULTIPLY = (
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
        "{$0, $1, $2, $3}, {$4, $5, $6, $7}, {$8, $9}, {$10, $11, $12, $13};"
    )

    @cuda.extending.intrinsic
    def rounded(typing, value):
        """Return a float32 number rounded to TF32: to the nearest, halves away from zero."""

        def code(context, builder, signature, args):
            kind = ir.FunctionType(_BITS, [_FLOAT])
            convert = ir.InlineAsm(kind, "cvt.rna.tf32.f32 $0, $1;", "=r,f", side_effect=False)
            return builder.bitcast(builder.call(convert, args), _FLOAT)

        return types.float32(types.float32), code

    @cuda.extending.intrinsic
    def multiply_add(typing, a, b, sums):
        """Return sums + A[16, 8] @ B[8, 8]: what a thread holds of the three.

        With g = lane // 4 and t = lane % 4 these are of A the numbers (g, t), (g + 8, t),
        (g, t + 4), (g + 8, t + 4), of B (t, g), (t + 4, g), and of the sums (g, 2 t), (g, 2 t + 1),
        (g + 8, 2 t), (g + 8, 2 t + 1).
        """

        def code(context, builder, signature, args):
            a, b, sums = (
                [builder.extract_value(argument, i) for i in range(kind.count)]
                for argument, kind in zip(args, signature.args, strict=True)
            )
            bits = [builder.bitcast(number, _BITS) for number in (*a, *b)]
            kind = ir.FunctionType(ir.LiteralStructType([_FLOAT] * 4), [_BITS] * 6 + [_FLOAT] * 4)
            constraints = ",".join(["=f"] * 4 + ["r"] * 6 + ["f"] * 4)
            multiply = ir.InlineAsm(kind, _MULTIPLY, constraints, side_effect=True)
            result = builder.call(multiply, [*bits, *sums])
            numbers = [builder.extract_value(result, i) for i in range(4)]
            return context.make_tuple(builder, signature.return_type, numbers)

        float4, float2 = types.UniTuple(types.float32, 4), types.UniTuple(types.float32, 2)
        return float4(float4, float2, float4), code
