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

WIDTH = 120  # of what is no terminal


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
    for one in report.results:
        if one.verdict == "WRONG":
            where = f"{one.problem.name} {one.direction}"
            console.print(Text(f"{one.strategy} is WRONG in {where}: {one.reason}", "bold red"))
    reading = "* the fastest; GFLOP/s by the direct method's count of operations."
    if len(sweep.axes) == 2:
        reading = "The fastest strategy, and how many times as fast as direct it is."
    console.print(Text(f"\n{captions.verdict(captions.winners(report))}. {reading}"))


def _map(report: Report, sweep: Sweep, direction: str) -> Table:
    """The second parameter down, its largest value on top as in the picture, the first across."""
    across, down = sweep.axes
    table = _table(f"{down.parameter} \\ {across.parameter}", map(str, across.values))
    won = {
        (across.of(one.problem), down.of(one.problem)): one
        for one in captions.winners(report)
        if one.direction == direction
    }
    for value in reversed(down.values):
        cells = [_winner(won.get((other, value))) for other in across.values]
        table.add_row(str(value), *cells)
    return table


def _winner(one: Result | None) -> str:
    if one is None:
        return "–"
    return f"{one.strategy} {captions.times(one.to_direct)}" if one.to_direct else one.strategy


def _lines(report: Report, sweep: Sweep, direction: str) -> Table:
    """A line for each value, the strategies' GFLOP/s side by side."""
    (across,) = sweep.axes
    own = [one for one in report.results if one.direction == direction]
    strategies = list(dict.fromkeys(one.strategy for one in own))
    winners = set(captions.winners(report))
    table = _table(across.parameter, strategies)
    for problem in dict.fromkeys(one.problem for one in own):
        found = {one.strategy: one for one in own if one.problem == problem}
        rates = [_rate(found.get(name), winners) for name in strategies]
        table.add_row(str(across.of(problem)), *rates)
    return table


def _rate(one: Result | None, winners: set[Result]) -> str:
    if one is None or not one.median_ms:
        return one.verdict if one else ""
    return f"{'* ' if one in winners else ''}{captions.rate(one):.3g}"


def _table(corner: str, columns: Iterable[str]) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(corner, justify="right", style="dim", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table
