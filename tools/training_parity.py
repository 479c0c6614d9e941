"""Train networks beside PyTorch, from the same weights, on the same batches in the same order.

    python tools/training_parity.py --peer /path/to/python-with-torch [--steps 20] [NETWORK ...]

fastcnn writes a network's configuration, its first weights and the batches; the peer builds the
same network of PyTorch's functions and takes the steps, in float64 and in float32. A row says by
what fastcnn differs from float64, and a second one by what PyTorch's float32 does: the gradients of
the first step, by their norm; a step's loss at most, relative to the largest; and the weights after
the last, relative to the norm of all that the training changed. Dropout, which draws at random, is
off in all.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from peer_files import read_network, without_dropout, write_model

CLASSES, BATCH, MOMENTUM = 7, 8, 0.9
LOSSES, GRADIENT, WEIGHTS = "losses", "gradient of ", "weights of "

Numbers = dict[str, np.ndarray]


class Case(NamedTuple):
    """A network, the images' height and width, and SGD's learning rate."""

    network: str
    size: int
    rate: float


# A larger rate lets the loss of the SqueezeNet, which has no normalization, grow beyond all bounds.
CASES = [
    Case("googlenet", 96, 0.01),
    Case("nin", 32, 0.01),
    Case("squeezenet1_1", 64, 1e-5),
    Case("resnet20", 32, 0.01),
]

# ---- the peer's process ----


def train(folder: Path, rate: float) -> None:
    """Take the steps in float64 and in float32; write what came of each."""
    import torch

    with np.load(folder / "batches.npz") as file:
        images, labels = file["images"], torch.tensor(file["labels"], dtype=torch.int64)
    for dtype in (torch.float64, torch.float32):
        network, _ = read_network(folder, dtype)
        optimizer = torch.optim.SGD(network.weights.values(), rate, MOMENTUM)
        numbers: dict[str, Any] = {LOSSES: []}
        for x, y in zip(images, labels, strict=True):
            optimizer.zero_grad()
            loss = network.loss(torch.tensor(x, dtype=dtype), y)
            loss.backward()
            if not numbers[LOSSES]:
                for path, weights in network.weights.items():
                    numbers[GRADIENT + path] = weights.grad.numpy().copy()
            optimizer.step()
            numbers[LOSSES].append(loss.item())
        for path, weights in network.weights.items():
            numbers[WEIGHTS + path] = weights.detach().numpy()
        np.savez(folder / f"{dtype}.npz", **numbers)


# ---- fastcnn's process ----


def compare(case: Case, steps: int, peer: str) -> list[str]:
    """Return the rows of a case."""
    import fastcnn

    shape = (case.size, case.size, 3)
    model = getattr(fastcnn.applications, case.network)(shape, classes=CLASSES, seed=3)
    model = fastcnn.Sequential.from_config(without_dropout(model.get_config()))
    generator = np.random.default_rng(0)
    images = generator.standard_normal((steps, BATCH, *shape), np.float32)
    labels = generator.integers(0, CLASSES, (steps, BATCH)).astype(np.int32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder, model)
        np.savez(folder / "batches.npz", images=images, labels=labels)
        command = [peer, __file__, "--train", name, "--rate", str(case.rate)]
        subprocess.run(command, check=True)
        double, single = (_read(folder / f"torch.{dtype}.npz") for dtype in ("float64", "float32"))
    first = {p.path: p.value.copy() for p in model.parameters if p.trainable}
    optimizer = fastcnn.optimizers.SGD(case.rate, momentum=MOMENTUM)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    gradients = model.gradients(images[0], labels[0])[1]
    ours = {GRADIENT + path: gradient for path, gradient in gradients.items()}
    losses = [
        model.train_on_batch(x, y, return_dict=True)["loss"]
        for x, y in zip(images, labels, strict=True)
    ]
    ours[LOSSES] = np.array(losses)
    ours |= {WEIGHTS + p.path: p.value for p in model.parameters if p.trainable}
    return [
        _row(f"`{case.network}`", ours, double, first),
        _row("PyTorch in float32", single, double, first),
    ]


def _read(path: Path) -> Numbers:
    with np.load(path) as file:
        return dict(file)


def _row(title: str, numbers: Numbers, double: Numbers, first: Numbers) -> str:
    """Return by what numbers differ from those of float64."""
    apart = {what: numbers[what].astype(np.float64) - values for what, values in double.items()}
    changed = {WEIGHTS + path: double[WEIGHTS + path] - value for path, value in first.items()}
    gradients = _norm(apart, GRADIENT) / _norm(double, GRADIENT)
    losses = float(np.abs(apart[LOSSES]).max() / np.abs(double[LOSSES]).max())
    weights = _norm(apart, WEIGHTS) / _norm(changed, WEIGHTS)
    return f"| {title} | {gradients:.1e} | {losses:.1e} | {weights:.1e} |"


def _norm(numbers: Numbers, kind: str) -> float:
    squares = (float(np.square(v).sum()) for what, v in numbers.items() if what.startswith(kind))
    return math.sqrt(sum(squares))


def main() -> None:
    """Print the table of the networks asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", help="of fastcnn.applications; default all of these")
    parser.add_argument("--peer", help="a Python that has torch")
    parser.add_argument("--steps", type=int, default=20, help="default: 20")
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rate", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train(options.train, options.rate)
        return
    print("| network | gradients | losses | weights |", "| --- | --- | --- | --- |", sep="\n")
    for case in CASES:
        if not options.networks or case.network in options.networks:
            print(*compare(case, options.steps, options.peer), sep="\n", flush=True)


if __name__ == "__main__":
    main()
