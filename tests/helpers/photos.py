"""Image files for tests, made by Pillow."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")


def colours(height=6, width=8, seed=0):
    """Random colours uint8 [height, width, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def smooth(height=120, width=160, seed=0):
    """A picture of soft shapes, which JPEG keeps well."""
    rough = Image.fromarray(colours(4, 5, seed))
    return np.asarray(rough.resize((width, height), Image.Resampling.BICUBIC))


def encoded(pixels, kind="PNG", **options):
    """An image file's bytes; pixels: an array or a Pillow image."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    stream = io.BytesIO()
    if kind == "WEBP":
        options.setdefault("lossless", True)
    image.save(stream, kind, **options)
    return stream.getvalue()


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def bomb(kind):
    """A small file of 30000 x 30000 pixels."""
    if kind == "PNG":

        def chunk(name, data):
            body = name + data
            return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

        header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
        rows = zlib.compress(bytes(1 << 20))
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows)
    content = bytearray(encoded(colours(), kind))
    if kind == "GIF":
        content[6:10] = b"\x30\x75\x30\x75"
    elif kind == "BMP":
        content[18:26] = b"\x30\x75\0\0\x30\x75\0\0"
    else:
        start = content.index(b"\xff\xc0")
        content[start + 5 : start + 9] = b"\x75\x30\x75\x30"
    return bytes(content)


def photo_folder(root, classes=("cat", "dog"), count=6, height=20, width=24):
    """A folder with `count` small PNG files a class; returns its path."""
    for label, name in enumerate(classes):
        for number in range(count):
            pixels = colours(height, width, seed=100 * label + number)
            write(root / name / f"{number:02d}.png", encoded(pixels))
    return root


def tiff(values, white_is_zero=False):
    """A TIFF file of one channel, little-endian, uint8 or uint16 [height, width]."""
    height, width = values.shape
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    tags = (
        *((256, 3, width), (257, 3, height), (258, 3, 8 * values.itemsize), (259, 3, 1)),
        *((262, 3, 0 if white_is_zero else 1), (273, 4, 8), (277, 3, 1), (278, 3, height)),
        (279, 4, len(data)),
    )
    content = b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(tags))
    for tag, kind, value in tags:
        content += struct.pack("<HHII", tag, kind, 1, value)
    return content + bytes(4)
