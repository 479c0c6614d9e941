"""The images that the SOURCE of `fastcnn data` means, as a Dataset."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from fastcnn.cli.options.decoding import Reading
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.resolve import dataset as datasets
from fastcnn.cli.resolve import folder_set


def opened(args: argparse.Namespace) -> Any:
    """The Dataset; of a known set or a file of arrays, its training images. Floats are for `stats`
    alone."""
    packs = args.action == "pack"  # which prints the whole report when it is done
    reading = Reading.of(args, workers=args.threads, in_memory=False, quiet=packs)
    if packs and Path(args.source).is_dir():
        folder_set.refuse_parts(args.source, reading, "pack each by itself")
    images = datasets.opened(args.source, reading, purpose=folder_set.LOOK)
    images.refuse_outputs("fastcnn data")
    part = images.train or images.test
    if part is None or (part.dtype != np.uint8 and args.action != "stats"):
        raise UsageError(f"'{images.name}' must hold uint8 images.")
    dataset = part.dataset
    if not hasattr(dataset, "class_names"):
        dataset.class_names = images.names
    return dataset
