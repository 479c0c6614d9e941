"""A layer (in NumPy, and in Numba), loss, metric, schedule, augmentation and callback of your own.

python examples/custom_pieces.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numba
import numpy as np

import fastcnn
from fastcnn import layers as L


@fastcnn.register_serializable
class ScaledTanh(L.CustomLayer):
    def __init__(self, scale=1.7, **common):
        super().__init__(**common)
        self.scale = scale

    def forward(self, x):
        return self.scale * np.tanh(x)

    def backward(self, x, y, dy):
        return dy * (self.scale - y * y / self.scale)


@fastcnn.register_serializable
class Squared(L.CompiledLayer):
    @numba.njit
    def forward(x, y):
        for i in np.ndindex(x.shape):
            y[i] = x[i] * x[i]

    @numba.njit
    def backward(x, y, dy, dx):
        for i in np.ndindex(x.shape):
            dx[i] = 2 * x[i] * dy[i]


@fastcnn.register_serializable
class Focal(fastcnn.losses.CustomLoss):
    target, has_classes = "sparse", True

    def value(self, y_true, y_pred):
        p = np.maximum(y_pred[np.arange(len(y_true)), y_true], 1e-7)
        return -((1 - p) ** 2) * np.log(p)

    def gradient(self, y_true, y_pred):
        p = np.maximum(y_pred[np.arange(len(y_true)), y_true], 1e-7)
        slope = 2 * (1 - p) * np.log(p) - (1 - p) ** 2 / p
        return np.eye(y_pred.shape[1])[y_true] * slope[:, None]


@fastcnn.register_serializable
def sureness(y_true, y_pred):
    return y_pred.max(axis=1)


@fastcnn.register_serializable
def warm(step):
    return 0.05 * min(1, (step + 1) / 20)


def dimmed(image, rng):
    return image * rng.uniform(0.7, 1)


class Best(fastcnn.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.accuracy = 0.0

    def on_epoch_end(self, epoch, logs=None):
        self.accuracy = max(self.accuracy, logs["val_accuracy"])


def main() -> None:
    for layer in (ScaledTanh(), Squared()):
        print(fastcnn.check_gradients(layer, (6, 6, 3)))
    print(fastcnn.check_gradients(Focal(), x=np.random.default_rng(0).uniform(0.1, 0.9, (4, 10))))
    (x, y), (held_out, labels) = fastcnn.data.sample()
    model = fastcnn.Sequential(
        [
            L.Rescaling(1 / 255),
            *(L.Conv2D(8, 5), ScaledTanh(), L.MaxPooling2D(), L.Conv2D(16, 3), Squared()),
            *(L.GlobalAveragePooling2D(), L.Dense(10, activation="softmax")),
        ],
        input_shape=(28, 28, 1),
    )
    model.compile(fastcnn.optimizers.SGD(warm), Focal(), ["accuracy", sureness])
    best = Best()
    validation = held_out[:500], labels[:500]
    model.fit(
        *(x[:2000], y[:2000]),
        epochs=2,
        batch_size=32,
        augment=dimmed,
        validation_data=validation,
        callbacks=[best],
        verbose=2,
    )
    path = Path(tempfile.mkdtemp()) / "own.h5"
    model.save(path)
    same = np.array_equal(fastcnn.load(path).predict(held_out), model.predict(held_out))
    print(f"best {100 * best.accuracy:.0f} %, the loaded model gives the same: {same}")


if __name__ == "__main__":
    main()
