"""What `fastcnn bench conv` and `sweep` share: a comparison asked for, made, and left."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from fastcnn.cli.options import device
from fastcnn.cli.options.bench import ALL, STDOUT
from fastcnn.cli.options.errors import UsageError
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


def directions(given: argparse.Namespace) -> list[str]:
    """The directions asked for, in the usual order."""
    return [one for one in DIRECTIONS if one in given.direction or ALL in given.direction]


def strategies(given: argparse.Namespace) -> tuple[str, ...]:
    """The strategies asked for, "auto" perhaps among them."""
    known = {name: name for name in (*STRATEGIES, AUTO)}
    with usage():
        asked = {naming.lookup("strategy", name, {**known, ALL: ALL}) for name in given.strategy}
    return tuple(known if ALL in asked else asked)


def check(given: argparse.Namespace) -> None:
    """UsageError where what is asked for cannot be had, before anything is measured."""
    given.device = device.device(given)
    if given.peer_python and not given.peer:
        raise UsageError("--peer-python is the Python of a peer: give --peer torch, too.")
    with usage():
        for path in (given.json, given.csv, given.plot):
            if path and path != STDOUT:
                files.check(path)
        if given.plot:
            from fastcnn.lab.plots import save

            save.check_path(given.plot)


def measured(given: argparse.Namespace, tasks: list[Task], title: str) -> Report:
    """Checks and times what the tasks say, beside the peer asked for, under a progress bar."""
    with _peer(given) as peer, progress.tally(title, len(tasks)) as show:
        return runner.measure(tasks, given.repeat, peer, show, given.device, given.precision)


@contextlib.contextmanager
def _peer(given: argparse.Namespace) -> Iterator[Peer | None]:
    """The peer asked for, running, or None; UsageError where it cannot be had."""
    if given.peer is None:
        yield None
        return
    try:
        peer = Peer(given.peer, given.peer_python, given.device, given.precision)
    except PeerError as error:
        raise UsageError(
            f"--peer {given.peer}: {error} Name a Python that has it by --peer-python or {PYTHON}."
        ) from None
    with peer:
        yield peer


def leave(given: argparse.Namespace, found: Report, draw: Draw, show: Show = text.show) -> int:
    """Prints, writes and draws a report; returns 1 where it is not whole or a strategy is wrong."""
    # Files first: the reader of a pipe may leave before the end of a table.
    if given.json and given.json != STDOUT:
        files.write(given.json, files.as_json(found))
    if given.csv:
        files.write(given.csv, files.as_csv(found))
    if given.json == STDOUT:
        print(files.as_json(found))
    else:
        show(found)
    if given.plot and any(one.verdict == "ok" for one in found.results):
        for path in draw(found, given.plot):
            messages.say(f"Drawn: {path}")
    return int(found.wrong or found.interrupted)
