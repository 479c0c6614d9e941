"""Trains where the MPI library sums the gradients, and nets drawn at random, a step each; and where
each rank has batch statistics of its own.

Arguments: a folder for results, and "mpi-fast", or "alone" for one process.
"""

import sys

import a_training
import numpy as np

from fastcnn import Sequential, layers

folder, distributed = sys.argv[1:]
distributed = None if distributed == "alone" else distributed


def of_own_statistics():
    network = Sequential(
        [
            layers.BatchNormalization(synchronized=False),
            layers.Conv2D(4, 3, strategy="direct"),
            layers.BatchNormalization(synchronized=False),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ],
        input_shape=(16, 16, 3),
        device="cpu",
    )
    network.compile("sgd", "sparse_categorical_crossentropy")
    return network


def one_step(x, y, distributed):
    network = of_own_statistics()
    network.fit(x, y, len(x), shuffle=False, verbose=0, distributed=distributed)
    return np.concatenate([network.state.values, network.state.moving])


def furthest(distributed):
    """How far a step of two ranks is from the mean of steps of each half, as a part of a step."""
    x, y = a_training.images()
    x, y = x[:64].astype(np.float32) / 255, y[:64]
    x[32:] *= 0.5  # halves whose statistics differ
    halves = [one_step(x[part], y[part], None) for part in (slice(32), slice(32, 64))]
    start = of_own_statistics().state
    step = np.mean(halves, axis=0) - np.concatenate([start.values, start.moving])
    away = one_step(x, y, distributed) - np.mean(halves, axis=0)
    return float(np.abs(away).max() / np.abs(step).max())


# Smooth: where a rounding decides which number is the largest, or above 0, what follows differs.
network = a_training.model(3, "tanh", layers.AveragePooling2D, "sgd")
start = network.state.values.copy()
history = a_training.fit(network, epochs=1, distributed=distributed)
x, y = a_training.images()
network.fit(x[:3], y[:3], batch_size=2, verbose=0, distributed=distributed)  # at last for one rank
nets = [network]
nets += [a_training.drawn_net(number, distributed)[0] for number in range(a_training.DRAWN)]
a_training.tell(
    folder,
    history=history.history,
    moved=(network.state.values - start).tolist(),
    weights=a_training.digest(*(net.state.values for net in nets)),
    drawn=[net.state.values.tolist() for net in nets[1:]],
    own_statistics=[furthest(how) for how in (distributed, distributed and "mpi")],
)
