"""Looking closely at a set of images: every file decoded, or every packed image's checksum."""

from __future__ import annotations

import functools
import os
import statistics
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcnn.data.augment.statistics import Moments
from fastcnn.data.dataset import Dataset, image_shape, pieces
from fastcnn.data.folder.duplicates import copies
from fastcnn.data.folder.file_list import Listing, list_folder
from fastcnn.data.folder.scan_report import Report
from fastcnn.data.folder.unreadable_files import Damage
from fastcnn.data.images import parallel_decode, progress_bar
from fastcnn.data.images.decoder import MAX_PIXELS, Decoder, ImageInfo
from fastcnn.utils import columns, system

SIDE = 32
"""Pictures are decoded to so many pixels when a folder is checked; JPEG files are read whole then,
but cost less."""


@dataclass
class Inspection:
    """What the files of a folder are like.

    Args:
        listing: Them, with a report on which can be used, and why the others cannot.
        images: What the headers of the usable ones say.
    """

    listing: Listing
    images: list[ImageInfo] = field(default_factory=list)

    @property
    def report(self) -> Report:
        """Which can be used, and why the others cannot."""
        return self.listing.report

    def described(self) -> dict[str, Any]:
        """Return all of it as a dict that JSON can hold."""
        return {
            **self.report.described(),
            "formats": dict(Counter(image.format for image in self.images).most_common()),
            "modes": dict(Counter(image.mode for image in self.images).most_common()),
            "width": _spread([image.width for image in self.images]),
            "height": _spread([image.height for image in self.images]),
        }

    def __str__(self) -> str:
        if not self.images:
            return str(self.report)
        described = self.described()
        kinds = ", ".join(f"{count:,} {name}" for name, count in described["formats"].items())
        modes = ", ".join(f"{count:,} {name}" for name, count in described["modes"].items())
        width, height = described["width"], described["height"]
        return (
            f"{self.report}\n"
            f"Formats: {kinds}. Colours: {modes}.\n"
            f"Width {width['least']} to {width['most']}, median {width['median']:g}; "
            f"height {height['least']} to {height['most']}, median {height['median']:g}."
        )


def inspect_folder(
    path: str | os.PathLike[str],
    max_pixels: int = MAX_PIXELS,
    workers: int | None = None,
    layout: str = "auto",
) -> Inspection:
    """Decode every file of a folder with one folder a class, and return what they are like.

    Args:
        path: The folder.
        max_pixels: Pixels of a picture above which it is refused.
        workers: Threads that decode; None for every core.
        layout: As `from_folder`'s.

    Raises:
        FileNotFoundError: There is no such folder.
        NotADirectoryError: It is a file.
        ValueError: It has no class or no file.
    """
    listing = list_folder(path, layout=layout)
    listing.report.copies = copies(listing.root, listing.files)
    result = Inspection(listing)
    decoder = Decoder(SIDE, SIDE, max_pixels=max_pixels)

    damage = Damage(listing.report)

    def look(position: int) -> None:
        name = listing.files[position]
        file = os.path.join(listing.root, name)
        inspected = decoder.inspect(file)
        decoder(file, functools.partial(damage.remark, name))
        result.images.append(inspected)

    count = len(listing.files)
    chunks = parallel_decode.read_all(look, count, workers or system.cores())
    with closing(progress_bar.shown("Decoding", chunks, count)) as seen:
        for chunk in seen:
            for position, error in chunk.failures:
                damage.add(listing.files[position], error.reason)
    return result


def _spread(values: list[int]) -> dict[str, float] | None:
    if not values:
        return None
    return {"least": min(values), "median": statistics.median(values), "most": max(values)}


@dataclass(frozen=True)
class Statistics:
    """The pixel values of a set, and how many images each class has.

    Args:
        images: How many.
        mean: float64 [channels], of pixel values from 0 to 255, over all images.
        deviation: Their standard deviation, float64 [channels].
        counts: Images by label.
        class_names: By label, or None.
    """

    images: int
    mean: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]
    counts: list[int]
    class_names: list[str] | None

    def described(self) -> dict[str, Any]:
        """Return all of it as a dict that JSON can hold."""
        names = self.class_names or [str(label) for label in range(len(self.counts))]
        return {
            "images": self.images,
            "mean": self.mean.tolist(),
            "deviation": self.deviation.tolist(),
            "classes": [
                {"name": name, "images": count}
                for name, count in zip(names, self.counts, strict=True)
            ],
        }

    def __str__(self) -> str:
        described = self.described()
        lines = [f"{self.images:,} images. Pixel values by channel, of 255 and of 1:"]
        for kind in ("mean", "deviation"):
            values = described[kind]
            of_255 = "  ".join(f"{value:8.4f}" for value in values)
            of_1 = "  ".join(f"{value / 255:.5f}" for value in values)
            lines.append(f"  {kind:<9}  {of_255}   {of_1}")
        rows = [[f"  {entry['name']}", f"{entry['images']:,}"] for entry in described["classes"]]
        lines += columns.table(rows)
        return "\n".join(lines)


def measure(images: Dataset) -> Statistics:
    """Return the statistics of a set.

    Args:
        images: A `Dataset` of uint8 images that has `image_shape`.
    """
    channels = image_shape(images, ())[-1]
    moments, labels = Moments(channels), []
    for positions, pixels in pieces(images):
        moments.add(pixels.reshape(-1, channels))
        labels.append(np.asarray(images.labels)[positions])
    names = getattr(images, "class_names", None)
    all_labels = np.concatenate(labels)
    counts = np.bincount(all_labels, minlength=len(names) if names else 0).tolist()
    deviation = np.sqrt(moments.variance)
    return Statistics(len(all_labels), moments.mean, deviation, counts, names and list(names))
