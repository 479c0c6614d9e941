"""The text of a PTX module as a program: registers, shared memory, and blocks of instructions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

# The last instruction of a basic block.
ENDINGS = ("bra", "ret", "exit", "bar", "barrier")

ENTRY = re.compile(r"\.entry\s+(\S+?)\s*\((.*?)\)[^{};]*\{", re.DOTALL)
PARAMETER = re.compile(r"\.param\s+\.(\w+)\s+(\S+)")
SHARED = re.compile(r"\.shared\s+\.align\s+(\d+)\s+\.[busf](\d+)\s+([\w$]+)(?:\[(\d+)\])?")
REGISTERS = re.compile(r"\.reg\s+\.(\w+)\s+(.*)", re.DOTALL)
MANY = re.compile(r"(.+)<(\d+)>")
LABEL = re.compile(r"([$\w]+):")
GUARD = re.compile(r"@(!?)(\S+)\s+")
ADDRESS = re.compile(r"\[\s*([^+\s\]]+)\s*(?:\+\s*(-?\w+)\s*)?\]")
OPERAND = re.compile(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+")


class Address(NamedTuple):
    """An operand [base + offset]; the base is a register or a variable."""

    base: str
    offset: int


Operand = str | Address | tuple[str, ...]


class Instruction(NamedTuple):
    """One instruction; `guard` is the predicate that must hold, or must not where `negated`."""

    text: str
    opcode: str
    operands: tuple[Operand, ...]
    guard: str | None = None
    negated: bool = False

    @property
    def name(self) -> str:
        return self.opcode.split(".")[0]


class Variable(NamedTuple):
    """An array in shared memory."""

    name: str
    alignment: int
    size: int


@dataclass
class Program:
    """A kernel: instructions in basic blocks, entered at their first and left at their last."""

    name: str
    parameters: dict[str, str]  # types by name
    shared: list[Variable]
    registers: dict[str, str] = field(default_factory=dict)  # types by name
    blocks: list[list[Instruction]] = field(default_factory=lambda: [[]])
    labels: dict[str, int] = field(default_factory=dict)  # blocks by name


def parse(text: str) -> Program:
    """Return the program of a module with one kernel."""
    text = text.rstrip("\0")
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)
    entries = list(ENTRY.finditer(text))
    if len(entries) != 1:
        raise ValueError(f"expected a module with one kernel, received {len(entries)}")
    (entry,) = entries
    parameters = {name.rstrip(","): kind for kind, name in PARAMETER.findall(entry[2])}
    shared = [
        Variable(name, int(alignment), int(bits) // 8 * int(many or "1"))
        for alignment, bits, name, many in SHARED.findall(text)
    ]
    program = Program(entry[1], parameters, shared)
    for statement in text[entry.end() :].split(";"):
        _add(program, statement)
    return program


def _add(program: Program, statement: str) -> None:
    """Add a statement to the program, with the labels and the braces of scopes before it."""
    statement = statement.strip()
    while statement:
        label = LABEL.match(statement)
        if label:
            if program.blocks[-1]:
                program.blocks.append([])
            program.labels[label[1]] = len(program.blocks) - 1
        elif statement[0] not in "{}":
            break
        statement = statement[label.end() if label else 1 :].strip()
    if statement.startswith(".reg"):
        program.registers.update(_registers(statement))
    elif statement and not statement.startswith((".pragma", ".shared")):
        program.blocks[-1].append(_instruction(statement))
        if program.blocks[-1][-1].name in ENDINGS:
            program.blocks.append([])


def _registers(statement: str) -> dict[str, str]:
    """A declaration's registers: names, or %r<3> for %r0, %r1, %r2.

    A scope's own registers are the program's: nothing is kept in them from scope to scope.
    """
    found: dict[str, str] = {}
    matched = REGISTERS.match(statement)
    if matched is None:
        raise ValueError(f"unknown declaration: {statement}")
    kind, names = matched.groups()
    for name in names.split(","):
        many = MANY.match(name.strip())
        if many:
            found.update({f"{many[1]}{number}": kind for number in range(int(many[2]))})
        else:
            found[name.strip()] = kind
    return found


def _instruction(statement: str) -> Instruction:
    text = " ".join(statement.split())
    guard = GUARD.match(text)
    opcode, _, rest = (text[guard.end() :] if guard else text).partition(" ")
    operands = tuple(_operand(found) for found in OPERAND.findall(rest))
    if guard is None:
        return Instruction(text, opcode, operands)
    return Instruction(text, opcode, operands, guard[2], bool(guard[1]))


def _operand(text: str) -> Operand:
    if text[0] == "{":
        return tuple(part.strip() for part in text[1:-1].split(","))
    address = ADDRESS.fullmatch(text)
    if address:
        return Address(address[1], int(address[2] or "0", 0))
    return text
