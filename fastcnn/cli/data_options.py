"""The options of `fastcnn data`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from fastcnn.cli.option_types import positive, seed
from fastcnn.data.decoding import COLOR_MODES, RESIZE_MODES

Make = Callable[[Any, str, str, str], argparse.ArgumentParser]

SOURCE_HELP = (
    "a folder with one folder of images a class, a file written by `fastcnn data pack`, an .npz "
    "file, or the name of a known data set"
)


def add(commands: Any, make: Make) -> None:
    """Adds the command; make(commands, name, text, example) makes one with the usual options."""
    data = commands.add_parser(
        "data",
        help="pack, check, measure or show images",
        description="Pack, check, measure or show images.",
        epilog="Example: fastcnn data check photos/",
    )
    actions = data.add_subparsers(dest="action", required=True, metavar="ACTION")
    _pack(actions, make)
    _check(actions, make)
    _stats(actions, make)
    _show(actions, make)


def _pack(actions: Any, make: Make) -> None:
    command = make(
        actions,
        "pack",
        "decode a folder of images into one file that trains straight from the disk",
        "fastcnn data pack photos/ photos.h5 --size 64",
    )
    command.add_argument("source", metavar="SOURCE", help=SOURCE_HELP)
    command.add_argument("out", metavar="FILE", help="the HDF5 file to write")
    _add_decoding(command)
    command.add_argument(
        "--on-error",
        choices=("skip", "raise"),
        default="skip",
        help="leave out files that cannot be used, and report them, or fail (default: skip)",
    )


def _check(actions: Any, make: Make) -> None:
    command = make(
        actions,
        "check",
        "read every image and list those that cannot be used; ends with code 1 if there are any",
        "fastcnn data check photos/ --json",
    )
    command.add_argument("source", metavar="SOURCE", help="a folder, or a packed file")


def _stats(actions: Any, make: Make) -> None:
    command = make(
        actions,
        "stats",
        "measure mean and deviation of each channel, and count the classes",
        "fastcnn data stats photos/",
    )
    command.add_argument("source", metavar="SOURCE", help=SOURCE_HELP)
    _add_decoding(command)


def _show(actions: Any, make: Make) -> None:
    command = make(
        actions,
        "show",
        "draw some images as a network will see them, augmented",
        "fastcnn data show photos/ --augment 'RandomRotation(0.1)' --augment RandomFlip",
    )
    add = command.add_argument
    add("source", metavar="SOURCE", help=SOURCE_HELP)
    _add_decoding(command)
    add("--out", default="batch.png", metavar="FILE", help="default: batch.png")
    add("--count", type=positive, default=32, metavar="N", help="images (default: 32)")
    add("--seed", type=seed, default=0, metavar="N", help="of choice and augmentation")
    add("--epoch", type=seed, default=0, metavar="N", help="another look (default: 0)")
    add(
        "--augment",
        action="append",
        default=[],
        metavar="NAME(...)",
        help="an augmentation, with arguments as in Python; may be given many times",
    )


def _add_decoding(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--size", type=size, default=(64, 64), metavar="H[xW]", help="of folders (default: 64)")
    add("--color", choices=tuple(COLOR_MODES), default="rgb", help="of folders (default: rgb)")
    add(
        "--resize",
        choices=RESIZE_MODES,
        default="stretch",
        help="how pictures of other proportions are made to fit (default: stretch)",
    )


def size(text: str) -> tuple[int, int]:
    """ "64" or "48x64": height and width."""
    height, _, width = text.partition("x")
    if not height.isdecimal() or not (width or height).isdecimal():
        raise argparse.ArgumentTypeError(f"expected a size such as 64 or 48x64, not '{text}'")
    return int(height), int(width or height)
