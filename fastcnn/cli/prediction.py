"""`fastcnn predict`: name what images show."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.cli import models
from fastcnn.cli.errors import UsageError
from fastcnn.data.decoding import Decoder


def run(given: argparse.Namespace) -> int:
    """Prints the most likely classes of each image."""
    model = models.with_weights(given.model, given.weights)
    classes = models.class_count(model)
    images: NDArray[Any] = np.stack(
        [_image(Path(path), model.input_shape) for path in given.images]
    )
    if given.scale != 1.0:
        images = images.astype(np.float32) * np.float32(given.scale)
    elif not models.begins_with_scaling(model):
        print(
            "Note: the model does not begin with Rescaling(1 / 255), and gets pixel values from 0 "
            "to 255. --scale multiplies them.",
            file=sys.stderr,
        )
    shares = models.probabilities(model, model.predict(images))
    names = model.class_names
    if names is None or len(names) != classes:
        names = [str(label) for label in range(classes)]
    report = [
        {"image": path, "classes": _likeliest(row, names, given.top)}
        for path, row in zip(given.images, shares, strict=True)
    ]
    print(json.dumps(report) if given.json else "\n".join(map(_line, report)))
    return 0


def _image(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """An image file as uint8 of the model's input shape, resized where its size differs."""
    modes = {1: "grayscale", 3: "rgb", 4: "rgba"}
    if len(shape) != 3 or shape[2] not in modes:
        raise UsageError(f"The model takes inputs of shape {shape}, which no image file holds.")
    if not path.exists():
        raise UsageError(f"There is no file '{path}'.")
    height, width, channels = shape
    return Decoder(height, width, modes[channels])(str(path))


def _likeliest(row: NDArray[np.float32], names: list[str], count: int) -> list[dict[str, Any]]:
    order = np.argsort(-row, kind="stable")[:count]
    return [{"name": names[label], "probability": float(row[label])} for label in order]


def _line(entry: dict[str, Any]) -> str:
    found = (f"{one['name']} {100 * one['probability']:.1f} %" for one in entry["classes"])
    return f"{entry['image']}: {', '.join(found)}"
