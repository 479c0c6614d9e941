"""`fastcnn predict`: name what images show."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.cli import models
from fastcnn.cli.errors import UsageError
from fastcnn.model import Sequential


def run(given: argparse.Namespace) -> int:
    """Prints the most likely classes of each image."""
    model = models.with_weights(given.model, given.weights)
    images: NDArray[Any] = np.stack(
        [_image(Path(path), model.input_shape) for path in given.images]
    )
    if given.scale != 1.0:
        images = images.astype(np.float32) * np.float32(given.scale)
    shares = _probabilities(model, images)
    report = [
        {"image": path, "classes": _likeliest(row, model.class_names, given.top)}
        for path, row in zip(given.images, shares, strict=True)
    ]
    print(json.dumps(report) if given.json else "\n".join(map(_line, report)))
    return 0


def _image(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """An image file as uint8 of the model's input shape, resized where its size differs."""
    from PIL import Image, UnidentifiedImageError

    height, width, channels = shape
    modes = {1: "L", 3: "RGB", 4: "RGBA"}
    if channels not in modes:
        raise UsageError(f"The model takes images of {channels} channels, which no file holds.")
    try:
        with Image.open(path) as file:
            picture = file.convert(modes[channels])
    except FileNotFoundError:
        raise UsageError(f"There is no file '{path}'.") from None
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ValueError(f"'{path}' cannot be read as an image: {error}") from error
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture, np.uint8).reshape(shape)


def _probabilities(model: Sequential, images: NDArray[Any]) -> NDArray[np.float32]:
    outputs = model.predict(images)
    if models.ends_in_probabilities(model):
        return outputs
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _likeliest(
    row: NDArray[np.float32], names: list[str] | None, count: int
) -> list[dict[str, Any]]:
    order = np.argsort(-row, kind="stable")[:count]
    return [
        {"name": names[label] if names else str(label), "probability": float(row[label])}
        for label in order
    ]


def _line(entry: dict[str, Any]) -> str:
    found = (f"{one['name']} {100 * one['probability']:.1f} %" for one in entry["classes"])
    return f"{entry['image']}: {', '.join(found)}"
