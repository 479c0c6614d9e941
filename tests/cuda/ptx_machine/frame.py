"""The registers of a block of threads, and the operands of instructions among them."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from ptx_machine.kinds import TYPES
from ptx_machine.memory import Clock, Space
from ptx_machine.parsing import Address, Operand, Program

WARP = 32
GLOBAL_SPACING = 1 << 32  # an index of 32 bits does not reach from one array to the next but one
SHARED_SPACING = 1 << 20
# Where shared memory lies among generic addresses.
WINDOW = 1 << 30
# What registers hold before they are written: a predicate may be anything.
UNSET = {"f": np.nan, "u": 0x5A, "b": False}
SPECIAL = ("tid", "ntid", "ctaid", "nctaid")


class Frame:
    """What a kernel's threads work on: arrays with a number for each thread of a block.

    Steps made of instructions keep hold of these arrays, which stay the same from block to block.
    Arrays in shared memory are no better aligned than they are declared.
    """

    def __init__(self, program: Program, threads: int, memory: Space):
        self.program, self.threads, self.memory = program, threads, memory
        self.registers = {
            name: np.zeros(threads, TYPES["u" + kind[1:]] if kind[0] in "bsu" else TYPES[kind])
            for name, kind in program.registers.items()
        }
        for name in SPECIAL:
            for axis in "xyz":
                self.registers[f"%{name}.{axis}"] = np.zeros(threads, np.uint32)
        self.registers["%laneid"] = np.arange(threads, dtype=np.uint32) % np.uint32(WARP)
        self.shared = Space(memory.clock, SHARED_SPACING)
        self.addresses = {
            one.name: self.shared.add(
                np.zeros(one.size, np.uint8), one.name, self._unit(), one.alignment, False
            )
            for one in program.shared
        }
        self.arguments: dict[str, object] = {}
        self.ids = np.zeros(threads, np.int32)  # threads of the whole grid, from 1
        self.copies: list = []  # into shared memory, under way
        self.groups = np.zeros(threads, np.int64)  # of copies, that each thread has closed

    @property
    def clock(self) -> Clock:
        return self.memory.clock

    def _unit(self) -> int:
        """The size of the narrowest access to shared memory."""
        sizes = [
            TYPES[part].itemsize
            for block in self.program.blocks
            for one in block
            if one.name in ("ld", "st") and ".shared." in one.opcode
            for part in one.opcode.split(".")
            if part in TYPES
        ]
        return min(sizes, default=4)

    def enter(self, block: tuple[int, int, int], shape: tuple[int, ...]) -> None:
        """Begin with a block of the grid: nothing is known of registers and shared memory."""
        for name in self.program.registers:
            array = self.registers[name]
            array[...] = UNSET[array.dtype.kind]
        for piece in self.shared.pieces:
            piece.forget()
        for axis, number, many in zip("xyz", block, shape, strict=True):
            self.registers[f"%ctaid.{axis}"][...] = number
            self.registers[f"%nctaid.{axis}"][...] = many
        before = (block[2] * shape[1] + block[1]) * shape[0] + block[0]
        self.ids[...] = np.arange(self.threads) + before * self.threads + 1
        self.copies.clear()
        self.groups[...] = 0
        self.clock.enter()

    def source(self, operand: Operand, kind: str) -> np.ndarray:
        """Return the array of an operand's numbers, or one number."""
        dtype = TYPES[kind]
        if isinstance(operand, tuple | Address):
            raise ValueError(f"expected a number, received {operand}")
        if operand in self.registers:
            return self._low(self.registers[operand], dtype)
        if operand in self.addresses:
            return np.asarray(self.addresses[operand], dtype)
        return literal(operand, dtype)

    def target(self, operand: Operand, kind: str) -> tuple[np.ndarray, bool]:
        """Return a register as an array of a type, and whether it is wider than the type."""
        if not isinstance(operand, str) or operand not in self.registers:
            raise ValueError(f"expected a register, received {operand}")
        register, dtype = self.registers[operand], TYPES[kind]
        if register.itemsize > dtype.itemsize:
            wide = register.view(f"{'i' if dtype.kind == 'i' else 'u'}{register.itemsize}")
            return wide, True
        if register.itemsize < dtype.itemsize:
            raise ValueError(f"{operand} is narrower than {kind}")
        return register.view(dtype), False

    def reading_address(self, operand: Operand) -> Callable[[], np.ndarray]:
        """Return a function that gives each thread's address."""
        if not isinstance(operand, Address):
            raise ValueError(f"expected an address, received {operand}")
        offset = np.uint64(operand.offset & 0xFFFFFFFFFFFFFFFF)
        if operand.base in self.addresses:
            there = np.full(self.threads, self.addresses[operand.base], np.uint64) + offset
            return lambda: there
        register = self.registers[operand.base]
        return lambda: register.astype(np.uint64) + offset

    @staticmethod
    def _low(register: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """The low part of a register that is wider than a type."""
        if "b" in (register.dtype.kind, dtype.kind):
            if register.dtype != dtype:
                raise ValueError("expected a predicate and predicates only with each other")
            return register
        return register.view(dtype)[:: register.itemsize // dtype.itemsize]


def literal(text: str, dtype: np.dtype) -> np.ndarray:
    """Return a constant: an integer, or a float's bits as 0f3F800000 or 0d and twice as many."""
    if text[:2].lower() == "0f":
        number: object = struct.unpack(">f", bytes.fromhex(text[2:]))[0]
    elif text[:2].lower() == "0d":
        number = struct.unpack(">d", bytes.fromhex(text[2:]))[0]
    else:
        whole = int(text.rstrip("U"), 0)
        if dtype.kind == "f":
            raise ValueError(f"expected a float, received {text}")
        if dtype.kind == "b":
            return np.asarray(bool(whole))
        bits = whole & (1 << 8 * dtype.itemsize) - 1
        return np.asarray(bits, f"u{dtype.itemsize}").view(dtype)
    return np.asarray(number, dtype)
