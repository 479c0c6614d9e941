"""What `predict` makes of pictures: files, folders and Pillow's; and its outputs by name."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import photos
import pytest
from PIL import Image

import fastcnn
from fastcnn.data import Decoder
from fastcnn.layers import Dense, Flatten, Rescaling
from fastcnn.models.predictions import as_plain_data, output_kind

DECODER = Decoder(6, 5, "rgb", resize="crop")
NAMES = ["ant", "bee", "cat"]


def network(outputs=3, activation="softmax", loss=None, shape=(6, 5, 3)):
    layers = [Rescaling(1 / 255), Flatten(), Dense(outputs, activation=activation)]
    model = fastcnn.Sequential(layers, input_shape=shape, seed=3)
    if loss is not None:
        model.compile("sgd", loss)
    return model


def turned(pixels, value):
    """A JPEG's bytes that are to be turned as EXIF says."""
    picture = Image.fromarray(pixels)
    exif = picture.getexif()
    exif[0x0112] = value
    stream = io.BytesIO()
    picture.save(stream, "JPEG", exif=exif, quality=95)
    return stream.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures of every kind of colours, one of them turned."""
    place = tmp_path_factory.mktemp("pictures")
    colours = photos.smooth(24, 30)
    clear = Image.fromarray(colours)
    clear.putalpha(Image.fromarray(photos.smooth(24, 30, seed=1)[..., 0]))
    photos.write(place / "a turned.jpg", turned(colours, 6))
    photos.write(place / "alpha.png", photos.encoded(clear))
    photos.write(place / "more" / "grey.png", photos.encoded(colours[..., 0]))
    photos.write(place / "palette.gif", photos.encoded(Image.fromarray(colours).quantize(16)))
    deep = colours[..., 0].astype(np.uint16) * 257
    photos.write(place / "sixteen.png", photos.encoded(deep))
    return place


@pytest.fixture(scope="module")
def model():
    network_of_photos = network()
    network_of_photos.decoder = DECODER
    network_of_photos.class_names = NAMES
    return network_of_photos


@pytest.fixture(scope="module")
def expected(model, folder):
    files = fastcnn.data.picture_files(folder)
    return model.predict(np.stack([DECODER(file) for file in files]))


def test_a_folder_stands_for_its_files_in_order(model, folder, expected):
    files = [str(Path(file).relative_to(folder)) for file in fastcnn.data.picture_files(folder)]
    assert files == sorted(files) and "more/grey.png" in [Path(file).as_posix() for file in files]
    np.testing.assert_array_equal(model.predict(folder), expected)
    np.testing.assert_array_equal(model.predict(str(folder)), expected)


def test_paths_are_prepared_as_in_training(model, folder, expected):
    files = fastcnn.data.picture_files(folder)
    np.testing.assert_array_equal(model.predict(files, batch_size=2), expected)
    np.testing.assert_allclose(model.predict(Path(files[1])), expected[1:2], rtol=1e-5)
    np.testing.assert_array_equal(
        model.features(files, "dense"), model.features(np.stack([*map(DECODER, files)]), "dense")
    )


@pytest.mark.parametrize("container", [tuple, np.array, pd.Series, lambda f: np.array(f, object)])
def test_what_holds_paths_in_a_row_is_a_list_of_them(model, folder, expected, container):
    files = fastcnn.data.picture_files(folder)
    np.testing.assert_array_equal(model.predict(container(files)), expected)
    np.testing.assert_array_equal(model.predict(container([*map(Path, files)])), expected)


@pytest.mark.parametrize("loaded", [False, True])
def test_pictures_of_pillow_are_taken_as_their_files(model, folder, expected, loaded):
    pictures = [Image.open(file) for file in fastcnn.data.picture_files(folder)]
    for picture in pictures * loaded:
        picture.load()
    outputs = model.predict(pictures)
    # A JPEG's file is reduced while it is decoded.
    np.testing.assert_allclose(outputs[0], expected[0], atol=0.01)
    np.testing.assert_array_equal(outputs[1:], expected[1:])
    np.testing.assert_allclose(model.predict(pictures[1]), expected[1:2], rtol=1e-5)
    sides = [picture.size for picture in pictures]
    assert sides == [(30, 24)] * 5
    mixed = [fastcnn.data.picture_files(folder)[2], pictures[1]]
    np.testing.assert_allclose(model.predict(mixed), expected[[2, 1]], rtol=1e-5)


def test_a_decoder_reads_a_file_in_memory_as_one_on_disk(folder):
    for file in fastcnn.data.picture_files(folder):
        pixels = DECODER.decode_bytes(Path(file).read_bytes(), "a file")
        np.testing.assert_array_equal(pixels, DECODER(file))
    with pytest.raises(fastcnn.data.Unreadable, match=r"'a file' cannot .* cut short \(2,000 of"):
        whole = photos.encoded(photos.colours(60, 60), "WEBP")
        DECODER.decode_bytes(whole[:2000], "a file")


def test_without_a_training_on_files_they_get_the_size_of_the_input(folder):
    model = network(shape=(6, 5, 1))
    file = fastcnn.data.picture_files(folder)[0]
    image = Decoder(6, 5, "grayscale")(file)
    np.testing.assert_array_equal(model.predict(file), model.predict(image[None]))


def test_what_cannot_be_read_is_named(model, folder, tmp_path):
    text = photos.write(tmp_path / "notes.txt", b"no picture")
    with pytest.raises(fastcnn.data.Unreadable, match=r"notes.txt' cannot .* it is text"):
        model.predict([*fastcnn.data.picture_files(folder), str(text)])
    with pytest.raises(FileNotFoundError, match=r"no file 'none\.png'"):
        model.predict("none.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty' holds no file"):
        model.predict(tmp_path / "empty")
    float_picture = Image.fromarray(np.zeros((3, 3), np.float32))
    with pytest.raises(ValueError, match=r"'picture 1 of 2' cannot .* 8 or 16 bits"):
        model.predict([Image.new("L", (3, 3)), float_picture])
    small = network()
    small.decoder = Decoder(6, 5, max_pixels=8)
    with pytest.raises(ValueError, match="3 x 3 pixels, and at most 8 are decoded"):
        small.predict(Image.new("L", (3, 3)))
    flat = fastcnn.Sequential([Dense(2)], input_shape=(7,))
    with pytest.raises(ValueError, match=r"shape \(7,\), which no image file holds"):
        flat.predict("none.png")


LOGITS = np.array([[0.0, 2.0, 1.0]], np.float32)
POWERS = np.exp(LOGITS[0].astype(float))
SOFTMAX = POWERS / POWERS.sum()
SIGMOID = POWERS / (1 + POWERS)
HALVES = fastcnn.losses.BinaryCrossentropy(from_logits=True)
SPARSE = fastcnn.losses.SparseCategoricalCrossentropy(from_logits=True)
KINDS = [
    (3, "softmax", None, "classes"),
    (3, None, None, "classes"),
    (3, None, SPARSE, "classes"),
    (3, "softmax", "mse", "classes"),
    (3, "sigmoid", None, "labels"),
    (3, None, HALVES, "labels"),
    (1, "sigmoid", "binary_crossentropy", "classes"),
    (1, None, HALVES, "classes"),
    (1, None, "mse", "values"),
    (3, None, "mae", "values"),
]


@pytest.mark.parametrize(("outputs", "activation", "loss", "kind"), KINDS)
def test_a_model_says_what_its_outputs_are(outputs, activation, loss, kind):
    assert output_kind(network(outputs, activation, loss)) == kind


@pytest.mark.parametrize(("loss", "shares"), [(None, SOFTMAX), (HALVES, SIGMOID)])
def test_logits_become_probabilities_by_name(loss, shares):
    model = network(activation=None, loss=loss)
    model.class_names = NAMES
    (best,) = fastcnn.decode_predictions(LOGITS, model, top=2)
    assert [(label, name) for label, name, _ in best] == [(1, "bee"), (2, "cat")]
    assert [row.probability for row in best] == pytest.approx(shares[[1, 2]], rel=1e-5)


def test_one_output_tells_two_classes():
    model = network(1, "sigmoid")
    assert fastcnn.decode_predictions([[0.25]], model) == [[(0, "0", 0.75), (1, "1", 0.25)]]
    model.class_names = ["no", "yes"]
    assert fastcnn.decode_predictions([[0.25]], model, 1) == [[(0, "no", 0.75)]]


def test_values_are_no_predictions():
    model = network(2, None, "mse")
    values = np.array([[1.5, -2.0]], np.float32)
    with pytest.raises(ValueError, match="loss 'mean_squared_error' they are values"):
        fastcnn.decode_predictions(values, model)
    assert as_plain_data(values, model, 3) == [{"values": [1.5, -2.0]}]
    with pytest.raises(ValueError, match=r"\(n, 2\), one score a class\. Received shape \(2,\)"):
        fastcnn.decode_predictions([1.0, 2.0], model)
