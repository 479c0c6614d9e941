"""The images that --data and SOURCE mean: a folder, a packed file, an .npz file or a data set's
name."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn import data
from fastcnn.cli.errors import UsageError
from fastcnn.cli.part import Part
from fastcnn.cli.reading import Reading
from fastcnn.data.decoding import Decoder
from fastcnn.data.folder import from_folder
from fastcnn.data.known import KNOWN_SETS
from fastcnn.data.local import read_labelled
from fastcnn.data.packed import from_packed
from fastcnn.data.sets import SAMPLE

PACKED = (".h5", ".hdf5")


@dataclass(frozen=True)
class ImageSet:
    """Images to train on, those of them that are held out, and those to test with."""

    name: str
    train: Part | None
    test: Part | None
    class_names: list[str] | None
    validation: Part | None = None

    @property
    def parts(self) -> list[Part]:
        """Those that there are."""
        return [part for part in (self.train, self.validation, self.test) if part is not None]

    @property
    def shape(self) -> tuple[int, ...]:
        """(height, width, channels) of an image."""
        return self.parts[-1].shape

    @property
    def raw(self) -> bool:
        """Whether the images are pixel values, 0 to 255."""
        return self.parts[-1].dtype == np.uint8

    @property
    def classes(self) -> int:
        """How many classes there are."""
        if self.class_names is not None:
            return len(self.class_names)
        return int(max(part.labels.max(initial=0) for part in self.parts)) + 1

    @property
    def to_train(self) -> Part:
        """The images to train on; UsageError where there are none."""
        if self.train is None:
            raise UsageError(f"--data: '{self.name}' must hold x_train and y_train to train on.")
        return self.train

    def measured(self) -> tuple[str, Part]:
        """The images that tell how good a model is, and their kind: "test" images where there are
        some, else those held out for "validation", else those of the "training"."""
        kinds = {"test": self.test, "validation": self.validation, "training": self.train}
        return next((kind, part) for kind, part in kinds.items() if part is not None)

    def held_out(self, share: float, seed: int) -> ImageSet:
        """The set with a share of each class of its training images held out, drawn by `seed`."""
        part = self.to_train
        if not share:
            return self
        held = _share_of_each_class(part.labels, share, np.random.default_rng(seed))
        if not held.any() or held.all():
            raise UsageError(
                f"--validation-split must leave images on both sides. Received {share} for "
                f"{len(held)} images."
            )
        return replace(self, train=part.part(~held), validation=part.part(held))

    def by_names(self, names: list[str] | None) -> ImageSet:
        """The set with its classes counted as a model does that calls them `names`."""
        if names is None or self.class_names is None or names == self.class_names:
            return self
        unknown = [name for name in self.class_names if name not in names]
        if unknown:
            raise UsageError(
                f"The model knows the classes {', '.join(names)}. The data '{self.name}' have "
                f"{', '.join(unknown)} too."
            )
        table = np.array([names.index(name) for name in self.class_names], np.int32)
        parts = {
            kind: part and part.relabelled(table[part.labels])
            for kind, part in vars(self).items()
            if kind in ("train", "test", "validation")
        }
        return replace(self, class_names=names, **parts)


def _share_of_each_class(
    labels: NDArray[np.int32], share: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        held[generator.permutation(of_class)[: round(share * len(of_class))]] = True
    return held


def opened(
    text: str,
    reading: Reading,
    base: Callable[[], Decoder] | None = None,
    share: float = 0.0,
    seed: int = 0,
) -> ImageSet:
    """The set that `text` means, with a share of each class held out where that is not 0. What is
    wrong with a folder's files is printed.

    base: gives what makes images of files, as far as `reading` does not say it.
    """
    path = Path(text)
    known = text in (SAMPLE, *KNOWN_SETS)
    if path.is_dir() and not known:
        return _from_folder(text, reading, reading.decoder(base and base()), share, seed)
    reading.refuse_for(text)
    if path.suffix in PACKED:
        if not path.is_file():
            raise UsageError(f"there is no file '{path}'.")
        return _of_dataset(text, from_packed(path, share or None, seed))
    found = _from_npz(path) if path.suffix == ".npz" else _known(text)
    return found.held_out(share, seed) if share else found


def _from_folder(
    text: str, reading: Reading, decoder: Decoder, share: float, seed: int
) -> ImageSet:
    with warnings.catch_warnings():
        # Told by the command, in its own words.
        warnings.filterwarnings("ignore", message="from_folder: ")
        found = from_folder(
            text,
            (decoder.height, decoder.width),
            color_mode=decoder.color_mode,
            resize=decoder.resize,
            interpolation=decoder.interpolation,
            validation_split=share or None,
            seed=seed,
            on_error=reading.on_error,
            in_memory=reading.in_memory,
            workers=reading.workers,
        )
    report = (found[0] if share else found).report
    if report.complaint and not reading.quiet:
        hint = f" `fastcnn data check {text}` names them all." if report.skipped else ""
        print(f"Note: {report.complaint}{hint}", file=sys.stderr)
    return _of_dataset(text, found)


def _of_dataset(name: str, found: Any) -> ImageSet:
    """The set of a Dataset, or of a pair of them for training and validation."""
    train, held = found if isinstance(found, tuple) else (found, None)
    validation = None if held is None else Part(held, held.labels)
    return ImageSet(name, Part(train, train.labels), None, list(train.class_names), validation)


def _known(text: str) -> ImageSet:
    path = Path(text)
    if path.is_file():
        return _from_file(path)
    if path.exists() or len(path.parts) > 1:
        raise UsageError(f"'{path}' is neither a folder, nor an .h5 or .npz file.")
    try:
        names = data.class_names(text)
    except ValueError as error:
        raise UsageError(f"--data: {error} Or give a folder, an .h5 or an .npz file.") from None
    train, test = data.load(text)
    return ImageSet(text, Part(*train), Part(*test), names)


def _from_file(path: Path) -> ImageSet:
    """The set of a file in a published layout, which its content tells."""
    try:
        x, y, names = read_labelled(path)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"'{path}' is neither a folder, nor an .h5 or .npz file, and cannot be read: {error}"
        ) from error
    return ImageSet(str(path), Part(x, y), None, names)


def _from_npz(path: Path) -> ImageSet:
    if not path.is_file():
        raise UsageError(f"--data: there is no file '{path}'.")
    try:
        found = data.read_npz(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"--data: '{path}' cannot be read: {error}") from error
    train = _part(path, found, "train") if "x_train" in found else None
    names = found.get("class_names")
    return ImageSet(
        name=str(path),
        train=train,
        test=_part(path, found, "test"),
        class_names=None if names is None else [str(name) for name in names],
    )


def _part(path: Path, arrays: dict[str, NDArray[Any]], part: str) -> Part:
    """x_<part> and y_<part>; grey images may lack the channel axis."""
    missing = [name for name in (f"x_{part}", f"y_{part}") if name not in arrays]
    if missing:
        raise UsageError(
            f"--data: '{path}' must hold {' and '.join(missing)}. It holds "
            f"{', '.join(arrays) or 'nothing'}."
        )
    images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.dtype.kind not in "fu":
        raise UsageError(
            f"--data: x_{part} in '{path}' must be images [n, height, width, channels], uint8 or "
            f"float32. It is {images.dtype} of shape {images.shape}."
        )
    if labels.dtype.kind not in "iu" or labels.size != len(images):
        raise UsageError(
            f"--data: y_{part} in '{path}' must be {len(images)} whole-number labels. "
            f"It is {labels.dtype} of shape {labels.shape}."
        )
    if images.dtype != np.uint8:
        images = images.astype(np.float32)
    return Part(images, labels.reshape(-1).astype(np.int32))
