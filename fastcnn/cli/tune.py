"""`fastcnn tune`: time the strategies on a network's convolutions, and remember the times."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from fastcnn import measurements, tuning
from fastcnn.cli import models
from fastcnn.cli.errors import UsageError


def run(given: argparse.Namespace) -> int:
    """Prints what was estimated and measured for each layer, direction and strategy."""
    if given.forget:
        print(f"{measurements.forget()} measurements forgotten.", file=sys.stderr)
    if given.model is None and given.set is None and given.forget:
        return 0
    subject = _subject(given)
    report = tuning.tune(subject, given.batch_size, not given.inference, given.seconds)
    print(json.dumps(report.described()) if given.json else report)
    if measurements.folder() is None:
        print(
            "Note: nothing is kept (no cache directory, or switched off): other processes will "
            "not know of it.",
            file=sys.stderr,
        )
    return 0


def _subject(given: argparse.Namespace) -> Any:
    """The model or the problems that the command line names."""
    if (given.model is None) == (given.set is None):
        raise UsageError("give a MODEL, or else --set NAME.")
    return models.named(given.model) if given.set is None else _problems(given.set)


def _problems(text: str) -> dict[str, Any]:
    from fastcnn.lab import sets

    try:
        return sets.problems(text)
    except ValueError as error:
        raise UsageError(f"--set: {error}") from None
