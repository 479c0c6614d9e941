"""The options of every command."""

from __future__ import annotations

import argparse
import difflib
import itertools
import sys
from typing import Any, NoReturn

from fastcnn._version import __version__
from fastcnn.autotune.tuner import SECONDS
from fastcnn.cli.commands import bench
from fastcnn.cli.options import augment, data, decoding, device
from fastcnn.cli.options.types import MODEL_HELP, number, positive, rate, seed, share
from fastcnn.data.datasets.catalog import KNOWN_SETS
from fastcnn.data.images.decoder import RESIZE_MODES
from fastcnn.optimizers import OPTIMIZERS

DATA_HELP = (
    f"sample (comes with fastcnn), {', '.join(KNOWN_SETS)}; a folder with one folder of pictures a "
    "class; a file written by `fastcnn data pack`; an .npz file with x_train, y_train, x_test, "
    "y_test and, if you like, class_names; a CIFAR binary, or an IDX file with its labels beside it"
)


class Parser(argparse.ArgumentParser):
    """An argparse parser whose complaints are one line, and come from the command at fault."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's, but what is not known is an error here: argparse would have the program
        tell it, whose --help says nothing of a command's options."""
        words = sys.argv[1:] if args is None else list(args)
        if self._subparsers is None:
            # Before argparse misses something required, which is there in another spelling.
            for word in itertools.takewhile(lambda word: word != "--", words):
                self._check_option(word)
        known, others = super().parse_known_args(words, namespace)
        if others:
            self._check_option(others[0])
            option = others[0].startswith("-") and len(others[0]) > 1
            self.error(
                f"there is no option {others[0]}." if option else f"'{others[0]}' is too much"
            )
        return known, others

    def _check_option(self, word: str) -> None:
        name = word.split("=")[0]
        options = list(self._option_string_actions)
        if len(name) < 3 or not name.startswith("--"):
            return
        if not any(option.startswith(name) for option in options):  # argparse takes beginnings
            closest = difflib.get_close_matches(name, options, 1)
            meant = f", did you mean {closest[0]}?" if closest else ""
            self.error(f"there is no option {name}{meant or '.'}")

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} ({self.prog} --help)\n")


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command line; `command` in its result names the subcommand."""
    parser = Parser(
        prog="fastcnn",
        description="Train and use small convolutional networks, fast on a multicore CPU.",
        epilog="Example: fastcnn train --model lenet5 --data sample --out runs/demo",
    )
    parser.add_argument("--version", action="version", version=f"fastcnn {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _train(commands)
    _evaluate(commands)
    _predict(commands)
    _summary(commands)
    _tune(commands)
    bench.add_options(commands)
    data.add(commands, _command)
    _info(commands)
    _warmup(commands)
    return parser


def _command(commands: Any, name: str, text: str, example: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=f"Example: {example}"
    )
    command.add_argument("--json", action="store_true", help="report as JSON on stdout")
    command.add_argument("--threads", type=positive, metavar="N", help="default: every core")
    command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return command


def _train(commands: Any) -> None:
    command = _command(
        commands,
        "train",
        "train a network and leave weights, history and pictures in a folder",
        "fastcnn train --model lenet5 --data fashion-mnist --epochs 20 --out runs/fashion",
    )
    add = command.add_argument
    add("--model", help=f"{MODEL_HELP} (default: lenet5)")
    add("--data", help=f"{DATA_HELP} (default: sample)")
    add("--epochs", type=positive, default=15, metavar="N", help="default: 15")
    add("--batch-size", type=positive, metavar="N", help="default: 32")
    add(
        "--steps-per-epoch",
        type=positive,
        metavar="N",
        help="batches of an epoch; the next one goes on behind them (default: all)",
    )
    add("--optimizer", metavar="NAME", help=f"{', '.join(OPTIMIZERS)} (default: adam)")
    add("--lr", type=rate, metavar="RATE", help="learning rate (default: the optimizer's)")
    add("--momentum", type=number, metavar="M", help="of sgd and rmsprop")
    add("--weight-decay", type=number, metavar="D", help="decoupled weight decay")
    add("--seed", type=seed, metavar="N", help="of weights and held-out images (default: 0)")
    add(
        "--validation-split",
        "--validation",
        dest="validation",
        type=share,
        metavar="SHARE",
        help="of the training images, held out to choose the best epoch (default: 0.1)",
    )
    add(
        "--validation-freq",
        type=positive,
        metavar="N",
        help="epochs from one validation to the next, of which the best is kept (default: 1)",
    )
    decoding.add_options(command, "default: the model's, or ")
    decoding.add_on_error(command)
    add("--augment", action="append", metavar="LIST", help=augment.HELP)
    device.add_options(command, "auto")
    add(
        "--out",
        default="runs/train",
        metavar="DIR",
        help="default: runs/train; DIR-2, -3, ... where it holds an earlier training",
    )
    add(
        "--overwrite",
        action="store_true",
        help="replace an earlier training in --out, once the new one is finished",
    )
    add(
        "--resume",
        action="store_true",
        help="continue the training in --out, with its own settings, up to --epochs",
    )


def _evaluate(commands: Any) -> None:
    command = _command(
        commands,
        "evaluate",
        "measure a saved model on the test images of a data set, or on a folder's images",
        "fastcnn evaluate --model runs/demo/model.h5 --data sample",
    )
    _add_model(command)
    command.add_argument("--data", default="sample", help=f"{DATA_HELP} (default: sample)")
    add = command.add_argument
    add("--batch-size", type=positive, default=128, metavar="N")
    add(
        "--validation-split",
        dest="validation",
        type=share,
        default=0.0,
        metavar="SHARE",
        help="measure only the images that `train` holds out with this share (and --seed)",
    )
    add("--seed", type=seed, default=0, metavar="N", help="of held-out images (default: 0)")
    decoding.add_options(command, "default: as in training, or ")
    decoding.add_on_error(command)
    device.add_options(command, "auto")


def _predict(commands: Any) -> None:
    command = _command(
        commands,
        "predict",
        "name what images show",
        "fastcnn predict --model runs/demo/model.h5 shoe.png",
    )
    _add_model(command)
    command.add_argument(
        "images", nargs="+", metavar="IMAGE", help="a PNG, JPEG, ... file, or a folder of them"
    )
    command.add_argument(
        "--resize",
        choices=RESIZE_MODES,
        help="how pictures of other proportions are made to fit (default: as in training)",
    )
    decoding.add_on_error(command, "raise")
    command.add_argument("--top", type=positive, default=3, metavar="N", help="default: 3")
    command.add_argument(
        "--scale",
        type=number,
        default=1.0,
        metavar="FACTOR",
        help="multiplies pixel values, 0 to 255, where the model does not begin with Rescaling",
    )
    device.add_options(command, "auto")


def _summary(commands: Any) -> None:
    command = _command(
        commands,
        "summary",
        "show a network's layers, parameters, multiply-adds and memory",
        "fastcnn summary --model vgg16",
    )
    command.add_argument("--model", required=True, help=MODEL_HELP)


def _tune(commands: Any) -> None:
    command = _command(
        commands,
        "tune",
        "time the strategies on a network's convolutions, and remember the fastest",
        "fastcnn tune cifar-small --batch-size 128",
    )
    add = command.add_argument
    add("model", nargs="?", metavar="MODEL", help=MODEL_HELP)
    add("--set", metavar="NAME", help="a set of problems, or a descriptor, in place of a model")
    add("--batch-size", type=positive, default=32, metavar="N", help="default: 32")
    add("--inference", action="store_true", help="the forward direction alone")
    add(
        "--seconds",
        type=rate,
        default=SECONDS,
        metavar="S",
        help=f"for each direction of each problem (default: {SECONDS})",
    )
    add("--forget", action="store_true", help="first forget all that was timed on this processor")
    device.add_options(command, "auto")


def _info(commands: Any) -> None:
    _command(
        commands,
        "info",
        "show what fastcnn found on this computer",
        "fastcnn info --json",
    )


def _warmup(commands: Any) -> None:
    _command(
        commands,
        "warmup",
        "compile every kernel now, so that no first step waits for it",
        "fastcnn warmup",
    )


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", required=True, help=MODEL_HELP)
    command.add_argument("--weights", metavar="FILE", help="put this file's weights into it")
