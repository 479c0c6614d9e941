"""A report as text: rich tables on a terminal, the same in plain characters elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from fastcnn.autotune.report import describe
from fastcnn.lab.report.totals import Total, totals
from fastcnn.lab.results import AutoChoice, NamedProblem, Report, Result, winner

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDTH = 80  # of what is no terminal
NAME_WIDTH = 21
FAR_FROM_BEST = 0.95  # of the best's speed: below it a choice is worth a word
SUMS = "Sums over a network, medians in ms; best: the fastest for each problem"
MEANINGS = {
    "GFLOP/s": "the direct method's operations in the fastest call",
    "sgemm": "of its rate",
    "roof": "of what multiply-adds and copy allow",
    "error": "of the largest result",
    "x direct": "times as fast, median of the rounds",
}
LAYOUTS = {"channels_first": "NCHW", "channels_last": "NHWC"}


class Column(NamedTuple):
    """A column of figures; where a terminal is too narrow, those of low rank are left out first."""

    heading: str
    width: int
    rank: int
    text: Callable[[Any], str]


def show(report: Report, console: Console | None = None) -> None:
    """Print a report on stdout, or on another console."""
    from rich.console import Console
    from rich.text import Text

    if console is None:
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=WIDTH)
    room = console.width - NAME_WIDTH
    columns = _fitting(_columns(report), room)
    console.print(Text("\n".join(_head(report, columns))))
    for problem in report.problems:
        console.print()
        console.print(_heading(problem))
        console.print(_table(report, problem, columns))
        for line in _remarks(report, problem):
            console.print(line)
    sums = totals(report)
    if sums:
        console.print()
        console.print(Text(SUMS, "bold"))
        console.print(_sums(sums, _fitting(_sum_columns(report.peer), room)))
    for line in _ending(report):
        console.print(line)


def machine_line(machine: dict[str, Any]) -> str:
    """Return the machine in a line: processor, cores, threads, vectors; or the GPU."""
    if "card" in machine:
        return _card_line(machine["card"], machine["precision"])
    cores, threads = machine["cores"], machine["threads"]
    return (
        f"{machine['processor']}, {_count(cores, 'core')}, {_count(threads, 'thread')}, "
        f"{machine['vector_bits']}-bit vectors"
    )


def _card_line(card: dict[str, Any], precision: str) -> str:
    """Return the GPU in a line: name, size, driver, what drives it, precision."""
    if card["simulated"]:
        return f"{card['processor']}, {precision}: the times are Python's and say nothing"
    return (
        f"{card['processor']}, {card['multiprocessors']} multiprocessors, "
        f"{card['memory'] / (1 << 30):.0f} GiB, compute capability {card['compute_capability']}, "
        f"driver {card['driver']}, {card['package']}, {precision}"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _head(report: Report, columns: list[Column]) -> list[str]:
    versions = ", ".join(
        f"{name} {version}" for name, version in report.machine["versions"].items()
    )
    limits = report.ceilings
    bend = limits.compute_gflops / limits.copy_gbytes
    sgemm = f"sgemm {limits.sgemm_gflops:.0f} GFLOP/s, " if limits.sgemm_gflops else ""
    return [
        machine_line(report.machine),
        f"{report.machine['system']}; {versions}",
        f"Ceilings of this run: {sgemm}multiply-adds "
        f"{limits.fma_gflops:.0f} GFLOP/s, copy {limits.copy_gbytes:.1f} GB/s; the roofline bends "
        f"at {bend:.0f} FLOP/byte.",
        "; ".join(f"{c.heading}: {MEANINGS[c.heading]}" for c in columns if c.heading in MEANINGS),
        "*: the least median. dx, dw: the gradients of the images and of the kernel.",
    ]


def _heading(problem: NamedProblem) -> Any:
    from rich.text import Text

    often = f", {problem.count} times" if problem.count > 1 else ""
    name = f"{problem.title}{often}: " if problem.title != problem.descriptor else ""
    rest = (
        f"{name and describe(problem.problem) + ', '}{problem.descriptor}, "
        f"{problem.flops / 1e9:.3g} GFLOP, {problem.intensity:.3g} FLOP/byte"
    )
    return Text.assemble((name, "bold"), rest)


def _columns(report: Report) -> list[Column]:
    columns = [
        Column("min ms", 8, 5, lambda result: _ms(result.minimum_ms)),
        Column("median", 9, 9, lambda result: _ms(result.median_ms)),
        Column("GFLOP/s", 9, 8, lambda result: _number(result.gflops, ".3g")),
        *([_OF_SGEMM] if report.ceilings.sgemm_gflops else []),
        Column("roof", 6, 3, lambda result: _number(result.of_roofline, ".0%")),
        Column("workspace", 11, 1, lambda result: _bytes(result.workspace)),
        Column("error", 9, 2, lambda result: _number(result.error, ".1e")),
        Column("x direct", 10, 7, lambda result: _number(result.to_direct, ".2f")),
    ]
    if report.peer:
        heading = f"x {report.peer}"
        columns.append(Column(heading, 9, 6, lambda result: _number(result.to_peer, ".2f")))
    return columns


_OF_SGEMM = Column("sgemm", 7, 4, lambda result: _number(result.of_sgemm, ".0%"))


def _fitting(columns: list[Column], width: int) -> list[Column]:
    kept = sorted(columns, key=lambda column: -column.rank)
    while sum(column.width for column in kept) > width and len(kept) > 1:
        kept.pop()
    return [column for column in columns if column in kept]


def _table(report: Report, problem: NamedProblem, columns: list[Column]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=0, pad_edge=False)
    table.add_column("", width=NAME_WIDTH, no_wrap=True)
    for column in columns:
        table.add_column(column.heading, width=column.width, justify="right", no_wrap=True)
    for direction, results in _directions(report, problem):
        table.add_row(Text(direction, "bold"))
        best = winner(results)
        for result in results:
            if result.verdict != "declined":
                name, style = _name_and_style(result, result is best)
                cells = [column.text(result) for column in columns]
                if result.verdict == "WRONG":
                    cells[0] = result.verdict
                table.add_row(Text(name, style), *(Text(cell, style) for cell in cells))
        choice = report.choice(problem, direction)
        for result in results:
            if choice and result.strategy == choice.strategy and result.verdict == "ok":
                cells = [column.text(result) for column in columns]
                table.add_row(f"  auto: {choice.strategy}", *cells, style="cyan")
    return table


def _directions(report: Report, problem: NamedProblem) -> list[tuple[str, list[Result]]]:
    return [
        (direction, results) for other, direction, results in report.groups() if other == problem
    ]


def _name_and_style(result: Result, best: bool) -> tuple[str, str]:
    if result.verdict == "WRONG":
        return f"  {result.strategy}", "bold red"
    if result.peer:
        layout = LAYOUTS.get(result.variant or "", result.variant)
        return f"  {result.strategy}, {layout}", "magenta"
    return (f"* {result.strategy}", "bold green") if best else (f"  {result.strategy}", "")


def _remarks(report: Report, problem: NamedProblem) -> list[Any]:
    """Return what the figures do not say: declines and errors with reasons, poor choices."""
    from rich.text import Text

    reasons: dict[tuple[str, str, str], list[str]] = {}
    for direction, results in _directions(report, problem):
        for result in results:
            if result.reason is not None:
                key = (result.strategy, result.verdict, result.reason)
                reasons.setdefault(key, []).append(direction)
    lines = [
        Text(f"  {name} is WRONG in {', '.join(where)}: {reason}", "bold red")
        if verdict == "WRONG"
        else Text(f"  {name} declines {', '.join(where)}: {reason}", "dim")
        for (name, verdict, reason), where in reasons.items()
    ]
    chosen = (report.choice(problem, direction) for direction, _ in _directions(report, problem))
    return lines + [Text(_poor(choice), "yellow") for choice in chosen if choice and _poor(choice)]


def _poor(choice: AutoChoice) -> str:
    """Return a sentence about a choice that is far from the best, else nothing."""
    if choice.to_best is None or choice.to_best >= FAR_FROM_BEST:
        return ""
    return (
        f"  auto takes {choice.strategy} for {choice.direction} ({choice.why}), "
        f"{choice.to_best:.2f} times as fast as {choice.best}"
    )


def _sum_columns(peer: str | None) -> list[Column]:
    columns = [
        Column("direct", 10, 2, lambda total: _ms(total.direct_ms)),
        Column("best", 10, 3, lambda total: _ms(total.best_ms)),
        Column("auto", 10, 6, lambda total: _ms(total.auto_ms)),
        Column("auto/best", 10, 1, lambda total: _number(total.auto_to_best, ".2f")),
    ]
    if peer:
        columns.append(Column(peer, 9, 4, lambda total: _ms(total.peer_ms)))
        columns.append(Column(f"x {peer}", 9, 5, lambda total: _number(total.to_peer, ".2f")))
    return columns


def _sums(sums: list[Total], columns: list[Column]) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=0, pad_edge=False)
    table.add_column("", width=NAME_WIDTH, no_wrap=True)
    for column in columns:
        table.add_column(column.heading, width=column.width, justify="right", no_wrap=True)
    before = None
    for total in sums:
        if total.set != before:
            table.add_row(f"{total.set}, {_count(total.problems, 'problem')}", style="bold")
            before = total.set
        table.add_row(f"  {total.direction}", *(column.text(total) for column in columns))
    return table


def _ending(report: Report) -> list[Any]:
    from rich.text import Text

    lines = [Text(f"{_count(report.repeat, 'round')}, {report.seconds:.0f} s.", "dim")]
    if report.disturbance > 0.05:
        share = f"{report.disturbance:.0%}"
        lines.append(Text(f"Other programs took {share} of the processors meanwhile.", "yellow"))
    if report.interrupted:
        lines.append(Text("Interrupted: what was measured until then.", "yellow"))
    return lines


def _number(value: float | None, form: str) -> str:
    if value is None:
        return ""
    text = format(value, form)
    return f"{value:.0f}" if "e+" in text else text


def _ms(value: float | None) -> str:
    """Return four digits: 0.0123, 12.34, 1234."""
    if value is None:
        return ""
    decimals = 4 if value < 1 else 3 if value < 10 else 2 if value < 100 else 1
    return f"{value:.{decimals}f}" if value < 1000 else f"{value:.0f}"


def _bytes(value: int | None) -> str:
    if value is None:
        return ""
    for limit, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value} B"
