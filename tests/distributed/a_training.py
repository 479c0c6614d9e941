"""What the tests train: everything that could differ among ranks, in a small network."""

import hashlib
import json
import os
import warnings
from pathlib import Path

import numpy as np
import random_nets

import fastcnn
from fastcnn import data, layers

IMAGES, HELD_OUT = 250, 50  # 250 images in batches of 64: the last one has 58
BATCH = 64
DRAWN = 6  # nets of all kinds of layers


def model(seed=3, activation="relu", pooling=layers.MaxPooling2D, optimizer="adam"):
    network = fastcnn.Sequential(
        [
            layers.Conv2D(8, 3, padding="same", use_bias=False, strategy="winograd"),
            layers.BatchNormalization(),
            layers.Activation(activation),
            pooling(),
            layers.Conv2D(16, 3, padding="same", activation=activation),
            layers.DepthwiseConv2D(3, activation=activation),
            pooling(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(32, activation, kernel_regularizer=fastcnn.regularizers.L2(1e-3)),
            layers.Dense(10, activation="softmax"),
        ],
        input_shape=(16, 16, 3),
        seed=seed,
        device="cpu",
    )
    network.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"])
    return network


def images(seed=0):
    random = np.random.default_rng(seed)
    x = random.integers(0, 256, (IMAGES + HELD_OUT, 16, 16, 3), dtype=np.uint8)
    return x, random.integers(0, 10, IMAGES + HELD_OUT)


def fit(network, epochs=3, seed=0, **arguments):
    x, y = images(seed)
    return network.fit(
        x[:IMAGES],
        y[:IMAGES],
        batch_size=arguments.pop("batch_size", BATCH),
        epochs=epochs,
        initial_epoch=network.epoch,
        validation_data=(x[IMAGES:], y[IMAGES:]),
        augment=[data.RandomFlip(), data.RandomBrightness(0.2)],
        verbose=0,
        **arguments,
    )


def tell(folder, **results):
    """Leave this rank's results in a file: launchers mix what ranks print."""
    rank = int(os.environ.get("PMI_RANK", 0))
    Path(folder, f"rank{rank}.json").write_text(json.dumps(results))


def digest(*things):
    total = hashlib.sha256()
    for thing in things:
        total.update(thing.tobytes() if isinstance(thing, np.ndarray) else repr(thing).encode())
    return total.hexdigest()[:16]


def drawn_net(number, distributed="auto"):
    """A net drawn at random, and what a training step makes of it."""
    net = random_nets.draw(number)
    network = fastcnn.Sequential(net.layers, input_shape=net.shape, seed=number, device="cpu")
    network.compile("adam", net.loss)
    random, count = np.random.default_rng(number), 3 * net.batch + 1
    x = random.standard_normal((count, *net.shape)).astype(np.float32)
    y = random.random((count, *network.output_shape)).astype(np.float32)
    if net.loss.target == "sparse":
        y = random.integers(0, network.output_shape[-1], count)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of inputs and losses that nobody would choose
        history = network.fit(x, y, batch_size=count, verbose=0, distributed=distributed)
    return network, history.history


def state_of(network):
    return digest(network.state.values, network.state.moving, network.state.slots)
