"""`fastcnn explain`: a picture of what a network has learnt."""

from __future__ import annotations

import argparse
import functools
import inspect
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fastcnn import explain
from fastcnn.cli.options import device
from fastcnn.cli.options.decoding import Reading
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.resolve import dataset
from fastcnn.cli.resolve import model as models
from fastcnn.cli.resolve.folder_set import MEASURE
from fastcnn.cli.resolve.image_set import ImageSet
from fastcnn.cli.resolve.image_subset import ImageSubset
from fastcnn.data.dataset import read
from fastcnn.data.datasets import SAMPLE
from fastcnn.data.images.decoder import Decoder
from fastcnn.data.images.file_format import Unreadable
from fastcnn.models.sequential import Sequential
from fastcnn.plots import figure
from fastcnn.training import picture_input
from fastcnn.utils.naming import printable, shown

FEW, MANY = 6, 1000
"""Images where --images says nothing, of methods that show each, and of those that compare."""

OPTIONS = ("layer", "epsilon", "distance", "projection", "seed")
"""Options that a method's parameters of these names are given."""


def run(args: argparse.Namespace) -> int:
    """Write the picture of a method."""
    start = time.perf_counter()
    figure.check(args.out)
    model = device.moved(models.with_weights(args.model, args.weights), args)
    method: Callable[..., explain.Result] = getattr(explain, args.method.replace("-", "_"))
    result = method(model, **_arguments(method, model, args))
    path = result.save(args.out)
    seconds = time.perf_counter() - start
    report = {"method": args.method, "picture": printable(str(path)), "seconds": seconds}
    print(json.dumps(report) if args.json else f"{shown(str(path))} ({seconds:.1f} s)")
    return 0


def _arguments(
    method: Callable[..., explain.Result], model: Sequential, args: argparse.Namespace
) -> dict[str, Any]:
    """What a method is given beside the model; UsageError for an option that it does not take."""
    takes = inspect.signature(method).parameters
    chosen = {name: getattr(args, name) for name in OPTIONS if getattr(args, name) is not None}
    if args.target is not None:
        chosen["target"] = _class(model, args.target)
    if args.channel is not None:
        several = {"channels": [args.channel]}
        chosen.update(several if "channels" in takes else {"channel": args.channel})
    if args.image is not None and "x" not in takes:
        raise UsageError(f"{args.method} takes no --image.")
    for name in chosen:
        if name not in takes:
            raise UsageError(f"{args.method} takes no --{name}.")
    if "points" in takes:
        if args.data == SAMPLE:
            raise UsageError(
                f"{args.method} needs points in the plane and their labels: --data POINTS.npz, "
                "with x_test [n, 2] and y_test [n]."
            )
        return {**chosen, **dict(zip(("points", "labels"), dataset.points(args.data), strict=True))}
    if "x" in takes:
        chosen.update(_images(model, takes, args))
    return chosen


def _images(
    model: Sequential, takes: Mapping[str, inspect.Parameter], args: argparse.Namespace
) -> dict[str, Any]:
    """The images, and their labels where the method takes such."""
    reading = Reading.of(args, args.threads)
    base = functools.partial(picture_input.decoder, model)
    picture = None
    if Path(args.data).is_file():
        picture = _picture(args.data, reading.decoder(base()))
    if picture is not None and "y" in takes and takes["y"].default is inspect.Parameter.empty:
        raise UsageError(
            f"{args.method} needs labels: give a data set as --data. '{args.data}' is a picture."
        )
    images = picture or dataset.opened(args.data, reading, base, purpose=MEASURE)
    if "y" in takes:
        images.refuse_outputs("fastcnn explain")
    models.check_shape(model, images)
    images = images.by_names(model.class_names)
    if "y" in takes and model.loss is None:
        model.compile("sgd", models.fitting_loss(model))
    if model.class_names is None and images.class_names is not None:
        model.class_names = images.class_names
    part = images.measured()[1].usable
    places = _places(part, takes, args)
    labelled = "y" in takes and picture is None
    x = read(part.dataset, places)
    return {"x": x, "y": part.labels[places]} if labelled else {"x": x}


def _picture(path: str, decoder: Decoder) -> ImageSet | None:
    """The image of a picture file; None where a file is none."""
    try:
        decoder.inspect(path)
    except Unreadable:
        return None
    return ImageSet(path, None, ImageSubset(decoder(path)[None], np.zeros(1, np.int32)), None)


def _places(
    part: ImageSubset, takes: Mapping[str, inspect.Parameter], args: argparse.Namespace
) -> np.ndarray:
    """The positions of the images that are looked at."""
    if args.image is not None:
        if args.image >= len(part):
            raise UsageError(
                f"--image must be below {len(part):,}, the number of images of '{args.data}'. "
                f"Received {args.image}."
            )
        return np.array([args.image])
    many = "y" in takes or "patches" in takes
    return _spread(part.labels, min(args.images or (MANY if many else FEW), len(part)))


def _spread(labels: np.ndarray, count: int) -> np.ndarray:
    """The positions of so many images, of all classes alike, in their order."""
    rank = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        rank[mine] = np.arange(len(mine))
    return np.sort(np.argsort(rank, kind="stable")[:count])


def _class(model: Sequential, text: str) -> int:
    """The class of a name or number."""
    if model.class_names is not None and text in model.class_names:
        return list(model.class_names).index(text)
    try:
        return int(text)
    except ValueError:
        classes = ", ".join(model.class_names or ()) or "a number"
        raise UsageError(f"--target must be a class: {classes}. Received '{text}'.") from None
