"""Decoding: formats by content, colours converted on purpose, turned, resized; or refused."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import photos
import pytest
from PIL import Image

from fastcnn.data.images import color_conversion, memory_budget
from fastcnn.data.images import decoder as decoding
from fastcnn.data.images.decoder import Decoder
from fastcnn.data.images.file_format import Unreadable


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


def test_damaged_exif_does_not_lose_the_picture(tmp_path):
    pixels = photos.smooth()
    content = photos.encoded(pixels, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decode(tmp_path, content).shape == (6, 8, 3)


def test_warnings_that_are_errors_lose_no_picture(tmp_path):
    """As under `python -W error`, and as these tests run: the EXIF data warn and are used."""
    exif = b"Exif\0\0II*\0\x08\0\0\0" + bytes([2, 0])
    exif += b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"  # orientation 6
    exif += b"\x0e\x01\x02\0\xff\0\0\0\xf0\xff\0\0"  # a text that lies behind the end
    pixels = photos.smooth(48, 64)
    path = photos.write(tmp_path / "photo.jpg", photos.encoded(pixels, "JPEG", exif=exif))
    decoder = Decoder(64, 48)
    with pytest.warns(UserWarning, match="Tag data larger|Corrupt EXIF"):
        Image.open(path).close()
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(decoder, [str(path)] * 16))
    assert warnings.filters == before
    for image in found:
        assert np.abs(image.astype(int) - np.rot90(pixels, -1)).mean() < 3
    assert decoder.inspect(str(path)).width == 64


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


@pytest.mark.parametrize("bits", [8, 16])
def test_white_may_be_zero_in_a_tiff(tmp_path, bits):
    values = np.linspace(0, 2**bits - 1, 48).astype(f"<u{bits // 8}").reshape(6, 8)
    content = photos.tiff(values, white_is_zero=True)
    found = decode(tmp_path, content, color_mode="grayscale")
    np.testing.assert_array_equal(found[..., 0], 255 - np.rint(values * (255 / (2**bits - 1))))
    found = decode(tmp_path, photos.tiff(values), color_mode="grayscale")
    np.testing.assert_array_equal(found[..., 0], np.rint(values * (255 / (2**bits - 1))))


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


def test_the_box_of_a_crop_lies_within_the_picture():
    """Also where 224 * (239 / 224) is more than 239: such photographs were skipped."""
    for target in ((224, 224), (80, 80), (96, 64), (299, 299), (3, 1000)):
        for size in itertools.product(range(1, 640, 3), (1, 7, 239, 375, 500, 1023)):
            left, top, right, bottom = color_conversion.centred(size, target)
            assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]


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


LARGE = {
    "RGB": lambda picture: photos.encoded(picture),
    "transparent": lambda picture: photos.encoded(picture.convert("LA")),
    "alpha": lambda picture: photos.encoded(_faded(picture)),
    "palette": lambda picture: photos.encoded(picture.quantize(32), "GIF"),
    "16 bits": lambda picture: photos.encoded(np.asarray(picture.convert("L"), np.uint16) * 257),
    "white is zero": lambda picture: photos.tiff(
        np.asarray(picture.convert("L"), "<u2") * 257, white_is_zero=True
    ),
    "CMYK": lambda picture: photos.encoded(picture.convert("CMYK"), "TIFF"),
}


def _faded(picture):
    alpha = np.linspace(0, 255, picture.width * picture.height).astype(np.uint8)
    picture.putalpha(Image.fromarray(alpha.reshape(picture.height, picture.width)))
    return picture


@pytest.mark.parametrize("kind", LARGE)
@pytest.mark.parametrize("color_mode", ["rgb", "rgba", "grayscale"])
@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_a_large_picture_is_reduced_strip_by_strip(tmp_path, monkeypatch, kind, color_mode, resize):
    """As all at once, but for the rounding of one average more; a crop's blocks lie elsewhere."""
    content = LARGE[kind](Image.fromarray(photos.smooth(301, 403)))
    settings = {"height": 20, "width": 33, "color_mode": color_mode, "resize": resize}
    expected = decode(tmp_path, content, **settings).astype(int)
    monkeypatch.setattr(decoding, "LARGE", 1)
    monkeypatch.setattr(color_conversion, "STRIP", 5000)
    found = decode(tmp_path, content, **settings).astype(int)
    if color_mode == "rgba":
        # Where next to nothing is seen of a colour, it is hardly known.
        for image in (found, expected):
            image[..., :3] = image[..., :3] * image[..., 3:] // 255
    assert np.abs(found - expected).max() <= (6 if resize == "crop" else 2)


