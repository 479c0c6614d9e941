"""The images of a folder as a data set: decoded once, or whenever a batch is due."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcnn._ext.batch import gather
from fastcnn._ext.checks import check_indices
from fastcnn.data.folder.file_list import Listing
from fastcnn.data.folder.replacing_folder import ReplacingFolder
from fastcnn.data.folder.unreadable_files import Damage
from fastcnn.data.images import parallel_decode, progress_bar
from fastcnn.data.images.decoder import Decoder, Pixels
from fastcnn.data.images.file_format import Unreadable
from fastcnn.data.images.parallel_decode import Chunk
from fastcnn.utils import forking, system
from fastcnn.utils.fixed_attributes import FixedAttributes

Indices = npt.NDArray[np.int64]

STREAM_PIECE = 4
"""Files that a thread decodes at a time when a batch is due."""

_lock = forking.shared_lock()
"""Of all folders, for making their threads."""

MOVED = 256
"""Images that are moved at a time."""


class ImageFolder(FixedAttributes):
    """The images of a folder as a Dataset, as `from_folder` makes it.

    With on_error="skip", what turns out to be damaged when a batch is due is added to the report.
    Where `fit` trains, other images of the class stand in for it (`for_epoch`); where it validates,
    and in `evaluate`, it is left out; `images`, and so `predict`, raise. `images` may be called
    from several threads at once. A folder may be copied and pickled, and be used in the child of a
    fork.

    Args:
        listing: The files, their labels and the names of the classes.
        decoder: What makes an image of a file.
        on_error: "raise" or "skip".
        workers: Threads that decode; None takes one a processor.

    Attributes:
        labels: int32 [n].
        class_names: By label.
        files: The images' paths within `root`.
        image_shape: (height, width, channels).
        report: What the whole folder holds.
        x: All the images, uint8 [n, height, width, channels], where they are held in memory, else
            None.
        decoder: `fit` gives it to the model, so that `model.decoder(path)` prepares another file in
            the same way.
    """

    dtype = np.uint8
    deterministic = True

    def __init__(
        self, listing: Listing, decoder: Decoder, on_error: str, workers: int | None = None
    ) -> None:
        self.root = listing.root
        self.files = listing.files
        self.labels = listing.labels
        self.class_names = listing.class_names
        self.report = listing.report
        self.x: Pixels | None = None
        self.decoder = decoder
        self._on_error = on_error
        self._workers = system.cores() if workers is None else workers
        self._threads: ThreadPoolExecutor | None = None
        self._process = 0
        self.damage = Damage(listing.report)
        self._good = np.ones(len(self.files), bool)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The (height, width, channels) of one image."""
        return self.decoder.shape

    def __len__(self) -> int:
        return len(self.files)

    def path(self, position: int) -> str:
        """Return the file of an image.

        Args:
            position: The image's number.
        """
        return os.path.join(self.root, self.files[position])

    def part(self, positions: npt.NDArray[np.int64]) -> ImageFolder:
        """Return some of the images as a set of their own, with the same report.

        Args:
            positions: Numbers of the images, int64 [n].
        """
        listing = Listing(
            self.root,
            [self.files[i] for i in positions],
            self.labels[positions],
            self.class_names,
            self.report,
        )
        part = ImageFolder(listing, self.decoder, self._on_error, self._workers)
        part.x = None if self.x is None else self.x[positions]
        part.damage, part._good = self.damage, self._good[positions]
        return part

    def renumber(self, kept: list[int]) -> None:
        """Count labels by the classes that the report has kept.

        Args:
            kept: Their earlier labels, ascending; all that the images have.
        """
        self.labels = np.searchsorted(kept, self.labels).astype(np.int32)
        self.class_names = list(self.report.class_names)

    def usable(self) -> ImageFolder:
        """Return the set without the images that turned out to be damaged since it was made."""
        return self if self._good.all() else self.part(np.flatnonzero(self._good))

    def images(self, indices: npt.NDArray[np.int64], out: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Write images into an array, values 0 to 255.

        Args:
            indices: Numbers of the images, int64 [n].
            out: uint8 or float32 [n, height, width, channels].

        Returns:
            out.

        Raises:
            Unreadable: A file cannot be read any more; with on_error="skip" after the others were
                read and all that cannot be were put into the report.
            IndexError: An index is negative or too large.
        """
        indices = self.checked(indices)
        if self.x is not None:
            if out.dtype == np.float32:
                return gather(self.x, indices, out)
            # The mode that writes straight into out.
            return np.take(self.x, indices, axis=0, out=out, mode="clip")
        failed = self.read(indices, np.arange(len(indices)), out)
        if len(failed):
            raise self.failure(int(indices[failed[0]]))
        return out

    def checked(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return indices in one piece.

        Args:
            indices: int64 [n].

        Raises:
            IndexError: One is no image's.
        """
        indices = np.ascontiguousarray(indices)
        check_indices("ImageFolder.images", indices, len(self))
        return indices

    def for_epoch(self, seed: int, epoch: int) -> ImageFolder | ReplacingFolder:
        """Return the Dataset that an epoch of training takes its images from.

        Args:
            seed: Of the training.
            epoch: The number of the epoch, from 0.
        """
        return self if self.x is not None else ReplacingFolder(self, seed, epoch)

    def chosen(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return which images come for these, as `ReplacingFolder` does: these themselves.

        Args:
            indices: Numbers of the images, int64 [n].
        """
        return indices

    def readable(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return which images are not known to be damaged.

        Args:
            indices: Numbers of the images, int64 [n].

        Shape:
            bool [n].
        """
        return self._good[indices]

    def failure(self, position: int) -> Unreadable:
        """Return why an image that is known to be damaged cannot be read.

        Args:
            position: The image's number.
        """
        return Unreadable(self.path(position), self.damage.reason(self.files[position]))

    def read(
        self, positions: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], out: npt.NDArray[Any]
    ) -> npt.NDArray[np.int64]:
        """Decode files into rows of an array.

        Args:
            positions: Numbers of the images, int64.
            rows: Which rows to fill, each with the image of positions[row].
            out: [n, height, width, channels].

        Returns:
            The rows whose files cannot be read.

        Raises:
            Unreadable: A file cannot be read, with on_error="raise".
        """

        def write(start: int) -> list[int]:
            some = rows[start : start + STREAM_PIECE]
            return [row for row in some if not self._write(int(positions[row]), out[row])]

        failed = self._pool().map(write, range(0, len(rows), STREAM_PIECE))
        return np.array([row for some in failed for row in some], np.int64)

    def decoded(self) -> Generator[Chunk, None, None]:
        """Yield all images, decoded in order, a Chunk at a time.

        With on_error="skip" without those that cannot be read; these are written into the report.
        """
        paths = [self.path(i) for i in range(len(self))]
        with closing(
            parallel_decode.decode_all(self.decoder, paths, self._workers, self._remark)
        ) as chunks:
            for chunk in chunks:
                self._account(chunk)
                yield chunk

    def pieces(self) -> Generator[tuple[Indices, Pixels], None, None] | None:
        """Return positions and images, some at a time, decoded ahead; None where all are held."""
        return None if self.x is not None else self._streamed()

    def _streamed(self) -> Generator[tuple[Indices, Pixels], None, None]:
        with closing(progress_bar.shown("Decoding", self.decoded(), len(self))) as chunks:
            for chunk in chunks:
                yield chunk.positions, chunk.images
        self.damage.warn()

    def load(self) -> None:
        """Decode all images into memory and leave out what cannot be read."""
        held = np.empty((len(self), *self.image_shape), np.uint8)

        def decode(position: int) -> None:
            held[position] = self.decoder(self.path(position), self._remark(position))

        positions = self._sifted("Decoding", decode, self._workers, parallel_decode.CHUNK)
        for start in range(0, len(positions), MOVED):
            # Up to where others are left out, in place: a second array might not fit.
            some = positions[start : start + MOVED]
            if some[-1] >= start + len(some):
                held[start : start + len(some)] = held[some]
        self.x = held[: len(positions)]

    def check_headers(self) -> None:
        """Open every file and leave out those that are no images by their headers."""

        def look(position: int) -> None:
            self.decoder.inspect(self.path(position), self._remark(position))

        sample = [
            self.path(i) for i in range(0, len(self), max(1, len(self) // parallel_decode.SAMPLE))
        ]
        workers = parallel_decode.header_workers(sample, self._workers)
        self._sifted("Checking", look, workers, parallel_decode.HEADERS)

    def _sifted(
        self, title: str, read: Callable[[int], object], workers: int, some: int
    ) -> npt.NDArray[np.int64]:
        """Keep the files that can be read, and return their former positions."""
        readable = []
        chunks = parallel_decode.read_all(read, len(self), workers, some)
        with closing(progress_bar.shown(title, chunks, len(self))) as seen:
            for chunk in seen:
                self._account(chunk)
                readable.append(chunk.positions)
        positions = np.concatenate(readable)
        if len(positions) < len(self):
            self.files = [self.files[i] for i in positions]
            self.labels = self.labels[positions]
        self._good = np.ones(len(self.files), bool)
        return positions

    def _account(self, chunk: Chunk) -> None:
        for position, error in chunk.failures:
            if self._on_error == "raise":
                raise error
            self._lose(position, error.reason)

    def _write(self, position: int, target: npt.NDArray[Any]) -> bool:
        """Whether an image could be decoded into the target; what cannot is not tried again."""
        if not self._good[position]:
            return False
        try:
            target[...] = self.decoder(self.path(position))
        except Unreadable as error:
            if self._on_error == "raise":
                raise
            self._lose(position, error.reason)
            return False
        return True

    def _lose(self, position: int, reason: str) -> None:
        self.damage.add(self.files[position], reason)
        self._good[position] = False

    def _remark(self, position: int) -> Callable[[str], None]:
        return functools.partial(self.damage.remark, self.files[position])

    def _pool(self) -> ThreadPoolExecutor:
        with _lock:
            # The child of a fork has none of its parent's threads.
            if self._threads is None or self._process != os.getpid():
                self._process = os.getpid()
                self._threads = ThreadPoolExecutor(
                    max(1, self._workers), thread_name_prefix="fastcnn-decoding"
                )
            return self._threads

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_threads": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._closed = True
