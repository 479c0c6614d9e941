"""Image files recognised by their content, whatever their names, and why others are none."""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from fastcnn.data.images import pillow_warnings
from fastcnn.utils.naming import shown

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

SIGNATURES = (
    ("JPEG", b"\xff\xd8\xff"),
    ("PNG", b"\x89PNG\r\n\x1a\n"),
    ("BMP", b"BM"),
    ("GIF", b"GIF87a"),
    ("GIF", b"GIF89a"),
    ("TIFF", b"II*\0"),
    ("TIFF", b"MM\0*"),
    ("TIFF", b"II+\0"),
    ("TIFF", b"MM\0+"),
)

SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors of opening and reading that say nothing about the file: it may be read a moment later."""

Result = TypeVar("Result")
Tell = Callable[[str], None]


class Unreadable(ValueError):
    """A file that cannot be used as an image.

    Args:
        path: The file.
        reason: Completes "... because".
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"'{shown(path)}' cannot be read as an image: {reason}.")
        self.path, self.reason = path, reason


def read(path: str, how: Callable[[str, BinaryIO], Result], tell: Tell | None = None) -> Result:
    """Open a file and return what is read of it.

    Args:
        path: The file.
        how: Called with the path and the open file.
        tell: Called with what Pillow warns of, where that costs the picture nothing, or None.

    Raises:
        Unreadable: The file cannot be read.
        OSError: The system is short of something, which is no fault of the file.
        MemoryError: As OSError.
    """
    with translated(path, tell), open(path, "rb") as file:
        return how(path, file)


@contextmanager
def translated(name: str, tell: Tell | None = None) -> Iterator[None]:
    """Make one sentence of whatever Pillow raises in the block, and of what it warns of.

    Args:
        name: What the picture is called.
        tell: As in `read`.

    Raises:
        Unreadable: As `read`, and so the others.
    """
    with pillow_warnings.PillowWarnings() as heard:
        try:
            yield
        except Exception as error:
            raise _translated(name, error) from error
    if tell is not None and heard:
        tell("; ".join(dict.fromkeys(heard)))


def opened(path: str, file: BinaryIO, max_pixels: int) -> ImageFile:
    """Return a file as Pillow's image, of which only the header is read.

    Args:
        path: The file.
        file: The same, open.
        max_pixels: Pixels above which it is refused.

    Raises:
        Unreadable: It is no picture, or one of more pixels.
    """
    start = file.read(16)
    kind = format_of(start)
    if kind is None:
        raise Unreadable(path, _what_it_is(file))
    file.seek(0)
    try:
        image: ImageFile = _plugin(kind)(file)
    except Exception as error:
        if is_shortage(error):
            raise
        reason = _cut(kind, start, file) or f"its {kind} header is damaged ({_plain(error)})"
        raise Unreadable(path, reason) from error
    check_size(path, image.size, max_pixels)
    return image


def check_size(name: str, size: tuple[int, int], max_pixels: int) -> None:
    """Refuse a picture that is too large.

    Args:
        name: What it is called.
        size: Its width and height.
        max_pixels: Pixels above which it is refused.

    Raises:
        Unreadable: It has more.
    """
    width, height = size
    if width * height > max_pixels:
        raise Unreadable(
            name, f"it has {width} x {height} pixels, and at most {max_pixels:,} are decoded"
        )


def is_shortage(error: Exception) -> bool:
    """Say whether the system had too little of something, whatever the file.

    Args:
        error: What was raised.
    """
    return isinstance(error, MemoryError) or getattr(error, "errno", None) in SHORTAGES


def _translated(path: str, error: Exception) -> Exception:
    """The same failure as a sentence; Pillow raises exceptions of every kind at damage."""
    if isinstance(error, MemoryError):
        return MemoryError(f"There is not enough memory now to decode '{path}'.")
    if isinstance(error, OSError) and is_shortage(error):
        return OSError(error.errno, f"This cannot be read now: {error.strerror}", path)
    return error if isinstance(error, Unreadable) else Unreadable(path, _reason(error))


def _cut(kind: str, start: bytes, file: BinaryIO) -> str | None:
    """Whether a file is shorter than it says, in words. A WebP file is opened as a whole, and its
    decoder does not say what is wrong.
    """
    declared = 8 + int.from_bytes(start[4:8], "little") if kind == "WEBP" else 0
    there = file.seek(0, os.SEEK_END)
    if there >= declared:
        return None
    return f"it is cut short ({there:,} of {declared:,} bytes are there)"


def format_of(start: bytes) -> str | None:
    """Return the format of a file, None where it is none of those that are read.

    Args:
        start: Its first 16 bytes.
    """
    for kind, sign in SIGNATURES:
        if start.startswith(sign):
            return kind
    return "WEBP" if start[:4] == b"RIFF" and start[8:12] == b"WEBP" else None


@functools.cache
def _plugin(kind: str) -> type[ImageFile]:
    """Pillow's class for a format. Image.open would try others, and has a limit of its own."""
    from PIL import (
        BmpImagePlugin,
        GifImagePlugin,
        JpegImagePlugin,
        PngImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    return {
        "JPEG": JpegImagePlugin.JpegImageFile,
        "PNG": PngImagePlugin.PngImageFile,
        "BMP": BmpImagePlugin.BmpImageFile,
        "GIF": GifImagePlugin.GifImageFile,
        "WEBP": WebPImagePlugin.WebPImageFile,
        "TIFF": TiffImagePlugin.TiffImageFile,
    }[kind]


def _what_it_is(file: BinaryIO) -> str:
    file.seek(0)
    start = file.read(512)
    if not start:
        return "it is empty (zero bytes)"
    if not start.strip(b"\0"):
        return "it begins with zeros, as a file does that was never written out"
    if not set(start) & (set(range(32)) - set(b"\t\n\f\r\x1b")):
        return "it is text"
    return "its content is of no known image format (JPEG, PNG, BMP, GIF, WebP, TIFF)"


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "it is not there, or no longer"
    if isinstance(error, OSError) and error.strerror:
        return f"it cannot be opened ({error.strerror})"
    if isinstance(error, EOFError) or "truncated" in str(error).lower():
        return f"it is cut short ({_plain(error)})"
    return f"its data is damaged ({_plain(error)})"


def _plain(error: Exception) -> str:
    """A foreign message on one line, without the file object that it may show."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if "<_io" not in text else type(error).__name__
