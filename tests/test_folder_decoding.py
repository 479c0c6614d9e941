"""Decoding: formats by content, colours converted on purpose, turned, resized; or refused."""

from __future__ import annotations

import io

import numpy as np
import photos
import pytest
from PIL import Image

from fastcnn.data.decoding import Decoder
from fastcnn.data.recognition import Unreadable


def decode(tmp_path, content, name="picture", **settings):
    settings = {"height": 6, "width": 8, **settings}
    return Decoder(**settings)(str(photos.write(tmp_path / name, content)))


@pytest.mark.parametrize("kind", photos.FORMATS)
@pytest.mark.parametrize("name", ["picture.jpg", "picture.png", "picture", "picture.txt"])
def test_the_content_counts_and_not_the_name(tmp_path, kind, name):
    pixels = photos.smooth()
    if kind == "GIF":
        pixels = np.asarray(Image.fromarray(pixels).quantize(16).convert("RGB"))
    found = decode(tmp_path, photos.encoded(pixels, kind), name, height=120, width=160)
    assert found.shape == (120, 160, 3)
    assert found.dtype == np.uint8
    if kind == "JPEG":
        # Quality 75 of a smooth picture: a few grey levels.
        assert np.abs(found.astype(int) - pixels).mean() < 3
    else:
        np.testing.assert_array_equal(found, pixels)


def test_of_an_animation_the_first_frame(tmp_path):
    first, second = (Image.fromarray(photos.colours(seed=k)).quantize(64) for k in (1, 2))
    content = photos.encoded(first, "GIF", save_all=True, append_images=[second])
    np.testing.assert_array_equal(decode(tmp_path, content), np.asarray(first.convert("RGB")))
    frames = [Image.fromarray(photos.colours(seed=k)) for k in (1, 2)]
    content = photos.encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode(tmp_path, content), np.asarray(frames[0]))


