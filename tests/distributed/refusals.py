"""Tells why trainings are not begun, as each of two ranks sees it. Argument: a folder."""

import sys

import a_training
import numpy as np
from mpi4py import MPI

from fastcnn import Sequential, callbacks, initializers, layers


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
}
answers = {}
for name, attempt in attempts.items():
    try:
        attempt()
        answers[name] = "trained"
    except Exception as error:
        answers[name] = f"{type(error).__name__}: {error}"
a_training.tell(sys.argv[1], **answers)
