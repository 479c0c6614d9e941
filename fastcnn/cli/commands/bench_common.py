"""What `fastcnn bench conv` and `sweep` share: a comparison asked for, made, and left."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from fastcnn.cli.options import device
from fastcnn.cli.options.bench import ALL, STDOUT
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.output import INTERRUPTED
from fastcnn.lab.measure import runner
from fastcnn.lab.measure.peer import PYTHON, Peer, PeerError
from fastcnn.lab.measure.problem_run import Task
from fastcnn.lab.report import files, text
from fastcnn.lab.results import Report
from fastcnn.strategies import AUTO, DIRECTIONS, STRATEGIES
from fastcnn.training import progress
from fastcnn.utils import messages, naming

Draw = Callable[[Report, str], list[Path]]
Show = Callable[[Report], None]


@contextlib.contextmanager
def usage() -> Iterator[None]:
    """What the lab refuses with a ValueError was asked wrongly."""
    try:
        yield
    except ValueError as error:
        raise UsageError(str(error)) from None


def directions(args: argparse.Namespace) -> list[str]:
    """The directions asked for, in the usual order."""
    return [
        direction
        for direction in DIRECTIONS
        if direction in args.direction or ALL in args.direction
    ]


def strategies(args: argparse.Namespace) -> tuple[str, ...]:
    """The strategies asked for, "auto" perhaps among them."""
    names = {name: name for name in (*STRATEGIES, AUTO)}
    with usage():
        asked = {naming.lookup("strategy", name, {**names, ALL: ALL}) for name in args.strategy}
    return tuple(names if ALL in asked else asked)


def check(args: argparse.Namespace) -> None:
    """UsageError where what is asked for cannot be had, before anything is measured."""
    args.device = device.device(args)
    if args.peer_python and not args.peer:
        raise UsageError("--peer-python is the Python of a peer: give --peer torch, too.")
    with usage():
        for path in (args.json, args.csv, args.plot):
            if path and path != STDOUT:
                files.check(path)
        if args.plot:
            from fastcnn.lab.plots import save

            save.check_path(args.plot)


def measured(args: argparse.Namespace, tasks: list[Task], title: str) -> Report:
    """Check and time what the tasks say, beside the peer asked for, under a progress bar."""
    with _peer(args) as peer, progress.tally(title, len(tasks)) as show:
        return runner.measure(tasks, args.repeat, peer, show, args.device, args.precision)


@contextlib.contextmanager
def _peer(args: argparse.Namespace) -> Iterator[Peer | None]:
    """The peer asked for, running, or None; UsageError where it cannot be had."""
    if args.peer is None:
        yield None
        return
    try:
        peer = Peer(args.peer, args.peer_python, args.device, args.precision)
    except PeerError as error:
        raise UsageError(
            f"--peer {args.peer}: {error} Name a Python that has it by --peer-python or {PYTHON}."
        ) from None
    with peer:
        yield peer


def leave(args: argparse.Namespace, report: Report, draw: Draw, show: Show = text.show) -> int:
    """Print, write and draw a report; return 130 where it was interrupted, 1 where a strategy is
    wrong."""
    # Files first: the reader of a pipe may leave before the end of a table.
    if args.json and args.json != STDOUT:
        files.write(args.json, files.as_json(report))
    if args.csv:
        files.write(args.csv, files.as_csv(report))
    if args.json == STDOUT:
        print(files.as_json(report))
    else:
        show(report)
    if args.plot and any(result.verdict == "ok" for result in report.results):
        for path in draw(report, args.plot):
            messages.say(f"Drawn: {path}")
    return INTERRUPTED if report.interrupted else int(report.wrong)
