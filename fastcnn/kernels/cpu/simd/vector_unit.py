"""This CPU's vector unit: how many floats a register holds, how many registers there are."""

from __future__ import annotations

import os

import llvmlite.binding as llvm
from llvmlite import ir

FLOAT = ir.FloatType()
INT32, INT64 = ir.IntType(32), ir.IntType(64)
POINTER = ir.IntType(8).as_pointer()


def _vector_unit() -> tuple[int, int]:
    """Return (floats per vector, vector registers) of this CPU."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        unit = 16, 32
    elif features.get("avx2") and features.get("fma"):
        unit = 8, 16
    elif llvm.get_process_triple().startswith(("aarch64", "arm64")):
        unit = 4, 32
    else:
        unit = 4, 16
    lanes, registers = unit
    asked = int(os.environ.get("FASTCNN_LANES", lanes))
    # Narrower vectors stand for a CPU that has no wider ones, and half as many registers.
    return (asked, 16) if asked < lanes else (lanes, registers)


LANES, REGISTERS = _vector_unit()
MASKED_STORES = (
    LANES == 16
)  # are as fast as whole ones; without AVX-512 they take ten times as long
VECTOR_BYTES = 4 * LANES
VECTOR = ir.VectorType(FLOAT, LANES)
MASK = ir.VectorType(ir.IntType(1), LANES)


RELU, RELU6 = 1, 2  # what a record's `relu` may ask for, if it is not 0


def rectified(builder: ir.IRBuilder, relu: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
    """Emit ReLU or ReLU6 where `relu` asks for it; a NaN stays one."""
    asked = builder.icmp_signed("!=", relu, INT64(0))
    floor = builder.select(asked, ir.Constant(FLOAT, 0.0), ir.Constant(FLOAT, float("-inf")))
    floors = splat_lanes(builder, floor, VECTOR)
    sums = [builder.select(builder.fcmp_ordered("<", v, floors), floors, v) for v in sums]
    before = builder.block
    with builder.if_then(builder.icmp_signed("==", relu, INT64(RELU6)), likely=False):
        most = ir.Constant(VECTOR, [6.0] * LANES)
        clipped = [builder.select(builder.fcmp_ordered(">", v, most), most, v) for v in sums]
        inside = builder.block
    results = []
    for value, other in zip(sums, clipped, strict=True):
        result = builder.phi(VECTOR)
        result.add_incoming(value, before)
        result.add_incoming(other, inside)
        results.append(result)
    return results


def splat_lanes(builder: ir.IRBuilder, scalar: ir.Value, vector: ir.VectorType) -> ir.Value:
    """Emit a vector with the same number in all lanes."""
    empty = ir.Constant(vector, ir.Undefined)
    lanes = ir.Constant(ir.VectorType(INT32, LANES), [0] * LANES)
    return builder.shuffle_vector(builder.insert_element(empty, scalar, INT32(0)), empty, lanes)
