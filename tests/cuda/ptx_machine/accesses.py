"""Loads and stores of global and shared memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ptx_machine.frame import WINDOW, Frame
from ptx_machine.kinds import TYPES
from ptx_machine.memory import Piece
from ptx_machine.parsing import Address, Instruction, Operand

# How a load goes through the caches changes nothing here.
CACHES = {"nc", "ca", "cg", "cs", "lu", "cv", "wb", "wt", "volatile"}
VECTORS = {"v2": 2, "v4": 4}
SPACES = ("global", "shared")


def load(frame: Frame, one: Instruction) -> Callable[[np.ndarray], None]:
    space, kind, count = shape_of(one)
    targets = [frame.target(name, kind)[0] for name in registers(one.operands[0], count)]
    address = frame.reading_address(one.operands[1])
    dtype = TYPES[kind]

    def step(lanes: np.ndarray) -> None:
        for piece, addresses, which in places(frame, space, address(), lanes):
            found = piece.read(addresses, frame.ids[which], dtype, count)
            for target, numbers in zip(targets, found.T, strict=True):
                target[which] = numbers

    return step


def store(frame: Frame, one: Instruction) -> Callable[[np.ndarray], None]:
    space, kind, count = shape_of(one)
    sources = [frame.source(name, kind) for name in registers(one.operands[1], count)]
    address = frame.reading_address(one.operands[0])
    bits = np.dtype(f"u{TYPES[kind].itemsize}")

    def step(lanes: np.ndarray) -> None:
        for piece, addresses, which in places(frame, space, address(), lanes):
            values = np.empty((len(addresses), count), TYPES[kind])
            for number, source in enumerate(sources):
                values[:, number] = source[which] if source.ndim else source
            piece.write(addresses, frame.ids[which], values.view(bits))

    return step


def shape_of(one: Instruction) -> tuple[str, str, int]:
    """Return an access's space, type and how many numbers it moves."""
    space, kind, count = "generic", "", 1
    for part in one.opcode.split(".")[1:]:
        if part in SPACES:
            space = part
        elif part in VECTORS:
            count = VECTORS[part]
        elif part in TYPES:
            kind = part
        elif part not in CACHES:
            raise KeyError(one.opcode)
    return space, kind, count


def registers(operand: Operand, count: int) -> tuple[str, ...]:
    if isinstance(operand, Address) or (isinstance(operand, tuple) and len(operand) != count):
        raise ValueError(f"expected {count} registers, received {operand}")
    return operand if isinstance(operand, tuple) else (operand,)


def places(
    frame: Frame, space: str, addresses: np.ndarray, lanes: np.ndarray
) -> Iterator[tuple[Piece, np.ndarray, np.ndarray]]:
    """Yield the arrays in memory that some threads access, the addresses and the threads."""
    which = np.flatnonzero(lanes)
    addresses = addresses[which]
    if space == "generic":
        shared = addresses < np.uint64(frame.memory.spacing)
        halves = ((frame.shared, shared, WINDOW), (frame.memory, ~shared, 0))
    else:
        one = frame.shared if space == "shared" else frame.memory
        halves = ((one, np.ones(len(which), bool), 0),)
    for where, among, start in halves:
        if among.any():
            there, threads = addresses[among] - np.uint64(start), which[among]
            for piece, part in where.parts(there):
                yield piece, there[part], threads[part]
