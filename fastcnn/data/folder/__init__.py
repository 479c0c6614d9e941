"""Folders of images, one folder a class, read as data sets."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np

from fastcnn.data.folder.duplicates import copies
from fastcnn.data.folder.file_list import list_folder, text
from fastcnn.data.folder.image_folder import ImageFolder
from fastcnn.data.folder.splitting import notes, split
from fastcnn.data.images.decoder import MAX_PIXELS, Decoder
from fastcnn.data.images.file_format import Unreadable
from fastcnn.utils import arguments, system

__all__ = ["ImageFolder", "from_folder"]

PathLike = str | os.PathLike[str]


@overload
def from_folder(
    path: PathLike,
    image_size: tuple[int, int] = (64, 64),
    *,
    color_mode: str = "rgb",
    resize: str = "stretch",
    interpolation: str = "bilinear",
    class_names: Sequence[str] | None = None,
    layout: str = "auto",
    validation_split: None = None,
    seed: int = 0,
    on_error: str = "raise",
    in_memory: bool | None = None,
    max_pixels: int = MAX_PIXELS,
    workers: int | None = None,
) -> ImageFolder: ...


@overload
def from_folder(
    path: PathLike,
    image_size: tuple[int, int] = (64, 64),
    *,
    color_mode: str = "rgb",
    resize: str = "stretch",
    interpolation: str = "bilinear",
    class_names: Sequence[str] | None = None,
    layout: str = "auto",
    validation_split: float,
    seed: int = 0,
    on_error: str = "raise",
    in_memory: bool | None = None,
    max_pixels: int = MAX_PIXELS,
    workers: int | None = None,
) -> tuple[ImageFolder, ImageFolder]: ...


def from_folder(
    path: PathLike,
    image_size: tuple[int, int] = (64, 64),
    *,
    color_mode: str = "rgb",
    resize: str = "stretch",
    interpolation: str = "bilinear",
    class_names: Sequence[str] | None = None,
    layout: str = "auto",
    validation_split: float | None = None,
    seed: int = 0,
    on_error: str = "raise",
    in_memory: bool | None = None,
    max_pixels: int = MAX_PIXELS,
    workers: int | None = None,
) -> ImageFolder | tuple[ImageFolder, ImageFolder]:
    """Return the images of a folder that holds one folder a class.

    Files are recognised by content, whatever they are called; fastcnn.data.images.decoder says how
    colours are converted. Which images are held out depends on their names and the seed alone, and
    on which are copies of one picture: these stay together.

    Args:
        path: The folder.
        image_size: (height, width) of the images, in pixels.
        color_mode: As `Decoder`'s.
        resize: As `Decoder`'s.
        interpolation: As `Decoder`'s.
        class_names: The classes, such as those of another set, of which some may have no folder
            here; None takes the folders, sorted by name.
        layout: "classes" takes every folder for a class. "auto" refuses folders that are, or may
            be, the parts of a set ("train", "val", ...), and sees through a folder that only holds
            the one with the classes; `class_names` answers that too.
        validation_split: The share of each class that is held out, between 0 and 1, of two images
            or more one at least; None for none.
        seed: A whole number, at least 0.
        on_error: "raise" raises Unreadable for the first file that cannot be used; "skip" leaves
            such files out, warns, and lists them in `.report`.
        in_memory: True decodes all images now, False whenever a batch needs them (files are then
            checked by their headers only; `ImageFolder` says what becomes of damage behind that);
            None takes the first where the images need at most a quarter of the free memory.
        max_pixels: As `Decoder`'s.
        workers: Threads that decode; None takes one a processor.

    Returns:
        An ImageFolder; with `validation_split` two: (training, validation).

    Raises:
        ValueError: There is nothing to read, a file is Unreadable, or an argument is out of its
            range.
        TypeError: An argument is of a wrong type.
        FileNotFoundError: There is no such path.
        NotADirectoryError: It is a file.
    """
    decoder = Decoder(*_size(image_size), color_mode, resize, interpolation, max_pixels)
    seed = arguments.whole("from_folder", "seed", seed, least=0)
    if workers is not None:
        workers = arguments.whole(
            "from_folder", "workers", workers, least=1, most=arguments.MOST_WORKERS
        )
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error must be 'raise' or 'skip'. Received {on_error!r}.")
    if in_memory is not None:
        in_memory = arguments.flag("from_folder", "in_memory", in_memory)
    if layout not in ("auto", "classes"):
        raise ValueError(f"layout must be 'auto' or 'classes'. Received {layout!r}.")
    _check_texts(path, class_names)
    listing = list_folder(path, class_names, layout)
    if on_error == "raise" and listing.report.skipped:
        first = listing.report.skipped[0]
        raise Unreadable(os.path.join(listing.root, first.path), first.reason)
    sides = None
    if validation_split is not None:
        # Before any file is opened, so that damage does not change the side of another file.
        names = [text(path) for path in listing.files]
        listing.report.copies = copies(listing.root, listing.files)
        sides = split(names, listing.labels, validation_split, seed, listing.report.copies)
        listing.report.about_split = notes(listing.labels, listing.class_names, *sides)
    whole = ImageFolder(listing, decoder, on_error, workers)
    parts = [whole] if sides is None else [whole.part(side) for side in sides]
    needed = len(whole) * int(np.prod(decoder.shape))
    if in_memory is None:
        in_memory = needed <= system.SHARE * system.available_memory()
    for part in parts:
        part.load() if in_memory else part.check_headers()
        if not len(part):
            raise ValueError(
                f"from_folder: none of the files of '{whole.root}' can be used. {whole.report}"
            )
    if class_names is None:
        kept = whole.report.leave_out_classes()
        for part in parts:
            part.renumber(kept)
    whole.damage.told()  # the complaint tells it
    if whole.report.complaint:
        told = f"from_folder: {whole.report.complaint} {whole.report.advice}"
        warnings.warn(told.rstrip(), stacklevel=2)
    return whole if sides is None else (parts[0], parts[1])


def _check_texts(path: str | os.PathLike[str], class_names: object) -> None:
    if not isinstance(os.fspath(path), str):
        raise TypeError(f"from_folder: path must be a str or a Path. Received {path!r}.")
    if isinstance(class_names, str | bytes):
        raise ValueError(
            f"from_folder: class_names must be a list of classes. Received {class_names!r}."
        )


def _size(image_size: Iterable[int]) -> tuple[int, int]:
    try:
        height, width = image_size
    except (TypeError, ValueError):
        raise ValueError(f"image_size must be (height, width). Received {image_size!r}.") from None
    return height, width
