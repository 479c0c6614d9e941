"""What instructions compute, on NumPy arrays with a number for each thread.

Integers wrap. Float arithmetic is rounded once to the instruction's type: float32 results are
computed in float64, which rounds twice in a few cases of 2^29. Approximations are as wrong as the
document allows them to be, some upwards, some downwards.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ptx_machine.conversions import conversion
from ptx_machine.kinds import DOUBLE_WIDTH, TYPES, Operation, assigned

# The largest relative errors of approximations. lg2's is absolute.
ERRORS = {"ex2": 2**-22, "rcp": 2**-23, "sqrt": 2**-23, "rsqrt": 2**-22.4, "div": 2**-22}
ERRORS |= {"lg2": 2**-22, "tanh": 2**-11}


def operation(opcode: str) -> Operation:
    """Return what an instruction like add.s32 computes; KeyError where it is not known."""
    parts = opcode.split(".")
    kinds = tuple(part for part in parts[1:] if part in TYPES)
    words = [part for part in parts if part not in TYPES]
    flushed = "ftz" in words
    name = ".".join(word for word in words if word != "ftz")
    if name.startswith("setp."):
        found = _comparison(name.split(".")[1:], kinds)
    elif name.startswith("cvt"):
        found = conversion(name, kinds)
    else:
        found = TABLE[name](*kinds)
    return _flushed(found) if flushed else found


def _flushed(found: Operation) -> Operation:
    """The same with numbers below float32's normal ones as zeros."""

    def compute(*sources, out):
        found.compute(*map(_flush, sources), out=out)
        out[...] = _flush(out)

    return Operation(found.target, found.sources, compute)


def _flush(number):
    if number.dtype != np.float32:
        return number
    return np.where(np.abs(number) < np.finfo(np.float32).tiny, np.copysign(0, number), number)


def like(count: int, compute: Callable) -> Callable[[str], Operation]:
    """Sources and target of one type."""
    return lambda kind: Operation(kind, (kind,) * count, compute)


def of_two(integers: Callable, floats: Callable) -> Callable[[str], Operation]:
    """Two sources, and one function for integers and one for floats."""
    return lambda kind: like(2, floats if kind[0] == "f" else integers)(kind)


def _multiplied_wide(kind: str) -> Operation:
    wide = DOUBLE_WIDTH[kind]
    multiply = assigned(lambda a, b: np.multiply(a, b, dtype=TYPES[wide]))
    return Operation(wide, (kind, kind), multiply)


def _multiply_add_wide(kind: str) -> Operation:
    wide = DOUBLE_WIDTH[kind]
    compute = assigned(lambda a, b, c: np.multiply(a, b, dtype=TYPES[wide]) + c)
    return Operation(wide, (kind, kind, wide), compute)


def _multiplied_high(kind: str) -> Operation:
    wide = TYPES[DOUBLE_WIDTH[kind]]
    bits = int(kind[1:])
    return like(2, assigned(lambda a, b: np.multiply(a, b, dtype=wide) >> bits))(kind)


def _divided(a, b):
    """Towards zero. A division by zero is left open; here it gives zero."""
    down = np.floor_divide(a, b)
    uneven = (a - down * b != 0) & ((a < 0) != (b < 0))
    return down + uneven.astype(down.dtype)


def _shifted(shift: Callable, rest: Callable) -> Callable[[str], Operation]:
    """Shifts by the width of the type or more leave `rest`."""

    def make(kind: str) -> Operation:
        bits = int(kind[1:])

        def compute(a, count):
            by = np.minimum(count, bits - 1).astype(TYPES[kind])
            return np.where(count < bits, shift(a, by), rest(a, bits))

        return Operation(kind, (kind, "u32"), assigned(compute))

    return make


def _inserted(kind: str) -> Operation:
    """bfi: the lowest bits of a in place of as many of b."""
    one = TYPES[kind].type(1)

    def compute(a, b, start, length):
        start, length = start.astype(b.dtype), length.astype(b.dtype)
        mask = ((one << length) - one) << start
        return b & ~mask | a << start & mask

    return Operation(kind, (kind, kind, "u32", "u32"), assigned(compute))


def _fused(kind: str) -> Operation:
    """a * b + c. Where this is float64, the product is rounded to 64 bits of mantissa."""
    wide = np.float64 if kind == "f32" else np.longdouble

    def compute(a, b, c, out):
        product = np.multiply(a, b, dtype=wide)
        np.add(product, c, out=out, dtype=wide, casting="same_kind")

    return Operation(kind, (kind,) * 3, compute)


def _fused_down(kind: str) -> Operation:
    return like(3, assigned(lambda a, b, c: rounded_down(np.multiply(a, b, dtype=float) + c)))(kind)


def rounded_down(exact):
    near = exact.astype(np.float32)
    return np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near)


