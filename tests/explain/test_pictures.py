"""Pictures stay readable: many channels, many classes, long names."""

from __future__ import annotations

import numpy as np
import pytest

from fastcnn import Sequential, explain
from fastcnn import layers as L
from fastcnn.explain.mosaic import Cell, Mosaic
from fastcnn.plots import figure as figures

NAMES = [
    "soft-coated wheaten terrier",
    "Antidisestablishmentarianism and more",
    "cat",
    "$2 and $3",
    "an_underscored_name_without_blanks",
]


def drawn(result):
    """The axes with a result, laid out."""
    width, height = result.size
    figure, panels = figures.panels(1, width=width, height=height)
    result.draw(panels[0])
    figure.canvas.draw()
    figures.close(figure)
    return panels[0]


@pytest.mark.parametrize("columns", [2, 5])
def test_long_names_stay_above_their_pictures(columns):
    cells = [Cell(np.zeros((8, 8, 3), np.float32), name) for name in NAMES]
    rows = [cells[i : i + columns] for i in range(0, 5, columns)]
    axes = drawn(Mosaic(np.zeros(1), lambda: rows, cell=1.1))
    for text, image in zip(axes.texts, axes.images, strict=True):
        left, right = text.get_window_extent().intervalx
        extent = image.get_window_extent().intervalx
        room = 0.06 * (extent[1] - extent[0])
        assert extent[0] - room < left and right < extent[1] + room
    shown = [text.get_text() for text in axes.texts]
    assert shown[0] == "soft-coated\nwheaten terrier" and shown[2:4] == NAMES[2:4]


def test_a_hundred_channels_are_about_as_high_as_wide_and_pairs_stand_apart():
    layers = [L.Conv2D(100, 3, name="many"), L.Flatten(), L.Dense(2)]
    model = Sequential(layers, (5, 5, 1), device="cpu")
    x = np.random.default_rng(0).random((4, 5, 5, 1), np.float32)
    result = explain.top_patches(model, x, "many", channels=range(100), patches=4)
    width, height = result.size
    assert 0.7 < height / width < 1.4
    pair, others = (image.get_extent()[0] for image in drawn(result).images[1:3])
    assert others - pair > 1.2 * pair


def test_classes_of_one_colour_have_different_markers_on_their_images():
    chain = [L.Flatten(name="pixels"), L.Dense(12, activation="softmax")]
    model = Sequential(chain, (2, 2, 1), device="cpu")
    x = np.random.default_rng(0).standard_normal((12, 2, 2, 1)).astype(np.float32)
    axes = drawn(explain.embedding(model, x, np.arange(12), projection="pca"))
    signs = {(line.get_color(), line.get_marker()) for line in axes.lines if line.get_zorder() == 5}
    assert len(signs) > 7


def test_a_legend_is_read_row_by_row():
    chain = [L.Flatten(name="pixels"), L.Dense(7, activation="softmax")]
    model = Sequential(chain, (2, 2, 1), device="cpu")
    model.class_names = [f"{letter} is the name of a class" for letter in "abcdefg"]
    x = np.random.default_rng(0).standard_normal((7, 2, 2, 1)).astype(np.float32)
    axes = drawn(explain.embedding(model, x, np.arange(7), projection="pca"))
    boxes = [(text.get_window_extent(), text.get_text()) for text in axes.get_legend().get_texts()]
    read = sorted(boxes, key=lambda box: (-round(box[0].y0), box[0].x0))
    assert len({round(box.x0) for box, _ in boxes}) > 1
    assert "".join(text[0] for _, text in read) == "abcdefg"
