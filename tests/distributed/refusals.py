"""Tells why trainings are not begun, as each of two ranks sees it, and what is not refused.

Argument: a folder.
"""

import sys
from importlib import metadata

import a_training
import numpy as np
from mpi4py import MPI

from fastcnn import Sequential, callbacks, initializers, layers, losses, strategies
from fastcnn.strategies import timing_cache


class Batches:
    def __iter__(self):
        for number in range(2):
            x = np.full((4, 16, 16, 3), number * rank, np.float32)
            yield x, np.zeros(4, int)


class Own(callbacks.Callback):
    pass


def overflowing():
    """Of the second half of the images, the outputs of the last layer but one are infinite."""
    large = initializers.Constant(1e4)
    dense = layers.Dense(4, kernel_initializer=large, name="dense")
    net = [layers.Flatten(), dense, layers.Dense(2, name="last")]
    network = Sequential(net, input_shape=(4, 4, 1), device="cpu")
    network.compile("sgd", "mse")
    x = np.ones((16, 4, 4, 1), np.float32)
    x[8:] = 1e35
    network.fit(x, np.zeros((16, 2), np.float32), batch_size=16, shuffle=False, verbose=0)


def other_library():
    """Rank 1 has another Numba."""
    version = metadata.version
    metadata.version = lambda name: f"{version(name)}{'.1' * rank}"
    try:
        a_training.fit(a_training.model())
    finally:
        metadata.version = version


def other_code():
    """A loss of the user's own is another one on rank 1."""
    if rank:

        class Distance(losses.CustomLoss):
            def value(self, y_true, y_pred):
                return np.abs(y_true - y_pred).sum(-1)

            def gradient(self, y_true, y_pred):
                return np.sign(y_pred - y_true)
    else:

        class Distance(losses.CustomLoss):
            def value(self, y_true, y_pred):
                return np.square(y_true - y_pred).sum(-1)

            def gradient(self, y_true, y_pred):
                return 2 * (y_pred - y_true)

    network = Sequential([layers.Dense(2)], input_shape=(3,), device="cpu")
    network.compile("sgd", Distance())
    network.fit(np.ones((4, 3), np.float32), np.zeros((4, 2), np.float32), verbose=0)


def other_times():
    """Each rank has measured other strategies to be the fastest; the ones that trained."""
    network = a_training.model()
    for chosen in strategies.training_choices(network, a_training.BATCH):
        times = {"direct": 1 + rank, "im2col": 2 - rank}
        timing_cache.remember(chosen.direction, chosen.problem, a_training.BATCH, times)
    a_training.fit(network, epochs=1)
    chosen = strategies.training_choices(network, a_training.BATCH)
    return sorted({choice.strategy for choice in chosen}), a_training.state_of(network)


rank = MPI.COMM_WORLD.rank
attempts = {
    "other images": lambda: a_training.fit(a_training.model(), seed=rank),
    "other weights": lambda: a_training.fit(a_training.model(seed=rank)),
    "other arguments": lambda: a_training.fit(a_training.model(), batch_size=32 + rank),
    "an error on rank 1": lambda: a_training.fit(a_training.model(), epochs=1 - rank),
    "tune": lambda: a_training.fit(a_training.model(), tune=True),
    "other callbacks": lambda: a_training.fit(a_training.model(), callbacks=[Own()] * rank),
    "other batches": lambda: a_training.model().fit(Batches(), verbose=0),
    "outputs that overflow on rank 1": overflowing,
    "other code": other_code,
    "other library": other_library,
    "other times": other_times,
}
answers = {}
for name, attempt in attempts.items():
    try:
        answers[name] = attempt()
    except Exception as error:
        answers[name] = f"{type(error).__name__}: {error}"
a_training.tell(sys.argv[1], **answers)
