"""Tells why trainings are not begun, as each of two ranks sees it. Argument: a folder."""

import sys

import a_training
import numpy as np
from mpi4py import MPI


class Batches:
    def __iter__(self):
        yield np.zeros((4, 16, 16, 3), np.float32), np.zeros(4, int)


rank = MPI.COMM_WORLD.rank
attempts = {
    "other images": lambda: a_training.fit(a_training.model(), seed=rank),
    "other weights": lambda: a_training.fit(a_training.model(seed=rank)),
    "other arguments": lambda: a_training.fit(a_training.model(), batch_size=32 + rank),
    "an error on rank 1": lambda: a_training.fit(a_training.model(), epochs=1 - rank),
    "tune": lambda: a_training.fit(a_training.model(), tune=True),
    "batches": lambda: a_training.model().fit(Batches(), verbose=0),
}
answers = {}
for name, attempt in attempts.items():
    try:
        attempt()
        answers[name] = "trained"
    except Exception as error:
        answers[name] = f"{type(error).__name__}: {error}"
a_training.tell(sys.argv[1], **answers)
