"""`fastcnn bench sweep`: which strategy wins where, over a range of sizes."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from fastcnn.cli.commands import bench_common
from fastcnn.cli.options import bench
from fastcnn.cli.options.types import Commands, positive
from fastcnn.lab.measure.problem_run import Task
from fastcnn.lab.problems import sweep
from fastcnn.lab.problems.sweep import Sweep
from fastcnn.lab.report import sweep_table
from fastcnn.lab.results import Report


def add_options(benches: Commands) -> None:
    """Add the subcommand."""
    command = bench.subcommand(
        benches,
        "sweep",
        "compare the strategies over a range of sizes, and map which one wins where",
        "fastcnn bench sweep --over channels=8..256 --over size=7..112 --plot map.png",
    )
    command.add_argument(
        "--over",
        action="append",
        required=True,
        metavar="NAME=RANGE",
        help=f"one or two of {', '.join(sweep.TITLES)}: LOW..HIGH by doubling (kernel: by twos), "
        "or a list as 8,16,24",
    )
    for name in sweep.TITLES:
        fixed = sweep.SETTINGS.get(name, "as many as channels")
        command.add_argument(f"--{name}", type=positive, metavar="N", help=f"default: {fixed}")
    bench.measuring(command)
    bench.files(command, "draw the map of the winners, or lines over one parameter")


def run(args: argparse.Namespace) -> int:
    """Compare strategies on a grid of problems; return 1 where one is wrong."""
    with bench_common.usage():
        swept = _sweep(args)
        problems = swept.problems()
    tasks = [
        Task(problem, direction, bench_common.strategies(args))
        for problem in problems
        for direction in bench_common.directions(args)
    ]
    bench_common.check(args)
    report = bench_common.measured(args, tasks, "bench sweep")
    show = partial(sweep_table.show, sweep=swept)
    return bench_common.leave(args, report, partial(_draw, sweep=swept), show)


def _sweep(args: argparse.Namespace) -> Sweep:
    """What --over and the fixed sizes ask for."""
    sizes = {name: getattr(args, name) for name in sweep.TITLES}
    fixed = {name: size for name, size in sizes.items() if size is not None}
    try:
        return sweep.parsed(args.over, fixed)
    except ValueError as error:
        raise ValueError(f"--over: {error}") from None


def _draw(report: Report, path: str, sweep: Sweep) -> list[Path]:
    from fastcnn.lab.plots import save

    return save.sweep(report, path, sweep)
