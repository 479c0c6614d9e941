"""Asynchronous copies from global into shared memory: cp.async, its groups, and waiting for them.

The bytes arrive as late as allowed, when the thread waits for them; until then nobody may touch
the place, and other threads see them only behind a barrier after that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ptx_machine.accesses import places
from ptx_machine.frame import Frame
from ptx_machine.memory import Fault, Piece
from ptx_machine.parsing import Instruction, Operand

WIDTHS = {"cp.async.ca.shared.global": (4, 8, 16), "cp.async.cg.shared.global": (16,)}
EVERYTHING = 1 << 40  # groups


@dataclass
class Copy:
    """What some threads have on the way: each one's bytes, its group, and whether it has come."""

    piece: Piece
    addresses: np.ndarray
    threads: np.ndarray
    values: np.ndarray
    groups: np.ndarray
    arrived: np.ndarray


def make(frame: Frame, one: Instruction) -> Callable[[np.ndarray], None]:
    if one.opcode == "cp.async.commit_group":
        return _commit(frame)
    if one.opcode == "cp.async.wait_group":
        return _wait(frame, int(str(one.operands[0])))
    if one.opcode == "cp.async.wait_all":
        return _wait(frame, -EVERYTHING)
    return _copy(frame, one)


def _copy(frame: Frame, one: Instruction) -> Callable[[np.ndarray], None]:
    opcode = ".".join(part for part in one.opcode.split(".") if "::" not in part)
    widths = WIDTHS[opcode]
    into, source, width = one.operands[:3]
    size = int(str(width))
    if size not in widths:
        raise KeyError(one.text)
    to, start = frame.reading_address(into), frame.reading_address(source)
    given = _bytes_given(frame, one.operands[3:], size)

    def step(lanes: np.ndarray) -> None:
        values = np.zeros((frame.threads, size), np.uint8)
        _fetch(frame, start(), given(), lanes, values)
        for piece, addresses, which in places(frame, "shared", to(), lanes):
            units = piece.units_at(addresses, size)
            piece.begin_copy(units, frame.ids[which])
            going = np.zeros(len(which), bool)
            groups = frame.groups[which]
            frame.copies.append(Copy(piece, addresses, which, values[which], groups, going))

    return step


def _bytes_given(
    frame: Frame, operands: tuple[Operand, ...], size: int
) -> Callable[[], np.ndarray]:
    """Return how many bytes each thread reads; the rest of its place becomes zeros.

    The last operand says so, or, if it is a predicate, that there are none.
    """
    if not operands:
        return lambda: np.full(frame.threads, size)
    (operand,) = operands
    register = frame.registers.get(str(operand))
    if register is not None and register.dtype == bool:
        return lambda: np.where(register, 0, size)
    return lambda: np.broadcast_to(frame.source(operand, "u32"), frame.threads).astype(int)


def _fetch(
    frame: Frame, addresses: np.ndarray, given: np.ndarray, lanes: np.ndarray, values: np.ndarray
) -> None:
    """Read the bytes that are given of each thread's, in pieces of as many threads have as many."""
    size = values.shape[1]
    if (given[lanes] > size).any():
        raise Fault(f"copies more bytes than the {size} it has room for")
    if (addresses[lanes] % np.uint64(size)).any():
        raise Fault(f"copies {size} bytes from an address that is not a multiple of {size}")
    for many in np.unique(given[lanes & (given > 0)]):
        taking = lanes & (given == many)
        for piece, where, which in places(frame, "global", addresses, taking):
            for offset in range(0, int(many), piece.unit):
                found = piece.read(
                    where + np.uint64(offset), frame.ids[which], np.dtype(f"u{piece.unit}"), 1
                )
                values[which, offset : offset + piece.unit] = found.view(np.uint8)


def _commit(frame: Frame) -> Callable[[np.ndarray], None]:
    def step(lanes: np.ndarray) -> None:
        frame.groups[lanes] += 1

    return step


def _wait(frame: Frame, but: int) -> Callable[[np.ndarray], None]:
    """Let everything arrive that is in all of a thread's groups but the last ones."""

    def step(lanes: np.ndarray) -> None:
        for copy in frame.copies:
            due = ~copy.arrived & lanes[copy.threads]
            due &= copy.groups < frame.groups[copy.threads] - but
            if due.any():
                threads = frame.ids[copy.threads[due]]
                copy.piece.end_copy(copy.addresses[due], threads, copy.values[due])
                copy.arrived |= due
        frame.copies[:] = [copy for copy in frame.copies if not copy.arrived.all()]

    return step