def _rounded_to_zero(exact):
    near = exact.astype(np.float32)
    return np.where(np.abs(near) > np.abs(exact), np.nextafter(near, np.float32(0)), near)


def _sum_to_zero(kind: str) -> Operation:
    return like(2, assigned(lambda a, b: _rounded_to_zero(np.add(a, b, dtype=float))))(kind)


def _approximate(name: str, compute: Callable, count: int = 1) -> Callable[[str], Operation]:
    """The same numbers always give the same result: their bits say which way it is off."""
    error = ERRORS[name]

    def off(*sources):
        exact = compute(*(source.astype(float) for source in sources))
        mixed = sum(source.view(np.uint32) for source in sources) * np.uint32(0x9E3779B9)
        sides = np.where(mixed >> 31, error, -error)
        sides = np.where(sources[0] == 0, 0, sides)  # what 0 becomes is exact
        return exact + sides if name == "lg2" else exact * (1 + sides)

    return like(count, assigned(off))


def _comparison(words: list[str], kinds: tuple[str, ...]) -> Operation:
    """setp.lt, setp.ltu (also where a number is NaN), setp.lt.and with a third source."""
    (kind,), (word, *combining) = kinds, words
    compare = ORDERED[word] if kind[0] == "f" and word in ORDERED else COMPARED[word]
    if not combining:
        return Operation("pred", (kind, kind), assigned(compare))
    combine = COMBINED[combining[0]]
    compute = assigned(lambda a, b, other: combine(compare(a, b), other))
    return Operation("pred", (kind, kind, "pred"), compute)


COMBINED = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}
COMPARED: dict[str, Callable] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "lo": np.less,
    "ls": np.less_equal,
    "hi": np.greater,
    "hs": np.greater_equal,
}
# Of floats: NaN is not unequal, but it is equal, or less, "unordered".
ORDERED: dict[str, Callable] = {
    "ne": lambda a, b: (a < b) | (a > b),
    "equ": lambda a, b: ~((a < b) | (a > b)),
    "neu": np.not_equal,
    "ltu": lambda a, b: ~(a >= b),
    "leu": lambda a, b: ~(a > b),
    "gtu": lambda a, b: ~(a <= b),
    "geu": lambda a, b: ~(a < b),
    "nan": lambda a, b: np.isnan(a) | np.isnan(b),
    "num": lambda a, b: ~(np.isnan(a) | np.isnan(b)),
}


TABLE: dict[str, Callable[..., Operation]] = {
    "mov": like(1, assigned(lambda a: a)),
    "add": like(2, np.add),
    "sub": like(2, np.subtract),
    "mul": like(2, np.multiply),
    "add.rn": like(2, np.add),
    "sub.rn": like(2, np.subtract),
    "mul.rn": like(2, np.multiply),
    "add.rz": _sum_to_zero,
    "fma.rn": _fused,
    "fma.rm": _fused_down,
    "mul.lo": like(2, np.multiply),
    "mul.hi": _multiplied_high,
    "mul.wide": _multiplied_wide,
    "mad.lo": like(3, assigned(lambda a, b, c: a * b + c)),
    "mad.wide": _multiply_add_wide,
    "div": like(2, assigned(_divided)),
    "rem": like(2, np.fmod),
    "min": of_two(np.minimum, np.fmin),
    "max": of_two(np.maximum, np.fmax),
    "neg": like(1, np.negative),
    "abs": like(1, np.absolute),
    "and": like(2, np.bitwise_and),
    "or": like(2, np.bitwise_or),
    "xor": like(2, np.bitwise_xor),
    "not": like(1, np.invert),
    "shl": _shifted(np.left_shift, lambda a, bits: a.dtype.type(0)),
    "shr": _shifted(np.right_shift, lambda a, bits: a >> a.dtype.type(bits - 1) >> 1),
    "bfi": _inserted,
    "selp": lambda kind: Operation(
        kind, (kind, kind, "pred"), assigned(lambda a, b, which: np.where(which, a, b))
    ),
    "copysign": like(2, assigned(lambda sign, size: np.copysign(size, sign))),
    "div.rn": like(2, np.divide),
    "rcp.rn": like(1, assigned(lambda a: a.dtype.type(1) / a)),
    "sqrt.rn": like(1, np.sqrt),
    "div.full": _approximate("div", np.divide, 2),
    "div.approx": _approximate("div", np.divide, 2),
    "rcp.approx": _approximate("rcp", np.reciprocal),
    "sqrt.approx": _approximate("sqrt", np.sqrt),
    "rsqrt.approx": _approximate("rsqrt", lambda a: 1 / np.sqrt(a)),
    "ex2.approx": _approximate("ex2", np.exp2),
    "lg2.approx": _approximate("lg2", np.log2),
    "tanh.approx": _approximate("tanh", np.tanh),
}
