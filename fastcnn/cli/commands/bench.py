"""`fastcnn bench`: convolution strategies checked, timed and compared."""

from __future__ import annotations

import argparse
from types import ModuleType

from fastcnn.cli.commands import bench_conv, bench_model, bench_scaling, bench_sweep

COMMANDS: dict[str, ModuleType] = {
    "conv": bench_conv,
    "sweep": bench_sweep,
    "model": bench_model,
    "scaling": bench_scaling,
}


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the subcommands; `bench` in the result names one."""
    benches = command.add_subparsers(dest="bench", required=True, metavar="WHAT")
    for module in COMMANDS.values():
        module.add_options(benches)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    code: int = COMMANDS[args.bench].run(args)
    return code
