"""`fastcnn predict`: name what images show."""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastcnn.cli.options import device
from fastcnn.cli.options.decoding import Reading
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.resolve import model as models
from fastcnn.data.folder import file_list
from fastcnn.data.folder.scan_report import LeftOut, loss
from fastcnn.data.images import parallel_decode
from fastcnn.data.images.decoder import Decoder
from fastcnn.data.images.file_format import Unreadable
from fastcnn.data.images.parallel_decode import Chunk
from fastcnn.models.probabilities import class_probabilities
from fastcnn.models.sequential import Sequential
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
    """Print the most likely classes of each image."""
    model = device.moved(models.with_weights(args.model, args.weights), args)
    models.class_count(model)
    decoder = Reading.of(args).decoder(models.decoder(model))
    files = [path for argument in args.images for path in _files(Path(argument))]
    if args.scale == 1.0 and not models.scales(model):
        messages.say(
            "Note: the model does not begin with Rescaling(1 / 255), and gets pixel values from 0 "
            "to 255. --scale multiplies them."
        )
    report = []
    skipped: list[LeftOut] = []
    try:
        for named in _answers(model, decoder, files, skipped, args):
            report += named
            if not args.json:
                print("\n".join(map(_line, named)), flush=True)
    finally:
        if skipped:
            messages.say(f"Note: {loss(skipped, len(files))}")
        if args.json:
            print(json.dumps(report))
    return 0 if report else 1


def _answers(
    model: Sequential,
    decoder: Decoder,
    files: list[PictureFile],
    skipped: list[LeftOut],
    args: argparse.Namespace,
) -> Iterator[list[dict[str, Any]]]:
    """What is predicted of the files, some at a time; those before a broken one come first, where
    that ends it. Those that are left out are added to `skipped`."""
    names: list[str] = []
    paths = [file.path for file in files]
    most = max(1, min(GATHERED, GATHERED_BYTES // math.prod(decoder.shape)))
    images = np.empty((most + parallel_decode.CHUNK, *decoder.shape), np.uint8)

    def predicted() -> Iterator[list[dict[str, Any]]]:
        if names:
            yield _named(model, names, _scaled(images[: len(names)], args.scale), args.top)
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


def _files(path: Path) -> Iterator[PictureFile]:
    """The file, or all files of a folder and of those in it, sorted."""
    if not path.exists():
        raise UsageError(f"There is no file '{path}'.")
    if not path.is_dir():
        yield PictureFile(str(path), is_named=True)
        return
    paths = file_list.files_under(path)
    if not paths:
        raise UsageError(f"The folder '{path}' holds no file.")
    yield from (PictureFile(os.path.join(path, name), is_named=False) for name in paths)


def _refused(chunk: Chunk, files: list[PictureFile], on_error: str | None) -> Unreadable | None:
    """What is wrong with the first file that cannot be used, and is not left out."""
    for position, error in chunk.failures:
        if on_error == "raise" or (on_error is None and files[position].is_named):
            return error
    return None


def _named(
    model: Sequential, paths: list[str], images: NDArray[Any], count: int
) -> list[dict[str, Any]]:
    shares = class_probabilities(model, model.predict(images))
    names = model.class_names
    if names is None or len(names) != shares.shape[1]:
        names = [str(label) for label in range(shares.shape[1])]
    return [
        {"image": printable(path), "classes": _likeliest(row, names, count)}
        for path, row in zip(paths, shares, strict=True)
    ]


def _likeliest(row: NDArray[np.float32], names: list[str], count: int) -> list[dict[str, Any]]:
    order = np.argsort(-row, kind="stable")[:count]
    return [{"name": names[label], "probability": float(row[label])} for label in order]


def _line(entry: dict[str, Any]) -> str:
    classes = (f"{entry['name']} {100 * entry['probability']:.1f} %" for entry in entry["classes"])
    return f"{entry['image']}: {', '.join(classes)}"
