"""What `fastcnn data check` and `stats` say of arrays of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.cli.resolve.image_set import ImageSet
from fastcnn.cli.resolve.image_subset import ImageSubset
from fastcnn.data.augment import statistics
from fastcnn.data.folder.inspection import Statistics
from fastcnn.utils import columns

SHOWN = 20
"""Positions that a sentence lists."""


@dataclass(frozen=True)
class Looked:
    """What the arrays of a set are like. parts: by kind, "train" or "test". names: of the classes,
    by label. damage: a sentence for each thing that cannot be used."""

    source: str
    parts: dict[str, ImageSubset]
    names: list[str]
    damage: list[str]

    def described(self) -> dict[str, Any]:
        """All of it as a dict that JSON can hold."""
        return {
            "file": self.source,
            "parts": {
                kind: {
                    "images": len(part),
                    "image_shape": list(part.shape),
                    "dtype": str(part.dtype),
                    "classes": [
                        {"name": name, "images": count}
                        for name, count in zip(self.names, self._counts(part), strict=True)
                    ],
                }
                for kind, part in self.parts.items()
            },
            "damage": self.damage,
        }

    def __str__(self) -> str:
        lines = [
            f"{self.source}: {kind}: {len(part):,} images of {' x '.join(map(str, part.shape))}, "
            f"{part.dtype}."
            for kind, part in self.parts.items()
        ]
        of_parts = [self._counts(part) for part in self.parts.values()]
        rows = [["  class", *self.parts]]
        for name, *counts in zip(self.names, *of_parts, strict=True):
            rows.append([f"  {name}", *(f"{count:,}" for count in counts)])
        lines += columns.table(rows)
        return "\n".join([*lines, *(self.damage or ["Every image can be used."])])

    def _counts(self, part: ImageSubset) -> list[int]:
        labels = part.labels[(part.labels >= 0) & (part.labels < len(self.names))]
        return np.bincount(labels, minlength=len(self.names)).tolist()


def looked_at(images: ImageSet) -> Looked:
    """Every value and every label of a set of arrays looked at."""
    kinds = {"train": images.train, "test": images.test}
    parts = {kind: part for kind, part in kinds.items() if part is not None}
    names = images.names
    damage = []
    for kind, part in parts.items():
        wrong = np.flatnonzero((part.labels < 0) | (part.labels >= len(names)))
        if len(wrong):
            expected = f"from 0 to {len(names) - 1}"
            damage.append(f"{kind}: labels must be {expected}. {_positions(wrong)} are not.")
        floats = part.x if part.dtype.kind == "f" else ()
        wrong = np.flatnonzero([not np.isfinite(image).all() for image in floats])
        if len(wrong):
            damage.append(f"{kind}: images must be finite. {_positions(wrong)} are not.")
        if not len(part):
            damage.append(f"{kind}: there is no image.")
    return Looked(images.name, parts, names, damage)


def _positions(wrong: NDArray[np.int64]) -> str:
    listed = ", ".join(map(str, wrong[:SHOWN].tolist()))
    more = f" and {len(wrong) - SHOWN:,} more" if len(wrong) > SHOWN else ""
    return f"Those at {listed}{more}"


def measure_floats(images: Any) -> Statistics:
    """The statistics of a Dataset of float32 images."""
    moments = statistics.of_colours(images, "data stats")
    names = list(images.class_names)
    counts = np.bincount(images.labels, minlength=len(names)).tolist()
    return Statistics(len(images), moments.mean, np.sqrt(moments.variance), counts, names)


def of_floats(statistics: Statistics) -> str:
    """The statistics in words; `Statistics` itself tells those of bytes."""
    described = statistics.described()
    lines = [f"{statistics.images:,} images of float32. Values by channel:"]
    for kind in ("mean", "deviation"):
        lines.append(f"  {kind:<9}  " + "  ".join(f"{value:8.4g}" for value in described[kind]))
    rows = [[f"  {entry['name']}", f"{entry['images']:,}"] for entry in described["classes"]]
    lines += columns.table(rows)
    return "\n".join(lines)
