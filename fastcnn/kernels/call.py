"""Calls of kernels, before memory is planned: which kernel, on which regions, with which numbers.

A program op becomes calls here, on the host, once per model. The engine then gives regions their
places and packs the calls into the table that it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

# How often a call runs.
IMAGE = "image"  # once an image
BLOCK = "block"  # once a block of images, which lie side by side
CHUNK = "chunk"  # once before the images of a chunk
BATCH = "batch"  # in `parts`, with the whole batch at hand

# Whose memory a region is.
LOCAL = "local"  # one array per image, or for a block of images, placed by the planner
GLOBAL = "global"  # one array
PARTIAL = "partial"  # one array per chunk of images, summed in order afterwards
# Everything else is the name of an outside array: values, gradients, moving, x, target, weight, ...

ALIGNMENT = 64
MOST_IN_BLOCK = 8  # images that a thread takes through a block-wise call together
LEAST_BLOCKS = 4  # of a batch of as many images


def aligned(size: int) -> int:
    """Round a number of bytes up to whole cache lines."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def images_in_block(images: int, most: int = MOST_IN_BLOCK) -> int:
    """Return the images of each block of a batch: few go in smaller blocks, so that several threads
    find work."""
    return min(most, max(1, images // LEAST_BLOCKS))


def odd_lines(size: int) -> int:
    """Round a number of bytes up to an odd number of cache lines: what lies so far apart is in
    other sets of a cache than what lies a power of two apart."""
    lines = -(-size // ALIGNMENT)
    return ALIGNMENT * (lines + 1 - lines % 2)


class DeviceKernel(Protocol):
    """What a call knows of its kernel, on either device."""

    name: str

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the numbers and addresses that a call gives."""


@dataclass(eq=False)
class Region:
    """A piece of memory that calls read and write."""

    bytes: int
    kind: str = LOCAL
    offset: int = 0  # in its outside array, in bytes
    per_image: bool = True
    kept: bool = False  # read by the host after the run
    label: str = ""

    @property
    def stride(self) -> int:
        """Bytes from one image to the next."""
        return self.bytes if self.kind not in (LOCAL, GLOBAL, PARTIAL) else aligned(self.bytes)


@dataclass(frozen=True)
class Address:
    """An address within a region."""

    region: Region
    offset: int = 0


@dataclass(frozen=True)
class HostArray:
    """A region as a function on the host sees it: [images, *shape] where it has an array for each
    image, else [*shape]; to be read, or `written` as a whole."""

    region: Region
    shape: tuple[int, ...]
    dtype: str = "float32"
    written: bool = False


@dataclass(frozen=True)
class LayerOperands:
    """What a convolution or a dense layer reads and writes: y = relu(scale * (x * kernel) + bias).

    `scale` and `bias` have a number for each filter or unit, and are None where they are not there.
    """

    x: Region
    kernel: Region
    y: Region
    bias: Region | None = None
    scale: Region | None = None
    relu: bool = False

    @property
    def places(self) -> dict[str, Region | None]:
        """The regions by the names that kernels give them."""
        return {
            "x": self.x,
            "kernel": self.kernel,
            "scale": self.scale,
            "bias": self.bias,
            "y": self.y,
        }


@dataclass(eq=False)
class Call:
    """One call of a kernel: its regions and its numbers, by the names of the kernel's fields."""

    kernel: DeviceKernel
    scope: str
    places: dict[str, Address]
    values: dict[str, int | float]
    writes: tuple[str, ...]
    parts: int = 1
    label: str = ""
    after: tuple[Region, ...] = ()  # further regions that must be complete
    # Where ranks share a batch and sum gradients themselves, each makes a call for its own images,
    # unless it is of the `whole` batch. `apart` is one that is made so in any case.
    whole: bool = False
    apart: bool = False

    @cached_property
    def reads(self) -> tuple[Region, ...]:
        """The regions that must be complete before the call."""
        read = [place.region for name, place in self.places.items() if name not in self.writes]
        return (*read, *self.after)

    @cached_property
    def written(self) -> tuple[Region, ...]:
        """The regions that the call fills or changes."""
        return tuple(self.places[name].region for name in self.writes)


@dataclass
class Calls:
    """A list of calls under construction, with the shorthand to extend it.

    `images` is how many images will run at once, at most; `precision` is "float32" or "tf32".
    """

    images: int = 1
    precision: str = "float32"
    emitted: list[Call] = field(default_factory=list)
    label: str = ""

    def emit(
        self,
        kernel: DeviceKernel,
        scope: str,
        writes: str | tuple[str, ...],
        places: Mapping[str, Region | Address | None],
        parts: int = 1,
        **values: float,
    ) -> Call:
        """Append a call and return it.

        Args:
            kernel: The device's kernel.
            scope: How often it runs: IMAGE, BLOCK, CHUNK or BATCH.
            writes: The array fields that it fills or changes.
            places: Regions by the kernel's array fields; None is an array that is not there.
            parts: Into how many parts a call for the whole batch is divided.
            **values: The kernel's numbers, by its fields.
        """
        writes = (writes,) if isinstance(writes, str) else writes
        addresses = {
            name: place if isinstance(place, Address) else Address(place)
            for name, place in places.items()
            if place is not None
        }
        if "parts" in kernel.fields:
            values["parts"] = parts
        values = {
            name: value if isinstance(value, float) else int(value)
            for name, value in values.items()
        }
        call = Call(kernel, scope, addresses, values, writes, parts, self.label)
        self.emitted.append(call)
        return call
