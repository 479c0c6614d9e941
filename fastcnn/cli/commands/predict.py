"""`fastcnn predict`: name what images show."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastcnn.cli import predictions
from fastcnn.cli.options import augment, device
from fastcnn.cli.options.decoding import Reading
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.predictions import Entry
from fastcnn.cli.resolve import model as models
from fastcnn.data.folder.scan_report import LeftOut, loss
from fastcnn.data.images import parallel_decode
from fastcnn.data.images.decoder import Decoder
from fastcnn.data.images.file_format import Unreadable
from fastcnn.data.images.parallel_decode import Chunk
from fastcnn.data.images.pictures import picture_files
from fastcnn.distributed import ending
from fastcnn.models.predictions import as_plain_data
from fastcnn.models.sequential import Sequential
from fastcnn.training import picture_input
from fastcnn.utils import messages, system
from fastcnn.utils.naming import printable

GATHERED = 64
"""Images that are predicted at a time, unless so many take more than GATHERED_BYTES."""

GATHERED_BYTES = 1 << 28


class PictureFile(NamedTuple):
    """A file that may be a picture, and whether it was named, or is one of a folder."""

    path: str
    is_named: bool


def run(args: argparse.Namespace) -> int:
    """Print what the model says of each image; of several processes the first alone does."""
    if not ending.is_first():
        return 0
    if ending.started() > 1:
        messages.say(
            f"Note: of the {ending.started()} processes that were started, one predicts: "
            "start fastcnn predict by itself."
        )
    if args.json and args.csv:
        raise UsageError("--json and --csv are two forms of the same report: choose one.")
    if args.out is not None:
        predictions.check(args.out)
    model = device.moved(models.with_weights(args.model, args.weights), args)
    models.class_count(model)
    decoder = Reading.of(args).decoder(picture_input.decoder(model))
    files = [file for argument in args.images for file in _files(argument)]
    if args.scale == 1.0:
        models.note_unscaled(model)
    report: list[Entry] = []
    skipped: list[LeftOut] = []
    try:
        for entries in _answers(model, decoder, files, skipped, args):
            report += entries
            if not (args.json or args.csv):
                print("\n".join(map(predictions.as_line, entries)), flush=True)
    finally:
        if skipped:
            messages.say(f"Note: {loss(skipped, len(files))}")
        if args.json or args.csv:
            print((predictions.as_csv if args.csv else predictions.as_json)(report), end="")
    if args.out is not None:
        predictions.write(args.out, report)
    return 0 if report else 1


def _answers(
    model: Sequential,
    decoder: Decoder,
    files: list[PictureFile],
    skipped: list[LeftOut],
    args: argparse.Namespace,
) -> Iterator[list[Entry]]:
    """What is predicted of the files, some at a time; those before a broken one come first, where
    that ends it. Those that are left out are added to `skipped`."""
    names: list[str] = []
    paths = [file.path for file in files]
    most = max(1, min(GATHERED, GATHERED_BYTES // math.prod(decoder.shape)))
    images = np.empty((most + parallel_decode.CHUNK, *decoder.shape), np.uint8)
    views = augment.views(args, decoder.shape)

    def predicted() -> Iterator[list[Entry]]:
        if names:
            scaled = _scaled(images[: len(names)], args.scale)
            outputs = model.predict(scaled, **views)
            yield _named(names, as_plain_data(outputs, model, args.top))
            names.clear()

    decoded = parallel_decode.decode_all(decoder, paths, args.threads or system.cores())
    with closing(decoded) as chunks:
        for chunk in chunks:
            images[len(names) : len(names) + len(chunk.images)] = chunk.images
            names += [paths[position] for position in chunk.positions]
            wrong = _refused(chunk, files, args.on_error)
            if len(names) >= most or wrong is not None:
                yield from predicted()
            if wrong is not None:
                raise ValueError(f"{wrong} --on-error skip leaves such files out.") from wrong
            skipped += [LeftOut(printable(error.path), error.reason) for _, error in chunk.failures]
    yield from predicted()


def _scaled(images: NDArray[np.uint8], scale: float) -> NDArray[Any]:
    return images if scale == 1.0 else images.astype(np.float32) * np.float32(scale)


def _files(path: str) -> Iterator[PictureFile]:
    """The file, or all files of a folder and of those in it, sorted."""
    is_named = not os.path.isdir(path)
    yield from (PictureFile(file, is_named) for file in picture_files(path))


def _refused(chunk: Chunk, files: list[PictureFile], on_error: str | None) -> Unreadable | None:
    """What is wrong with the first file that cannot be used, and is not left out."""
    for position, error in chunk.failures:
        if on_error == "raise" or (on_error is None and files[position].is_named):
            return error
    return None


def _named(paths: list[str], rows: list[Entry]) -> list[Entry]:
    return [{"image": printable(path), **row} for path, row in zip(paths, rows, strict=True)]
