"""Which strategy computes which direction of which convolution: chosen, and told afterwards.

A wish is what a user asks of a layer: "auto", a strategy's name, or one of these for each
direction. A named strategy is taken or refused with its reason; only "auto" chooses: the fastest
by what was measured on this machine (`fastcnn tune`) or else by a small cost model, among those
whose relative error stays within a bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol, TypeAlias

from fastcnn import losses
from fastcnn.graph.problem import Problem
from fastcnn.graph.program import Buffer, Op, Program
from fastcnn.graph.unchanging import unchanging
from fastcnn.graph.verifier import problem_of
from fastcnn.kernels.cpu.conv import DIRECTIONS, STRATEGIES
from fastcnn.kernels.registry import Strategy, kernels_of
from fastcnn.losses import Loss
from fastcnn.strategies import sparse, timing_cache
from fastcnn.strategies.sparse import ASKED_FOR, SPARSE
from fastcnn.utils import naming
from fastcnn.utils.settings import FixedDict

__all__ = [
    *("AUTO", "DIRECTIONS", "DIRECTION_OF", "ERROR_BOUND", "SPARSE", "STRATEGIES"),
    *("Choice", "Chosen", "assign", "beside_estimate", "choose", "program_choices", "table"),
    *("pinned", "sparse_directions", "training_choices"),
]

AUTO = "auto"
ERROR_BOUND = 1e-4  # of a result, relative to its largest magnitude, that "auto" keeps within
ALIKE = 1.02  # measured times within this ratio of the fastest count as equal
# In tf32 what "auto" leaves out: sums of transformed numbers lose more digits when these are cut.
FLOAT32_ALONE = ("winograd", "winograd-2x2")
# The direction that an op computes.
DIRECTION_OF = {"conv2d": "forward", "conv2d_dx": "dx", "conv2d_dw": "dw"}


class Choice(NamedTuple):
    """A strategy's name, and why it: "asked for", "measured" or "estimated"."""

    name: str
    why: str


def table(device: str) -> dict[str, Strategy]:
    """Return the strategies of a device by their names; the CPU has all that there are."""
    strategies: dict[str, Strategy] = kernels_of(device).conv.STRATEGIES
    return strategies


StrategyLike: TypeAlias = str | Mapping[str, str]
"""A strategy's name, "auto", or one for each direction."""


def wish(owner: str, value: object, sparse: bool = True) -> dict[str, str]:
    """Return a user's wish as a strategy's name, or "auto", for each direction; "sparse" only for
    layers that max pooling may follow so that it can be had."""
    if isinstance(value, str):
        value = dict.fromkeys(DIRECTIONS, value)
    if not isinstance(value, Mapping) or not value.keys() <= set(DIRECTIONS):
        raise ValueError(
            f"{owner}: strategy must be 'auto', one of {', '.join(STRATEGIES)}, or a dictionary "
            f"with one for any of {', '.join(DIRECTIONS)}. Received {value!r}."
        )
    names = {name: name for name in (AUTO, *STRATEGIES, *([SPARSE] if sparse else []))}
    try:
        wished = {
            direction: naming.lookup("strategy", value.get(direction, AUTO), names)
            for direction in DIRECTIONS
        }
    except (TypeError, ValueError) as error:
        raise type(error)(f"{owner}: {error}") from None
    return FixedDict(wished, f"{owner}: strategy cannot be changed in place.")


def check(owner: str, wished: dict[str, str], problem: Problem, device: str = "cpu") -> None:
    """Raise ValueError with the reason where a named strategy cannot do a problem."""
    strategies = table(device)
    for direction, name in wished.items():
        if name == AUTO:
            continue
        missing = f"it has no kernels for device '{device}'"
        if name == SPARSE:
            reason = sparse.declines(direction, problem) if device == "cpu" else missing
        else:
            strategy = strategies.get(name)
            reason = strategy.declines(direction, problem) if strategy else missing
        if reason:
            raise ValueError(f"{owner}: strategy '{name}' cannot compute {direction}: {reason}.")


def check_program(program: Program, device: str) -> None:
    """Raise ValueError where a layer of a program names a strategy that a device has not."""
    for op in program.ops:
        if op.kind in DIRECTION_OF:
            problem, wished = of_op(op)
            check(op.layer, wished, problem, device)


def of_op(op: Op) -> tuple[Problem, dict[str, str]]:
    """Return the problem of a convolution, and the wish for each direction. TypeError or ValueError
    where its layer, one of a user's own, gave it something else."""
    return problem_of(op), wish(op.where, op.attributes["strategy"])


def assign(
    program: Program,
    images: int,
    bound: float,
    device: str = "cpu",
    precision: str = "float32",
) -> None:
    """Name the strategy of every convolution of a program that runs `images` images at once.

    Raises ValueError where one that a layer names cannot be had on the device.
    """
    fixed = unchanging(program)
    for op in program.ops:
        if op.kind in DIRECTION_OF:
            direction = DIRECTION_OF[op.kind]
            problem, wishes = of_op(op)
            wished = wishes[direction]
            check(op.layer, {direction: wished}, problem, device)
            # The CPU keeps what was made of the weights for as long as they stay; frozen layers
            # below all trained ones compute the same in training, with the same strategies.
            at_inference = not program.training or not fixed.isdisjoint(op.outputs)
            choice = choose(
                *(direction, problem, images, bound, wished),
                device=device,
                precision=precision,
                prepared=device == "cpu" and at_inference,
            )
            op.attributes["strategy"], op.attributes["chosen"] = choice
    if device == "cpu":
        sparse.keep_sparse(program, images)
        _settle_dense(program, images, bound)


