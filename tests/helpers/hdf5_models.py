"""Models and contents for the tests of HDF5 files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastcnn import layers as L
from fastcnn import losses, optimizers, schedules
from fastcnn.models.sequential import Sequential

KERAS = Path(__file__).parents[1] / "data" / "keras"
INPUT_SHAPE = (9, 8, 3)
CLASS_NAMES = ["Katze", "Füße", "犬", "d", "e"]


def sequential(head: int = 5) -> Sequential:
    """The net of tools/make_keras_fixtures.py's sequential()."""
    return Sequential(
        [
            L.Conv2D(6, 3, padding="same", activation="relu", name="stem"),
            L.MaxPooling2D(),
            L.SeparableConv2D(5, 3, padding="same", depth_multiplier=2),
            L.BatchNormalization(),
            L.ReLU(),
            L.DepthwiseConv2D(3, padding="same", depth_multiplier=2, use_bias=False),
            L.BatchNormalization(scale=False),
            L.Conv2D(4, 2, strides=2, activation="tanh"),
            L.Dropout(0.3),
            L.Flatten(),
            L.Dense(head, activation="softmax", name="head"),
        ],
        input_shape=INPUT_SHAPE,
        seed=5,
    )


def functional() -> Sequential:
    """The net of tools/make_keras_fixtures.py's functional()."""
    shortcut = [L.Conv2D(4, 1, name="shortcut"), L.BatchNormalization()]
    middle = [
        L.Conv2D(2, 1, activation="relu", name="middle_1"),
        L.Conv2D(3, 3, padding="same", name="middle_2"),
        L.Residual([L.Conv2D(3, 3, padding="same", name="inner")]),
    ]
    return Sequential(
        [
            L.Conv2D(4, 3, padding="same", name="stem"),
            L.Residual([L.Conv2D(4, 3, padding="same", name="body")], shortcut),
            L.Activation("relu"),
            L.Concat([L.Conv2D(2, 1, activation="relu", name="left")], middle, []),
            L.GlobalAveragePooling2D(),
            L.Dense(5, activation="softmax", name="head"),
        ],
        input_shape=INPUT_SHAPE,
        seed=6,
    )


def normalized() -> Sequential:
    """A net with preprocessing constants that came out of NumPy."""
    mean = np.array([0.1, 1 / 3, 125.307], np.float64)
    layers = [L.Normalization(mean, np.float32(0.7)), L.Flatten()]
    layers.append(L.Dense(5, activation="softmax", kernel_regularizer="l2"))
    return Sequential(layers, input_shape=INPUT_SHAPE, seed=2**40 + 1)


MODELS = {"sequential": sequential, "functional": functional, "normalized": normalized}

OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.1),
    "momentum": lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True, clipnorm=1.5),
    "adam": lambda: optimizers.Adam(
        schedules.Warmup(schedules.CosineDecay(0.1 / 3, 100, alpha=0.01), 5), beta_1=0.91
    ),
    "adamw": lambda: optimizers.AdamW(schedules.StepDecay(0.1, 0.5, 7), weight_decay=0.02),
    "rmsprop": lambda: optimizers.RMSprop(
        schedules.PiecewiseConstantDecay([3, 9], [0.3, 0.2, 0.1]), momentum=0.5, centered=True
    ),
    "adagrad": lambda: optimizers.Adagrad(global_clipnorm=2.0),
}


def examples(count: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels, the same every time."""
    generator = np.random.default_rng(count)
    images = generator.normal(size=(count, *INPUT_SHAPE)).astype(np.float32)
    return images, generator.integers(0, 5, count).astype(np.int32)


def scrambled(model: Sequential, seed: int = 0) -> Sequential:
    """The model with other numbers in every parameter."""
    generator = np.random.default_rng(seed)
    for parameter in model.parameters:
        parameter.value[...] = generator.uniform(0.1, 1.0, parameter.shape)
    return model


def compiled(model: Sequential, optimizer: str = "adam") -> Sequential:
    """The model, compiled, as it is in the middle of a training."""
    loss = losses.SparseCategoricalCrossentropy()
    model.compile(OPTIMIZERS[optimizer](), loss, ["accuracy"])
    images, labels = examples()
    for _ in range(2):
        model.train_on_batch(images, labels)
    model.epoch = 3
    model.class_names = list(CLASS_NAMES)
    return model


def bits(model: Sequential) -> bytes:
    """All that training has changed in a model."""
    arrays = [parameter.value.tobytes() for parameter in model.parameters]
    slots = b"" if model.optimizer is None else model.state.slots.tobytes()
    return b"".join([*arrays, slots, str(model.state.step).encode()])
