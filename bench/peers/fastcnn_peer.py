"""fastcnn as a competitor."""

from __future__ import annotations

import time

STARTED = time.perf_counter()

import os  # noqa: E402
import platform  # noqa: E402
from typing import Any  # noqa: E402

import directions  # noqa: E402
import numpy as np  # noqa: E402
import protocol  # noqa: E402

import fastcnn  # noqa: E402
from fastcnn import applications  # noqa: E402
from fastcnn.layers import Conv2D, Dense  # noqa: E402


def tiny(seed: int = 0) -> fastcnn.Sequential:
    """The smallest net of the race: 2, 4 and 10 numbers."""
    return fastcnn.Sequential([Dense(4, "tanh"), Dense(10, "softmax")], (2,), seed)


NAMES = ("lenet5", "caffe-lenet", "cifar-small", "resnet20", "vgg16")
NETWORKS = {**{name: applications.get(name) for name in NAMES}, "tiny": tiny}


def weights() -> dict[str, int]:
    """How many numbers each network trains."""
    models = {name: network() for name, network in NETWORKS.items()}
    return {name: sum(p.size for p in m.parameters if p.trainable) for name, m in models.items()}


class FastCnn:
    """See protocol.Competitor."""

    def __init__(self) -> None:
        fastcnn.set_num_threads(int(os.environ["FASTCNN_RACE_THREADS"]))

    def describe(self) -> dict[str, Any]:
        import numba

        versions = {
            "python": platform.python_version(),
            "fastcnn": fastcnn.__version__,
            "numba": numba.__version__,
        }
        modes = ("train", "infer", *directions.DIRECTIONS)
        variants = dict.fromkeys(modes, ("fastcnn",))
        return {"versions": versions, "variants": variants, "weights": weights()}

    def step(self, task: protocol.Task) -> protocol.Step:
        if task.mode in directions.DIRECTIONS:
            layer = Conv2D(64, 3, padding="same", use_bias=False)
            return directions.make(task.mode, layer, (28, 28, 64), task.batch)
        model = NETWORKS[task.net](seed=0)
        x = np.random.default_rng(0).random((task.batch, *model.input_shape), dtype=np.float32)
        if task.mode == "infer":
            predict = model.engine().predict
            return lambda: predict(x)
        y = np.random.default_rng(1).integers(0, 10, task.batch).astype(np.int32)
        optimizer = fastcnn.optimizers.SGD(0.01, momentum=0.9)
        model.compile(optimizer, "sparse_categorical_crossentropy")
        train = model.engine().train
        return lambda: train(x, y, None)


if __name__ == "__main__":
    protocol.main(FastCnn, STARTED)