def _settle_dense(program: Program, images: int, bound: float) -> None:
    """Choose for gradients that are to be sparse and are not; in training that is a ValueError."""
    for op in program.ops:
        if op.kind not in DIRECTION_OF or op.attributes["strategy"] != SPARSE:
            continue
        direction = DIRECTION_OF[op.kind]
        if program.training:
            raise ValueError(
                f"{op.layer}: strategy '{SPARSE}' cannot compute {direction}: its gradient has to "
                "come from max pooling alone, whose windows do not reach beyond their input, and "
                f"every filter has to see every channel. Name another strategy, or '{AUTO}'."
            )
        choice = choose(direction, op.attributes["problem"], images, bound, prepared=True)
        op.attributes["strategy"], op.attributes["chosen"] = choice


def choose(
    direction: str,
    problem: Problem,
    images: int,
    bound: float = ERROR_BOUND,
    wished: str = AUTO,
    measured: bool = True,
    device: str = "cpu",
    precision: str = "float32",
    prepared: bool = False,
) -> Choice:
    """Return the strategy for one direction of a problem; without `measured`, as if none was.

    `prepared` says that the weights stay as they are, so that what is made of a kernel is made
    once.
    """
    if wished != AUTO:
        return Choice(wished, ASKED_FOR)
    possible = [
        strategy
        for strategy in table(device).values()
        if strategy.automatic and strategy.declines(direction, problem) is None
    ]
    if precision != "float32":
        possible = [strategy for strategy in possible if strategy.name not in FLOAT32_ALONE]
    able = {strategy.name: strategy for strategy in possible if strategy.error <= bound}
    if not able:
        best = min(possible, key=lambda strategy: strategy.error)
        raise ValueError(
            f"No strategy keeps within a relative error of {bound:g}. The most exact one, "
            f"{best.name}, keeps within {best.error:g}."
        )
    key = direction, problem, images
    times = timing_cache.find(*key, device, precision) if measured else {}
    timed = {name: times[name] for name in able if name in times}
    # Among those as fast as each other a measurement is a throw of dice: the estimate is not.
    fastest = [name for name in timed if timed[name] <= ALIKE * min(timed.values())]
    costs = {name: able[name].cost(*key, precision, prepared) for name in fastest or able}
    return Choice(min(costs, key=lambda name: costs[name]), "measured" if timed else "estimated")


def pinned(
    op: Op, images: int, bound: float, device: str = "cpu", precision: str = "float32"
) -> dict[str, str]:
    """Return the strategy's name for each direction of a convolution of `images` images."""
    problem, wished = of_op(op)
    return {
        direction: choose(
            *(direction, problem, images, bound, wished[direction]),
            device=device,
            precision=precision,
        ).name
        for direction in DIRECTIONS
    }


def sparse_directions(op: Op, chosen: Iterable[Chosen]) -> dict[str, str]:
    """Return "sparse" for each direction of a convolution that the choices say it of.

    A layer of a user's own may have two alike, for which one setting speaks: both have to be.
    """
    names: dict[str, set[str]] = {}
    for choice in chosen:
        if (choice.layer, choice.problem) == (op.layer, op.attributes["problem"]):
            names.setdefault(choice.direction, set()).add(choice.strategy)
    return {direction: SPARSE for direction, those in names.items() if those == {SPARSE}}


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


def training_choices(model: ProgramMaker, images: int) -> list[Chosen]:
    """Return the choices of a training with batches of `images`, of an uncompiled model too."""
    # Which loss it is makes no difference to any convolution.
    program, _ = model.program_and_roles("train", images, losses.get("mean_squared_error"))
    return program_choices(program, model.device, model.precision)


def program_choices(
    program: Program, device: str = "cpu", precision: str = "float32"
) -> list[Chosen]:
    """Return the choices that the ops of a program for a device carry."""
    directions = DIRECTION_OF | sparse.DIRECTION_OF
    return [
        Chosen(
            layer=op.layer,
            direction=directions[op.kind],
            problem=op.attributes["problem"],
            strategy=op.attributes["strategy"],
            why=op.attributes["chosen"],
            device=device,
            precision=precision,
        )
        for op in program.ops
        if op.kind in directions
    ]


def beside_estimate(chosen: Iterable[Chosen], images: int, bound: float) -> list[Chosen]:
    """Return those measured choices that the cost model alone would not have made."""
    return [
        choice
        for choice in chosen
        if choice.why == "measured" and choice.strategy != estimated(choice, images, bound)
    ]


def estimated(used: Chosen, images: int, bound: float) -> str:
    """Return the strategy that the cost model alone chooses."""
    choice = choose(
        *(used.direction, used.problem, images, bound),
        measured=False,
        device=used.device,
        precision=used.precision,
    )
    return choice.name
