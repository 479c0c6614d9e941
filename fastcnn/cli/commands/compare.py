"""`fastcnn compare`: the settings in which trainings differ, and what came of each."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.report import outcome
from fastcnn.cli.resolve import kept_settings
from fastcnn.cli.resolve.run_folder import RunFolder
from fastcnn.utils import columns
from fastcnn.utils.naming import printable

NOTHING: tuple[object, ...] = (None, [], {})
MOST = 12
"""Columns of a value that stands in a table of numbered runs; longer ones are listed."""


def run(args: argparse.Namespace) -> int:
    """Print a row for each setting that differs and for each result of the best epoch."""
    runs = {printable(name): _run(RunFolder(Path(name))) for name in args.runs}
    print(json.dumps(runs) if args.json else _text(runs))
    return 0


def _run(folder: RunFolder) -> dict[str, dict[str, Any]]:
    try:
        settings, _ = kept_settings.read(folder.settings)
        epochs = outcome.columns(folder.history)
    except FileNotFoundError:
        raise UsageError(f"'{folder.path}' holds no training that has finished an epoch.") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"'{folder.path}' cannot be read: {error}") from None
    if not epochs.get("loss"):
        raise UsageError(f"'{folder.path}' holds no training that has finished an epoch.")
    losses = epochs.get("val_loss", epochs["loss"])
    valid = [epoch for epoch, loss in enumerate(losses) if math.isfinite(loss)] or [0]
    best = min(valid, key=lambda epoch: losses[epoch])
    values = {name: column[best] for name, column in epochs.items() if name != "epoch"}
    values.pop("learning_rate", None)
    return {
        "settings": asdict(settings),
        "results": {"epochs": len(losses), "best epoch": best + 1, **values},
    }


def _text(runs: dict[str, dict[str, dict[str, Any]]]) -> str:
    """A table; where that is too wide, one of numbered runs, with what they and long values are
    below it."""
    settings = _rows(runs, "settings")
    different = {name: row for name, row in settings.items() if len({*map(_whole, row)}) > 1}
    rows = {**different, **_rows(runs, "results")}
    cells = {name: list(map(_cell, row)) for name, row in rows.items()}
    whole = [["", *runs], *([name, *row] for name, row in cells.items())]
    if _width(whole) <= columns.available():
        return "\n".join(columns.table(whole, names=0))
    long = {name: row for name, row in cells.items() if max(map(columns.width, row)) > MOST}
    short = {name: row for name, row in cells.items() if name not in long}
    lines = _listed("run", list(runs))
    for name, row in long.items():
        lines += ["", *_listed(name, row)]
    numbered = [["run", *map(str, range(1, len(runs) + 1))], *([n, *r] for n, r in short.items())]
    for part in _side_by_side(numbered):
        lines += ["", *columns.table(part)]
    return "\n".join(lines)


def _width(table: list[list[str]]) -> int:
    return sum(max(map(columns.width, column)) + 2 for column in zip(*table, strict=True)) - 2


def _listed(title: str, texts: list[str]) -> list[str]:
    """A line for each run, by its number."""
    rows = [[str(number), text] for number, text in enumerate(texts, 1)]
    room = columns.available() - len(rows[-1][0]) - 4
    return [title, *(f"  {number}  {columns.cut(text, room)}" for number, text in rows)]


def _side_by_side(table: list[list[str]]) -> Iterator[list[list[str]]]:
    """The table in parts that fit the terminal, each with the names of the rows."""
    first, runs = 1, len(table[0])
    while first < runs:
        last = first + 1
        while last < runs and _part_width(table, first, last + 1) <= columns.available():
            last += 1
        yield [[row[0], *row[first:last]] for row in table]
        first = last


def _part_width(table: list[list[str]], first: int, last: int) -> int:
    return _width([[row[0], *row[first:last]] for row in table])


def _rows(runs: dict[str, dict[str, dict[str, Any]]], kind: str) -> dict[str, list[Any]]:
    """The values of all runs by name, None where a run lacks it."""
    names = dict.fromkeys(name for run in runs.values() for name in run[kind])
    return {name: [run[kind].get(name) for run in runs.values()] for name in names}


def _whole(value: object) -> str:
    """A value with all its digits."""
    return "-" if value in NOTHING else str(value)


def _cell(value: object) -> str:
    if value in NOTHING:
        return "-"
    if value == "":
        return "all"  # of --freeze without a layer
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{name}={inner}" for name, inner in value.items())
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return printable(text)
