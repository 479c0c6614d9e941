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
from fastcnn.cli.options.types import positive
from fastcnn.lab.measure.problem_run import Task
from fastcnn.lab.problems import descriptor, sets
from fastcnn.lab.report import files
from fastcnn.lab.results import NamedProblem, Report


def add_options(benches: Any) -> None:
    """Adds the subcommand."""
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


def run(given: argparse.Namespace) -> int:
    """Compares, or lists; returns 1 where a strategy is wrong."""
    bench_common.check(given)
    bench_common.strategies(given)
    if given.list:
        return _list(given)
    if not given.problems:
        raise UsageError(
            "give a SET or a descriptor first, before the options (fastcnn bench conv --list)."
        )
    tasks = [
        Task(problem, direction, bench_common.strategies(given))
        for problem in _problems(given)
        for direction in bench_common.directions(given)
    ]
    report = bench_common.measured(given, tasks, "bench conv")
    return bench_common.leave(given, report, _draw)


def _draw(report: Report, path: str) -> list[Path]:
    from fastcnn.lab.plots import save

    return save.conv(report, path)


def _problems(given: argparse.Namespace) -> list[NamedProblem]:
    with bench_common.usage():
        return sets.all_named(given.problems or sets.SETS, given.batch)


def _list(given: argparse.Namespace) -> int:
    """Prints the sets with their problems."""
    problems = _problems(given)
    if given.json:
        text = json.dumps([_described(one) for one in problems])
        print(text) if given.json == STDOUT else files.write(given.json, text)
        return 0
    width = max(len(one.name) for one in problems)
    for name in dict.fromkeys(one.set for one in problems):
        own = [one for one in problems if one.set == name]
        if name:
            total = sum(one.count * one.problem.multiply_adds for one in own)
            print(f"{name}: {sets.about(name)} {total / 1e9:.3g} G multiply-adds an image.")
        for one in own:
            often = f"x{one.count}" if one.count > 1 else ""
            print(f"  {one.name:<{width}}  {often:>4}  {one.descriptor}")
    return 0


def _described(one: NamedProblem) -> dict[str, Any]:
    return {
        "set": one.set,
        "name": one.name,
        "count": one.count,
        "descriptor": one.descriptor,
        "multiply_adds": one.problem.multiply_adds,
    }
