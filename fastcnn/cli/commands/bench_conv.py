"""`fastcnn bench conv`: strategies on named convolutions."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from fastcnn.cli.commands import bench_common
from fastcnn.cli.options import bench
from fastcnn.cli.options.bench import STDOUT
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.options.types import Commands, positive
from fastcnn.lab.measure.problem_run import Task
from fastcnn.lab.problems import descriptor, sets
from fastcnn.lab.report import files
from fastcnn.lab.results import NamedProblem, Report


def add_options(benches: Commands) -> None:
    """Add the subcommand."""
    command = bench.subcommand(
        benches,
        "conv",
        "check every strategy on named convolutions, then time them in turn",
        "fastcnn bench conv vgg16 --batch 8 --peer torch --plot vgg16.png",
    )
    command.add_argument(
        "problems",
        nargs="*",
        metavar="SET",
        help=f"{', '.join(sets.SETS)}; one of a set, as vgg16:conv3_1; or a descriptor as "
        f"benchdnn's, {descriptor.EXAMPLE}",
    )
    command.add_argument(
        "--batch",
        type=positive,
        metavar="N",
        help=f"images, also where a descriptor says mb (default: what it says, or {sets.BATCH})",
    )
    command.add_argument("--list", action="store_true", help="list the sets, or those given")
    bench.measuring(command)
    bench.files(
        command, "draw FILE-roofline.png and FILE-bars.png for FILE.png; also .svg and .pdf"
    )


def run(args: argparse.Namespace) -> int:
    """Compare, or list; return 1 where a strategy is wrong."""
    bench_common.check(args)
    bench_common.strategies(args)
    if args.list:
        return _list(args)
    if not args.problems:
        raise UsageError(
            "give a SET or a descriptor first, before the options (fastcnn bench conv --list)."
        )
    tasks = [
        Task(problem, direction, bench_common.strategies(args))
        for problem in _problems(args)
        for direction in bench_common.directions(args)
    ]
    report = bench_common.measured(args, tasks, "bench conv")
    return bench_common.leave(args, report, _draw)


def _draw(report: Report, path: str) -> list[Path]:
    from fastcnn.lab.plots import save

    return save.conv(report, path)


def _problems(args: argparse.Namespace) -> list[NamedProblem]:
    with bench_common.usage():
        return sets.all_named(args.problems or sets.SETS, args.batch)


def _list(args: argparse.Namespace) -> int:
    """Print the sets with their problems."""
    problems = _problems(args)
    if args.json:
        text = json.dumps([_described(problem) for problem in problems])
        print(text) if args.json == STDOUT else files.write(args.json, text)
        return 0
    width = max(len(problem.name) for problem in problems)
    for name in dict.fromkeys(problem.set for problem in problems):
        own = [problem for problem in problems if problem.set == name]
        if name:
            total = sum(problem.count * problem.problem.multiply_adds for problem in own)
            print(f"{name}: {sets.about(name)} {total / 1e9:.3g} G multiply-adds an image.")
        for problem in own:
            often = f"x{problem.count}" if problem.count > 1 else ""
            print(f"  {problem.name:<{width}}  {often:>4}  {problem.descriptor}")
    return 0


def _described(problem: NamedProblem) -> dict[str, Any]:
    return {
        "set": problem.set,
        "name": problem.name,
        "count": problem.count,
        "descriptor": problem.descriptor,
        "multiply_adds": problem.problem.multiply_adds,
    }
