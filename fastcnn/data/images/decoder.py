"""Decoding image files with Pillow: recognised by content, converted on purpose, resized.

JPEG, PNG, BMP, GIF, WebP (of an animation, the first frame) and TIFF (the first page) become
uint8 [height, width, channels]. What is done to colours:

- transparency (an alpha channel, a transparent colour) is laid over white, unless color_mode is
  "rgba";
- palettes are looked up; bilevel pictures become black 0 and white 255;
- CMYK becomes RGB as (255 - ink) * (255 - black) / 255; a colour profile in the file is not used;
- 16-bit grey is scaled by 255 / 65535 and rounded, of 16-bit colours Pillow keeps the upper byte,
  by which a transparent one is told; 32-bit integers, floats and LAB are refused;
- colour becomes grey by ITU-R 601: 0.299 R + 0.587 G + 0.114 B.

The picture is turned and mirrored as its EXIF orientation says.

A picture takes up to 6 bytes a pixel while it is decoded, as WebP 16: 0.6 or 1.6 GB for the largest
that are. All threads together take at most a quarter of the free memory, or one picture.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from fastcnn.data.images import color_conversion, file_format, memory_budget
from fastcnn.data.images.file_format import Tell, Unreadable
from fastcnn.utils import naming

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

Pixels = npt.NDArray[np.uint8]

COLOR_MODES = {"rgb": "RGB", "grayscale": "L", "rgba": "RGBA"}
RESIZE_MODES = ("stretch", "crop", "pad")
INTERPOLATIONS = ("bilinear", "nearest", "box", "hamming", "bicubic", "lanczos")
MAX_PIXELS = 100_000_000
"""A larger picture is refused before it is decoded."""

PIXEL = {"WEBP": 16}
"""Bytes that a pixel takes at most while it is decoded; of other formats, 6."""

GAP = 2.0
"""The JPEG decoder and box averages may reduce a picture to this many times the wanted size; the
last step is a full interpolation, which hides the difference."""

LARGE = 1 << 23
"""A picture of so many pixels is reduced while it is converted, not after that: memory holds it
once."""


@dataclass(frozen=True)
class ImageInfo:
    """What a file's header says.

    Args:
        format: By the file's content.
        width: As stored.
        height: As stored.
        mode: Pillow's, as stored.
    """

    format: str
    width: int
    height: int
    mode: str


@dataclass(frozen=True)
class Decoder:
    """Reads a file as uint8 [height, width, channels].

    Args:
        height: Of the result, in pixels, at least 1.
        width: Likewise.
        color_mode: "rgb", "grayscale" or "rgba".
        resize: "stretch" ignores the picture's proportions, "crop" keeps the largest centred part
            of the wanted proportions, "pad" keeps all and fills the borders with black (transparent
            for "rgba").
        interpolation: A filter of Pillow's, such as "bilinear", which averages where it reduces.
        max_pixels: A picture of more is refused before it is decoded.

    Raises:
        ValueError: A number is no whole one of at least 1, or a name is unknown.
    """

    height: int
    width: int
    color_mode: str = "rgb"
    resize: str = "stretch"
    interpolation: str = "bilinear"
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        for side in (self.height, self.width, self.max_pixels):
            if isinstance(side, bool) or not isinstance(side, int | np.integer) or side < 1:
                raise ValueError(
                    "image_size (height, width) and max_pixels must be whole numbers of at least "
                    f"1. Received {(self.height, self.width)} and {self.max_pixels}."
                )
        for kind, value, choices in (
            ("color_mode", self.color_mode, COLOR_MODES),
            ("resize mode", self.resize, RESIZE_MODES),
            ("interpolation", self.interpolation, INTERPOLATIONS),
        ):
            if not isinstance(value, str) or value not in choices:
                raise ValueError(naming.unknown(kind, str(value), choices))

    @property
    def shape(self) -> tuple[int, int, int]:
        """The (height, width, channels) of what is decoded."""
        return self.height, self.width, len(COLOR_MODES[self.color_mode])

    def __call__(self, path: str, tell: Tell | None = None) -> Pixels:
        """The image; Unreadable says why a file is none. tell: called with what is wrong about a
        file that costs the image nothing, such as damaged EXIF data.
        """
        return file_format.read(path, self._decode, tell)

    def decode_bytes(self, content: bytes, name: str) -> Pixels:
        """Return the image of a file that is in memory.

        Args:
            content: The whole file.
            name: What it is called, for errors.

        Raises:
            Unreadable: It is no picture, or a damaged or too large one.
        """
        with file_format.translated(name):
            return self._decode(name, io.BytesIO(content))

    def decode_picture(self, picture: Image, name: str) -> Pixels:
        """Return the image of a picture of Pillow's, which is loaded if it was not.

        A JPEG is not reduced while it is decoded, so that single values may differ by a little
        from those of its file.

        Args:
            picture: The picture.
            name: What it is called, for errors.

        Raises:
            Unreadable: It is damaged, too large, or its colours are refused.
        """
        with file_format.translated(name):
            file_format.check_size(name, picture.size, self.max_pixels)
            if picture.format == "PNG" and getattr(picture, "tile", None):
                color_conversion.scale_transparency(cast("ImageFile", picture))
            picture.load()
            turn = color_conversion.orientation(picture)
            return self._finished(self._fitted(name, picture, turn), turn)

    def inspect(self, path: str, tell: Tell | None = None) -> ImageInfo:
        """Return what a file's header says, without decoding.

        Args:
            path: The file.
            tell: Called with what is wrong about it and costs the picture nothing, or None.

        Raises:
            Unreadable: It is no picture, or one that would not be decoded.
        """
        return file_format.read(path, self._inspect, tell)

    def get_config(self) -> dict[str, object]:
        """Return what makes another one like it, as JSON can hold it.

        But for `max_pixels`, which guards the computer that decodes and is its own affair.
        """
        return {
            "height": int(self.height),
            "width": int(self.width),
            "color_mode": self.color_mode,
            "resize": self.resize,
            "interpolation": self.interpolation,
        }

    @classmethod
    def from_config(cls, config: object) -> Decoder:
        """Return the decoder that `get_config` described.

        Args:
            config: What `get_config` returned.

        Raises:
            ValueError: It is no such description, or one of pictures that would not be decoded
                themselves.
        """
        names = list(cls(1, 1).get_config())
        if not isinstance(config, dict) or set(config) != set(names):
            raise ValueError(f"A decoder is described by {', '.join(names)}. Received {config!r}.")
        decoder = cls(**config)
        if decoder.height * decoder.width > MAX_PIXELS:
            raise ValueError(
                f"A decoder makes pictures of at most {MAX_PIXELS:,} pixels. "
                f"Received {decoder.height} x {decoder.width}."
            )
        return decoder

    def _inspect(self, path: str, file: BinaryIO) -> ImageInfo:
        image = file_format.opened(path, file, self.max_pixels)
        return ImageInfo(str(image.format), *image.size, image.mode)

    def _decode(self, path: str, file: BinaryIO) -> Pixels:
        image = file_format.opened(path, file, self.max_pixels)
        stored = math.prod(image.size)
        if image.format == "JPEG":
            turn = color_conversion.orientation(image)
            self._draft(image, self._target(turn))
        elif image.format == "PNG":
            color_conversion.scale_transparency(image)
        # The coefficients of a progressive JPEG are held for all of its pixels.
        pixels = stored if "progressive" in image.info else math.prod(image.size)
        with memory_budget.decoding().reserved(PIXEL.get(str(image.format), 6) * pixels):
            image.load()
            if image.format != "JPEG":
                # Only now: to look for it, Pillow would load a PNG.
                turn = color_conversion.orientation(image)
            resized = self._fitted(path, image, turn)
            del image  # before others may take the memory
        return self._finished(resized, turn)

    def _fitted(self, name: str, image: Image, turn: int) -> Image:
        """A loaded picture, resized as it lies; Unreadable where its colours are refused."""
        try:
            return self._resized(image, self._target(turn))
        except ValueError as error:
            raise Unreadable(name, str(error)) from error

    def _finished(self, resized: Image, turn: int) -> Pixels:
        """The pixels, upright and padded."""
        upright = color_conversion.turned(resized, turn)
        if upright.size != (self.width, self.height):
            upright = color_conversion.padded(upright, self.width, self.height)
        return np.asarray(upright).reshape(self.shape)

    def _target(self, turn: int) -> tuple[int, int]:
        """The wanted (width, height) of a picture that lies as its orientation, 1 to 8, says."""
        return (self.width, self.height) if turn < 5 else (self.height, self.width)

    def _draft(self, image: ImageFile, target: tuple[int, int]) -> None:
        """Let the JPEG decoder leave out what the resizing would average away."""
        width, height = self._inner(image.size, target)
        wanted = (int(GAP * width), int(GAP * height))
        smaller = wanted[0] <= image.size[0] and wanted[1] <= image.size[1]
        size = wanted if smaller and self.interpolation != "nearest" else image.size
        image.draft("L" if self.color_mode == "grayscale" else None, size)

    def _inner(self, size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
        """The size of what is resized; smaller than the target where the picture is padded."""
        if self.resize != "pad":
            return target
        scale = min(target[0] / size[0], target[1] / size[1])
        return max(1, round(scale * size[0])), max(1, round(scale * size[1]))

    def _resized(self, image: Image, target: tuple[int, int]) -> Image:
        """The picture in the wanted mode, as large as it is to be before it is padded; ValueError
        where its colours are refused.
        """
        from PIL.Image import Resampling

        mode = COLOR_MODES[self.color_mode]
        convert = color_conversion.conversion(image, mode)
        inner = self._inner(image.size, target)
        if inner == image.size:
            return convert(image)
        kind = Resampling[self.interpolation.upper()]
        whole = image.size if self.resize != "crop" else target
        box = color_conversion.centred(image.size, whole)
        if kind == Resampling.NEAREST:
            return convert(image.resize(inner, kind, box=box))
        if math.prod(image.size) < LARGE:
            return convert(image).resize(inner, kind, box=box, reducing_gap=GAP)
        factors = (_factor(box[2] - box[0], inner[0]), _factor(box[3] - box[1], inner[1]))
        small = color_conversion.reduced(image, convert, mode, factors)
        (across, down), (left, top, right, bottom) = factors, box
        return small.resize(
            inner, kind, box=(left / across, top / down, right / across, bottom / down)
        )


def _factor(stored: float, wanted: int) -> int:
    """How many pixels one is averaged of, so that GAP times the wanted ones are left at least."""
    return int(stored / wanted / GAP) or 1
