"""Trains a tiny net on the GPU that Numba simulates, by itself and together with another rank.

Argument: a folder for results.
"""

import os
import sys

import a_training
import numpy as np
from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray
from turns import take_turns

from fastcnn import Sequential, data, layers, optimizers
from fastcnn.distributed import launch

take_turns()
# On one core the threads hand over to each other without waking another one.
CORES = sorted(os.sched_getaffinity(0))
os.sched_setaffinity(0, {CORES[int(os.environ["PMI_RANK"]) % len(CORES)]})
RANDOM = np.random.default_rng(0)
X = RANDOM.random((5, 2, 2, 1), np.float32)
Y = RANDOM.integers(0, 3, 5)


def model(*first, batches=None):
    network = Sequential(
        [*first, layers.Flatten(), layers.Dropout(0.3), layers.Dense(3, "softmax")],
        input_shape=(2, 2, 1),
        device="cuda",
    )
    adam = optimizers.Adam(0.01, gradient_accumulation_steps=batches)
    network.compile(adam, "sparse_categorical_crossentropy", ["accuracy"])
    return network


def trained(network, distributed, batch_size=2, **arguments):
    """Its weights and losses. Of batches of 2 images, 2 and 1, a rank has none of the last."""
    arguments = {"verbose": 0, "distributed": distributed, **arguments}
    history = network.fit(X, Y, batch_size, **arguments)
    return np.concatenate([network.state.values, network.state.moving]).tolist(), history.history


def told(attempt):
    try:
        attempt()
    except (ArithmeticError, ValueError) as error:
        return str(error)


def overflowing():
    """What is told where one of the images that a rank computes is too large, and whether the
    weights and statistics stay as they are."""
    x = X.copy()
    x[0] = 3e38
    network = model(layers.BatchNormalization(synchronized=False))
    before = [array.copy() for array in (network.state.values, network.state.moving)]
    error = told(lambda: network.fit(x, Y, 2, shuffle=False, verbose=0, distributed="mpi"))
    return error, all(map(np.array_equal, before, (network.state.values, network.state.moving)))


def results(in_order, by_library):
    """What trainings end with, of ranks that sum in order, or as the library does."""
    drawn = {"augment": data.RandomFlip(), "sample_weight": np.arange(5.0)}
    held_out = {"validation_data": (X, Y)}
    return {
        "images by numbers, two batches an update": trained(
            model(batches=2), in_order, **drawn, **held_out
        ),
        "images that are sent, sums in the GPU's memory": trained(model(), by_library, 5),
    }


def statistics(images, distributed):
    """What a step on some images moves the statistics to."""
    network = model(layers.BatchNormalization(synchronized=False))
    network.fit(X[images], Y[images], 5, shuffle=False, verbose=0, distributed=distributed)
    return network.state.moving.copy()


halves = statistics(slice(2), None), statistics(slice(2, 5), None)
# Here all memory is the host's, so the library reads the GPU's.
FakeCUDAArray.__dlpack__ = lambda self, **options: self._ary.__dlpack__(**options)
FakeCUDAArray.__dlpack_device__ = lambda self: self._ary.__dlpack_device__()
launch.joined("mpi-fast", "fit").reads_gpu_memory = True
a_training.tell(
    sys.argv[1],
    alone=results(None, None),
    together=results("mpi", "mpi-fast"),
    statistics=statistics(slice(5), "mpi").tolist(),
    mean_of_statistics=np.average(halves, axis=0, weights=(2, 3)).tolist(),
    overflowing=overflowing(),
    card=os.environ["CUDA_VISIBLE_DEVICES"],
    refused=told(lambda: trained(model(layers.BatchNormalization()), "mpi")),
)
