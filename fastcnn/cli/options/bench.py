"""The options that the subcommands of `fastcnn bench` share."""

from __future__ import annotations

import argparse

from fastcnn.cli.options import device
from fastcnn.cli.options.types import Commands, positive
from fastcnn.lab.measure.peer import PYTHON, SCRIPTS
from fastcnn.lab.measure.runner import REPEAT
from fastcnn.strategies import AUTO, DIRECTIONS, STRATEGIES

ALL = "all"
STDOUT = "-"


def subcommand(benches: Commands, name: str, text: str, example: str) -> argparse.ArgumentParser:
    """Add a subcommand with the options that all of them have."""
    command: argparse.ArgumentParser = benches.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=f"Example: {example}"
    )
    command.add_argument("--threads", type=positive, metavar="N", help="default: every core")
    command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return command


def files(command: argparse.ArgumentParser, plot: str | None = None) -> None:
    """Add what a report may be written to; `plot` says what --plot draws, where it can be drawn."""
    add = command.add_argument
    add(
        "--json",
        nargs="?",
        const=STDOUT,
        metavar="FILE",
        help="everything as JSON, to stdout in place of the tables where no file is named",
    )
    add("--csv", metavar="FILE", help="a line for each result")
    if plot is not None:
        add("--plot", metavar="FILE", help=plot)


def measuring(command: argparse.ArgumentParser) -> None:
    """Add what is measured, and how."""
    add = command.add_argument
    add(
        "--direction",
        nargs="+",
        choices=(*DIRECTIONS, ALL),
        default=[ALL],
        help="default: all",
    )
    add(
        "--strategy",
        nargs="+",
        default=[ALL],
        metavar="NAME",
        help=f"{', '.join(STRATEGIES)}, {AUTO} or all (default: all, and {AUTO} beside them)",
    )
    device.add_options(command, "cpu")
    add("--peer", choices=tuple(SCRIPTS), help="a framework to compare with, at its best layout")
    add("--peer-python", metavar="PATH", help=f"its Python (default: ${PYTHON}, or this one)")
    add(
        "--repeat",
        type=positive,
        default=REPEAT,
        metavar="N",
        help=f"rounds in which all take turns (default: {REPEAT})",
    )
