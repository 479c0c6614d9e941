"""`fastcnn explain`: a picture of what a network has learnt."""

from __future__ import annotations

import argparse
import functools
import inspect
import json
import time
from collections.abc import Callable
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
from fastcnn.data.dataset import read
from fastcnn.models.sequential import Sequential
from fastcnn.utils.naming import printable

FEW, MANY = 6, 1000
"""Images where --images says nothing, of methods that show each, and of those that compare."""

OPTIONS = ("layer", "epsilon", "distance", "projection", "seed")
"""Options that a method's parameters of these names are given."""


def run(args: argparse.Namespace) -> int:
    """Write the picture of a method."""
    start = time.perf_counter()
    model = device.moved(models.with_weights(args.model, args.weights), args)
    method: Callable[..., explain.Result] = getattr(explain, args.method.replace("-", "_"))
    result = method(model, **_arguments(method, model, args))
    path = result.save(args.out)
    seconds = time.perf_counter() - start
    report = {"method": args.method, "picture": printable(str(path)), "seconds": seconds}
    print(json.dumps(report) if args.json else f"{report['picture']} ({seconds:.1f} s)")
    return 0


def _arguments(
    method: Callable[..., explain.Result], model: Sequential, args: argparse.Namespace
) -> dict[str, Any]:
    """What a method is given beside the model; UsageError for an option that it does not take."""
    takes = inspect.signature(method).parameters
    chosen = {name: getattr(args, name) for name in OPTIONS if getattr(args, name) is not None}
    if args.target is not None:
        chosen["target"] = _class(model, args.target)
    for name in chosen:
        if name not in takes:
            raise UsageError(f"{args.method} takes no --{name}.")
    if "points" in takes:
        return {**chosen, **dict(zip(("points", "labels"), dataset.points(args.data), strict=True))}
    if "x" not in takes:
        return chosen
    if "y" in takes and model.loss is None:
        model.compile("sgd", models.fitting_loss(model))
    images = _images(model, args)
    part = images.measured()[1].usable
    many = "y" in takes or "patches" in takes
    count = min(args.images or (MANY if many else FEW), len(part))
    places = _spread(part.labels, count)
    chosen["x"] = read(part.dataset, places)
    if "y" in takes:
        chosen["y"] = part.labels[places]
    if model.class_names is None and images.class_names is not None:
        model.class_names = images.class_names
    return chosen


def _images(model: Sequential, args: argparse.Namespace) -> ImageSet:
    base = functools.partial(models.decoder, model)
    images = dataset.opened(args.data, Reading.of(args, args.threads), base, purpose=MEASURE)
    models.check_shape(model, images)
    return images.by_names(model.class_names)


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
