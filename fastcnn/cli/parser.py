"""The parser of the command line."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from fastcnn._version import __version__
from fastcnn.utils import naming

# What each command is for, and an example.
COMMANDS = {
    "train": (
        "train a network and leave weights, history and pictures in a folder",
        "fastcnn train --model lenet5 --data fashion-mnist --epochs 20 --out runs/fashion",
    ),
    "evaluate": (
        "measure a saved model on the test images of a data set, or on a folder's images",
        "fastcnn evaluate --model runs/demo/model.h5 --data sample",
    ),
    "predict": (
        "name what images show",
        "fastcnn predict --model runs/demo/model.h5 shoe.png",
    ),
    "serve": (
        "answer for pictures over HTTP, with a page to drop them on",
        "fastcnn serve runs/demo/model.h5",
    ),
    "compare": (
        "put trainings side by side: the settings in which they differ, and the results",
        "fastcnn compare runs/train runs/train-2",
    ),
    "summary": (
        "show a network's layers, parameters, multiply-adds and memory",
        "fastcnn summary --model vgg16",
    ),
    "explain": (
        "draw what a network has learnt, looks at, or is fooled by",
        "fastcnn explain grad-cam --model runs/demo/model.h5 --data sample --out cam.png",
    ),
    "export": (
        "write a model for ONNX Runtime, Keras or other programs",
        "fastcnn export --model runs/demo/model.h5 --out demo.onnx",
    ),
    "tune": (
        "time the strategies on a network's convolutions, and remember the fastest",
        "fastcnn tune cifar-small --batch-size 128",
    ),
    "bench": (
        "compare convolution strategies with each other and with PyTorch",
        "fastcnn bench conv lenet --batch 32",
    ),
    "data": (
        "pack, check, measure or show images",
        "fastcnn data check photos/",
    ),
    "info": (
        "show what fastcnn found on this computer",
        "fastcnn info --json",
    ),
    "warmup": (
        "compile every kernel now, so that no first step waits for it",
        "fastcnn warmup",
    ),
}


# What other programs call some of the options.
OTHER_NAMES = {
    "--learning-rate": "--lr",
    "--wd": "--weight-decay",
    "--bs": "--batch-size",
    "--mini-batch": "--batch-size",
    "--gpu": "--device",
    "--cuda": "--device",
    "--cpu": "--device",
    "--output": "--out",
    "--save-dir": "--out",
    "--logdir": "--out",
    "--force": "--overwrite",
    "--network": "--model",
    "--arch": "--model",
    "--jobs": "--threads",
    "--workers": "--threads",
}


EPILOG = """\
Example: fastcnn train --model lenet5 --data sample --out runs/demo

Exit status: 0 where all went well; 2 for what you can mend, such as options,
data, files and missing packages; 130 where Ctrl-C ended it; 1 for anything
else."""


class Parser(argparse.ArgumentParser):
    """An argparse parser whose complaints are one line, and come from the command at fault.

    `add_options` gives it its options when a command line is parsed that is its own.
    """

    def __init__(
        self, *args: Any, add_options: Callable[[Parser], None] | None = None, **settings: Any
    ) -> None:
        super().__init__(*args, **settings)
        self._add_options = add_options

    def parse_known_args(self, args: Any = None, namespace: object = None) -> Any:
        """As argparse's, but what is not known is an error here: argparse would have the program
        tell it, whose --help says nothing of a command's options."""
        if self._add_options is not None:
            add_options, self._add_options = self._add_options, None
            add_options(self)
        words = sys.argv[1:] if args is None else list(args)
        if self._subparsers is not None:
            self._check_command(words)
        else:
            # Before argparse misses something required, which is there in another spelling.
            for word in itertools.takewhile(lambda word: word != "--", words):
                self._check_option(word)
        parsed, others = super().parse_known_args(words, namespace)
        if others:
            self._check_option(others[0])
            option = others[0].startswith("-") and len(others[0]) > 1
            self.error(
                f"there is no option {others[0]}." if option else f"'{others[0]}' is too much"
            )
        return parsed, others

    def _check_command(self, words: list[str]) -> None:
        """Help where nothing is asked for; an error, with what may be meant, where the first word
        is no command."""
        if not words:
            self.print_help()
            self.exit(0)
        first = words[0]
        (action,) = [a for a in self._actions if isinstance(a, argparse._SubParsersAction)]
        if first.startswith("-") or first in action.choices:
            return
        closest = naming.nearest(first, action.choices)
        listed = f"; there are {', '.join(action.choices)}."
        meant = f", did you mean {closest}?" if closest else listed
        self.error(f"there is no command {first}{meant}")

    def _check_option(self, word: str) -> None:
        name = word.split("=")[0]
        options = list(self._option_string_actions)
        if len(name) < 3 or not name.startswith("--"):
            return
        if not any(option.startswith(name) for option in options):  # argparse takes beginnings
            other = OTHER_NAMES.get(name.replace("_", "-"))
            closest = other if other in options else naming.nearest(name, options)
            meant = f", did you mean {closest}?" if closest else "."
            self.error(f"there is no option {name}{meant}")

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} ({self.prog} --help)\n")


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command line; `command` in its result names the subcommand."""
    parser = Parser(
        prog="fastcnn",
        description="Train and use small convolutional networks, fast on a multicore CPU.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"fastcnn {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (text, example) in COMMANDS.items():
        commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=f"Example: {example}",
            add_options=partial(_add_options, name),
        )
    return parser


def _add_options(name: str, command: Parser) -> None:
    from fastcnn.cli.options import commands  # `fastcnn --help` does not wait for the library

    commands.add_options(name, command)
