"""The images that the SOURCE of `fastcnn data` means, as a Dataset."""

from __future__ import annotations

import argparse
import ast
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.cli import datasets
from fastcnn.cli.errors import UsageError
from fastcnn.data import augmentation
from fastcnn.data.folder import from_folder
from fastcnn.data.packed import from_packed

PACKED = (".h5", ".hdf5")


class Held:
    """Images uint8 [n, H, W, C] in memory with their labels, as a Dataset."""

    dtype = np.uint8

    def __init__(self, x: NDArray[np.uint8], labels: NDArray[np.int32], names: list[str] | None):
        self.x, self.labels = x, labels
        self.image_shape = x.shape[1:]
        count = int(labels.max(initial=0)) + 1
        self.class_names = names or [str(label) for label in range(count)]

    def __len__(self) -> int:
        return len(self.x)

    def images(self, indices: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Writes the images into out."""
        out[...] = self.x[indices]


def opened(given: argparse.Namespace, on_error: str = "skip") -> Any:
    """The Dataset; of a known set or an .npz file, its training images."""
    path = Path(given.source)
    if path.is_dir():
        return from_folder(
            path,
            given.size,
            color_mode=given.color,
            resize=given.resize,
            on_error=on_error,
            in_memory=False,
            workers=given.threads,
        )
    if path.suffix in PACKED:
        if not path.is_file():
            raise UsageError(f"there is no file '{path}'.")
        return from_packed(path)
    if path.suffix != ".npz" and (path.exists() or len(path.parts) > 1):
        raise UsageError(f"'{path}' is neither a folder, nor an .h5 or .npz file.")
    return _held(datasets.named(given.source))


def _held(images: datasets.ImageSet) -> Held:
    x, labels = images.train or images.test
    if x.dtype != np.uint8:
        raise UsageError(f"'{images.name}' must hold uint8 images. It holds {x.dtype}.")
    return Held(x, labels, images.class_names)


def augmentations(texts: list[str]) -> list[Any]:
    """The augmentations that --augment names: "RandomFlip" or "RandomRotation(0.1)"."""
    return [_augmentation(text) for text in texts]


def _augmentation(text: str) -> Any:
    try:
        call = ast.parse(text.strip(), mode="eval").body
        name = call.func if isinstance(call, ast.Call) else call
        if not isinstance(name, ast.Name):
            raise ValueError("expected a name, or a name with arguments in parentheses")
        kind = augmentation.naming.lookup("augmentation", name.id, augmentation.AUGMENTATIONS)
        given, named = [], {}
        if isinstance(call, ast.Call):
            given = [ast.literal_eval(one) for one in call.args]
            named = {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
        return kind(*given, **named)
    except (SyntaxError, TypeError, ValueError) as error:
        raise UsageError(f"--augment '{text}': {error}") from None
