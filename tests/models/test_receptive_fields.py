"""How far layers see, on nets of which it is known."""

from __future__ import annotations

import numpy as np
import pytest
from test_training_step import small_resnet

from fastcnn import Sequential, explain
from fastcnn import layers as L
from fastcnn.models.receptive_fields import LEAST, layer_fields
from fastcnn.models.summary import receptive_field_text


def of_ones(convolutions):
    """Linear convolutions of 3 x 3 ones in a row, whose gradients are binomial."""
    chain = [L.Conv2D(1, 3, padding="same", use_bias=False) for _ in range(convolutions)]
    model = Sequential(chain, (21, 21, 1))
    for parameter in model.parameters:
        parameter.value[...] = 1
    return model


def test_the_effective_field_of_a_linear_net_is_that_of_its_gradients():
    profile = np.ones(1)
    for field in layer_fields(of_ones(5)):
        profile = np.convolve(profile, np.ones(3))
        gradient = np.outer(profile, profile)
        padded = np.pad(gradient, (21 - len(profile)) // 2)
        np.testing.assert_allclose(field.relevance, padded, rtol=1e-5)
        assert field.effective == (gradient > LEAST * gradient.max()).sum() ** 0.5
        assert [span.size for span in field.field] == [len(profile)] * 2
    assert field.effective < 9 < field.field[0].size == 11


def test_a_net_that_looks_at_one_pixel_has_an_effective_size_of_one():
    model = of_ones(3)
    for parameter in model.parameters:
        parameter.value[...] = 0
        parameter.value[1, 1] = -2
    assert [field.effective for field in layer_fields(model)] == [1, 1, 1]


def test_opposite_channels_do_not_cancel():
    model = Sequential([L.Conv2D(2, 3)], (9, 9, 1))
    model.parameters[0].value[...] = [1, -1]
    assert layer_fields(model)[0].effective == 3


def test_many_images_go_through_the_model_a_few_at_a_time(monkeypatch):
    model = Sequential([L.Conv2D(3, 3), L.ReLU(), L.Conv2D(2, 3)], (9, 9, 2))
    images = np.random.default_rng(0).standard_normal((41, 9, 9, 2)).astype(np.float32)
    together, inspect = [], model.engine().inspect

    def counted(x, inspection, capacity, factors):
        together.append((x, factors))
        return inspect(x, inspection, capacity, factors)

    monkeypatch.setattr(model.engine(), "inspect", counted)
    field = layer_fields(model, [model.layers[2]], images)[0]
    relevance, squares = field.relevance, np.zeros((9, 9))
    assert [len(x) for x, _ in together] == [16, 16, 9]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in together]), images)
    for x, factors in list(together):
        gradient = model.input_gradient(x, (model.layers[2], factors)).astype(np.float64)
        squares += (gradient**2).sum(axis=(0, 3))
    np.testing.assert_allclose(relevance, np.sqrt(squares / 82), rtol=1e-6)


def test_the_table_says_how_far_each_layer_sees(capsys):
    names = ["conv", "pool", "", "", "dense"]
    chain = [
        L.Conv2D(2, (3, 5), name="conv"),
        L.MaxPooling2D(2, name="pool"),
        L.Activation("relu"),
        L.Flatten(),
        L.Dense(3, name="dense"),
    ]
    Sequential(chain, (16, 16, 1)).summary(receptive_field=True)
    lines = capsys.readouterr().out.splitlines()[4:9]
    cells = [[cell for cell in line.split("  ") if cell] for line in lines]
    assert [row[0] for row in cells if row[0] in names] == ["conv", "pool", "dense"]
    assert [cell.strip() for cell in cells[0][1:4]] == ["14 x 12 x 2", "3 x 5", "1 x 1"]
    assert [cell.strip() for cell in cells[1][1:4]] == ["7 x 6 x 2", "4 x 6", "2 x 2"]
    assert cells[2][-1].strip() == "2 x 2"  # sees no further: not measured
    assert cells[4][-1].strip() == "the image"


def test_the_table_fits_80_columns():
    deep = [L.Residual([L.Conv2D(3, 3, padding="same", name=40 * "long ")])]
    for model in (Sequential(small_resnet(), (32, 32, 3)), Sequential(deep, (224, 224, 3))):
        assert max(map(len, receptive_field_text(model).splitlines())) <= 80


def test_a_model_of_vectors_has_none():
    with pytest.raises(ValueError, match=r"a model of images.*\(4,\)"):
        Sequential([L.Dense(2)], (4,)).summary(receptive_field=True)


def test_the_picture_shows_layers_that_see_further():
    model = Sequential([L.Conv2D(2, 3), L.ReLU(), L.MaxPooling2D(2), L.Flatten()], (9, 9, 1))
    result = explain.receptive_fields(model)
    assert [type(f.layer).__name__ for f in result.fields] == ["Conv2D", "MaxPooling2D", "Flatten"]
    assert result.array.shape == (3, 9, 9)
    x = np.ones((2, 9, 9, 1), np.float32)
    assert len(explain.receptive_fields(model, x, ["re_lu"]).array) == 1
