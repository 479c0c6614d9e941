"""Makes the files under tests/data/keras with Keras 3: weights, and the predictions they give.

Needs keras and one of its backends; the tests need neither. Usage, from the repository's root:

    KERAS_BACKEND=torch python tools/make_keras_fixtures.py
"""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from keras import layers

FOLDER = Path(__file__).parent.parent / "tests" / "data" / "keras"
INPUT_SHAPE = (9, 8, 3)


def sequential() -> keras.Model:
    """Every kind of layer with weights, one after the other."""
    return keras.Sequential(
        [
            keras.Input(INPUT_SHAPE),
            layers.Conv2D(6, 3, padding="same", activation="relu", name="stem"),
            layers.MaxPooling2D(),
            layers.SeparableConv2D(5, 3, padding="same", depth_multiplier=2),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, use_bias=False),
            layers.BatchNormalization(scale=False),
            layers.Conv2D(4, 2, strides=2, activation="tanh"),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(5, activation="softmax", name="head"),
        ]
    )


def functional() -> keras.Model:
    """Branches, one of them a shortcut that is longer than its body."""
    image = keras.Input(INPUT_SHAPE)
    x = layers.Conv2D(4, 3, padding="same", name="stem")(image)
    body = layers.Conv2D(4, 3, padding="same", name="body")(x)
    shortcut = layers.Conv2D(4, 1, name="shortcut")(x)
    shortcut = layers.BatchNormalization()(shortcut)
    x = layers.ReLU()(layers.Add()([body, shortcut]))
    left = layers.Conv2D(2, 1, activation="relu", name="left")(x)
    middle = layers.Conv2D(2, 1, activation="relu", name="middle_1")(x)
    middle = layers.Conv2D(3, 3, padding="same", name="middle_2")(middle)
    inner = layers.Conv2D(3, 3, padding="same", name="inner")(middle)
    middle = layers.Add()([inner, middle])
    x = layers.Concatenate()([left, middle, x])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(5, activation="softmax", name="head")(x))


def main() -> None:
    """Trains each model a little, so that no weight and no statistic is at its first value."""
    keras.utils.set_random_seed(0)
    FOLDER.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(16, *INPUT_SHAPE)).astype(np.float32)
    y = generator.integers(0, 5, 16)
    predictions = {}
    for name, model in (("sequential", sequential()), ("functional", functional())):
        model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy")
        model.fit(x, y, batch_size=4, epochs=3, verbose=0)
        model.save_weights(FOLDER / f"{name}.weights.h5")
        model.save(FOLDER / f"{name}.keras")
        predictions[name] = model.predict(x[:4], verbose=0)
    (FOLDER / "functional.keras").unlink()
    np.savez_compressed(FOLDER / "predictions.npz", x=x[:4], **predictions)


if __name__ == "__main__":
    main()
