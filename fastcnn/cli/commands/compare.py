"""`fastcnn compare`: the settings in which trainings differ, and what came of each."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.report import outcome
from fastcnn.cli.resolve import kept_settings
from fastcnn.cli.resolve.run_folder import RunFolder
from fastcnn.utils.naming import printable

WIDTH = 80
"""Columns of a terminal; runs that do not fit side by side stand below each other."""


def run(args: argparse.Namespace) -> int:
    """Print a row for each setting that differs and for each result of the best epoch."""
    runs = {printable(name): _run(RunFolder(Path(name))) for name in args.runs}
    print(json.dumps(runs) if args.json else _text(runs))
    return 0


def _run(folder: RunFolder) -> dict[str, dict[str, Any]]:
    try:
        settings, _ = kept_settings.read(folder.settings)
        columns = outcome.columns(folder.history)
    except FileNotFoundError:
        raise UsageError(f"'{folder.path}' holds no training that has finished an epoch.") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"'{folder.path}' cannot be read: {error}") from None
    if not columns.get("loss"):
        raise UsageError(f"'{folder.path}' holds no training that has finished an epoch.")
    losses = columns.get("val_loss", columns["loss"])
    valid = [epoch for epoch, loss in enumerate(losses) if math.isfinite(loss)] or [0]
    best = min(valid, key=lambda epoch: losses[epoch])
    values = {name: column[best] for name, column in columns.items() if name != "epoch"}
    values.pop("learning_rate", None)
    return {
        "settings": asdict(settings),
        "results": {"epochs": len(losses), "best epoch": best + 1, **values},
    }


def _text(runs: dict[str, dict[str, dict[str, Any]]]) -> str:
    settings = _rows(runs, "settings")
    different = {name: row for name, row in settings.items() if len({*map(str, row)}) > 1}
    rows = {**different, **_rows(runs, "results")}
    table = [["", *runs], *([name, *map(_cell, row)] for name, row in rows.items())]
    widths = [max(len(line[column]) for line in table) for column in range(len(runs) + 1)]
    if sum(widths) + 2 * len(runs) <= WIDTH:
        return "\n".join(
            "  ".join(
                f"{cell:<{width}}" if column == 0 else f"{cell:>{width}}"
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in table
        )
    blocks = []
    for column, name in enumerate(runs):
        lines = [f"  {line[0]:<{widths[0]}}  {line[column + 1]}" for line in table[1:]]
        blocks.append("\n".join([name, *lines]))
    return "\n\n".join(blocks)


def _rows(runs: dict[str, dict[str, dict[str, Any]]], kind: str) -> dict[str, list[Any]]:
    """The values of all runs by name, None where a run lacks it."""
    names = dict.fromkeys(name for run in runs.values() for name in run[kind])
    return {name: [run[kind].get(name) for run in runs.values()] for name in names}


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else printable(str(value))