TURNS = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(x, 2).transpose(1, 0, 2),
    8: lambda x: np.rot90(x),
}


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(tmp_path, kind, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    pixels = photos.smooth(48, 64)
    upright = TURNS[turn](pixels)
    content = photos.encoded(pixels, kind, exif=exif)
    height, width = upright.shape[:2]
    found = decode(tmp_path, content, height=height, width=width)
    assert np.abs(found.astype(int) - upright).mean() < (3 if kind == "JPEG" else 1e-9)
    # Reduced on the way, in all three modes: as the upright picture would be.
    for resize in ("stretch", "crop", "pad"):
        settings = {"height": 12, "width": 10, "resize": resize}
        turned = decode(tmp_path, content, **settings)
        straight = decode(tmp_path, photos.encoded(upright), **settings)
        assert np.abs(turned.astype(int) - straight).mean() < 4


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow's own
def test_damaged_exif_does_not_lose_the_picture(tmp_path):
    pixels = photos.smooth()
    content = photos.encoded(pixels, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decode(tmp_path, content).shape == (6, 8, 3)


def grey(pixels):
    weights = np.array([299, 587, 114])
    return pixels.astype(int) @ weights / 1000


def test_colour_becomes_grey_by_its_luminance(tmp_path):
    pixels = photos.colours()
    found = decode(tmp_path, photos.encoded(pixels), color_mode="grayscale")
    assert found.shape == (6, 8, 1)
    assert np.abs(found[..., 0] - grey(pixels)).max() <= 1
    soft = photos.smooth()
    found = decode(
        tmp_path, photos.encoded(soft, "JPEG"), color_mode="grayscale", height=120, width=160
    )
    assert np.abs(found[..., 0] - grey(soft)).mean() < 2


def test_grey_becomes_three_equal_channels(tmp_path):
    pixels = photos.colours()[..., 0]
    found = decode(tmp_path, photos.encoded(pixels))
    np.testing.assert_array_equal(found, np.repeat(pixels[..., None], 3, axis=2))


def test_bilevel_becomes_black_and_white(tmp_path):
    pixels = photos.colours()[..., 0] > 127
    found = decode(tmp_path, photos.encoded(Image.fromarray(pixels)))
    np.testing.assert_array_equal(found[..., 1], np.where(pixels, 255, 0))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_to_eight(tmp_path, kind):
    values = np.array([[0, 128, 129, 257, 32768, 65535, 65406, 65407]] * 6, np.uint16)
    found = decode(tmp_path, photos.encoded(values, kind), color_mode="grayscale")
    np.testing.assert_array_equal(found[0, :, 0], np.rint(values[0] * (255 / 65535)))


def test_big_endian_sixteen_bits(tmp_path):
    values = (1000 * np.arange(48)).reshape(6, 8).astype(">u2")
    content = photos.encoded(Image.frombytes("I;16B", (8, 6), values.tobytes()), "TIFF")
    found = decode(tmp_path, content, color_mode="grayscale")
    np.testing.assert_array_equal(found[..., 0], np.rint(values * (255 / 65535)))


def test_transparency_is_laid_over_white(tmp_path):
    pixels = np.zeros((6, 8, 4), np.uint8)
    pixels[:, 4:] = (10, 20, 30, 255)
    pixels[0, 0] = (100, 0, 0, 128)
    found = decode(tmp_path, photos.encoded(pixels))
    np.testing.assert_array_equal(found[3, 1], (255, 255, 255))
    np.testing.assert_array_equal(found[3, 5], (10, 20, 30))
    half = 255 + (np.array((100, 0, 0)) - 255) * 128 / 255
    assert np.abs(found[0, 0] - half).max() <= 1
    kept = decode(tmp_path, photos.encoded(pixels), color_mode="rgba")
    np.testing.assert_array_equal(kept, pixels)


def test_a_transparent_palette_entry_and_colour(tmp_path):
    image = Image.fromarray(np.tile(np.arange(8, dtype=np.uint8), (6, 1)), "L").convert("P")
    image.putpalette([value for k in range(256) for value in (k, 2 * k % 256, 7)])
    content = photos.encoded(image, "PNG", transparency=3)
    found = decode(tmp_path, content)
    np.testing.assert_array_equal(found[0, 3], (255, 255, 255))
    np.testing.assert_array_equal(found[0, 4], (4, 8, 7))
    pixels = photos.colours()
    content = photos.encoded(pixels, "PNG", transparency=tuple(pixels[0, 0].tolist()))
    np.testing.assert_array_equal(decode(tmp_path, content)[0, 0], (255, 255, 255))
    assert decode(tmp_path, content, color_mode="rgba")[0, 0, 3] == 0


def test_grey_with_alpha(tmp_path):
    pixels = np.stack([photos.colours()[..., 0], np.full((6, 8), 255, np.uint8)], axis=2)
    pixels[0, 0, 1] = 0
    found = decode(tmp_path, photos.encoded(Image.fromarray(pixels)), color_mode="grayscale")
    assert found[0, 0, 0] == 255
    np.testing.assert_array_equal(found[1:, :, 0], pixels[1:, :, 0])


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_becomes_rgb(tmp_path, kind):
    ink = np.full((6, 8, 4), (255, 0, 64, 51), np.uint8)
    found = decode(tmp_path, photos.encoded(Image.fromarray(ink, "CMYK"), kind, **_best(kind)))
    expected = (255 - ink[0, 0, :3].astype(int)) * (255 - 51) / 255
    assert np.abs(found - expected).max() <= (1 if kind == "TIFF" else 4)
    wide = decode(tmp_path, photos.encoded(Image.fromarray(ink, "CMYK"), "TIFF"), color_mode="rgba")
    assert (wide[..., 3] == 255).all()


def _best(kind):
    return {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}


@pytest.mark.parametrize(
    ("mode", "words"), [("F", "floats"), ("I", "32 bits"), ("LAB", "LAB space")]
)
def test_values_without_a_known_range_are_refused(tmp_path, mode, words):
    content = photos.encoded(Image.new(mode, (8, 6)), "TIFF")
    with pytest.raises(Unreadable, match=words):
        decode(tmp_path, content)


def test_a_picture_of_the_wanted_size_is_kept_bit_for_bit(tmp_path):
    pixels = photos.colours()
    for resize in ("stretch", "crop", "pad"):
        np.testing.assert_array_equal(
            decode(tmp_path, photos.encoded(pixels), resize=resize), pixels
        )


# A wide picture: left quarter red, middle green, right quarter blue.
WIDE = np.zeros((40, 80, 3), np.uint8)
WIDE[:, :20, 0] = WIDE[:, 20:60, 1] = WIDE[:, 60:, 2] = 255


def test_stretch_keeps_everything_and_no_proportions(tmp_path):
    found = decode(tmp_path, photos.encoded(WIDE), height=20, width=20, interpolation="box")
    np.testing.assert_array_equal(found[:, :5], np.full((20, 5, 3), (255, 0, 0)))
    np.testing.assert_array_equal(found[:, 15:], np.full((20, 5, 3), (0, 0, 255)))


def test_crop_keeps_the_middle(tmp_path):
    for size in ((20, 20), (40, 40), (8, 8)):
        settings = {"height": size[0], "width": size[1], "resize": "crop", "interpolation": "box"}
        found = decode(tmp_path, photos.encoded(WIDE), **settings)
        np.testing.assert_array_equal(found, np.full((*size, 3), (0, 255, 0)))


def test_pad_keeps_everything_between_black_bars(tmp_path):
    found = decode(tmp_path, photos.encoded(WIDE), height=20, width=20, resize="pad")
    assert not found[:5].any()
    assert not found[15:].any()
    assert found[5:15].any(axis=2).all()
    tall = decode(tmp_path, photos.encoded(WIDE), height=21, width=4, resize="pad")
    assert tall.any(axis=(1, 2)).sum() == 2
    assert tall[9:11].any()
    clear = decode(
        tmp_path, photos.encoded(WIDE), height=20, width=20, resize="pad", color_mode="rgba"
    )
    assert not clear[0, 0].any()


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_what_the_jpeg_decoder_leaves_out_is_not_missed(tmp_path, resize):
    """Reduced by the decoder, then resized: as the whole picture resized, within a few levels."""
    pixels = photos.smooth(601, 803)
    content = photos.encoded(pixels, "JPEG", quality=95)
    settings = {"height": 40, "width": 64, "resize": resize}
    found = decode(tmp_path, content, **settings)
    whole = np.asarray(Image.open(io.BytesIO(content)))
    expected = decode(tmp_path, photos.encoded(whole), **settings)
    assert np.abs(found.astype(int) - expected).mean() < 1
    assert np.abs(found.astype(int) - expected).max() <= 24


REFUSED = {
    "empty": (b"", r"it is empty \(zero bytes\)"),
    "text": (b"<html>Not found</html>\n", "it is text"),
    "accented": ("Das war’s: kein Bild.".encode(), "it is text"),
    "zeros": (bytes(1000), "begins with zeros"),
    "other": (b"\x7fELF\x02\x01\x01\0" * 9, "no known image format"),
    "program": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is text"),
    "jpeg magic": (b"\xff\xd8\xff\xe0", "JPEG header is damaged"),
    "png magic": (b"\x89PNG\r\n\x1a\n", "PNG header is damaged"),
    "bmp magic": (b"BM" + b"\xff" * 40, "BMP header is damaged"),
    "webp magic": (b"RIFF\x10\0\0\0WEBPVP8 ", "WEBP header is damaged"),
    "tiff magic": (b"II*\0\x08\0\0\0", "TIFF header is damaged"),
    "gif magic": (b"GIF89a", "GIF header is damaged"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_image_is_refused_in_words(tmp_path, case):
    content, words = REFUSED[case]
    with pytest.raises(Unreadable, match=words) as error:
        decode(tmp_path, content, "photo.jpg")
    assert "photo.jpg" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.parametrize("kind", photos.FORMATS)
def test_half_a_file_is_refused(tmp_path, kind):
    content = photos.encoded(photos.colours(90, 120), kind)
    with pytest.raises(Unreadable, match=r"cut short|damaged"):
        decode(tmp_path, content[: len(content) // 2])


def bomb(kind):
    """A small file of 30000 x 30000 pixels."""
    if kind == "PNG":
        import struct
        import zlib

        def chunk(name, data):
            body = name + data
            return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

        header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
        rows = zlib.compress(bytes(1 << 20))
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows)
    content = bytearray(photos.encoded(photos.colours(), kind))
    if kind == "GIF":
        content[6:10] = b"\x30\x75\x30\x75"
    elif kind == "BMP":
        content[18:26] = b"\x30\x75\0\0\x30\x75\0\0"
    else:
        start = content.index(b"\xff\xc0")
        content[start + 5 : start + 9] = b"\x75\x30\x75\x30"
    return bytes(content)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "JPEG"])
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path, kind):
    with pytest.raises(Unreadable, match="30000 x 30000 pixels, and at most 100,000,000"):
        decode(tmp_path, bomb(kind))


def test_the_limit_of_pixels_is_the_users(tmp_path):
    content = photos.encoded(photos.colours())
    assert decode(tmp_path, content, max_pixels=48).shape == (6, 8, 3)
    with pytest.raises(Unreadable, match="8 x 6 pixels, and at most 47"):
        decode(tmp_path, content, max_pixels=47)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"height": 0}, "at least 1"),
        ({"width": 2.5}, "whole numbers"),
        ({"max_pixels": True}, "whole numbers"),
        ({"color_mode": "rbg"}, "Did you mean 'rgb'"),
        ({"resize": "fit"}, "Known: stretch, crop, pad"),
        ({"interpolation": "cubic"}, "Did you mean 'bicubic'"),
    ],
)
def test_wrong_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        Decoder(**{"height": 6, "width": 8, **settings})
