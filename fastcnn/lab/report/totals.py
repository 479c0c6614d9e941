"""Sums over whole networks: each problem's time as often as the network has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastcnn.lab.results import NamedProblem, Report, Result, winner

ALL = "all"

Group = tuple[NamedProblem, str, list[Result]]


@dataclass(frozen=True)
class Total:
    """Milliseconds of one direction, or of all that were measured, over a set's problems.

    `direct` is that strategy alone; `best` the fastest one for each problem; `auto` what "auto"
    takes. Sums are None where one of the problems lacks the figure.
    """

    set: str
    direction: str
    problems: int
    direct_ms: float | None
    best_ms: float | None
    auto_ms: float | None
    peer_ms: float | None

    @property
    def auto_to_best(self) -> float | None:
        return _over(self.best_ms, self.auto_ms)

    @property
    def to_peer(self) -> float | None:
        """How many times faster "auto", or else the best, is than the peer."""
        return _over(self.peer_ms, self.auto_ms or self.best_ms)


def totals(report: Report) -> list[Total]:
    """Return the sums of every set, by direction and of all together, of what was timed."""
    complete = []
    for name in dict.fromkeys(problem.set for problem in report.problems if problem.set):
        own = [group for group in report.groups() if group[0].set == name]
        directions = list(dict.fromkeys(direction for _, direction, _ in own))
        parts = [
            (direction, [group for group in own if group[1] == direction])
            for direction in directions
        ]
        if len(directions) > 1:
            parts.append((ALL, own))
        sums = (_total(report, name, direction, groups) for direction, groups in parts)
        complete += [total for total in sums if total.best_ms is not None]
    return complete


def _total(report: Report, name: str, direction: str, groups: list[Group]) -> Total:
    def chosen(group: Group) -> Result | None:
        choice = report.choice(*group[:2])
        return _named(group[2], choice.strategy) if choice else None

    return Total(
        set=name,
        direction=direction,
        problems=len({problem for problem, _, _ in groups}),
        direct_ms=_sum(groups, lambda group: _named(group[2], "direct")),
        best_ms=_sum(groups, lambda group: winner(group[2])),
        auto_ms=_sum(groups, chosen),
        peer_ms=_sum(
            groups, lambda group: next((result for result in group[2] if result.peer), None)
        ),
    )


def _named(results: list[Result], strategy: str) -> Result | None:
    return next(
        (result for result in results if result.strategy == strategy and not result.peer), None
    )


def _sum(groups: list[Group], pick: Callable[[Group], Result | None]) -> float | None:
    total = 0.0
    for group in groups:
        result = pick(group)
        if result is None or result.median_ms is None:
            return None
        total += group[0].count * result.median_ms
    return total


def _over(above: float | None, below: float | None) -> float | None:
    return above / below if above and below else None
