"""A decoded picture as grey, RGB or RGBA with 8 bits, upright and of the wanted size."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

WHITE = (255, 255, 255, 255)
SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
WITH_ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")
ORIENTATION = 0x0112
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0
FEW_BITS = {"L;2": 85, "L;4": 17}
"""Grey of 2 or 4 bits, as Pillow calls it in a PNG, and by what it multiplies the pixels."""

STRIP = 1 << 20
"""Pixels of a large picture that are converted at a time, unless one row of blocks has more."""

REFUSED = {
    "F": "its values are floats, and only 8 or 16 bits a channel are read",
    "I": "its values have 32 bits, and only 8 or 16 bits a channel are read",
    "LAB": "its colours are in the LAB space, which is not converted",
}


def conversion(image: Image, mode: str) -> Callable[[Image], Image]:
    """Return what makes another mode of a picture, or of a part of it.

    Args:
        image: The picture.
        mode: "L", "RGB" or "RGBA".

    Raises:
        ValueError: Its values have no known range.
    """
    # Older versions of Pillow give the 16 bits of a PNG so.
    wide = image.mode in SIXTEEN_BITS or (image.mode == "I" and image.format == "PNG")
    if image.mode in REFUSED and not wide:
        raise ValueError(REFUSED[image.mode])
    # Of 8 bits and fewer, Pillow turns white and black itself.
    tags = getattr(image, "tag_v2", {}) if wide else {}
    negative = tags.get(PHOTOMETRIC) == WHITE_IS_ZERO

    def converted(part: Image) -> Image:
        return _converted(_eight_bits(part, negative) if wide else part, mode)

    return converted


def scale_transparency(image: ImageFile) -> None:
    """Make the transparent colour of a PNG that is not loaded one of 8 bits, as Pillow makes the
    pixels.

    Of grey with 16 bits, both stay as they are.

    Args:
        image: The picture.
    """
    colour: Any = image.info.get("transparency")
    stored = image.tile[0][3] if image.tile and colour is not None else None
    if stored in FEW_BITS:
        image.info["transparency"] = colour * FEW_BITS[stored]
    elif stored == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in colour)


def _converted(image: Image, mode: str) -> Image:
    if mode == "RGBA":
        return image.convert("RGB" if image.mode == "CMYK" else "RGBA").convert("RGBA")
    if image.mode in WITH_ALPHA or "transparency" in image.info:
        image = _over_white(image)
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(image: Image, negative: bool) -> Image:
    """A grey picture of 16 bits, 65535 for white, with 255 for white; or 0 for white in both. With
    alpha, where one of the values is transparent.
    """
    from PIL import Image as images

    values = np.asarray(image, np.uint32)
    grey = ((values + 128) // 257).astype(np.uint8)
    converted = images.fromarray(~grey if negative else grey)
    if "transparency" in image.info:
        seen = values != image.info["transparency"]
        converted.putalpha(images.fromarray(255 * seen.astype(np.uint8)))
    return converted


def _over_white(image: Image) -> Image:
    from PIL import Image as images

    layer = image.convert("RGBA")
    return images.alpha_composite(images.new("RGBA", layer.size, WHITE), layer).convert("RGB")


def reduced(
    image: Image, convert: Callable[[Image], Image], mode: str, factors: tuple[int, int]
) -> Image:
    """Return the picture converted to a mode and averaged over blocks of pixels, some rows at a
    time.

    So a large one is not held as a whole in another mode too.

    Args:
        image: The picture.
        convert: What makes the mode of a part.
        mode: "L", "RGB" or "RGBA".
        factors: Width and height of a block.
    """
    from PIL import Image as images

    (width, height), (across, down) = image.size, factors
    out = images.new(mode, (-(-width // across), -(-height // down)))
    rows = down * max(1, STRIP // (width * down))
    for top in range(0, height, rows):
        strip = convert(image.crop((0, top, width, min(top + rows, height))))
        out.paste(strip.reduce(factors), (0, top // down))
    return out


def orientation(image: Image) -> int:
    """Return the orientation as EXIF counts it, 1 to 8; none, or a damaged one, means 1, upright.

    Args:
        image: A picture that is loaded, or a JPEG, which Pillow does not load for this.
    """
    # Pillow itself turns TIFF pictures, as it loads them.
    if image.format == "TIFF" or (image.format == "JPEG" and "exif" not in image.info):
        return 1
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:
        # Metadata that cannot be parsed is no reason to lose the picture.
        return 1
    return value if value in range(1, 9) else 1


def turned(image: Image, turn: int) -> Image:
    """Return the picture upright.

    Args:
        image: The picture.
        turn: Its orientation, 1 to 8.
    """
    from PIL.Image import Transpose

    ways = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(ways[turn]) if turn in ways else image


def centred(size: tuple[int, int], target: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the largest centred box of a picture that has the target's proportions.

    Args:
        size: Width and height of the picture.
        target: Width and height of the target.

    Returns:
        The left, upper, right and lower edge, in pixels.
    """
    scale = min(size[0] / target[0], size[1] / target[1])
    # A product may be larger than its own quotient: Pillow refuses boxes beyond the picture.
    width, height = min(scale * target[0], size[0]), min(scale * target[1], size[1])
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return left, top, min(left + width, size[0]), min(top + height, size[1])


def padded(image: Image, width: int, height: int) -> Image:
    """Return the picture in the middle of a black (for RGBA transparent) canvas.

    Args:
        image: The picture.
        width: Of the canvas.
        height: Of the canvas.
    """
    from PIL import Image as images

    canvas = images.new(image.mode, (width, height))
    canvas.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
    return canvas
