"""The machine: a grid's blocks of threads one after the other, each block's threads together.

Threads that stand at the same place of the program go on together. Of several groups the one whose
place comes first in the program goes first, so that they meet again behind loops and branches.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from ptx_machine.frame import Frame
from ptx_machine.memory import Fault, Space
from ptx_machine.parsing import ENDINGS, Instruction, Program
from ptx_machine.steps import Step, holding, make_step

MOST_TURNS = 1_000_000  # basic blocks that a block of threads goes through
AXES = 3


class MachineError(Exception):
    """What a kernel did wrong, and where."""


class Machine:
    """A program made ready for blocks of so many threads."""

    def __init__(self, program: Program, threads: int, memory: Space):
        self.program, self.threads = program, threads
        self.frame = Frame(program, threads, memory)
        for axis, size in zip("xyz", (threads, 1, 1), strict=True):
            self.frame.registers[f"%ntid.{axis}"][...] = size
        self.frame.registers["%tid.x"][...] = np.arange(threads)
        self._bodies: list[list[tuple[Step, Instruction]]] = []
        self._endings: list[Instruction | None] = []
        for block in program.blocks:
            ending = block[-1] if block and block[-1].name in ENDINGS else None
            body = block[:-1] if ending else block
            self._bodies.append([(make_step(self.frame, one), one) for one in body])
            self._endings.append(ending)

    def launch(self, blocks: int | tuple[int, ...], arguments: Sequence[object]) -> None:
        """Run all blocks of a grid; the arguments are numbers in the parameters' order."""
        names = list(self.program.parameters)
        if len(names) != len(arguments):
            raise ValueError(f"expected {len(names)} arguments, received {len(arguments)}")
        self.frame.arguments = dict(zip(names, arguments, strict=True))
        shape = (blocks,) if isinstance(blocks, int) else tuple(blocks)
        shape += (1,) * (AXES - len(shape))
        self.frame.clock.launch()
        with np.errstate(all="ignore"):
            for z, y, x in product(*(range(size) for size in reversed(shape))):
                self.frame.enter((x, y, z), shape)
                self._run((x, y, z))

    def _run(self, block: tuple[int, int, int]) -> None:
        """Run one block of threads to its end."""
        ready = {0: np.ones(self.threads, bool)}  # threads by the basic block they come to
        waiting: dict[int, np.ndarray] = {}  # the same, of those at a barrier
        for _ in range(MOST_TURNS):
            if not ready:
                if not waiting:
                    return
                ready, waiting = self._released(waiting, block), {}
            place = min(ready)
            lanes = ready.pop(place)
            self._go_through(place, lanes, block)
            for successor, part, at_barrier in self._leave(place, lanes):
                queue = waiting if at_barrier else ready
                queue[successor] = queue[successor] | part if successor in queue else part
        raise self._error(f"does not end within {MOST_TURNS} turns", block)

    def _go_through(self, place: int, lanes: np.ndarray, block: tuple[int, ...]) -> None:
        for step, one in self._bodies[place]:
            try:
                step(lanes)
            except Fault as fault:
                raise self._error(f"'{one.text}' {fault}", block) from fault

    def _leave(self, place: int, lanes: np.ndarray) -> list[tuple[int, np.ndarray, bool]]:
        """Return where threads go from a basic block, and whether they wait before it."""
        ending = self._endings[place]
        if ending is None:
            return [(place + 1, lanes, False)] if place + 1 < len(self._bodies) else []
        acting, others = lanes, np.zeros_like(lanes)
        if ending.guard is not None:
            holds = holding(self.frame, ending)()
            acting, others = lanes & holds, lanes & ~holds
        if ending.name == "bra":
            parts = [(self.program.labels[str(ending.operands[0])], acting, False)]
        elif ending.name in ("bar", "barrier"):
            parts = [(place + 1, acting, True)]
        else:
            parts = []
        return [part for part in (*parts, (place + 1, others, False)) if part[1].any()]

    def _released(
        self, waiting: dict[int, np.ndarray], block: tuple[int, ...]
    ) -> dict[int, np.ndarray]:
        """Return the threads at the barrier, where all threads must be."""
        if len(waiting) > 1:
            raise self._error(f"threads wait at {len(waiting)} different barriers", block)
        ((place, lanes),) = waiting.items()
        if not lanes.all():
            gone = int((~lanes).sum())
            raise self._error(f"{gone} threads have ended while others wait at a barrier", block)
        self.frame.clock.tick()
        return {place: lanes}

    def _error(self, text: str, block: tuple[int, ...]) -> MachineError:
        return MachineError(f"{self.program.name}, block {block}: {text}")
