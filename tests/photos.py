"""Image files for tests, made by Pillow."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")


def colours(height=6, width=8, seed=0):
    """Random colours uint8 [height, width, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def smooth(height=120, width=160, seed=0):
    """A picture of soft shapes, which JPEG keeps well."""
    rough = Image.fromarray(colours(4, 5, seed))
    return np.asarray(rough.resize((width, height), Image.Resampling.BICUBIC))


def encoded(pixels, kind="PNG", **options):
    """An image file's bytes; pixels: an array or a Pillow image."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    stream = io.BytesIO()
    if kind == "WEBP":
        options.setdefault("lossless", True)
    image.save(stream, kind, **options)
    return stream.getvalue()


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def photo_folder(root, classes=("cat", "dog"), count=6, height=20, width=24):
    """A folder with `count` small PNG files a class; returns its path."""
    for label, name in enumerate(classes):
        for number in range(count):
            pixels = colours(height, width, seed=100 * label + number)
            write(root / name / f"{number:02d}.png", encoded(pixels))
    return root
