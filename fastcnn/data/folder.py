"""Folders of images, one folder a class, as data sets: decoded once, or whenever a batch is due."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcnn._ext.batch import gather
from fastcnn.data import bar, capacity, crew
from fastcnn.data.crew import Chunk
from fastcnn.data.decoding import MAX_PIXELS, Decoder, Pixels
from fastcnn.data.listing import Listing, list_folder, text
from fastcnn.data.recognition import Unreadable
from fastcnn.data.report import LeftOut
from fastcnn.data.splitting import split

STREAM_PIECE = 4
"""Files that a thread decodes at a time when a batch is due."""

MOVED = 256
"""Images that are moved at a time."""

PIECE = 64
"""Images that are taken at a time from a set that is read through."""

PathLike = str | os.PathLike[str]


class ImageFolder:
    """The images of a folder as a Dataset.

    labels: int32 [n]. class_names: by label. files: the images' paths within `root`.
    image_shape: (height, width, channels). report: what was found in the whole folder. x: all the
    images, uint8 [n, height, width, channels], where they are held in memory, else None.

    `images` may be called from several threads at once.
    """

    dtype = np.uint8

    def __init__(
        self, listing: Listing, decoder: Decoder, on_error: str, workers: int | None = None
    ) -> None:
        self.root = listing.root
        self.files = listing.files
        self.labels = listing.labels
        self.class_names = listing.class_names
        self.report = listing.report
        self.x: Pixels | None = None
        self._decoder = decoder
        self._on_error = on_error
        self._workers = capacity.cores() if workers is None else workers
        self._threads: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._replaced: set[int] = set()
        self._skipped: set[str] = set()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of one image."""
        return self._decoder.shape

    def __len__(self) -> int:
        return len(self.files)

    def path(self, position: int) -> str:
        """The file of an image."""
        return os.path.join(self.root, self.files[position])

    def part(self, positions: npt.NDArray[np.int64]) -> ImageFolder:
        """Some of the images as a set of their own, with the same report."""
        listing = Listing(
            self.root,
            [self.files[i] for i in positions],
            self.labels[positions],
            self.class_names,
            self.report,
        )
        part = ImageFolder(listing, self._decoder, self._on_error, self._workers)
        part.x = None if self.x is None else self.x[positions]
        return part

    def images(self, indices: npt.NDArray[np.int64], out: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Writes the images into out, uint8 or float32 [n, height, width, channels], 0 to 255.

        A file that cannot be read any more raises Unreadable; with on_error="skip" the next image
        of its class that can be read stands in for it, which a warning and the report tell.
        """
        if self.x is not None:
            if out.dtype == np.float32:
                return gather(self.x, np.asarray(indices, np.int64), out)
            return np.take(self.x, indices, axis=0, out=out, mode="clip")

        def write(start: int) -> None:
            for row in range(start, min(start + STREAM_PIECE, len(indices))):
                out[row] = self._read(int(indices[row]))

        for _ in self._pool().map(write, range(0, len(indices), STREAM_PIECE)):
            pass
        return out

    def decoded(self) -> Iterator[Chunk]:
        """All images, decoded in order, a Chunk at a time, with on_error="skip" without those that
        cannot be read; these are written into the report."""
        paths = [self.path(i) for i in range(len(self))]
        yield from self._accounted(crew.decode_all(self._decoder, paths, self._workers))

    def load(self) -> None:
        """Decodes all images into memory and leaves out what cannot be read."""
        held = np.empty((len(self), *self.image_shape), np.uint8)

        def decode(position: int) -> None:
            held[position] = self._decoder(self.path(position))

        positions = self._sifted("Decoding", decode)
        for start in range(0, len(positions), MOVED):
            # Up to where others are left out, in place: a second array might not fit.
            some = positions[start : start + MOVED]
            if some[-1] >= start + len(some):
                held[start : start + len(some)] = held[some]
        self.x = held[: len(positions)]

    def check_headers(self) -> None:
        """Opens every file and leaves out those that are no images by their headers."""
        self._sifted("Checking", lambda position: self._decoder.inspect(self.path(position)))

    def _sifted(self, title: str, read: Callable[[int], Any]) -> npt.NDArray[np.int64]:
        """Keeps the files that can be read, and returns their former positions."""
        chunks = self._accounted(crew.read_all(read, len(self), self._workers))
        kept = [chunk.positions for chunk in bar.shown(title, chunks, len(self))]
        positions = np.concatenate(kept)
        if len(positions) < len(self):
            self.files = [self.files[i] for i in positions]
            self.labels = self.labels[positions]
        return positions

    def _accounted(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        for chunk in chunks:
            for position, error in chunk.failures:
                if self._on_error == "raise":
                    raise error
                name = self.files[position]
                if name not in self._skipped:
                    self._skipped.add(name)
                    self.report.skip(text(name), error.reason, int(self.labels[position]))
            yield chunk

    def _read(self, position: int) -> Pixels:
        """An image, or the one that stands in for it."""
        try:
            return self._decoder(self.path(position))
        except Unreadable as error:
            if self._on_error == "raise":
                raise
            image, other = self._stand_in(position, error)
            self._tell_replaced(position, other, error.reason)
            return image

    def _stand_in(self, position: int, failure: Unreadable) -> tuple[Pixels, int]:
        """The next image of the same class, around the end to the beginning, that can be read."""
        same = np.flatnonzero(self.labels == self.labels[position])
        for other in np.roll(same, -1 - int(np.searchsorted(same, position)))[:-1]:
            try:
                return self._decoder(self.path(int(other))), int(other)
            except Unreadable:
                continue
        raise failure

    def _tell_replaced(self, position: int, other: int, reason: str) -> None:
        with self._lock:
            if position in self._replaced:
                return
            self._replaced.add(position)
            self.report.replaced.append(LeftOut(text(self.files[position]), reason))
        warnings.warn(
            f"'{text(self.path(position))}' cannot be used any more: {reason}. "
            f"'{text(self.files[other])}', of the same class, stands in for it.",
            stacklevel=2,
        )

    def _pool(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(
                    max(1, self._workers), thread_name_prefix="fastcnn-decoding"
                )
            return self._threads


def from_folder(
    path: PathLike,
    image_size: tuple[int, int] = (64, 64),
    *,
    color_mode: str = "rgb",
    resize: str = "stretch",
    interpolation: str = "bilinear",
    class_names: Sequence[str] | None = None,
    validation_split: float | None = None,
    seed: int = 0,
    on_error: str = "raise",
    in_memory: bool | None = None,
    max_pixels: int = MAX_PIXELS,
    workers: int | None = None,
) -> Any:
    """The images of a folder that holds one folder a class, as an ImageFolder; with
    validation_split, a share of each class, as two: (training, validation).

    image_size is (height, width). Files are recognised by content, whatever they are called;
    fastcnn.data.decoding says how colours are converted, and Decoder what color_mode, resize,
    interpolation and max_pixels mean. Classes are the folders, sorted by name, or class_names.
    Which images are held out depends on their names and the seed alone.

    on_error: "raise" raises Unreadable for the first file that cannot be used; "skip" leaves such
    files out, warns, and lists them in `.report`. in_memory: True decodes all images now, False
    whenever a batch needs them (files are then checked by their headers only, and damage behind
    that is met on the way); None takes the first where the images need at most a quarter of the
    free memory. workers: threads that decode, by default one a processor.

    Raises ValueError, FileNotFoundError or NotADirectoryError in words where there is nothing to
    read or an argument is none of these.
    """
    decoder = Decoder(*_size(image_size), color_mode, resize, interpolation, max_pixels)
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error must be 'raise' or 'skip'. Received {on_error!r}.")
    listing = list_folder(path, class_names)
    if on_error == "raise" and listing.report.skipped:
        first = listing.report.skipped[0]
        raise Unreadable(os.path.join(listing.root, first.path), first.reason)
    sides = None
    if validation_split is not None:
        # Before any file is opened, so that damage does not change the side of another file.
        sides = split(listing.files, listing.labels, validation_split, seed)
    whole = ImageFolder(listing, decoder, on_error, workers)
    parts = [whole] if sides is None else [whole.part(side) for side in sides]
    needed = len(whole) * int(np.prod(decoder.shape))
    if in_memory is None:
        in_memory = needed <= capacity.SHARE * capacity.available_memory()
    for part in parts:
        part.load() if in_memory else part.check_headers()
        if not len(part):
            raise ValueError(
                f"from_folder: none of the files of '{whole.root}' can be used. {whole.report}"
            )
    if whole.report.complaint:
        warnings.warn(f"from_folder: {whole.report.complaint}", stacklevel=2)
    return whole if sides is None else tuple(parts)


def _size(image_size: Any) -> tuple[int, int]:
    try:
        height, width = image_size
    except (TypeError, ValueError):
        raise ValueError(f"image_size must be (height, width). Received {image_size!r}.") from None
    return height, width


def pieces(images: Any) -> Iterator[tuple[npt.NDArray[np.int64], Pixels]]:
    """(positions, uint8 images) of a whole Dataset of uint8 images that has `image_shape`, some at
    a time, in order; valid until the next ones are asked for. An ImageFolder is decoded ahead, and
    leaves out what cannot be read where its on_error says so."""
    if isinstance(images, ImageFolder) and images.x is None:
        for chunk in bar.shown("Decoding", images.decoded(), len(images)):
            yield chunk.positions, chunk.images
        return
    for start in range(0, len(images), PIECE):
        positions = np.arange(start, min(start + PIECE, len(images)), dtype=np.int64)
        out = np.empty((len(positions), *images.image_shape), np.uint8)
        images.images(positions, out)
        yield positions, out