@pytest.mark.parametrize("kind", LARGE)
@pytest.mark.parametrize("color_mode", ["rgb", "rgba", "grayscale"])
def test_nearest_takes_pixels_as_they_are(tmp_path, kind, color_mode):
    content = LARGE[kind](Image.fromarray(photos.smooth(60, 80)))
    whole = decode(tmp_path, content, height=60, width=80, color_mode=color_mode)
    settings = {"height": 20, "width": 16, "color_mode": color_mode}
    found = decode(tmp_path, content, interpolation="nearest", **settings)
    np.testing.assert_array_equal(found, whole[1::3, 2::5])


MEASURED = """
import sys
from fastcnn.data.images import color_conversion, decoder, memory_budget
from fastcnn.data.images.decoder import Decoder

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

Decoder(64, 64)(sys.argv[1])
before = peak()
Decoder(64, 64)(sys.argv[2])
print(peak() - before)
"""


def test_memory_holds_a_large_picture_once(tmp_path):
    """Grey with alpha, 4 bytes a pixel in Pillow: 6 in all, where 16 were taken before."""
    sides = {"small": (9, 9), "large": (5000, 4000)}
    paths = []
    for name, size in sides.items():
        image = Image.new("LA", size, (5, 5))
        paths.append(str(photos.write(tmp_path / f"{name}.png", photos.encoded(image))))
    command = [sys.executable, "-c", MEASURED, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 4 * 20e6 < int(done.stdout) * 1024 < 6 * 20e6


def test_threads_share_the_memory_for_decoding():
    shared = memory_budget.Budget(100)
    taken, most = [], []

    def take(amount):
        with shared.reserved(amount):
            taken.append(amount)
            most.append(sum(taken))
            time.sleep(0.005)
            taken.remove(amount)

    amounts = [40, 40, 40, 90, 10, 250, 60, 100] * 4
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(take, amounts))
    assert len(most) == len(amounts)
    # What is more than all goes alone.
    assert {total for total in most if total > 100} == {250}
    assert max(total for total in most if total < 250) > 60


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_a_picture_is_counted_by_its_pixels(tmp_path, monkeypatch, kind):
    counted = []

    class Counting(memory_budget.Budget):
        def reserved(self, amount):
            counted.append(amount)
            return super().reserved(amount)

    monkeypatch.setattr(memory_budget, "decoding", lambda: Counting(1))
    decode(tmp_path, photos.encoded(photos.smooth(480, 640), kind))
    # A JPEG's own decoder reduces to an eighth each way.
    expected = {"PNG": 6 * 480 * 640, "WEBP": 16 * 480 * 640, "JPEG": 6 * 60 * 80}
    assert counted == [expected[kind]]
    if kind == "JPEG":
        decode(tmp_path, photos.encoded(photos.smooth(480, 640), kind, progressive=True))
        assert counted[1] == 6 * 480 * 640


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
    "webp magic": (b"RIFF\x08\0\0\0WEBPVP8 ", "WEBP header is damaged"),
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


@pytest.mark.parametrize("kind", photos.FORMATS)
def test_half_a_file_is_refused(tmp_path, kind):
    content = photos.encoded(photos.colours(90, 120), kind)
    with pytest.raises(Unreadable, match=r"cut short|damaged"):
        decode(tmp_path, content[: len(content) // 2])


def test_a_webp_file_that_is_cut_short_is_said_to_be(tmp_path):
    content = photos.encoded(photos.colours(90, 120), "WEBP")
    size = f"{len(content):,}"
    for left in (40, len(content) // 2, len(content) - 1):
        with pytest.raises(Unreadable, match=rf"cut short \({left:,} of {size} bytes are there\)"):
            decode(tmp_path, content[:left])
    with pytest.raises(Unreadable, match="header is damaged"):
        decode(tmp_path, content[:12] + bytes(len(content) - 12))


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "JPEG"])
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path, kind):
    with pytest.raises(Unreadable, match="30000 x 30000 pixels, and at most 100,000,000"):
        decode(tmp_path, photos.bomb(kind))


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
