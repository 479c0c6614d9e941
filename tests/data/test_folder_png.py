"""PNG files: what Pillow would let pass of damaged ones, and transparent colours of all depths."""

from __future__ import annotations

import json
import struct
import warnings
import zlib

import numpy as np
import photos
import pytest
from PIL import Image, PngImagePlugin

from fastcnn.cli import main
from fastcnn.data import Decoder, Unreadable
from fastcnn.data.images import memory_budget


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(pixels, depth, colour, *before, behind=b""):
    """A PNG file of rows of bytes; before, behind: chunks around the pixels."""
    channels = {0: 1, 2: 3}[colour]
    height, width = len(pixels), len(pixels[0]) * 8 // (depth * channels)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in pixels)))
    parts = (header, *before, data, behind, chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def decode(tmp_path, content, height, width, **settings):
    return Decoder(height, width, **settings)(str(photos.write(tmp_path / "a.png", content)))


def broken():
    """Files that Pillow refuses the first time that it loads them, and not the second time."""
    content = photos.encoded(photos.colours(120, 120) // 8 * 8)
    flipped = bytearray(content)
    flipped[len(content) // 4] ^= 0x55
    return {
        "flipped": bytes(flipped),
        "cut": content[: len(content) // 2],
        "without most rows": png([bytes(300)] * 3, 8, 2).replace(
            struct.pack(">II", 100, 3), struct.pack(">II", 100, 100)
        ),
    }


@pytest.mark.parametrize("case", broken())
def test_damaged_pixels_are_refused(tmp_path, case):
    path = photos.write(tmp_path / "a.png", broken()[case])
    with pytest.raises((OSError, SyntaxError)), Image.open(path) as image:
        image.load()
    with pytest.raises(Unreadable, match=r"cut short|damaged"):
        Decoder(32, 32)(str(path))


def test_check_names_damaged_files(tmp_path, capsys):
    root = photos.photo_folder(tmp_path / "photos")
    for case, content in broken().items():
        photos.write(root / "cat" / f"{case}.png", content)
    assert main(["data", "check", str(root), "--json"]) == 1
    skipped = json.loads(capsys.readouterr().out)["skipped"]
    assert [one["path"] for one in skipped] == sorted(f"cat/{case}.png" for case in broken())


def test_pixels_are_decoded_within_the_budget_and_once(tmp_path, monkeypatch):
    taken, loads = memory_budget.Budget(1), []
    monkeypatch.setattr(memory_budget, "decoding", lambda: taken)
    load_end = PngImagePlugin.PngImageFile.load_end

    def counted(self):
        loads.append(taken._reserved)
        load_end(self)

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load_end", counted)
    decode(tmp_path, photos.encoded(photos.colours(40, 30)), 8, 8)
    assert loads == [6 * 40 * 30]


def test_an_orientation_behind_the_pixels_counts(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = photos.colours(4, 6)
    behind = chunk(b"eXIf", exif.tobytes()[6:])
    content = png([row.tobytes() for row in pixels], 8, 2, behind=behind)
    np.testing.assert_array_equal(decode(tmp_path, content, 6, 4), np.rot90(pixels, -1))


def test_damaged_metadata_cost_nothing(tmp_path):
    pixels = photos.colours(4, 6)
    rows = [row.tobytes() for row in pixels]
    for exif in (b"no metadata", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff\x12\x01"):
        content = png(rows, 8, 2, behind=chunk(b"eXIf", exif))
        with warnings.catch_warnings():
            np.testing.assert_array_equal(decode(tmp_path, content, 4, 6), pixels)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_transparent_grey_is_laid_over_white(tmp_path, depth):
    # Eight pixels: the transparent value, those next to it, black and white.
    most = 2**depth - 1
    clear = {1: 1, 2: 1, 4: 9, 8: 200, 16: 0x8001}[depth]
    values = np.array([clear, clear - 1, min(clear + 1, most), 0, most, clear, 0, most])
    if depth == 16:
        row = values.astype(">u2").tobytes()
    else:
        bits = (values[:, None] >> np.arange(depth)[::-1]) & 1
        row = np.packbits(bits.astype(np.uint8)).tobytes()
    content = png([row] * 2, depth, 0, chunk(b"tRNS", struct.pack(">H", clear)))
    levels = np.rint(values * (255 / most)).astype(int)
    found = decode(tmp_path, content, 2, 8, color_mode="grayscale")
    expected = np.where(values == clear, 255, levels)
    np.testing.assert_array_equal(found[..., 0], [expected] * 2)
    found = decode(tmp_path, content, 2, 8, color_mode="rgba")
    np.testing.assert_array_equal(found[0, :, 3], np.where(values == clear, 0, 255))
    np.testing.assert_array_equal(found[0, :, :3], np.repeat(levels[:, None], 3, axis=1))


@pytest.mark.parametrize("depth", [8, 16])
def test_a_transparent_colour_is_laid_over_white(tmp_path, depth):
    # Of 16 bits the upper byte is kept, and tells colours apart.
    pixels = np.array([[(7, 8, 9), (8, 8, 9), (7, 8, 8), (0, 0, 0), (255, 255, 255)]])
    stored = pixels[0] if depth == 8 else pixels[0] * 256 + 49
    clear = chunk(b"tRNS", struct.pack(">HHH", *stored[0]))
    content = png([stored.astype(f">u{depth // 8}").tobytes()], depth, 2, clear)
    found = decode(tmp_path, content, 1, 5)
    expected = pixels.copy()
    expected[0, 0] = 255
    np.testing.assert_array_equal(found, expected)
