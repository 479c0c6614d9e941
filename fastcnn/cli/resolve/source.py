"""The images that the SOURCE of `fastcnn data` means, as a Dataset."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from fastcnn.cli.options.decoding import Reading
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.resolve import dataset as datasets


def opened(args: argparse.Namespace) -> Any:
    """The Dataset; of a known set or a file of arrays, its training images. Floats are for `stats`
    alone."""
    # `pack` prints the whole report when it is done.
    quiet = args.action == "pack"
    reading = Reading.of(args, workers=args.threads, in_memory=False, quiet=quiet)
    images = datasets.opened(args.source, reading)
    part = images.train or images.test
    if part is None or (part.dtype != np.uint8 and args.action != "stats"):
        raise UsageError(f"'{images.name}' must hold uint8 images.")
    dataset = part.dataset
    if not hasattr(dataset, "class_names"):
        dataset.class_names = images.names
    return dataset
