"""What a report says in words: names, winners, a verdict, what was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from fastcnn.kernels.cpu.conv import DIRECTIONS
from fastcnn.lab import results
from fastcnn.lab.results import NamedProblem, Report, Result

MEDIANS, FASTEST = "medians", "the fastest calls"
NOTABLE = 0.05  # share of the processors
COUNTING = "Operations are counted as the direct method does them."


def names(problems: Iterable[NamedProblem]) -> dict[NamedProblem, str]:
    """Names as short as they may be: with the set and the batch only where these differ."""
    every = list(problems)
    sets, batches = {problem.set for problem in every}, {problem.batch for problem in every}
    return {
        problem: (problem.name if len(sets) == 1 else problem.title)
        + (f", {problem.batch} images" if len(batches) > 1 else "")
        for problem in every
    }


def directions(report: Report) -> list[str]:
    """The directions of a report, in the usual order."""
    present = {result.direction for result in report.results}
    return [direction for direction in DIRECTIONS if direction in present]


def rate(result: Result) -> float:
    """GFLOP/s of the median, by which the winner is found; 0 where nothing was timed."""
    return 1e-6 * result.problem.flops / result.median_ms if result.median_ms else 0.0


def winners(report: Report) -> list[Result]:
    """The fastest of each direction of each problem."""
    fastest = (results.winner(group) for _, _, group in report.groups())
    return [result for result in fastest if result is not None]


def verdict(won: Sequence[Result]) -> str:
    """Who wins how often; of a single contest, how fast."""
    if not won:
        return "Nothing was measured"
    if len(won) == 1:
        return f"{won[0].strategy} is fastest on {won[0].problem.name}: {rate(won[0]):.0f} GFLOP/s"
    (name, wins), *others = Counter(result.strategy for result in won).most_common(2)
    if not others:
        return f"{name} is fastest in {'both' if wins == 2 else f'all {wins}'} contests"
    return f"{name} is fastest in {wins} of {len(won)} contests, {others[0][0]} in {others[0][1]}"


def times(ratio: float) -> str:
    """Return "1.8x", and a second digit where the first would say nothing: "1.04x"."""
    return f"{ratio:.2f}x" if 0.9 <= ratio < 1.1 and ratio != 1 else f"{ratio:.1f}x"


def measured(report: Report, figure: str) -> str:
    """What was measured: "vgg16, batches of 8, medians of 20 rounds"."""
    problems = report.problems
    if not problems:
        return rounds(report, figure)
    sets = list(dict.fromkeys(problem.set or problem.descriptor for problem in problems))
    batches = sorted({problem.batch for problem in problems})
    return f"{', '.join(sets)}, batches of {listed(batches)}, {rounds(report, figure)}"


def place(machine: str, report: Report) -> str:
    """The machine, and what other programs took of it where that was much."""
    if report.disturbance < NOTABLE:
        return machine
    return f"{machine}; other programs took {100 * report.disturbance:.0f} % of the processors"


def rounds(report: Report, figure: str = MEDIANS) -> str:
    """How often: "medians of 20 rounds"."""
    stopped = ", interrupted" if report.interrupted else ""
    return f"{figure} of {report.repeat} rounds{stopped}"


def listed(values: Sequence[int]) -> str:
    """Return "1, 8 and 32"."""
    *most, last = map(str, values)
    return f"{', '.join(most)} and {last}" if most else last
