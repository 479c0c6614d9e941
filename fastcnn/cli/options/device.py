"""The options that say where something runs, and in which precision."""

from __future__ import annotations

import argparse

from fastcnn.cli.options.errors import UsageError
from fastcnn.devices import DEVICES, PRECISIONS, resolve
from fastcnn.models.sequential import Sequential


def add_options(command: argparse.ArgumentParser, default: str) -> None:
    """Add --device and --precision."""
    add = command.add_argument
    add("--device", choices=DEVICES, default=default, help=f"default: {default}")
    add(
        "--precision",
        choices=PRECISIONS,
        default=PRECISIONS[0],
        help=f"of products on a GPU (default: {PRECISIONS[0]})",
    )


def moved(model: Sequential, args: argparse.Namespace) -> Sequential:
    """The model on the device asked for; UsageError where it cannot be there."""
    try:
        return model.to(args.device, args.precision)
    except ValueError as error:
        raise UsageError(str(error)) from None


def device(args: argparse.Namespace) -> str:
    """The device asked for; UsageError where it, or the precision on it, cannot be had."""
    try:
        return resolve(args.device, args.precision)
    except ValueError as error:
        raise UsageError(str(error)) from None
