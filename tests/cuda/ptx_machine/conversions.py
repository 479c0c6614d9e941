"""Conversions of numbers from type to type: cvt."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ptx_machine.kinds import TYPES, Operation, assigned

TF32_LEFT_OUT = 13  # bits of a float32 number's mantissa


def conversion(name: str, kinds: tuple[str, ...]) -> Operation:
    to, source = kinds
    return Operation(to, (source,), assigned(CONVERSIONS[name](TYPES[to])))


def to_tf32(number):
    """To the nearest, halves away from zero."""
    bits = number.view(np.uint32) + np.uint32(1 << (TF32_LEFT_OUT - 1))
    bits &= np.uint32(0xFFFFFFFF ^ (1 << TF32_LEFT_OUT) - 1)
    return np.where(np.isfinite(number), bits, number.view(np.uint32))


def _to_integer(round_: Callable) -> Callable:
    """Numbers beyond the type become its nearest, NaN becomes 0."""

    def convert(dtype):
        if dtype.kind == "f":
            return round_
        least, most = np.iinfo(dtype).min, np.iinfo(dtype).max

        def to(number):
            found = round_(number)
            over, under = found >= float(most), found <= float(least)
            plain = np.where(over | under | np.isnan(found), 0, found).astype(dtype)
            return np.where(over, dtype.type(most), np.where(under, dtype.type(least), plain))

        return to

    return convert


def _plain(dtype: np.dtype) -> Callable:
    return lambda number: number.astype(dtype)


CONVERSIONS: dict[str, Callable[[np.dtype], Callable]] = {
    "cvt": _plain,
    "cvt.rn": _plain,
    "cvt.rna": lambda dtype: to_tf32,
    "cvt.sat": lambda dtype: lambda number: np.where(number > 0, np.minimum(number, 1), 0),
    "cvt.rni": _to_integer(np.rint),
    "cvt.rzi": _to_integer(np.trunc),
    "cvt.rmi": _to_integer(np.floor),
    "cvt.rpi": _to_integer(np.ceil),
}
