"""A sweep's result as text: the map of the fastest strategies, or a line for each value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fastcnn.lab.problems.sweep import Sweep
from fastcnn.lab.report import captions
from fastcnn.lab.report.text import machine_line
from fastcnn.lab.results import Report, Result

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDTH = 80  # of what is no terminal


def show(report: Report, sweep: Sweep, console: Console | None = None) -> None:
    """Print a sweep on stdout, or on another console."""
    from rich.console import Console
    from rich.text import Text

    if console is None:
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=WIDTH)
    console.print(Text(f"{sweep.settings}, {captions.rounds(report)}", "bold"))
    console.print(Text(captions.place(machine_line(report.machine), report), "dim"))
    for direction in captions.directions(report):
        console.print()
        console.print(Text(direction, "bold"))
        console.print((_map if len(sweep.axes) == 2 else _lines)(report, sweep, direction))
    for result in report.results:
        if result.verdict == "WRONG":
            where = f"{result.problem.name} {result.direction}"
            console.print(
                Text(f"{result.strategy} is WRONG in {where}: {result.reason}", "bold red")
            )
    reading = "* the fastest; GFLOP/s by the direct method's count of operations."
    if len(sweep.axes) == 2:
        reading = "The fastest strategy, and how many times as fast as direct it is."
    console.print(Text(f"\n{captions.verdict(captions.winners(report))}. {reading}"))


def _map(report: Report, sweep: Sweep, direction: str) -> Table:
    """The second parameter down, its largest value on top as in the picture, the first across."""
    across, down = sweep.axes
    table = _table(f"{down.parameter} \\ {across.parameter}", map(str, across.values))
    won = {
        (across.of(result.problem), down.of(result.problem)): result
        for result in captions.winners(report)
        if result.direction == direction
    }
    for value in reversed(down.values):
        cells = [_winner(won.get((other, value))) for other in across.values]
        table.add_row(str(value), *cells)
    return table


def _winner(result: Result | None) -> str:
    if result is None:
        return "–"
    return (
        f"{result.strategy} {captions.times(result.to_direct)}"
        if result.to_direct
        else result.strategy
    )


def _lines(report: Report, sweep: Sweep, direction: str) -> Table:
    """A line for each value, the strategies' GFLOP/s side by side."""
    (across,) = sweep.axes
    own = [result for result in report.results if result.direction == direction]
    strategies = list(dict.fromkeys(result.strategy for result in own))
    winners = set(captions.winners(report))
    table = _table(across.parameter, strategies)
    for problem in dict.fromkeys(result.problem for result in own):
        by_strategy = {result.strategy: result for result in own if result.problem == problem}
        rates = [_rate(by_strategy.get(name), winners) for name in strategies]
        table.add_row(str(across.of(problem)), *rates)
    return table


def _rate(result: Result | None, winners: set[Result]) -> str:
    if result is None or not result.median_ms:
        return result.verdict if result else ""
    return f"{'* ' if result in winners else ''}{captions.rate(result):.3g}"


def _table(corner: str, columns: Iterable[str]) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(corner, justify="right", style="dim", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table
