"""Training steps and inference of the zoo's networks, and single layers of each kind.

python -m pytest bench/speed/test_nets.py --benchmark-compare
"""

from __future__ import annotations

import numpy as np
import pytest

import fastcnn
from fastcnn import applications, layers

NETWORKS = ("lenet5", "caffe-lenet", "cifar-small", "resnet20")
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop", "adagrad")
LAYERS = {
    "conv 3x3": lambda: [layers.Conv2D(32, 3, padding="same")],
    "conv 3x3, strides 2": lambda: [layers.Conv2D(32, 3, strides=2, padding="same")],
    "conv 1x1": lambda: [layers.Conv2D(32, 1)],
    "depthwise 3x3": lambda: [layers.DepthwiseConv2D(3, padding="same")],
    "max pooling": lambda: [layers.MaxPooling2D(2)],
    "average pooling": lambda: [layers.AveragePooling2D(2)],
    "global pooling": lambda: [layers.GlobalAveragePooling2D()],
    "batch normalization": lambda: [layers.BatchNormalization()],
    "gelu": lambda: [layers.Activation("gelu")],
    "dropout": lambda: [layers.Dropout(0.5)],
}


def images(shape: tuple[int, ...], batch: int) -> np.ndarray:
    return np.random.default_rng(0).random((batch, *shape), dtype=np.float32)


@pytest.mark.parametrize("batch", [32, 128])
@pytest.mark.parametrize("name", NETWORKS)
def test_training_step(benchmark, name, batch):
    model = applications.get(name)()
    x = images(model.input_shape, batch)
    y = np.random.default_rng(1).integers(0, 10, batch).astype(np.int32)
    model.compile(fastcnn.optimizers.SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy")
    result = benchmark(model.engine().train, x, y, None)
    assert np.isfinite(result.loss).all()


@pytest.mark.parametrize("batch", [1, 32, 128])
@pytest.mark.parametrize("name", NETWORKS)
def test_inference(benchmark, name, batch):
    model = applications.get(name)()
    outputs = benchmark(model.engine().predict, images(model.input_shape, batch))
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_update(benchmark, optimizer):
    """A step of one large dense layer on one image: little else than the update."""
    model = fastcnn.Sequential([layers.Dense(1000)], input_shape=(1000,))
    model.compile(optimizer, "mean_squared_error")
    x, y = np.ones((1, 1000), np.float32), np.zeros((1, 1000), np.float32)
    result = benchmark(model.engine().train, x, y, None)
    assert np.isfinite(result.loss).all()


@pytest.mark.parametrize("name", LAYERS)
def test_layer(benchmark, name):
    """A step of a small network that is mostly one layer, forward and backward."""
    first = layers.Conv2D(32, 1)
    rest = [layers.GlobalAveragePooling2D()] if "global" not in name else []
    model = fastcnn.Sequential([first, *LAYERS[name](), *rest], input_shape=(28, 28, 8))
    model.compile("sgd", "mean_squared_error")
    x, y = images((28, 28, 8), 32), np.zeros((32, 32), np.float32)
    result = benchmark(model.engine().train, x, y, None)
    assert np.isfinite(result.loss).all()
