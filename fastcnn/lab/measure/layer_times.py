"""Where the time of a training step goes: every layer's share, forward and backward.

Nothing is run by itself: the engine takes real steps, all layers on all threads in the order of
its schedule, and each kernel call is timed on the thread that runs it. A layer's time is the sum
over its calls divided by the threads, so that all of them and the waiting add up to the step.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from fastcnn.backends.cpu.engine import TRAIN, CpuEngine
from fastcnn.graph.program import Op, Program
from fastcnn.lab.measure.call_timer import CallTimer
from fastcnn.layers import Layer
from fastcnn.models.sequential import Sequential
from fastcnn.training import input_checks
from fastcnn.utils.interrupt import Interrupt
from fastcnn.utils.threads import num_threads

REPEAT = 20
LOSS, UPDATE = "loss", "update"
_NUMBERED = re.compile(r"#(\d+)$")


@dataclass
class Share:
    """One direction of a layer: milliseconds, multiply-adds of an image as the direct method
    counts them, and of its convolutions the strategies and why these were chosen."""

    ms: float = 0.0
    multiply_adds: int = 0
    strategies: list[str] = field(default_factory=list)
    chosen: list[str] = field(default_factory=list)


@dataclass
class LayerTime:
    """A layer's shares of a step by direction ("forward", "dx", "dw").

    A direction is missing where the step has nothing to compute: no dx for the first layer, nothing
    at all for what was fused into another layer. `depth` counts the layers around it.
    """

    path: str
    kind: str
    depth: int
    output_shape: tuple[int, ...]
    shares: dict[str, Share] = field(default_factory=dict)

    @property
    def ms(self) -> float:
        return sum(share.ms for share in self.shares.values())

    @property
    def multiply_adds(self) -> int:
        return sum(share.multiply_adds for share in self.shares.values())


@dataclass
class StepTime:
    """A training step, layer by layer; all times are medians in milliseconds.

    step: the whole step, without stopwatches. timed: with them; this is what the layers, `loss`,
    `update` and `waiting` (all that is not inside a kernel) add up to, as far as medians do.
    """

    model: str
    images: int
    threads: int
    repeat: int
    layers: list[LayerTime]
    loss: float
    update: float
    waiting: float
    timed: float
    step: float
    interrupted: bool = False

    @property
    def kernels(self) -> float:
        """Everything inside kernels."""
        return sum(layer.ms for layer in self.layers) + self.loss + self.update


class _Engine(CpuEngine):
    """The CPU engine, whose training step can be timed."""

    def stopwatch(self, images: int) -> CallTimer:
        return CallTimer(self._plan(TRAIN, images).executable)  # type: ignore[attr-defined]


class _Round(NamedTuple):
    """A plain step's seconds, a timed one's, and in it the seconds of each call."""

    plain: float
    timed: float
    calls: np.ndarray


def measure(
    model: Sequential,
    images: int,
    repeat: int = REPEAT,
    show: Callable[[int, str], None] = lambda done, now: None,
) -> StepTime:
    """Take `repeat` training steps on random images, each once plainly and once timed.

    The model must be compiled; its weights move. `show` is told before each pair how many are
    done. Ctrl-C ends the row of steps early, after the first.
    """
    input_checks.compiled(model, "bench model", training=True)
    if model.device != "cpu":
        raise ValueError(
            f"bench model: expected a model on device 'cpu'. Received one on '{model.device}'."
        )
    engine = _Engine(model)
    x, y = _batch(model, images)
    engine.train(x, y, None)
    watch = engine.stopwatch(images)
    rounds = _rounds(lambda: engine.train(x, y, None), watch, repeat, show)
    program, _ = model.program_and_roles(TRAIN, images)
    ms = 1e3 * np.median([pair.calls for pair in rounds], axis=0)
    layers, rest = _by_layer(model, program, watch.labels, ms)
    return StepTime(
        model=model.name,
        images=images,
        threads=num_threads(),
        repeat=len(rounds),
        layers=layers,
        loss=rest[LOSS],
        update=rest[UPDATE],
        waiting=1e3 * statistics.median(pair.timed - float(pair.calls.sum()) for pair in rounds),
        timed=1e3 * statistics.median(pair.timed for pair in rounds),
        step=1e3 * statistics.median(pair.plain for pair in rounds),
        interrupted=len(rounds) < repeat,
    )


def _rounds(
    step: Callable[[], object], watch: CallTimer, repeat: int, show: Callable[[int, str], None]
) -> list[_Round]:
    """Take a plain step and a timed one in turn; a first one, whose memory is new, is not kept."""
    step()
    rounds: list[_Round] = []
    with Interrupt() as interrupt:
        while len(rounds) < repeat and not (rounds and interrupt.requested):
            show(len(rounds), "training steps")
            plain = _seconds(step)
            with watch:
                timed = _seconds(step)
            rounds.append(_Round(plain, timed, watch.seconds() / num_threads()))
    return rounds


def _batch(model: Sequential, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Random images and targets that the loss takes."""
    x = np.random.default_rng(0).random((images, *model.input_shape), dtype=np.float32)
    if model.loss.target == "sparse":
        return x, np.zeros(images, np.int32)
    return x, np.zeros((images, *model.output_shape), np.float32)


def _seconds(step: Callable[[], object]) -> float:
    begun = time.perf_counter()
    step()
    return time.perf_counter() - begun


def _by_layer(
    model: Sequential, program: Program, labels: tuple[str, ...], ms: np.ndarray
) -> tuple[list[LayerTime], dict[str, float]]:
    """Sort the calls' times under the layers' directions, the loss and the update."""
    rows = {row.path: row for top in model.layers for row in _rows(top, 0)}
    rest = {LOSS: 0.0, UPDATE: 0.0}
    shares: dict[int, Share] = {}
    for number, direction in enumerate(_directions(program)):
        op = program.ops[number]
        if op.layer in rows and op.kind != "reshape":
            share = shares[number] = rows[op.layer].shares.setdefault(direction, Share())
            share.multiply_adds += _multiply_adds(op)
            if "chosen" in op.attributes:
                share.strategies.append(op.attributes["strategy"])
                share.chosen.append(op.attributes["chosen"])
    for label, call_ms in zip(labels, ms.tolist(), strict=True):
        numbered = _NUMBERED.search(label)
        if numbered is None:
            rest[UPDATE] += call_ms
        elif int(numbered[1]) in shares:
            shares[int(numbered[1])].ms += call_ms
        else:
            rest[LOSS] += call_ms
    return list(rows.values()), rest


def _rows(layer: Layer, depth: int) -> Iterator[LayerTime]:
    yield LayerTime(layer.path, type(layer).__name__, depth, layer.output_shape)
    for inside in layer.sublayers:
        yield from _rows(inside, depth + 1)


def _directions(program: Program) -> list[str]:
    """Each op's direction; "dw" serves the gradients of the layer's own parameters alone."""
    kinds = [op.kind for op in program.ops]
    loss = kinds.index("loss")
    return [
        "forward" if number <= loss else "dw" if _for_gradients(program, op) else "dx"
        for number, op in enumerate(program.ops)
    ]


def _for_gradients(program: Program, op: Op) -> bool:
    readers = [reader for buffer in op.outputs for reader in program.consumers(buffer)]
    return bool(op.gradient_of) or all(
        reader.gradient_of and reader.layer == op.layer for reader in readers
    )


def _multiply_adds(op: Op) -> int:
    if op.kind.startswith("conv2d"):
        count: int = op.attributes["problem"].multiply_adds
        return count
    return op.parameters["kernel"].size if op.kind.startswith("matmul") else 0
