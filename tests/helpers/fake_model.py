"""Softmax regression in NumPy that speaks to training as a model and its engine do."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np

from fastcnn import losses, metrics, optimizers
from fastcnn.backends.step import StepResult
from fastcnn.layers.layer_list import LayerList


class NonFiniteError(ArithmeticError):
    """Stands for the engine's error."""

    def __init__(self, message, layer):
        super().__init__(message)
        self.layer = layer


class FakeState:
    """The fake's weights are never lost, so nothing is put back."""

    def __init__(self):
        self.step = 0
        self.values = np.zeros(1, np.float32)

    def snapshot(self):
        return ()

    def use_trained(self):
        """There are no averages that would be in use."""

    def use_averages(self):
        """Likewise."""


class FakeEngine:
    ranks = None

    def __init__(self, model):
        self.model = model
        self.sizes = []  # of the training batches
        self.seen = []  # the first value of each image trained on
        self.on_step = None  # called with the number of steps before each step

    def hold(self, images, anew):
        return False

    def sender(self):
        return None

    def _forward(self, x, y, weight):
        model = self.model
        flat = x.reshape(len(x), -1).astype(np.float32)
        scores = flat @ model.weights + model.bias
        shifted = scores - scores.max(axis=1, keepdims=True)
        outputs = np.exp(shifted)
        outputs /= outputs.sum(axis=1, keepdims=True)
        target = np.eye(scores.shape[1], dtype=np.float32)[y] if y.dtype == np.int32 else y
        loss = -(target * np.log(np.maximum(outputs, 1e-30))).sum(axis=1)
        true = target.argmax(axis=1)
        mine = outputs[np.arange(len(x)), true][:, None]
        ties = (outputs == mine) & (np.arange(outputs.shape[1]) < true[:, None])
        rank = ((outputs > mine) | ties).sum(axis=1).astype(np.int32)
        if model.loss and not model.loss.has_classes:
            rank = np.empty(0, np.int32)
        gradient = (outputs - target) / len(x)
        if weight is not None:
            gradient *= weight[:, None]
        return (
            flat,
            gradient,
            StepResult(loss.astype(np.float32), rank, outputs, None, model.penalty, True),
        )

    def update(self):
        """Each batch is an update: none waits for another."""

    def train(self, x, y, weight, capacity=None):
        model = self.model
        assert x.dtype == np.float32 and x.flags.c_contiguous
        assert weight is None or weight.dtype == np.float32
        if self.on_step:
            self.on_step(model.state.step)
        self.sizes.append(len(x))
        self.seen.extend(x.reshape(len(x), -1)[:, 0].tolist())
        flat, gradient, batch = self._forward(x, y, weight)
        if not np.isfinite(batch.loss).all():
            raise NonFiniteError("The outputs of layer 'dense' are not finite.", "dense")
        rate = model.optimizer.learning_rate_at(model.state.step)
        model.weights -= np.float32(rate) * (flat.T @ gradient)
        model.bias -= np.float32(rate) * gradient.sum(axis=0)
        model.state.step += 1
        return batch

    def test(self, x, y, weight, capacity=None):
        return self._forward(x, y, weight)[2]

    def predict(self, x, capacity=None):
        return self._forward(x, np.zeros(len(x), np.int32), None)[2].outputs


class FakeModel:
    session = ranks = None  # one process by itself

    def __init__(
        self,
        loss="sparse_categorical_crossentropy",
        metric_names=("accuracy",),
        input_shape=(4, 4, 1),
        classes=3,
        seed=0,
        rate=0.5,
    ):
        size = int(np.prod(input_shape))
        self.input_shape, self.output_shape = input_shape, (classes,)
        layers = [SimpleNamespace(name=name, walk=tuple) for name in ("conv2d", "dense")]
        self.layers = LayerList(layers, "")
        self._kept = None
        self.weights = np.zeros((size, classes), np.float32)
        self.bias = np.zeros(classes, np.float32)
        self.seed, self.epoch, self.penalty = seed, 0, 0.0
        self.state = FakeState()
        self.loss = loss and losses.get(loss)
        self.optimizer = optimizers.SGD(rate)
        self.metrics = [metrics.get(name) for name in metric_names]
        self.preprocessing, self.class_names = [], None
        self.saved = []  # (kind, path, epoch) of every save
        self._engine = FakeEngine(self)
        self.lock = threading.RLock()

    def frozen_depth(self):
        return 0

    def engine(self):
        return self._engine

    def get_weights(self):
        return [self.weights.copy(), self.bias.copy()]

    def set_weights(self, weights):
        self.weights[...], self.bias[...] = weights

    def check_save(self, path=None, weights_alone=False):
        pass

    def save(self, path):
        self._save("model", path)

    def save_weights(self, path):
        self._save("weights", path)

    def _save(self, kind, path):
        with open(path, "wb") as file:
            np.savez(file, *self.get_weights())
        self.saved.append((kind, path.name, self.epoch))


def toy(count=30, classes=3, shape=(4, 4, 1), seed=0):
    """Separable images and labels; the first value of image i is i / 100."""
    generator = np.random.default_rng(seed)
    y = (np.arange(count) % classes).astype(np.int32)
    x = generator.random((count, *shape), np.float32) * 0.2
    flat = x.reshape(count, -1)
    flat[np.arange(count), 1 + y] += 1.0
    flat[:, 0] = np.arange(count) / 100
    return x, y
