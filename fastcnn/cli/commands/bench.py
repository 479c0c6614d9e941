"""`fastcnn bench`: convolution strategies checked, timed and compared."""

from __future__ import annotations

import argparse
from types import ModuleType
from typing import Any

from fastcnn.cli.commands import bench_conv, bench_model, bench_sweep

COMMANDS: dict[str, ModuleType] = {
    "conv": bench_conv,
    "sweep": bench_sweep,
    "model": bench_model,
}


def add_options(commands: Any) -> None:
    """Adds the command with its subcommands; `bench` in the result names one."""
    text = "compare convolution strategies with each other and with PyTorch"
    command = commands.add_parser(
        "bench",
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog="Example: fastcnn bench conv lenet --batch 32",
    )
    benches = command.add_subparsers(dest="bench", required=True, metavar="WHAT")
    for module in COMMANDS.values():
        module.add_options(benches)


def run(given: argparse.Namespace) -> int:
    """Runs the subcommand."""
    code: int = COMMANDS[given.bench].run(given)
    return code
