"""The options of `fastcnn data`."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from fastcnn.cli.options import augment, decoding
from fastcnn.cli.options.types import Commands, positive, seed
from fastcnn.data.datasets.catalog import KNOWN_SETS

DATA_HELP = (
    f"sample (comes with fastcnn), {', '.join(KNOWN_SETS)}; a folder with one folder of pictures a "
    "class; a .csv file with a picture's name and its class, labels or numbers in each row; a file "
    "written by `fastcnn data pack`; an .npz file with x_train, y_train, x_test, y_test and, if "
    "you like, class_names; a CIFAR binary, or an IDX file with its labels beside "
    "it, or the folder of MNIST's or CIFAR's files"
)

Make = Callable[[Commands, str, str, str], argparse.ArgumentParser]

SOURCE_HELP = (
    "a folder with one folder of images a class, a file written by `fastcnn data pack`, an .npz or "
    "HDF5 file of x_test, y_test, x_train and y_train, a CIFAR binary, an IDX file with its labels "
    "beside it, the folder of MNIST's or CIFAR's files, or the name of a known data set"
)


def add(command: argparse.ArgumentParser, make: Make) -> None:
    """Add the actions; make(actions, name, text, example) makes one with the usual options."""
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    _pack(actions, make)
    _check(actions, make)
    _stats(actions, make)
    _show(actions, make)


def _reading(
    make: Make, actions: Commands, name: str, text: str, example: str
) -> argparse.ArgumentParser:
    """Add an action that reads a source."""
    command = make(actions, name, text, example)
    command.add_argument("source", metavar="SOURCE", help=SOURCE_HELP)
    return command


def _pack(actions: Commands, make: Make) -> None:
    command = _reading(
        make,
        actions,
        "pack",
        "decode a folder of images into one file that trains straight from the disk",
        "fastcnn data pack photos/ photos.h5 --image-size 64",
    )
    command.add_argument("out", metavar="FILE", help="the HDF5 file to write")
    decoding.add_options(command, "default: ")
    decoding.add_on_error(command)


def _check(actions: Commands, make: Make) -> None:
    command = _reading(
        make,
        actions,
        "check",
        "read every image and list what cannot be used; ends with code 1 if there is any",
        "fastcnn data check photos/ --json",
    )
    decoding.add_layout(command)


def _stats(actions: Commands, make: Make) -> None:
    command = _reading(
        make,
        actions,
        "stats",
        "measure mean and deviation of each channel, and count the classes",
        "fastcnn data stats photos/",
    )
    decoding.add_options(command, "default: ")


def _show(actions: Commands, make: Make) -> None:
    command = _reading(
        make,
        actions,
        "show",
        "draw some images as a network will see them, augmented",
        "fastcnn data show photos/ --augment 'RandomRotation(0.1),flip'",
    )
    add = command.add_argument
    decoding.add_options(command, "default: ")
    add("--out", default="batch.png", metavar="FILE", help="default: batch.png")
    add("--count", type=positive, default=32, metavar="N", help="images (default: 32)")
    add("--seed", type=seed, default=0, metavar="N", help="of choice and augmentation")
    add("--epoch", type=seed, default=0, metavar="N", help="another look (default: 0)")
    add("--augment", action="append", default=[], metavar="LIST", help=augment.HELP)
