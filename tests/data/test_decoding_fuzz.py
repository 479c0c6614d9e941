"""Fuzzed pictures: whatever their bytes, they become the wanted shape or are refused in words; what
Pillow refuses to load is refused."""

from __future__ import annotations

import warnings

import photos
import pytest
from deadline import within
from hypothesis import HealthCheck, given, settings
from PIL import Image
from test_readers_fuzz import changed, changes

from fastcnn.data import Decoder, Unreadable

PICTURES = {
    **{kind: photos.encoded(photos.smooth(20, 24), kind) for kind in photos.FORMATS},
    "palette": photos.encoded(Image.fromarray(photos.smooth(20, 24)).quantize(16), "PNG"),
    "alpha": photos.encoded(Image.fromarray(photos.smooth(20, 24)).convert("RGBA"), "PNG"),
    "CMYK": photos.encoded(Image.fromarray(photos.smooth(20, 24)).convert("CMYK"), "JPEG"),
    "16 bits": photos.encoded(photos.smooth(20, 24)[..., 0].astype("<u2") * 257, "TIFF"),
    "progressive": photos.encoded(photos.smooth(20, 24), "JPEG", progressive=True),
    "reduced": photos.encoded(photos.smooth(80, 96), "JPEG"),
    "lossy": photos.encoded(photos.smooth(20, 24), "WEBP", lossless=False),
}
DECODER = Decoder(8, 9, resize="crop", max_pixels=10_000)


@pytest.mark.parametrize("kind", PICTURES)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(made=changes())
def test_a_changed_picture_is_decoded_or_refused_in_words(tmp_path_factory, kind, made):
    path = tmp_path_factory.getbasetemp() / "picture"
    path.write_bytes(changed(PICTURES[kind], made))
    before = list(warnings.filters)
    try:
        with within():
            assert DECODER(str(path)).shape == (8, 9, 3)
    except Unreadable as error:
        assert len(error.reason) > 8
        assert "\n" not in str(error)
    else:
        load(path)
    assert warnings.filters == before


def load(path):
    """Raises what Pillow raises where it refuses a picture."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            image.load()
