"""Train every network by name for some steps as `fastcnn train` does by default: does it learn?

    python tools/networks_learn.py [--steps 120] [--batch-size 32] [--side SIDE] [NETWORK ...]

The images are those that come with fastcnn, made as large as the network's form for large ones
needs, or as asked for. A row says the mean loss at the network's end over the last quarter of the
steps; a network learns if that is below 0.9 times the loss of a guess. Ends with code 1 if one
does not.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from typing import NamedTuple

import numpy as np

from fastcnn import applications, data
from fastcnn.cli.options import train_settings
from fastcnn.cli.options.train_settings import Settings
from fastcnn.cli.resolve import model as models
from fastcnn.layers.containers import auxiliary_classifiers

SIDES = {"alexnet": 67, "alexnet-single": 64, "zfnet": 64, "inception-v3": 75, "xception": 71}
CLASSES = 10
GUESS = math.log(CLASSES)


class Row(NamedTuple):
    """What came of a network's training."""

    network: str
    optimizer: str
    losses: list[float]
    seconds: float

    @property
    def last(self) -> float:
        """The mean loss of the last quarter of the steps."""
        return float(np.mean(self.losses[-max(1, len(self.losses) // 4) :]))

    @property
    def learns(self) -> bool:
        """Whether the loss has fallen clearly below that of a guess."""
        return self.last < 0.9 * GUESS

    def __str__(self) -> str:
        verdict = "yes" if self.learns else "NO"
        return (
            f"| `{self.network}` | {self.optimizer} | {self.losses[0]:.3f} | {self.last:.3f} | "
            f"{verdict} | {self.seconds:.0f} |"
        )


def images(network: str, side: int | None) -> tuple[np.ndarray, np.ndarray]:
    """The sample's training images, as large as needed or asked for, and their classes."""
    (x, y), _ = data.load("sample")
    if applications.NETWORKS[network]().input_shape[-1] == 1:
        return x, y
    side = side or SIDES.get(network, 32)
    rows = np.arange(side) * x.shape[1] // side
    return np.repeat(x[:, rows][:, :, rows], 3, axis=3), y


def train(network: str, steps: int, batch_size: int, side: int | None) -> Row:
    """Take the steps."""
    x, y = images(network, side)
    model = models.named(network, input_shape=x.shape[1:], classes=CLASSES, rescale=True, seed=0)
    optimizer = train_settings.make_optimizer(Settings(model=network))
    model.compile(optimizer, models.fitting_loss(model))
    sides = auxiliary_classifiers(model.layers)
    start, losses = time.perf_counter(), []
    for step in range(steps):
        batch = np.arange(step * batch_size, (step + 1) * batch_size) % len(x)
        results = model.train_on_batch(x[batch], y[batch], return_dict=True)
        beside = sum(side.loss_weight * results[f"{side.path}_loss"] for side in sides)
        losses.append(results["loss"] - beside)
    rate = f"{optimizer.name} {optimizer.learning_rate}"
    return Row(network, rate, losses, time.perf_counter() - start)


def main() -> int:
    """Print the table of the networks asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=list(applications.NETWORKS))
    parser.add_argument("--steps", type=int, default=120, help="default: 120")
    parser.add_argument("--batch-size", type=int, default=32, help="default: 32")
    parser.add_argument("--side", type=int, help="of the images in colour, in pixels")
    options = parser.parse_args()
    print("| network | optimizer | first loss | last | learns | seconds |")
    print("| --- | --- | ---: | ---: | --- | ---: |")
    learn = True
    for network in options.networks:
        row = train(network, options.steps, options.batch_size, options.side)
        print(row, flush=True)
        learn = learn and row.learns
    return 0 if learn else 1


if __name__ == "__main__":
    sys.exit(main())
