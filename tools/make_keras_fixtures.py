"""Makes the files under tests/data/keras with Keras 3: weights, and the predictions they give.

Needs keras and one of its backends; the tests need neither. Usage, from the repository's root:

    KERAS_BACKEND=torch python tools/make_keras_fixtures.py
"""

from __future__ import annotations

import gzip
import json
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


def branching() -> keras.Model:
    """What becomes Residual, Concat and Scale, models within the model, and layers whose settings
    are not named as fastcnn's."""
    image = keras.Input(INPUT_SHAPE)
    x = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 0.5])(image)
    x = layers.Rescaling([2.0, 1.0, 0.5], offset=0.1)(x) * 0.5 + 1.0
    x = layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization(epsilon=0.01, momentum=0.9)(x))
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(2, 1, activation="swish")(gate)
    x = layers.Multiply()([x, layers.Conv2D(4, 1, activation="sigmoid")(gate)])
    body = layers.Conv2D(4, 3, padding="same", groups=2, activation=layers.LeakyReLU(0.1))(x)
    body = layers.Dropout(0.3, noise_shape=(None, 1, 1, 1))(body)
    x = layers.Add()([x, body])
    inner = keras.Sequential(
        [
            keras.Input((5, 4, 4)),
            layers.ZeroPadding2D(((0, 1), (1, 0))),
            layers.DepthwiseConv2D(3, dilation_rate=2, activation="gelu"),
            layers.Conv2DTranspose(3, 3, strides=2, name="up"),
        ],
        name="inner",
    )
    x = inner(x)
    left = layers.SeparableConv2D(2, 3, padding="same")(x)
    right = layers.PReLU(shared_axes=[1, 2])(layers.MaxPooling2D(3, 1, padding="same")(x))
    split = layers.Conv2D(2, (1, 3), padding="same", kernel_regularizer="l2")(right)
    other = layers.Conv2D(2, (3, 1), padding="same", activation="hard_sigmoid")(right)
    x = layers.Concatenate()([left, layers.Concatenate(axis=3)([split, other]), x])
    x = layers.Average()([x, layers.GroupNormalization(3)(x)])
    x = layers.LayerNormalization()(layers.UpSampling2D(2)(layers.Cropping2D(1)(x)))
    x = layers.Flatten()(layers.AveragePooling2D(2)(x))
    x = layers.Activation("elu")(layers.Dense(6)(x))
    x = layers.Reshape((1, 2, 3))(x)
    x = layers.Permute((2, 1, 3))(x)
    x = layers.GlobalMaxPooling2D()(layers.ELU(0.5)(x))
    return keras.Model(image, layers.Softmax()(layers.Dense(5, name="head")(x)))


def save_whole(model: keras.Model, name: str) -> None:
    """Writes the model in both formats, gzipped."""
    untrained = keras.models.clone_model(model)  # it has no optimizer, which takes room
    untrained.set_weights(model.get_weights())
    for ending in ("keras", "h5"):
        path = FOLDER / f"{name}.{ending}"
        untrained.save(path)
        Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        path.unlink()


PUBLISHED = {
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "resnet50": "ResNet50",
    "resnet101": "ResNet101",
    "resnet152": "ResNet152",
    "inception_v3": "InceptionV3",
    "xception": "Xception",
    "densenet121": "DenseNet121",
    "mobilenet": "MobileNet",
    "mobilenet_v2": "MobileNetV2",
    "efficientnet_b0": "EfficientNetB0",
}


def save_layouts() -> None:
    """Writes the shapes of all arrays of the published files, layer by layer in Keras's order."""
    layouts = {}
    for name, function in PUBLISHED.items():
        for top in (True, False):
            model = getattr(keras.applications, function)(weights=None, include_top=top)
            shapes = [[list(array.shape) for array in layer.weights] for layer in model.layers]
            layouts[f"{name}{'' if top else ' without top'}"] = [layer for layer in shapes if layer]
    data = json.dumps(layouts, separators=(",", ":")).encode()
    (FOLDER / "layouts.json.gz").write_bytes(gzip.compress(data, mtime=0))


def main() -> None:
    """Trains each model a little, so that no weight and no statistic is at its first value."""
    keras.utils.set_random_seed(0)
    FOLDER.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(16, *INPUT_SHAPE)).astype(np.float32)
    y = generator.integers(0, 5, 16)
    predictions = {}
    models = {"sequential": sequential(), "functional": functional(), "branching": branching()}
    for name, model in models.items():
        model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy")
        model.fit(x, y, batch_size=4, epochs=3, verbose=0)
        if name == "branching":
            save_whole(model, name)
        else:
            model.save_weights(FOLDER / f"{name}.weights.h5")
        if name == "sequential":
            model.save(FOLDER / f"{name}.keras")
        predictions[name] = model.predict(x[:4], verbose=0)
    save_layouts()
    np.savez_compressed(FOLDER / "predictions.npz", x=x[:4], **predictions)


if __name__ == "__main__":
    main()
