"""Instructions made into steps: functions that do for some threads of a block what it says.

A step takes the threads as one truth value each. It computes for all threads, which costs NumPy
less, and keeps what those threads get.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ptx_machine import copies, tensor
from ptx_machine.accesses import load, store
from ptx_machine.frame import WINDOW, Frame
from ptx_machine.kinds import TYPES
from ptx_machine.memory import Fault
from ptx_machine.operations import operation
from ptx_machine.parsing import Instruction

Step = Callable[[np.ndarray], None]


def make_step(frame: Frame, one: Instruction) -> Step:
    """Return the step of an instruction, whose guard it minds."""
    try:
        plain = _unguarded(frame, one)
    except KeyError as missing:
        raise NotImplementedError(
            f"{frame.program.name}: the machine does not know {missing} of '{one.text}'"
        ) from missing
    return plain if one.guard is None else guarded(frame, one, plain)


def guarded(frame: Frame, one: Instruction, plain: Step) -> Step:
    holds = holding(frame, one)

    def step(lanes: np.ndarray) -> None:
        lanes = lanes & holds()
        if lanes.any():
            plain(lanes)

    return step


def holding(frame: Frame, one: Instruction) -> Callable[[], np.ndarray]:
    """Return a function that says for which threads an instruction's guard holds."""
    guard = frame.registers[str(one.guard)]
    return (lambda: ~guard) if one.negated else (lambda: guard)


def _unguarded(frame: Frame, one: Instruction) -> Step:
    name = one.name
    if name == "ld" and ".param." in one.opcode:
        return _parameter(frame, one)
    if name in MAKERS:
        return MAKERS[name](frame, one)
    if one.opcode.startswith("cp.async"):
        return copies.make(frame, one)
    return _computing(frame, one)


def _computing(frame: Frame, one: Instruction) -> Step:
    target_type, source_types, compute = operation(one.opcode)
    target, widened = frame.target(one.operands[0], target_type)
    given = one.operands[1:]
    sources = [frame.source(text, kind) for text, kind in zip(given, source_types, strict=True)]
    spare = np.zeros(frame.threads, TYPES[target_type])

    def step(lanes: np.ndarray) -> None:
        if not widened and lanes.all():
            compute(*sources, out=target)
        else:
            compute(*sources, out=spare)
            np.copyto(target, spare, where=lanes, casting="unsafe")

    return step


def _parameter(frame: Frame, one: Instruction) -> Step:
    """ld.param: the kernel's arguments, the same for all threads."""
    kind = one.opcode.split(".")[-1]
    target, _ = frame.target(one.operands[0], kind)
    name, offset = one.operands[1]
    if offset:
        raise NotImplementedError(f"a part of a parameter: '{one.text}'")
    declared = TYPES[frame.program.parameters[name]]

    def step(lanes: np.ndarray) -> None:
        value = np.asarray(frame.arguments[name]).astype(declared).view(TYPES[kind])
        np.copyto(target, value, where=lanes, casting="unsafe")

    return step


def _move(frame: Frame, one: Instruction) -> Step:
    """mov, also of several registers into one twice as wide and back."""
    into, source = one.operands
    kind = one.opcode.split(".")[-1]
    if not isinstance(into, tuple) and not isinstance(source, tuple):
        return _computing(frame, one)
    part = f"b{int(kind[1:]) // 2}"
    if isinstance(into, tuple):
        parts = [frame.target(name, part)[0] for name in into]
        whole = frame.source(source, kind)

        def step(lanes: np.ndarray) -> None:
            halves = np.ascontiguousarray(whole).view(TYPES[part]).reshape(-1, 2)
            for target, half in zip(parts, halves.T.copy(), strict=True):
                np.copyto(target, half, where=lanes)

    else:
        halves = [frame.source(name, part) for name in source]
        target, _ = frame.target(into, kind)

        def step(lanes: np.ndarray) -> None:
            both = np.empty((frame.threads, 2), TYPES[part])
            both[:, 0], both[:, 1] = halves
            np.copyto(target, both.view(TYPES[kind])[:, 0], where=lanes)

    return step


def _convert_address(frame: Frame, one: Instruction) -> Step:
    """cvta: shared memory lies in a window of the generic addresses, global memory everywhere."""
    target, _ = frame.target(one.operands[0], "u64")
    source = frame.source(one.operands[1], "u64")
    shift = WINDOW if ".shared" in one.opcode else 0
    if ".to." in one.opcode:
        shift = -shift

    def step(lanes: np.ndarray) -> None:
        there = source.astype(np.int64) + shift
        if (there < 0).any(where=lanes):
            raise Fault("takes for shared what is no address in shared memory")
        np.copyto(target, there, where=lanes, casting="unsafe")

    return step


MAKERS: dict[str, Callable[[Frame, Instruction], Step]] = {
    "ld": load,
    "st": store,
    "mov": _move,
    "cvta": _convert_address,
    "mma": tensor.multiply_add,
}
