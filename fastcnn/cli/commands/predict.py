"""`fastcnn predict`: name what images show."""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.cli.options import device
from fastcnn.cli.options.decoding import Reading
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.resolve import model as models
from fastcnn.data.folder import file_list
from fastcnn.data.images import parallel_decode
from fastcnn.data.images.decoder import Decoder
from fastcnn.data.images.parallel_decode import Chunk
from fastcnn.models.probabilities import class_probabilities
from fastcnn.models.sequential import Sequential
from fastcnn.utils import messages, system
from fastcnn.utils.naming import printable

GATHERED = 64
"""Images that are predicted at a time, unless so many take more than GATHERED_BYTES."""

GATHERED_BYTES = 1 << 28


def run(args: argparse.Namespace) -> int:
    """Print the most likely classes of each image."""
    model = device.moved(models.with_weights(args.model, args.weights), args)
    models.class_count(model)
    decoder = Reading.of(args).decoder(models.decoder(model))
    paths = [path for argument in args.images for path in _files(Path(argument))]
    if args.scale == 1.0 and not models.scales(model):
        messages.say(
            "Note: the model does not begin with Rescaling(1 / 255), and gets pixel values from 0 "
            "to 255. --scale multiplies them."
        )
    report = []
    try:
        for named in _answers(model, decoder, paths, args):
            report += named
            if not args.json:
                print("\n".join(map(_line, named)), flush=True)
    finally:
        if args.json:
            print(json.dumps(report))
    return 0 if report else 1


def _answers(
    model: Sequential, decoder: Decoder, paths: list[str], args: argparse.Namespace
) -> Iterator[list[dict[str, Any]]]:
    """What is predicted of the files, some at a time; those before a broken one come first, where
    that ends it."""
    names: list[str] = []
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
            if len(names) >= most or (chunk.failures and args.on_error != "skip"):
                yield from predicted()
            _tell(chunk, args.on_error)
    yield from predicted()


def _scaled(images: NDArray[np.uint8], scale: float) -> NDArray[Any]:
    return images if scale == 1.0 else images.astype(np.float32) * np.float32(scale)


def _files(path: Path) -> Iterator[str]:
    """The file, or all files of a folder and of those in it, sorted."""
    if not path.exists():
        raise UsageError(f"There is no file '{path}'.")
    if not path.is_dir():
        yield str(path)
        return
    paths = file_list.files_under(path)
    if not paths:
        raise UsageError(f"The folder '{path}' holds no file.")
    yield from (os.path.join(path, name) for name in paths)


def _tell(chunk: Chunk, on_error: str | None) -> None:
    """Raise or print what is wrong with the files that cannot be used."""
    for _, error in chunk.failures:
        if on_error != "skip":
            raise ValueError(f"{error} --on-error skip leaves such files out.") from error
        messages.say(error)


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
