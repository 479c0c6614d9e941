"""`fastcnn tune`: time the strategies on a network's convolutions, and remember the times."""

from __future__ import annotations

import argparse
import json
from typing import Any

from fastcnn.autotune import tuner
from fastcnn.cli.options import device as device_options
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.resolve import model
from fastcnn.strategies import timing_cache
from fastcnn.utils import messages


def run(given: argparse.Namespace) -> int:
    """Prints what was estimated and measured for each layer, direction and strategy."""
    device = device_options.device(given)
    if given.forget:
        messages.say(f"{timing_cache.forget(device)} measurements forgotten.")
    if given.model is None and given.set is None and given.forget:
        return 0
    subject = _subject(given, device)
    report = tuner.tune(
        *(subject, given.batch_size, not given.inference, given.seconds, device, given.precision)
    )
    print(json.dumps(report.described()) if given.json else report)
    if timing_cache.folder() is None:
        messages.say(
            "Note: nothing is kept (no cache directory, or switched off): other processes will "
            "not know of it."
        )
    return 0


def _subject(given: argparse.Namespace, device: str) -> Any:
    """The model or the problems that the command line names."""
    if (given.model is None) == (given.set is None):
        raise UsageError("give a MODEL, or else --set NAME.")
    if given.set is not None:
        return _problems(given.set)
    return model.named(given.model).to(device, given.precision)


def _problems(text: str) -> dict[str, Any]:
    from fastcnn.lab.problems import sets

    try:
        return sets.problems(text)
    except ValueError as error:
        raise UsageError(f"--set: {error}") from None
