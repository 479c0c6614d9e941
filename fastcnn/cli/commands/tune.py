"""`fastcnn tune`: time the strategies on a network's convolutions, and remember the times."""

from __future__ import annotations

import argparse
import json
from typing import Any

from fastcnn.autotune import tuner
from fastcnn.cli.options import device as device_options
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.output import INTERRUPTED
from fastcnn.cli.resolve import model
from fastcnn.strategies import timing_cache
from fastcnn.utils import messages


def run(args: argparse.Namespace) -> int:
    """Print what was estimated and measured for each layer, direction and strategy."""
    device = device_options.device(args)
    if args.forget:
        messages.say(f"{timing_cache.forget(device)} measurements forgotten.")
    if args.model is None and args.set is None and args.forget:
        return 0
    subject = _subject(args, device)
    report = tuner.tune(
        *(subject, args.batch_size, not args.inference, args.seconds, device, args.precision),
        despite_load=args.despite_load,
    )
    print(json.dumps(report.described()) if args.json else report)
    if timing_cache.folder() is None:
        messages.say(
            "Note: nothing is kept (no cache directory, or switched off): other processes will "
            "not know of it."
        )
    return INTERRUPTED if report.interrupted else 0


def _subject(args: argparse.Namespace, device: str) -> Any:
    """The model or the problems that the command line names."""
    if (args.model is None) == (args.set is None):
        raise UsageError("give a MODEL, or else --set NAME.")
    if args.set is not None:
        return _problems(args.set)
    return model.named(args.model).to(device, args.precision)


def _problems(text: str) -> dict[str, Any]:
    from fastcnn.lab.problems import sets

    try:
        return sets.problems(text)
    except ValueError as error:
        raise UsageError(f"--set: {error}") from None
