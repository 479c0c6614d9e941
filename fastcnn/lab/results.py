"""What the lab finds out, as plain data: problems, results, ceilings, and a report of them all.

Rates count the multiply-adds of the direct method, as everyone does, and are of the fastest call;
so are the ceilings. Ratios are medians of the rounds' ratios: the contestants take turns in each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from fastcnn.graph.problem import Problem

Verdict = Literal["ok", "WRONG", "declined"]


@dataclass(frozen=True)
class NamedProblem:
    """A problem with its name in a network, for batches of `batch` images.

    `set` is the network's name ("" for a descriptor on the command line); `count` says how often
    the network has this convolution.
    """

    name: str
    problem: Problem
    batch: int
    descriptor: str
    set: str = ""
    count: int = 1

    @property
    def title(self) -> str:
        """Its full name: "vgg16 conv3_1"."""
        return f"{self.set} {self.name}".strip()

    @property
    def flops(self) -> int:
        """Floating-point operations of the batch, one direction, by the direct method."""
        return 2 * self.batch * self.problem.multiply_adds

    @property
    def bytes(self) -> int:
        """Bytes of images, results and kernel: the least that any method must move."""
        problem = self.problem
        image = problem.height * problem.width * problem.channels
        result = problem.out_height * problem.out_width * problem.filters
        kernel = (
            problem.kernel[0] * problem.kernel[1] * problem.channels_per_group * problem.filters
        )
        return 4 * (self.batch * (image + result) + kernel)

    @property
    def intensity(self) -> float:
        """Operations for each byte."""
        return self.flops / self.bytes


@dataclass(frozen=True)
class Ceilings:
    """The machine's limits as measured between the problems, on the same threads: the best of each.

    `sgemm_gflops` is NumPy's product of two float32[2048, 2048]; `fma_gflops` the engine's
    multiply-adds on numbers that stay in the first cache; `copy_gbytes` GB/s read and written by
    copying an array far larger than the caches. Of a GPU: multiply-adds in float32 on its
    registers, a copy within its memory, and no matrix product.
    """

    sgemm_gflops: float | None
    fma_gflops: float
    copy_gbytes: float

    @property
    def compute_gflops(self) -> float:
        """The roofline's flat part."""
        return max(self.sgemm_gflops or 0.0, self.fma_gflops)

    @property
    def named(self) -> tuple[str, float]:
        """The rate of arithmetic that pictures compare with, and its name."""
        if self.sgemm_gflops is None:
            return "multiply-adds", self.fma_gflops
        return "sgemm", self.sgemm_gflops

    def roofline(self, intensity: float) -> float:
        """Return the most GFLOP/s to expect at so many operations for each byte."""
        return min(self.compute_gflops, intensity * self.copy_gbytes)


@dataclass(frozen=True)
class Result:
    """One direction of a problem by one strategy, or by the peer (`peer`, with the peer's name).

    Figures are None where nothing was timed: `verdict` "declined" or "WRONG", with the reason in
    words. `error` is the largest anywhere in a result, relative to its largest magnitude.
    `to_direct` and `to_peer` say how many times faster it is than they are. `workspace` is in
    bytes. `variant` is how the peer was fastest, its memory layout.
    """

    problem: NamedProblem
    direction: str
    strategy: str
    verdict: Verdict
    reason: str | None = None
    minimum_ms: float | None = None
    median_ms: float | None = None
    gflops: float | None = None
    of_sgemm: float | None = None
    of_roofline: float | None = None
    workspace: int | None = None
    error: float | None = None
    to_direct: float | None = None
    to_peer: float | None = None
    peer: bool = False
    variant: str | None = None

    @property
    def intensity(self) -> float:
        return self.problem.intensity


@dataclass(frozen=True)
class AutoChoice:
    """What "auto" takes for one direction of a problem, and why: "measured" or "estimated".

    `best` is the fastest strategy that was timed; `to_best` how many times faster the choice is
    than that one, at most about 1. Both are None where the choice itself was not timed.
    """

    problem: NamedProblem
    direction: str
    strategy: str
    why: str
    best: str | None
    to_best: float | None


@dataclass(frozen=True)
class Report:
    """One run of the lab, in `repeat` rounds. `machine` is plain data: processor, threads, ...

    `disturbance` is the share of our processors' time that other programs took meanwhile.
    """

    machine: dict[str, Any]
    ceilings: Ceilings
    results: list[Result]
    choices: list[AutoChoice] = field(default_factory=list)
    peer: str | None = None
    repeat: int = 1
    seconds: float = 0.0
    disturbance: float = 0.0
    interrupted: bool = False

    @property
    def wrong(self) -> bool:
        """Whether any strategy gave a wrong result."""
        return any(result.verdict == "WRONG" for result in self.results)

    @property
    def problems(self) -> list[NamedProblem]:
        """Each problem once, in order."""
        return list(dict.fromkeys(result.problem for result in self.results))

    def groups(self) -> Iterator[tuple[NamedProblem, str, list[Result]]]:
        """Yield the results of each direction of each problem, in order."""
        grouped: dict[tuple[NamedProblem, str], list[Result]] = {}
        for result in self.results:
            grouped.setdefault((result.problem, result.direction), []).append(result)
        for (problem, direction), results in grouped.items():
            yield problem, direction, results

    def choice(self, problem: NamedProblem, direction: str) -> AutoChoice | None:
        """Return what "auto" takes, None where it was not asked."""
        same = (c for c in self.choices if (c.problem, c.direction) == (problem, direction))
        return next(same, None)

    def described(self) -> dict[str, Any]:
        """Return the report as plain data, with what follows from it."""
        return {
            **asdict(self),
            "results": [_described(row) for row in self.results],
            "choices": [_described(row) for row in self.choices],
        }

    @classmethod
    def parsed(cls, data: dict[str, Any]) -> Report:
        """Return the report that `described` described."""
        own = {member.name: data[member.name] for member in fields(cls)}
        own["ceilings"] = Ceilings(**data["ceilings"])
        own["results"] = [_parsed(Result, member) for member in data["results"]]
        own["choices"] = [_parsed(AutoChoice, member) for member in data["choices"]]
        return cls(**own)


def winner(results: Iterable[Result]) -> Result | None:
    """Return the fastest of fastcnn's own results, by its median."""
    timed = [result for result in results if result.median_ms is not None and not result.peer]
    return min(timed, key=lambda result: result.median_ms or 0.0, default=None)


def _described(row: Result | AutoChoice) -> dict[str, Any]:
    return {**asdict(row), "intensity": row.problem.intensity}


def _parsed(cls: Any, data: dict[str, Any]) -> Any:
    named = dict(data["problem"])
    problem = {name: _frozen(value) for name, value in named.pop("problem").items()}
    own = {member.name: data[member.name] for member in fields(cls)}
    return cls(**{**own, "problem": NamedProblem(problem=Problem(**problem), **named)})


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
