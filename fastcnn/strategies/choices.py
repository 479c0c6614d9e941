"""What was chosen for a model: the strategy of each convolution and direction, and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from fastcnn import losses, strategies
from fastcnn.graph.problem import Problem
from fastcnn.graph.program import Buffer, Program
from fastcnn.losses import Loss


class ProgramMaker(Protocol):
    """A model, as far as its programs go."""

    @property
    def device(self) -> str: ...

    @property
    def precision(self) -> str: ...

    def program_and_roles(
        self, kind: str, images: int, loss: Loss | None
    ) -> tuple[Program, dict[str, Buffer]]:
        """Return the program of a kind, with a loss, and its buffers by role."""


class Chosen(NamedTuple):
    """One direction of one convolution of the layer at a path."""

    layer: str
    direction: str
    problem: Problem
    strategy: str
    why: str  # "asked for", "measured" or "estimated"
    device: str = "cpu"
    precision: str = "float32"


def of_training(model: ProgramMaker, images: int) -> list[Chosen]:
    """Return the choices of a training with batches of `images`, of an uncompiled model too."""
    # Which loss it is makes no difference to any convolution.
    program, _ = model.program_and_roles("train", images, losses.get("mean_squared_error"))
    return of_program(program, model.device, model.precision)


def of_program(program: Program, device: str = "cpu", precision: str = "float32") -> list[Chosen]:
    """Return the choices that the ops of a program for a device carry."""
    return [
        Chosen(
            layer=op.layer,
            direction=strategies.DIRECTION_OF[op.kind],
            problem=op.attributes["problem"],
            strategy=op.attributes["strategy"],
            why=op.attributes["chosen"],
            device=device,
            precision=precision,
        )
        for op in program.ops
        if op.kind in strategies.DIRECTION_OF
    ]


def beside_estimate(chosen: Iterable[Chosen], images: int, bound: float) -> list[Chosen]:
    """Return those measured choices that the cost model alone would not have made."""
    return [
        one
        for one in chosen
        if one.why == "measured" and one.strategy != estimated(one, images, bound)
    ]


def estimated(one: Chosen, images: int, bound: float) -> str:
    """Return the strategy that the cost model alone chooses."""
    choice = strategies.choose(
        *(one.direction, one.problem, images, bound),
        measured=False,
        device=one.device,
        precision=one.precision,
    )
    return choice.name
