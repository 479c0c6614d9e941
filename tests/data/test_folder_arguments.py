"""Arguments of from_folder that are nearly right."""

from __future__ import annotations

import os

import photos
import pytest

from fastcnn.data import from_folder


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"in_memory": "no"}, TypeError, r"in_memory must be True or False. Received 'no'"),
        ({"in_memory": 0}, TypeError, r"in_memory must be True or False"),
        ({"class_names": "ab"}, ValueError, r"class_names must be a list.*Received 'ab'"),
    ],
)
def test_values_that_would_mean_something_else_are_refused(tmp_path, options, error, words):
    root = photos.photo_folder(tmp_path / "photos", ("a", "b"), 2)
    with pytest.raises(error, match=words):
        from_folder(root, (8, 8), **options)


def test_bytes_are_no_path(tmp_path):
    root = photos.photo_folder(tmp_path / "photos", ("a", "b"), 2)
    with pytest.raises(TypeError, match=r"path must be a str or a Path. Received b'"):
        from_folder(os.fsencode(root), (8, 8))
