"""The summary: true figures, and nothing allocated to find them."""

from __future__ import annotations

import tracemalloc

from test_training_step import small_resnet

from fastcnn import Sequential
from fastcnn import layers as L


def vgg16():
    def stage(filters, convolutions):
        convs = [
            L.Conv2D(filters, 3, padding="same", activation="relu") for _ in range(convolutions)
        ]
        return [*convs, L.MaxPooling2D()]

    return [
        *stage(64, 2),
        *stage(128, 2),
        *stage(256, 3),
        *stage(512, 3),
        *stage(512, 3),
        L.Flatten(),
        L.Dense(4096, activation="relu"),
        L.Dense(4096, activation="relu"),
        L.Dense(1000, activation="softmax"),
    ]


def test_summary_of_vgg16_allocates_nothing(capsys):
    tracemalloc.start()
    model = Sequential(vgg16(), input_shape=(224, 224, 3))
    model.summary()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    text = capsys.readouterr().out
    assert "138,357,544" in text
    assert "15.5 G" in text
    assert sum(p.size for p in model.parameters) == 138_357_544
    assert model.output_shape == (1000,)
    assert peak < 20e6  # the parameters alone would take 553 MB


def test_summary_says_shapes_and_parameters(capsys):
    model = Sequential(small_resnet(), input_shape=(32, 32, 3))
    model.summary()
    text = capsys.readouterr().out
    for layer in model.layers:
        assert layer.name in text
    total = sum(p.size for p in model.parameters)
    trainable = sum(p.size for p in model.parameters if p.trainable)
    assert f"{total:,}" in text
    assert f"{trainable:,}" in text
    assert trainable < total  # moving statistics are not trained
